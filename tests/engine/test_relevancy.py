"""Necessity and relevancy against the complete lists of brute force."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_oracle import ForgetfulOracle, Table, TableOracle, random_table

from whyproof.engine.budget import Budget
from whyproof.engine.errors import DataError
from whyproof.engine.explanation import Explanation, Kind, Status
from whyproof.engine.relevancy import is_necessary, is_relevant
from whyproof.engine.space import FeatureSet

KINDS = list(Kind)
tables = st.builds(random_table, st.integers(1, 7), st.integers(0, 10**6))
qualities = st.sampled_from(["tight", "loose", "weak"])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=80, deadline=None)
@given(table=tables, quality=qualities, seed=st.integers(0, 10**6), data=st.data())
def test_necessary_means_in_all(
    kind: Kind, table: Table, quality: str, seed: int, data: st.DataObject
) -> None:
    feature = data.draw(st.integers(0, table.n - 1))
    oracle = TableOracle(table, quality, seed)
    found = is_necessary(table.problem, oracle, feature, kind)
    assert found.holds is all(feature in e for e in table.explanations(kind))
    assert len(oracle.asked) == 1


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(
    table=tables,
    quality=qualities,
    seed=st.integers(0, 10**6),
    wanted=st.frozensets(st.integers(0, 6), max_size=3),
    excluded=st.frozensets(st.integers(0, 6), max_size=2),
    share=st.sampled_from([0.0, 0.0, 0.2, 1.0]),
    calls=st.one_of(st.none(), st.integers(1, 20)),
)
def test_relevant_means_in_one(
    kind: Kind,
    table: Table,
    quality: str,
    seed: int,
    wanted: FeatureSet,
    excluded: FeatureSet,
    share: float,
    calls: int | None,
) -> None:
    wanted = frozenset(i for i in wanted if i < table.n)
    excluded = frozenset(i for i in excluded if i < table.n) - wanted
    oracle = ForgetfulOracle(TableOracle(table, quality, seed), share, seed)
    found = is_relevant(
        table.problem,
        oracle,
        wanted,
        kind,
        must_not_contain=excluded,
        budget=Budget(calls=calls),
    )
    true = [e for e in table.explanations(kind) if wanted <= e and not excluded & e]
    if share == 0 and calls is None:
        assert found.holds is not None
    if found.holds is not None:
        assert found.holds is bool(true)
    if found.holds:
        assert isinstance(found.evidence, Explanation)
        assert wanted <= found.evidence.members
        assert not excluded & found.evidence.members
        assert table.is_weak(kind, found.evidence.members)
        if found.evidence.status is Status.MINIMAL:
            assert found.evidence.members in true


@settings(max_examples=60, deadline=None)
@given(table=tables, seed=st.integers(0, 10**6), data=st.data())
def test_the_two_kinds_agree_on_single_features(
    table: Table, seed: int, data: st.DataObject
) -> None:
    feature = data.draw(st.integers(0, table.n - 1))
    answers = {
        is_relevant(table.problem, TableOracle(table, seed=seed), feature, kind).holds
        for kind in Kind
    }
    assert len(answers) == 1


def test_contradictions_and_unknown_features_are_refused() -> None:
    table = Table(3, [frozenset({0})])
    with pytest.raises(DataError, match="both must and must not"):
        is_relevant(table.problem, TableOracle(table), [0, 1], must_not_contain=[1])
    with pytest.raises(DataError, match="feature index 5"):
        is_necessary(table.problem, TableOracle(table), 5)

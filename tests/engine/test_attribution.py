"""Feature attribution: exact at the end, true bounds before."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_oracle import Table, TableOracle, random_table

from whyproof.engine.attribution import FeatureAttribution, feature_attribution
from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.errors import DataError
from whyproof.engine.explanation import Kind

KINDS = list(Kind)
tables = st.builds(random_table, st.integers(1, 7), st.integers(0, 10**6), st.integers(1, 12))


def exact(table: Table, kind: Kind, weighted: bool) -> np.ndarray:
    sets = table.explanations(kind)
    shares = np.zeros(table.n)
    for members in sets:
        for i in members:
            shares[i] += (1 / len(members) if weighted else 1) / len(sets)
    return shares


def attribution(
    table: Table, kind: Kind, weighted: bool, seed: int, cut: int | None, **options: object
) -> FeatureAttribution:
    run = enumerate_explanations(table.problem, TableOracle(table, seed=seed))
    list(itertools.islice(run, cut))
    return feature_attribution(
        table.problem,
        [*run.axps, *run.cxps],
        complete=run.complete,
        kind=kind,
        weighted=weighted,
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=80, deadline=None)
@given(table=tables, seed=st.integers(0, 10**6), cut=st.integers(0, 12))
def test_bounds_hold_whatever_is_still_to_come(
    kind: Kind, weighted: bool, table: Table, seed: int, cut: int
) -> None:
    truth = exact(table, kind, weighted)
    found = attribution(table, kind, weighted, seed, cut)
    assert (found.lower <= truth + 1e-12).all() and (truth <= found.upper + 1e-12).all()
    assert (found.lower >= 0).all() and (found.upper <= 1).all()
    if found.count:
        assert (found.lower <= found.observed + 1e-12).all()
        assert (found.observed <= found.upper + 1e-12).all()
    if found.complete:
        np.testing.assert_allclose(found.observed, truth)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(table=tables, seed=st.integers(0, 10**6))
def test_complete_lists_give_the_exact_shares(
    kind: Kind, weighted: bool, table: Table, seed: int
) -> None:
    found = attribution(table, kind, weighted, seed, None)
    assert found.complete
    np.testing.assert_allclose(found.lower, exact(table, kind, weighted))
    np.testing.assert_array_equal(found.lower, found.upper)
    assert found.count == len(table.explanations(kind))


def test_nothing_known_is_zero_to_one() -> None:
    table = Table(4, [frozenset({0, 1}), frozenset({2, 3})])
    found = feature_attribution(table.problem, [], complete=False)
    assert found.lower.tolist() == [0.0] * 4 and found.upper.tolist() == [1.0] * 4
    assert found.count == 0 and not found.complete


def test_a_single_dual_explanation_settles_its_feature() -> None:
    table = Table(4, [frozenset({0}), frozenset({2, 3})])
    run = enumerate_explanations(table.problem, TableOracle(table, "tight"), kinds=[Kind.CXP])
    unit = [e for e in run if e.members == {0}]
    found = feature_attribution(table.problem, unit, complete=False)
    assert (found.lower[0], found.upper[0]) == (1.0, 1.0)
    assert (found.lower[1], found.upper[1]) == (0.0, 1.0)
    settled = feature_attribution(table.problem, unit, complete=False, irrelevant=[1])
    assert (settled.lower[1], settled.upper[1]) == (0.0, 0.0)


def test_the_number_of_explanations_closes_the_bounds() -> None:
    # Two features: {0} and {1} as AXps leave no room for a third one.
    table = Table(2, [frozenset({0, 1})])
    run = enumerate_explanations(table.problem, TableOracle(table, "tight"))
    axps = [e for e in run if e.kind is Kind.AXP]
    found = feature_attribution(table.problem, axps, complete=False)
    assert found.complete and found.lower.tolist() == found.upper.tolist() == [0.5, 0.5]


def test_ranking_and_contradictions() -> None:
    table = Table(3, [frozenset({2}), frozenset({0, 1})])
    run = enumerate_explanations(table.problem, TableOracle(table))
    list(run)
    found = feature_attribution(table.problem, run.axps, complete=run.complete)
    assert found.ranking() == [2, 0, 1]
    with pytest.raises(DataError, match="feature 2 was called irrelevant"):
        feature_attribution(table.problem, run.axps, complete=True, irrelevant=[2])

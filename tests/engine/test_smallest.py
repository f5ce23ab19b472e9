"""Smallest and lightest explanations against brute force, with proved bounds when cut short."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_oracle import ForgetfulOracle, Table, TableOracle, random_table

from whyproof.engine.answers import Answer, Unknown, UnknownReason
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.errors import DataError, InputError
from whyproof.engine.explanation import Kind, Status
from whyproof.engine.facts import Facts
from whyproof.engine.hitting.smallest import Smallest, smallest_explanation
from whyproof.engine.space import FeatureSet

KINDS = list(Kind)
tables = st.builds(random_table, st.integers(1, 7), st.integers(0, 10**6), st.integers(1, 12))
qualities = st.sampled_from(["tight", "loose", "weak"])
weightings = st.dictionaries(st.integers(0, 6), st.integers(1, 9))


def least_cost(
    table: Table,
    kind: Kind,
    weights: dict[int, int],
    must: FeatureSet = frozenset(),
    must_not: FeatureSet = frozenset(),
) -> int | None:
    return min(
        (
            sum(weights.get(i, 1) for i in e)
            for e in table.explanations(kind)
            if must <= e and not must_not & e
        ),
        default=None,
    )


def check(table: Table, kind: Kind, weights: dict[int, int], found: Smallest) -> None:
    if found.explanation is None:
        assert found.cost is None and not found.proved
        return
    members = found.explanation.members
    assert table.is_weak(kind, members)
    assert found.cost == sum(weights.get(i, 1) for i in members)
    if found.explanation.status is Status.MINIMAL:
        assert table.is_minimal(kind, members)
        assert found.explanation.necessity.keys() == members


@pytest.mark.parametrize("back_end", ["sat", "milp", "asp"])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(
    table=tables,
    quality=qualities,
    seed=st.integers(0, 10**6),
    weights=weightings,
    lanes=st.sampled_from([1, 4]),
)
def test_no_explanation_is_lighter(
    kind: Kind,
    back_end: str,
    table: Table,
    quality: str,
    seed: int,
    weights: dict[int, int],
    lanes: int,
) -> None:
    weights = {i: w for i, w in weights.items() if i < table.n}
    found = smallest_explanation(
        table.problem,
        TableOracle(table, quality, seed, lanes),
        kind,
        weights=weights,
        back_end=back_end,
    )
    least = least_cost(table, kind, weights)
    if found is None:
        assert least is None
        return
    check(table, kind, weights, found)
    assert found.proved and found.cost == found.lower_bound == least
    assert found.explanation is not None and found.explanation.status is Status.MINIMAL


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=120, deadline=None)
@given(
    table=tables,
    quality=qualities,
    seed=st.integers(0, 10**6),
    weights=weightings,
    must=st.frozensets(st.integers(0, 6), max_size=2),
    must_not=st.frozensets(st.integers(0, 6), max_size=2),
    lanes=st.sampled_from([1, 3]),
)
def test_preferences_are_kept(
    kind: Kind,
    table: Table,
    quality: str,
    seed: int,
    weights: dict[int, int],
    must: FeatureSet,
    must_not: FeatureSet,
    lanes: int,
) -> None:
    weights = {i: w for i, w in weights.items() if i < table.n}
    must = frozenset(i for i in must if i < table.n)
    must_not = frozenset(i for i in must_not if i < table.n) - must
    found = smallest_explanation(
        table.problem,
        TableOracle(table, quality, seed, lanes),
        kind,
        weights=weights,
        must_contain=must,
        must_not_contain=must_not,
    )
    least = least_cost(table, kind, weights, must, must_not)
    if found is None:
        assert least is None
        return
    check(table, kind, weights, found)
    assert found.proved and found.cost == least
    assert found.explanation is not None
    assert must <= found.explanation.members
    assert not must_not & found.explanation.members


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(
    table=tables,
    quality=qualities,
    seed=st.integers(0, 10**6),
    share=st.sampled_from([0.0, 0.2, 0.6, 1.0]),
    calls=st.one_of(st.none(), st.integers(1, 30)),
    must=st.frozensets(st.integers(0, 6), max_size=1),
)
def test_bounds_are_true_when_cut_short(
    kind: Kind,
    table: Table,
    quality: str,
    seed: int,
    share: float,
    calls: int | None,
    must: FeatureSet,
) -> None:
    must = frozenset(i for i in must if i < table.n)
    inner = TableOracle(table, quality, seed)
    found = smallest_explanation(
        table.problem,
        ForgetfulOracle(inner, share, seed),
        kind,
        must_contain=must,
        budget=Budget(calls=calls),
    )
    least = least_cost(table, kind, {}, must)
    if found is None:
        assert least is None
        return
    check(table, kind, {}, found)
    if least is not None:
        assert found.lower_bound <= least
        assert found.cost is None or found.explanation is None or found.cost >= least
    if found.proved:
        assert found.cost == least


def test_facts_of_an_enumeration_make_it_free() -> None:
    table = random_table(7, 11)
    facts = Facts()
    list(enumerate_explanations(table.problem, TableOracle(table), facts=facts))
    oracle = TableOracle(table)
    found = smallest_explanation(table.problem, oracle, Kind.AXP, facts=facts)
    assert found is not None and found.proved and not oracle.asked


def test_bad_input_is_refused() -> None:
    table = Table(3, [frozenset({0})], immutable=[2])
    oracle = TableOracle(table)
    with pytest.raises(DataError, match="feature index 9"):
        smallest_explanation(table.problem, oracle, Kind.AXP, weights={9: 1})
    with pytest.raises(DataError, match="positive integer"):
        smallest_explanation(table.problem, oracle, Kind.AXP, weights={0: -1})
    with pytest.raises(InputError, match="back end"):
        smallest_explanation(table.problem, oracle, Kind.AXP, back_end="none")
    assert smallest_explanation(table.problem, oracle, Kind.AXP, must_contain=[2]) is None


class BlindSpot(TableOracle):
    """Does not know about one free set."""

    blind: FeatureSet = frozenset()

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        answers = super().decide(free_sets, meter)
        return [
            Unknown(UnknownReason.PRECISION) if free == self.blind else answer
            for free, answer in zip(free_sets, answers, strict=True)
        ]


def test_an_undecided_candidate_forbids_the_claim_that_there_is_none() -> None:
    table = Table(3, [frozenset({0, 1}), frozenset({0, 2})])
    oracle = BlindSpot(table, "tight")
    oracle.blind = frozenset({1, 2})  # whether fixing 0 is enough
    found = smallest_explanation(
        table.problem, oracle, Kind.AXP, must_contain=[0], must_not_contain=[1, 2]
    )
    assert found is not None and found.explanation is None
    found = smallest_explanation(table.problem, oracle, Kind.AXP, must_contain=[0])
    assert found is not None and not found.proved and found.lower_bound == 1

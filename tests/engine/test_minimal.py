"""One minimal set: every strategy, both kinds, any evidence, any gaps, against brute force."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_oracle import ForgetfulOracle, Table, TableOracle, random_table

from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.errors import DataError, InputError
from whyproof.engine.explanation import Explanation, Kind, Status
from whyproof.engine.facts import Facts
from whyproof.engine.minimal import STRATEGIES, SwiftCXp, Witness
from whyproof.engine.minimise import minimise
from whyproof.engine.oracle import Replayed
from whyproof.engine.space import FeatureSet

ALL = {
    **STRATEGIES,
    "swift q=1": SwiftCXp(q=1, delta=0.0),
    "swift q=2": SwiftCXp(q=2, delta=0.9),
    "swift q=3": SwiftCXp(q=3, delta=0.4),
    "witness lanes=2": Witness(lanes=2),
    "witness lanes=3": Witness(lanes=3),
    "witness lanes=9": Witness(lanes=9),
}
KINDS = list(Kind)


def shows_necessity(table: Table, found: Explanation, element: int) -> bool:
    """Check with the evidence alone that the members without `element` are no explanation."""
    answer = found.necessity[element]
    rest = found.members - {element}
    if found.kind is Kind.CXP:
        return isinstance(answer, Entailed) and not answer.core & table.universe & rest
    return isinstance(answer, Counterexample) and not answer.moved & rest


def check(table: Table, found: Explanation) -> None:
    """Assert everything that an explanation claims."""
    if found.status is Status.UNKNOWN:
        assert isinstance(found.evidence, Unknown)
        return
    assert table.is_weak(found.kind, found.members)
    if found.kind is Kind.CXP:
        assert isinstance(found.evidence, Counterexample)
        assert found.evidence.moved <= found.members
    else:
        assert isinstance(found.evidence, Entailed)
        assert found.evidence.core <= found.members
    assert found.open | found.necessity.keys() == found.members
    assert not found.open & found.necessity.keys()
    for i in found.necessity:
        assert not table.is_weak(found.kind, found.members - {i})
        assert shows_necessity(table, found, i)
    assert (found.status is Status.MINIMAL) == (not found.open)
    if not found.open:
        assert table.is_minimal(found.kind, found.members)


tables = st.builds(random_table, st.integers(1, 7), st.integers(0, 10**6))
qualities = st.sampled_from(["tight", "loose", "weak"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ALL)
@settings(max_examples=60, deadline=None)
@given(table=tables, quality=qualities, seed=st.integers(0, 10**6), recall=st.booleans())
def test_every_strategy_finds_a_minimal_set(
    name: str, kind: Kind, table: Table, quality: str, seed: int, recall: bool
) -> None:
    order = np.random.default_rng(seed).permutation(table.n).tolist()
    oracle = Replayed(TableOracle(table, quality, seed), table.problem)
    found = minimise(table.problem, oracle, kind, strategy=ALL[name], order=order, recall=recall)
    if found is None:
        assert not table.explanations(kind)
        return
    assert found.status is Status.MINIMAL
    check(table, found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ALL)
@settings(max_examples=60, deadline=None)
@given(
    table=tables,
    quality=qualities,
    seed=st.integers(0, 10**6),
    share=st.sampled_from([0.1, 0.4, 1.0]),
    calls=st.one_of(st.none(), st.integers(1, 12)),
)
def test_unknowns_and_budgets_never_make_it_wrong(
    name: str,
    kind: Kind,
    table: Table,
    quality: str,
    seed: int,
    share: float,
    calls: int | None,
) -> None:
    inner = TableOracle(table, quality, seed)
    oracle = ForgetfulOracle(inner, share, seed)
    found = minimise(table.problem, oracle, kind, strategy=ALL[name], budget=Budget(calls=calls))
    if calls is not None:
        assert len(inner.asked) <= calls
    if found is None:
        assert not table.explanations(kind)
    else:
        check(table, found)


@pytest.mark.parametrize("name", ALL)
def test_no_counterexample_is_an_answer(name: str) -> None:
    table = Table(4, [])
    oracle = TableOracle(table)
    assert minimise(table.problem, oracle, Kind.CXP, strategy=ALL[name]) is None
    axp = minimise(table.problem, oracle, Kind.AXP, strategy=ALL[name])
    assert axp is not None and axp.members == frozenset() and axp.status is Status.MINIMAL


def test_all_features_immutable() -> None:
    table = Table(3, [frozenset({0})], immutable=[0, 1, 2])
    assert minimise(table.problem, TableOracle(table), Kind.CXP) is None
    axp = minimise(table.problem, TableOracle(table), Kind.AXP)
    assert axp is not None and axp.members == frozenset()


def test_order_says_what_goes_first() -> None:
    table = Table(2, [frozenset({0}), frozenset({1})])
    one_at_a_time = {name: s for name, s in ALL.items() if "lanes" not in name}
    for name, strategy in one_at_a_time.items():
        found = minimise(
            table.problem, TableOracle(table, "weak"), Kind.CXP, strategy=strategy, order=[1, 0]
        )
        assert found is not None and found.members == {0}, name


def test_within_restricts_the_search_and_none_means_proved() -> None:
    table = Table(3, [frozenset({0, 1}), frozenset({2})])
    oracle = TableOracle(table)
    found = minimise(table.problem, oracle, Kind.CXP, within=[0, 1])
    assert found is not None and found.members == {0, 1}
    assert minimise(table.problem, oracle, Kind.AXP, within=[0, 1]) is None


def test_nothing_known_is_unknown_not_an_answer() -> None:
    table = Table(3, [frozenset({0})])
    oracle = ForgetfulOracle(TableOracle(table), share=1.0)
    found = minimise(table.problem, oracle, Kind.CXP)
    assert found is not None and found.status is Status.UNKNOWN
    assert found.evidence == Unknown(UnknownReason.PRECISION)
    assert found.members == found.open == table.universe


def test_shared_facts_save_questions() -> None:
    table = random_table(7, 3)
    facts = Facts()
    first, second = TableOracle(table), TableOracle(table)
    one = minimise(table.problem, first, Kind.AXP, facts=facts)
    two = minimise(table.problem, second, Kind.AXP, facts=facts)
    assert one is not None and two is not None and one.members == two.members
    assert first.asked and not second.asked
    assert two.status is Status.MINIMAL


def test_statistics_count_what_the_oracle_was_asked() -> None:
    table = random_table(7, 5)
    oracle = TableOracle(table, "weak")
    found = minimise(table.problem, oracle, Kind.AXP, strategy="deletion", recall=False)
    assert found is not None
    assert found.statistics.oracle_calls == len(oracle.asked) > 0
    assert found.statistics.rounds == len(oracle.asked)


def test_bad_names_are_refused_with_a_hint() -> None:
    table = Table(2, [frozenset({0})])
    with pytest.raises(InputError, match="did you mean 'deletion'"):
        minimise(table.problem, TableOracle(table), Kind.AXP, strategy="deletoin")
    with pytest.raises(DataError, match="feature index 7 does not exist"):
        minimise(table.problem, TableOracle(table), Kind.AXP, order=[7])


class ShortOfBreath(TableOracle):
    """Gives up on free sets of exactly three features, as an oracle may that runs long."""

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        answers = super().decide(free_sets, meter)
        return [
            Unknown(UnknownReason.TIME) if len(free) == 3 else answer
            for free, answer in zip(free_sets, answers, strict=True)
        ]


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_what_stayed_unknown_is_asked_again_once_the_set_is_smaller(lanes: int) -> None:
    # Fixing four of six features is the whole story.  With three features free the
    # oracle gives up, so elements stay open until the set has shrunk further.
    settled = 0
    for seed in range(60):
        table = random_table(6, seed)
        oracle = ShortOfBreath(table, "loose", seed)
        for kind in KINDS:
            found = minimise(table.problem, oracle, kind, strategy=Witness(lanes=lanes))
            if found is None or found.status is Status.UNKNOWN:
                continue
            check(table, found)
            for i in found.open:
                free = found.members - {i}
                if kind is Kind.AXP:
                    free = table.universe - free
                assert len(free) == 3  # all else was asked again
            settled += not found.open
    assert settled

"""All explanations: complete and dual against brute force, resumable, honest when cut short."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_oracle import ForgetfulOracle, Table, TableOracle, minimal_hitting_sets, random_table

from whyproof.engine.answers import Answer, Unknown, UnknownReason
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.enumerate import Enumeration, enumerate_explanations
from whyproof.engine.enumeration.map_solver import MapSolver
from whyproof.engine.errors import DataError, InputError
from whyproof.engine.explanation import Explanation, Kind, Status
from whyproof.engine.oracle import Replayed
from whyproof.engine.space import FeatureSet

KINDS = list(Kind)
tables = st.builds(random_table, st.integers(1, 7), st.integers(0, 10**6))
qualities = st.sampled_from(["tight", "loose", "weak"])


def sets(explanations: list[Explanation] | tuple[Explanation, ...]) -> set[FeatureSet]:
    return {e.members for e in explanations}


def check_run(table: Table, run: Enumeration) -> list[Explanation]:
    """Take everything and assert that what is claimed holds."""
    found = list(run)
    assert len({(e.kind, e.members) for e in found}) == len(found)
    for e in found:
        assert table.is_weak(e.kind, e.members)
        if e.status is Status.MINIMAL:
            assert table.is_minimal(e.kind, e.members)
            assert e.necessity.keys() == e.members
        else:
            assert e.open and e.open <= e.members
            # What was found on the way must not settle what is still called open.
            found_same = run.axps if e.kind is Kind.AXP else run.cxps
            found_dual = run.cxps if e.kind is Kind.AXP else run.axps
            assert not any(other.members <= e.members for other in found_same)
            assert not any(e.members & d.members == {i} for d in found_dual for i in e.open)
    assert sets(run.axps) <= table.axps and sets(run.cxps) <= table.cxps
    assert len(sets(run.axps)) == len(run.axps) and len(sets(run.cxps)) == len(run.cxps)
    return found


@pytest.mark.parametrize("bias", KINDS)
@settings(max_examples=80, deadline=None)
@given(
    table=tables,
    quality=qualities,
    seed=st.integers(0, 10**6),
    lanes=st.sampled_from([1, 1, 2, 5]),
)
def test_marco_is_complete_and_dual(
    bias: Kind, table: Table, quality: str, seed: int, lanes: int
) -> None:
    oracle = Replayed(TableOracle(table, quality, seed, lanes), table.problem)
    run = enumerate_explanations(table.problem, oracle, bias=bias)
    found = check_run(table, run)
    assert run.complete and all(e.status is Status.MINIMAL for e in found)
    assert sets(run.axps) == table.axps and sets(run.cxps) == table.cxps
    assert sets(run.axps) == minimal_hitting_sets(table.n, sets(run.cxps))
    assert len(found) == len(run.axps) + len(run.cxps)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("back_end", ["sat", "milp", "asp"])
@settings(max_examples=15, deadline=None)
@given(table=tables, quality=qualities, seed=st.integers(0, 10**6))
def test_dualisation_comes_in_order_of_size(
    back_end: str, kind: Kind, table: Table, quality: str, seed: int
) -> None:
    oracle = TableOracle(table, quality, seed)
    run = enumerate_explanations(
        table.problem, oracle, kinds=[kind], smallest_first=True, back_end=back_end
    )
    sizes: list[int] = []
    bound = 0
    for e in run:
        assert len(e) >= bound
        sizes.append(len(e))
        bound = run.lower_bound or 0
        assert bound >= len(e)
    assert run.complete and sizes == sorted(sizes)
    assert sets(run.axps if kind is Kind.AXP else run.cxps) == table.explanations(kind)


@pytest.mark.parametrize("smallest_first", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(
    table=tables,
    quality=qualities,
    seed=st.integers(0, 10**6),
    must=st.frozensets(st.integers(0, 6), max_size=2),
    must_not=st.frozensets(st.integers(0, 6), max_size=2),
)
def test_preferences_restrict_exactly(
    kind: Kind,
    smallest_first: bool,
    table: Table,
    quality: str,
    seed: int,
    must: FeatureSet,
    must_not: FeatureSet,
) -> None:
    must = frozenset(i for i in must if i < table.n)
    must_not = frozenset(i for i in must_not if i < table.n) - must
    run = enumerate_explanations(
        table.problem,
        TableOracle(table, quality, seed),
        kinds=[kind],
        smallest_first=smallest_first,
        must_contain=must,
        must_not_contain=must_not,
    )
    found = check_run(table, run)
    assert run.complete
    assert sets(found) == {e for e in table.explanations(kind) if must <= e and not must_not & e}


@pytest.mark.parametrize("smallest_first", [False, True])
@settings(max_examples=60, deadline=None)
@given(
    table=tables,
    quality=qualities,
    seed=st.integers(0, 10**6),
    cut=st.integers(0, 30),
    kind=st.sampled_from(KINDS),
)
def test_resumed_runs_add_up_without_repeats(
    smallest_first: bool, table: Table, quality: str, seed: int, cut: int, kind: Kind
) -> None:
    first = enumerate_explanations(
        table.problem,
        TableOracle(table, quality, seed),
        kinds=[kind],
        smallest_first=smallest_first,
    )
    taken = list(itertools.islice(first, cut))
    first.close()
    second = enumerate_explanations(
        table.problem,
        TableOracle(table, quality, seed + 1),
        kinds=[kind],
        smallest_first=smallest_first,
        known=[*first.axps, *first.cxps],
    )
    rest = check_run(table, second)
    assert second.complete
    assert not sets(taken) & sets(rest)
    assert sets(taken) | sets(rest) == table.explanations(kind)


@pytest.mark.parametrize("smallest_first", [False, True])
@settings(max_examples=60, deadline=None)
@given(
    table=tables,
    quality=qualities,
    seed=st.integers(0, 10**6),
    share=st.sampled_from([0.05, 0.3, 1.0]),
    calls=st.one_of(st.none(), st.integers(1, 40)),
    lanes=st.sampled_from([1, 4]),
)
def test_unknowns_and_budgets_cost_completeness_only(
    smallest_first: bool,
    table: Table,
    quality: str,
    seed: int,
    share: float,
    calls: int | None,
    lanes: int,
) -> None:
    inner = TableOracle(table, quality, seed, lanes)
    run = enumerate_explanations(
        table.problem,
        ForgetfulOracle(inner, share, seed),
        kinds=[Kind.AXP] if smallest_first else KINDS,
        smallest_first=smallest_first,
        budget=Budget(calls=calls),
    )
    check_run(table, run)
    if calls is not None:
        assert len(inner.asked) <= calls
    if smallest_first:
        missed = table.axps - sets(run.axps)
        assert all(len(e) >= (run.lower_bound or 0) for e in missed)
    if run.complete:
        assert sets(run.axps) == table.axps
        assert smallest_first or sets(run.cxps) == table.cxps


def test_what_is_weak_at_first_is_settled_by_what_comes_later() -> None:
    upgraded = superseded = weak = 0
    for seed in range(300):
        table = random_table(6, seed)
        oracle = ForgetfulOracle(TableOracle(table, "weak", seed), 0.15, seed)
        run = enumerate_explanations(table.problem, oracle)
        held_back: list[Explanation] = []
        found: list[Explanation] = []
        for e in run:
            found.append(e)
            held_back = list(run.held_back)
        upgraded += len(sets(held_back) & (sets(run.axps) | sets(run.cxps)))
        superseded += sum(any(f.members < e.members for f in found) for e in held_back)
        weak += sum(e.status is Status.WEAK for e in found)
    assert upgraded and superseded and weak


def test_an_oracle_that_knows_nothing_ends_without_a_claim() -> None:
    table = Table(12, [frozenset({0, 1})])
    oracle = ForgetfulOracle(TableOracle(table), share=1.0)
    run = enumerate_explanations(table.problem, oracle)
    assert list(run) == [] and not run.complete
    assert run.statistics.oracle_calls < 200


def test_count_limits_what_is_handed_out() -> None:
    table = random_table(7, 11)
    run = enumerate_explanations(table.problem, TableOracle(table), budget=Budget(count=2))
    assert len(list(run)) == 2 and not run.complete


def test_seeds_on_the_side_of_the_bias_cost_one_question() -> None:
    table = random_table(7, 11)
    oracle = TableOracle(table, "tight")
    run = enumerate_explanations(table.problem, oracle, bias=Kind.AXP)
    for e in run:
        if e.kind is Kind.AXP:
            assert e.statistics.oracle_calls == 1


def test_no_counterexample_means_the_empty_axp_alone() -> None:
    run = enumerate_explanations(Table(3, []).problem, TableOracle(Table(3, [])))
    assert [(e.kind, e.members) for e in run] == [(Kind.AXP, frozenset())]
    assert run.complete and run.cxps == ()


@settings(max_examples=100, deadline=None)
@given(table=tables, bias=st.sampled_from(KINDS), data=st.data())
def test_seeds_are_maximal_or_minimal_among_the_unexplored(
    table: Table, bias: Kind, data: st.DataObject
) -> None:
    blocks = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(KINDS),
                st.frozensets(st.integers(0, table.n - 1), min_size=1),
            ),
            max_size=8,
        )
    )

    def unexplored(free: FeatureSet) -> bool:
        return not any(
            members <= free if kind is Kind.CXP else not members & free for kind, members in blocks
        )

    universe = frozenset(range(table.n))
    with MapSolver(universe, bias) as map_solver:
        for kind, members in blocks:
            map_solver.block(kind, members)
        subsets = (
            frozenset(c) for k in range(table.n + 1) for c in itertools.combinations(universe, k)
        )
        left = {s for s in subsets if unexplored(s)}
        while (seed := map_solver.seed()) is not None:
            assert seed in left
            if bias is Kind.AXP:
                assert not any(seed < other for other in left)
            else:
                assert not any(other < seed for other in left)
            map_solver.skip(seed)
            left.remove(seed)
        assert not left


def test_what_cannot_be_asked_is_refused() -> None:
    table = Table(3, [frozenset({0})])
    oracle = TableOracle(table)
    with pytest.raises(InputError, match="need one kind"):
        enumerate_explanations(table.problem, oracle, smallest_first=True)
    with pytest.raises(DataError, match="feature 1 both must and must not"):
        enumerate_explanations(
            table.problem, oracle, kinds=[Kind.AXP], must_contain=[1], must_not_contain=[1]
        )
    with pytest.raises(DataError, match="feature index 3 does not exist"):
        enumerate_explanations(table.problem, oracle, kinds=[Kind.AXP], must_contain=[3])
    with pytest.raises(InputError, match="no hitting-set back end 'cplex'"):
        enumerate_explanations(
            table.problem, oracle, kinds=[Kind.AXP], smallest_first=True, back_end="cplex"
        )
    with pytest.raises(InputError, match="no search strategy"):
        enumerate_explanations(table.problem, oracle, strategy="nope")


class BlindSpot(TableOracle):
    """Does not know about one free set."""

    blind: FeatureSet = frozenset()

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        answers = super().decide(free_sets, meter)
        return [
            Unknown(UnknownReason.PRECISION) if free == self.blind else answer
            for free, answer in zip(free_sets, answers, strict=True)
        ]


def test_the_lower_bound_stays_at_the_first_set_that_stayed_unknown() -> None:
    table = Table(3, [frozenset({0, 1}), frozenset({0, 2})])
    assert table.axps == {frozenset({0}), frozenset({1, 2})}
    oracle = BlindSpot(table, "tight")
    oracle.blind = frozenset({1, 2})  # whether fixing 0 is enough
    run = enumerate_explanations(table.problem, oracle, kinds=[Kind.AXP], smallest_first=True)
    assert [e.members for e in run] == [{1, 2}]
    assert run.lower_bound == 1 and not run.complete

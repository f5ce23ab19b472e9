"""One conformance suite for all hitting-set back ends, against brute force."""

from __future__ import annotations

import itertools
import random
import time

import pytest

from whyproof.engine.budget import Budget, Meter
from whyproof.engine.errors import DataError
from whyproof.engine.hitting import HITTING_SET_SOLVERS, HittingSetProblem
from whyproof.engine.hitting.descent import SmallerHittingSets
from whyproof.engine.space import FeatureSet

BACK_ENDS = list(HITTING_SET_SOLVERS)


class Brute:
    def __init__(self, problem: HittingSetProblem) -> None:
        self.problem = problem
        self.to_hit: list[FeatureSet] = []
        self.forbidden: list[FeatureSet] = []

    def fits(self, s: FeatureSet) -> bool:
        return (
            self.problem.must <= s <= self.problem.eligible
            and all(s & t for t in self.to_hit)
            and not any(f <= s for f in self.forbidden)
        )

    def least(self) -> int | None:
        universe = sorted(self.problem.universe)
        subsets = (
            frozenset(c)
            for k in range(len(universe) + 1)
            for c in itertools.combinations(universe, k)
        )
        return min((self.problem.cost(s) for s in subsets if self.fits(s)), default=None)


@pytest.mark.parametrize("back_end", BACK_ENDS)
@pytest.mark.parametrize("seed", range(25))
def test_conformance_on_random_families(back_end: str, seed: int) -> None:
    draw = random.Random(seed)
    elements = draw.sample(range(20), draw.randint(1, 7))
    weights = {i: draw.randint(1, 5) for i in elements if seed % 3}
    preferred = draw.sample(elements, draw.randint(0, len(elements) // 3))
    half = draw.randint(0, len(preferred))
    problem = HittingSetProblem(
        frozenset(elements), weights, frozenset(preferred[:half]), frozenset(preferred[half:])
    )
    brute = Brute(problem)
    previous = 0
    with HITTING_SET_SOLVERS[back_end](problem) as solver:
        for _ in range(12):
            members = frozenset(draw.sample(elements, draw.randint(1, len(elements))))
            if draw.random() < 0.6:
                solver.add(members)
                brute.to_hit.append(members)
            else:
                solver.forbid(members)
                brute.forbidden.append(members)
            found = solver.smallest(Meter())
            least = brute.least()
            if found is None:
                assert least is None
                assert solver.smallest(Meter()) is None
                return
            assert found.members is not None and brute.fits(found.members)
            assert problem.cost(found.members) == found.lower_bound == least
            assert found.lower_bound >= previous
            previous = found.lower_bound


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_all_in_order_of_size(back_end: str) -> None:
    problem = HittingSetProblem(frozenset(range(6)))
    family = [frozenset({0, 1, 2}), frozenset({2, 3}), frozenset({3, 4, 5})]
    found: list[FeatureSet] = []
    with HITTING_SET_SOLVERS[back_end](problem) as solver:
        for to_hit in family:
            solver.add(to_hit)
        while (nearest := solver.smallest(Meter())) is not None:
            assert nearest.members is not None
            found.append(nearest.members)
            solver.forbid(nearest.members)
    assert [len(s) for s in found] == sorted(len(s) for s in found)
    expected = {
        frozenset(s)
        for k in range(7)
        for s in itertools.combinations(range(6), k)
        if all(set(s) & t for t in family)
        and not any(all((set(s) - {i}) & t for t in family) for i in s)
    }
    assert len(found) == len(set(found)) and set(found) == expected


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_nothing_to_hit_and_nothing_possible(back_end: str) -> None:
    kind = HITTING_SET_SOLVERS[back_end]
    with kind(HittingSetProblem(frozenset())) as solver:
        empty = solver.smallest(Meter())
        assert empty is not None and empty.members == frozenset()
        solver.forbid(frozenset())
        assert solver.smallest(Meter()) is None
    with kind(HittingSetProblem(frozenset({3, 4}), must_not=frozenset({3}))) as solver:
        solver.add(frozenset({3}))
        assert solver.smallest(Meter()) is None
    with kind(HittingSetProblem(frozenset({3}))) as solver:
        solver.add(frozenset())
        assert solver.smallest(Meter()) is None


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_a_budget_that_ends_leaves_a_true_bound(back_end: str) -> None:
    draw = random.Random(1)
    n = 120
    problem = HittingSetProblem(frozenset(range(n)), {i: draw.randint(1, 50) for i in range(n)})
    with HITTING_SET_SOLVERS[back_end](problem) as solver:
        first = frozenset(range(5))
        solver.add(first)
        start = solver.smallest(Meter())
        assert start is not None
        for _ in range(900):
            solver.add(frozenset(draw.sample(range(n), 6)))
        began = time.monotonic()
        found = solver.smallest(Budget(seconds=0.2).start())
        assert time.monotonic() - began < 20
        assert found is not None
        assert found.lower_bound >= start.lower_bound
        if found.members is None:
            assert found.lower_bound < problem.cost(range(n))
        cancelled = Meter()
        cancelled.cancel()
        again = solver.smallest(cancelled)
        assert again is not None and again.lower_bound >= start.lower_bound


def test_weights_and_preferences_are_checked() -> None:
    universe = frozenset({0, 1})
    with pytest.raises(DataError, match="positive integer, found 0"):
        HittingSetProblem(universe, {0: 0})
    with pytest.raises(DataError, match="feature 7 is not among"):
        HittingSetProblem(universe, must=frozenset({7}))
    with pytest.raises(DataError, match="both must and must not"):
        HittingSetProblem(universe, must=frozenset({1}), must_not=frozenset({1}))
    with pytest.raises(DataError, match="common factor"):
        HittingSetProblem(universe, {0: 2**31})


@pytest.mark.parametrize("seed", range(25))
def test_the_way_down_ends_at_the_smallest(seed: int) -> None:
    draw = random.Random(seed)
    elements = draw.sample(range(20), draw.randint(1, 7))
    preferred = draw.sample(elements, draw.randint(0, len(elements) // 3))
    half = draw.randint(0, len(preferred))
    problem = HittingSetProblem(
        frozenset(elements), {}, frozenset(preferred[:half]), frozenset(preferred[half:])
    )
    brute = Brute(problem)
    bound = len(elements) + 1
    with SmallerHittingSets(problem) as solver:
        for _ in range(40):
            found = solver.below(bound, Meter())
            if found is None:
                assert solver.none_left
                break
            assert brute.fits(found)
            assert len(found) < bound
            if draw.random() < 0.5:
                bound = len(found)
            elif draw.random() < 0.7:
                members = frozenset(draw.sample(elements, draw.randint(1, len(elements))))
                solver.add(members)
                brute.to_hit.append(members)
            else:
                members = frozenset(draw.sample(elements, draw.randint(1, len(elements))))
                solver.forbid(members)
                brute.forbidden.append(members)
        else:
            pytest.fail("no end")
    least = brute.least()
    assert least is None or least >= bound

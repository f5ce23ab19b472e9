"""MARCO in several processes, which tell each other what is explored.

Zhao and Liffiton ("Parallelizing partial MUS enumeration", ICTAI 2016) let one process
keep the map and hand seeds to the others.  Here every process has a map of its own
and goes on without waiting: what one finds goes to all others, as a clause that cuts the
region away and as evidence that answers questions.  Every other process looks from the other side
(maximal or minimal free sets first), and numbers features differently, so that two
rarely meet; where they do, what they both found counts once.

The first process whose map is empty ends the search: everything in its map was found by it
or told to it, and both the driver knows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

from ..answers import Answer
from ..budget import Budget, Meter
from ..enumerate import Enumeration
from ..enumeration.found import Found
from ..enumeration.map_solver import MapSolver
from ..errors import InputError
from ..explanation import Explanation, Kind, Status
from ..facts import Facts
from ..minimal import MinimalSet, WeakExplanation
from ..minimise import strategy_named
from ..oracle import Counted, Oracle, relevant
from ..problem import ExplanationProblem
from ..selection import arranged
from ..space import FeatureSet
from .crew import Crew, Desk, Lost, Maker

__all__ = ["ParallelMarco", "enumerate_in_parallel"]

_LOOK = 0.1

_Region = tuple[Kind, FeatureSet]


def enumerate_in_parallel(
    problem: ExplanationProblem,
    oracle: Oracle,
    make: Maker,
    workers: int,
    *,
    kinds: Sequence[Kind] = (Kind.AXP, Kind.CXP),
    strategy: str = "witness",
    known: Iterable[Explanation] = (),
    budget: Budget | None = None,
    meter: Meter | None = None,
    finish: Callable[[Explanation], Explanation] | None = None,
) -> Enumeration:
    """Enumerate explanations with several processes; see `enumerate_explanations`.

    The complete set is the same whatever the number of processes; the order is not.

    Parameters
    ----------
    problem, oracle
        What is to be explained, and its oracle here, which is hardly asked.
    make
        Makes both in each process; it can be pickled.
    workers
        Number of processes.
    kinds, strategy, known, budget, meter, finish
        As for `enumerate_explanations`.
    """
    strategy_named(strategy)
    meter = meter or (budget or Budget()).start()
    counted = Counted(oracle)
    universe = relevant(oracle, problem.universe)
    predicate = WeakExplanation(kinds[0], counted, universe, meter, Facts(limit=1_000_000))
    earlier = [e for e in known if e.status is Status.MINIMAL]
    crew = Crew(make, workers)
    search = ParallelMarco(crew, counted, meter, strategy, earlier)
    return Enumeration(
        problem,
        search,
        counted,
        predicate,
        kinds=tuple(dict.fromkeys(kinds)),
        must=frozenset(),
        must_not=frozenset(),
        known=earlier,
        solver=cast("Any", crew),
        finish=finish,
    )


class ParallelMarco:
    """Enumeration over as many maps as processes; an `Enumerator`.

    Parameters
    ----------
    crew
        The processes, all idle.
    counted
        Counts what the processes ask.
    meter
        Budget of the run.
    strategy
        Name of the strategy that shrinks weak explanations.
    known
        Explanations that are known already.

    Attributes
    ----------
    twice
        Explanations that two processes found before they heard of each other.
    """

    def __init__(
        self,
        crew: Crew,
        counted: Counted,
        meter: Meter,
        strategy: str,
        known: Sequence[Explanation] = (),
    ) -> None:
        self.complete = False
        self.twice = 0
        self._losses = 0
        self._crew = crew
        self._counted = counted
        self._meter = meter
        self._strategy = strategy
        self._found: dict[_Region, Answer] = {(e.kind, e.members): e.evidence for e in known}

    def __iter__(self) -> Iterator[Found]:
        """Explore until one map is empty or the budget ends."""
        running = set(range(len(self._crew)))
        for position in running:
            self._begin(position)
        while running and self._meter.exhausted() is None:
            for position, over, told in self._crew.listen(_LOOK):
                if isinstance(told, Lost):
                    self._restart(position, told)
                elif over:
                    running.discard(position)
                    if told is True:
                        self.complete = True
                        running.clear()
                else:
                    calls, found = cast("tuple[int, Found]", told)
                    self._counted.counts.calls += calls
                    self._meter.spend(calls)
                    if self._new(position, found):
                        yield found

    def _begin(self, position: int) -> None:
        left = self._meter.remaining if self._meter.budget.seconds is not None else None
        known = [(kind, members, answer) for (kind, members), answer in self._found.items()]
        self._crew.give(position, _explore, (position, self._strategy, known), left)

    def _restart(self, position: int, lost: Lost) -> None:
        """Let a process that was lost start again, with all that is known by now."""
        self._losses += 1
        if self._losses > 2 * len(self._crew):
            raise InputError(
                f"a parallel search loses its processes again and again: {lost.reason}"
            )
        self._begin(position)

    def _new(self, position: int, found: Found) -> bool:
        """Tell the others of what one has found; false if it was known."""
        region = found.kind, found.result.members
        if region in self._found:
            self.twice += 1
            return False
        answer = found.result.verdict.answer
        self._found[region] = answer
        for other in self._crew.busy:
            if other != position:
                self._crew.tell(other, (found.kind, found.result.members, answer))
        return True


def _explore(
    desk: Desk, position: int, strategy: str, known: list[tuple[Kind, FeatureSet, Answer]]
) -> bool:
    """Run MARCO in one process; true if its map is empty and nothing was skipped."""
    counted, meter = Counted(desk.oracle), desk.meter
    universe = relevant(desk.oracle, desk.problem.universe)
    facts = Facts(limit=1_000_000)
    axp = WeakExplanation(Kind.AXP, counted, universe, meter, facts)
    sides = {Kind.AXP: axp, Kind.CXP: axp.dual}
    shrink = strategy_named(strategy)
    bias = Kind.CXP if position % 2 == 0 else Kind.AXP
    order = sorted(universe)
    if position > 1:
        random.Random(position).shuffle(order)
    skipped = False
    told = 0
    with MapSolver(universe, bias, order=order) as unexplored:

        def learn(kind: Kind, members: FeatureSet, answer: Answer) -> None:
            unexplored.block(kind, members)
            facts.remember(answer)

        for entry in known:
            learn(*entry)
        while meter.exhausted() is None:
            for news in desk.heard():
                learn(*cast("tuple[Kind, FeatureSet, Answer]", news))
            seed = unexplored.seed()
            if seed is None:
                return not skipped
            answer = facts.recall(seed) or axp.test_one(universe - seed).answer
            verdict = axp.verdict(answer)
            if verdict.holds is None:
                if meter.exhausted() is not None:
                    return False
                skipped = True
                unexplored.skip(seed)
                continue
            side = sides[Kind.AXP if verdict.holds else Kind.CXP]
            start = side.verdict(verdict.answer)
            result: MinimalSet = shrink(side, start, arranged(start.support, None))
            unexplored.block(side.kind, result.members)
            desk.tell((counted.counts.calls - told, Found(side.kind, result)))
            told = counted.counts.calls
    return False

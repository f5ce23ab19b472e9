"""All explanations of a decision, one after the other, with an honest end.

    for explanation in enumerate_explanations(problem, oracle):
        ...

The object that is iterated over can be asked at any time what is known and whether that
is everything; it continues what an earlier, interrupted run has stored.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from .answers import UnknownReason
from .budget import Budget, Meter
from .enumeration.dualisation import Dualisation
from .enumeration.found import Enumerator, Found
from .enumeration.marco import Marco
from .errors import DataError, InputError
from .explanation import Explanation, Kind, SearchStatistics, Status
from .facts import Facts
from .hitting import HITTING_SET_SOLVERS, HittingSetProblem
from .minimal import Strategy, WeakExplanation
from .minimise import strategy_named
from .oracle import Counted, Oracle, relevant, shrinks_well
from .problem import ExplanationProblem
from .replay import Replay
from .selection import arranged, known_features
from .space import FeatureSet

__all__ = ["Enumeration", "enumerate_explanations"]

_BOTH = (Kind.AXP, Kind.CXP)

_BATCH, _PATIENCE = 64, 0.05
"""So many explanations, or seconds, are waited for before a replay on the model."""


def enumerate_explanations(
    problem: ExplanationProblem,
    oracle: Oracle,
    *,
    kinds: Sequence[Kind] = _BOTH,
    smallest_first: bool = False,
    bias: Kind | None = None,
    strategy: str | Strategy = "witness",
    order: Sequence[int] | None = None,
    must_contain: Iterable[int] = (),
    must_not_contain: Iterable[int] = (),
    known: Iterable[Explanation] = (),
    budget: Budget | None = None,
    meter: Meter | None = None,
    facts: Facts | None = None,
    back_end: str = "sat",
    finish: Callable[[Explanation], Explanation] | None = None,
) -> Enumeration:
    """Enumerate explanations; nothing is asked before the first is taken.

    Parameters
    ----------
    problem
        What is to be explained.
    oracle
        Decides free sets of this problem.
    kinds
        What to hand out.  Both kinds are found together anyway.
    smallest_first
        Hand out explanations in the order of size, by hitting-set dualisation instead
        of MARCO.  For one kind.
    bias
        Which kind MARCO finds at one question each; by default the first of `kinds`, or
        the other one where a single kind is asked of an oracle that `shrinks_well`.
    strategy, order
        How weak explanations are shrunk, as for `minimise`.
    must_contain, must_not_contain
        Only explanations with all, without any, of these features.  For one kind.
    known
        Explanations of this problem that are known from an earlier run.  They are not
        handed out again, and count as found; those that are not proved minimal are
        looked for again.
    budget, meter
        Limits, or a meter that already runs; `count` limits how many are handed out.
    facts
        Evidence to start from and to add to.
    back_end
        Hitting-set solver for `smallest_first`.
    finish
        Adds what is to be known about an explanation that is handed out.

    Raises
    ------
    DataError
        For features that do not exist and preferences that contradict each other.
    InputError
        For an unknown strategy or back end, or preferences over two kinds.

    Examples
    --------
    >>> from whyproof.engine.toy import toy
    >>> problem, oracle = toy(4, [{0, 1}, {2}])
    >>> run = enumerate_explanations(problem, oracle)
    >>> sorted((str(e.kind), e.features) for e in run)
    [('axp', ('f0', 'f2')), ('axp', ('f1', 'f2')), ('cxp', ('f0', 'f1')), ('cxp', ('f2',))]
    >>> run.complete, len(run.axps), len(run.cxps)
    (True, 2, 2)
    """
    wanted = tuple(dict.fromkeys(kinds))
    known_features(problem, order or ())
    must = known_features(problem, must_contain)
    must_not = known_features(problem, must_not_contain)
    if len(wanted) != 1 and (smallest_first or must or must_not):
        raise InputError("an order of size and preferred features need one kind: axp or cxp")
    if not wanted:
        raise InputError("no kind of explanation was asked for: axp, cxp or both")
    if must & must_not:
        raise DataError(f"feature {min(must & must_not)} both must and must not occur")
    if back_end not in HITTING_SET_SOLVERS:
        names = ", ".join(HITTING_SET_SOLVERS)
        raise InputError(f"no hitting-set back end {back_end!r}; known are {names}")
    meter = meter if meter is not None else (budget or Budget()).start()
    facts = facts if facts is not None else Facts(limit=1_000_000)
    earlier = [e for e in known if e.status is Status.MINIMAL]
    for explanation in earlier:
        known_features(problem, explanation.members)
        facts.remember(explanation.evidence)
    counted = Counted(oracle)
    universe = relevant(oracle, problem.universe)
    predicate = WeakExplanation(wanted[0], counted, universe, meter, facts)
    shrink = strategy_named(strategy)

    def arrange(members: FeatureSet) -> list[int]:
        return arranged(members, order)

    regions = [(e.kind, e.members) for e in earlier]
    solver: AbstractContextManager[Any] = nullcontext()
    if not must <= universe:
        search: Enumerator = _Nothing()
    elif smallest_first:
        choice = HittingSetProblem(universe, must=must, must_not=must_not & universe)
        solver = HITTING_SET_SOLVERS[back_end](choice)
        search = Dualisation(predicate, shrink, arrange, solver, regions)
    else:
        axp_wanted = wanted[0] is Kind.AXP
        dual_first = len(wanted) == 1 and shrinks_well(oracle)
        search = Marco(
            predicate,
            shrink,
            arrange,
            bias=bias or (wanted[0].dual if dual_first else wanted[0]),
            known=regions,
            free=(must_not if axp_wanted else must) & universe,
            fixed=(must if axp_wanted else must_not) & universe,
        )
    return Enumeration(
        problem,
        search,
        counted,
        predicate,
        kinds=wanted,
        must=must,
        must_not=must_not,
        known=earlier,
        solver=solver,
        finish=finish,
    )


class Enumeration:
    """An enumeration that runs while it is iterated over; made by `enumerate_explanations`.

    Explanations come as they are found, each once.  One whose minimality could not be
    decided is held back until the end, since what is found later often settles it; it then comes
    with its proof, or not at all if a smaller one was found, or last as `WEAK`.
    """

    def __init__(
        self,
        problem: ExplanationProblem,
        search: Enumerator,
        counted: Counted,
        predicate: WeakExplanation,
        *,
        kinds: Sequence[Kind],
        must: FeatureSet,
        must_not: FeatureSet,
        known: Sequence[Explanation],
        solver: AbstractContextManager[Any],
        finish: Callable[[Explanation], Explanation] | None = None,
    ) -> None:
        self.problem = problem
        self._finish = finish
        self._search = search
        self._counted = counted
        self._sides = {predicate.kind: predicate, predicate.kind.dual: predicate.dual}
        self._kinds = frozenset(kinds)
        self._must, self._must_not = must, must_not
        self._found: dict[Kind, list[Explanation]] = {kind: [] for kind in Kind}
        for explanation in known:
            self._found[explanation.kind].append(explanation)
        self._waiting: deque[Explanation] = deque()
        self._held_back: list[Explanation] = []
        self._meter = predicate.meter
        self._watch = _Stopwatch()
        self._replay = Replay(problem)
        self._solver = solver
        self._run = self._explore()

    def __iter__(self) -> Iterator[Explanation]:
        return self

    def __next__(self) -> Explanation:
        with self._watch:
            return next(self._run)

    def close(self) -> None:
        """Free solvers; what was found stays."""
        self._run.close()

    @property
    def complete(self) -> bool:
        """Whether it is proved that every explanation asked for was handed out or known."""
        return self._search.complete and not self._waiting

    @property
    def axps(self) -> tuple[Explanation, ...]:
        """All abductive explanations known so far, proved minimal."""
        return tuple(self._found[Kind.AXP])

    @property
    def cxps(self) -> tuple[Explanation, ...]:
        """All contrastive explanations known so far, proved minimal."""
        return tuple(self._found[Kind.CXP])

    @property
    def held_back(self) -> tuple[Explanation, ...]:
        """Weak explanations that wait for the end; what is found may still settle them."""
        return tuple(self._held_back)

    @property
    def lower_bound(self) -> int | None:
        """With `smallest_first`: no explanation still to come is smaller than this."""
        if not isinstance(self._search, Dualisation):
            return None
        waiting = (len(e) for e in self._waiting if e.kind in self._kinds)
        return min(waiting, default=self._search.lower_bound)

    @property
    def stopped_by(self) -> UnknownReason | None:
        """Which limit of the budget has been reached, if one has."""
        return self._meter.exhausted()

    @property
    def statistics(self) -> SearchStatistics:
        """What the enumeration has taken so far."""
        counts = self._counted.counts
        return SearchStatistics(
            counts.calls, counts.rounds, self._watch.seconds, self._watch.cpu_seconds
        )

    def _explore(self) -> Generator[Explanation, None, None]:
        left = self._meter.budget.count
        with self._solver:
            for _ in self._filled(_BATCH if left is None else min(left, _BATCH)):
                confirmed = self._replay.explanations(self._waiting)
                self._waiting.clear()
                self._waiting.extend(confirmed)
                while self._waiting:
                    explanation = self._waiting.popleft()
                    wanted = self._wants(explanation)
                    if wanted and self._finish is not None:
                        explanation = self._finish(explanation)
                    self._found[explanation.kind].append(explanation)
                    if not wanted:
                        continue
                    yield explanation
                    left = None if left is None else left - 1
                    if left == 0:
                        return
        yield from self._settled()

    def _filled(self, enough: int) -> Iterator[None]:
        """Collect what is found, to be replayed on the model many points in one run."""
        until = 0.0
        for explanation in self._proved():
            if not self._waiting:
                until = time.monotonic() + _PATIENCE
            self._waiting.append(explanation)
            if len(self._waiting) >= enough or time.monotonic() >= until:
                yield
        if self._waiting:
            yield

    def _proved(self) -> Iterator[Explanation]:
        before = self.statistics
        for kind, result in self._search:
            after = self.statistics
            explanation = Explanation(
                self.problem,
                kind,
                result.members,
                result.verdict.answer,
                result.open,
                result.necessity,
                _difference(after, before),
                result.at_least,
            )
            before = after
            if not explanation.open:
                yield explanation
            elif self._meter.exhausted() is None:
                self._held_back.append(explanation)

    def _settled(self) -> Iterator[Explanation]:
        for weak in self._held_back:
            if any(known.members <= weak.members for known in self._found[weak.kind]):
                continue
            shown = self._sides[weak.kind].necessity(weak.members, weak.open)
            explanation = replace(
                weak, open=weak.open - shown.keys(), necessity={**weak.necessity, **shown}
            )
            explanation = self._replay.explanation(explanation)
            wanted = self._wants(explanation)
            if wanted and self._finish is not None:
                explanation = self._finish(explanation)
            if not explanation.open:
                self._found[weak.kind].append(explanation)
            if wanted:
                yield explanation

    def _wants(self, explanation: Explanation) -> bool:
        members = explanation.members
        return (
            explanation.kind in self._kinds
            and self._must <= members
            and not self._must_not & members
        )


class _Nothing:
    """The enumeration of nothing: what was asked for cannot exist."""

    complete = True

    def __iter__(self) -> Iterator[Found]:
        return iter(())


class _Stopwatch:
    """Adds up the time inside ``with`` blocks; it can be read while it runs."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._cpu_seconds = 0.0
        self._started: tuple[float, float] | None = None

    def __enter__(self) -> None:
        self._started = time.perf_counter(), time.thread_time()

    def __exit__(self, *_: object) -> None:
        self._seconds, self._cpu_seconds = self.seconds, self.cpu_seconds
        self._started = None

    @property
    def seconds(self) -> float:
        running = 0.0 if self._started is None else time.perf_counter() - self._started[0]
        return self._seconds + running

    @property
    def cpu_seconds(self) -> float:
        running = 0.0 if self._started is None else time.thread_time() - self._started[1]
        return self._cpu_seconds + running


def _difference(after: SearchStatistics, before: SearchStatistics) -> SearchStatistics:
    return SearchStatistics(
        after.oracle_calls - before.oracle_calls,
        after.rounds - before.rounds,
        after.seconds - before.seconds,
        after.cpu_seconds - before.cpu_seconds,
    )

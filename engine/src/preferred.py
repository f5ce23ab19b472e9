"""Preferred explanations: one that contains, and lacks, the features that you name.

A candidate that contains the wanted features is looked for that is a weak explanation and
is none without any one of them; shrinking it cannot lose them.  What refutes a candidate prunes
the map of candidates: a refusal says what they have to hit, and a weak explanation without a
wanted feature what they must not contain.  This is the abstraction refinement for feature
relevancy of Huang, Cooper, Morgado, Planes and Marques-Silva (TACAS 2023), for several features and
both kinds, on the map of the enumeration with its bias to small candidates, and with the evidence
of each answer taken as it comes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from .answers import Unknown, UnknownReason
from .budget import Budget, Meter
from .enumeration.map_solver import MapSolver
from .errors import DataError
from .explanation import Explanation, Kind, SearchStatistics
from .facts import Facts
from .minimal import MinimalSet, Strategy, Verdict, WeakExplanation
from .minimise import strategy_named
from .oracle import Counted, Oracle, Recall, relevant
from .problem import ExplanationProblem
from .replay import Replay
from .selection import arranged, known_features
from .space import FeatureSet

__all__ = ["preferred_explanation"]


def preferred_explanation(
    problem: ExplanationProblem,
    oracle: Oracle,
    kind: Kind,
    *,
    must_contain: Iterable[int] = (),
    must_not_contain: Iterable[int] = (),
    strategy: str | Strategy = "witness",
    order: Sequence[int] | None = None,
    budget: Budget | None = None,
    meter: Meter | None = None,
    facts: Facts | None = None,
) -> Explanation | None:
    """Find one subset-minimal explanation that meets the preferences.

    Parameters
    ----------
    problem
        What is to be explained.
    oracle
        Decides free sets of this problem.
    kind
        Abductive or contrastive.
    must_contain, must_not_contain
        The explanation has all of these, and none of those.
    strategy, order
        How weak explanations are shrunk, as for `minimise`.
    budget, meter
        Limits, or a meter that already runs.
    facts
        Evidence to start from and to add to.

    Returns
    -------
    Explanation or None
        `None` if it is proved that there is none.  If that stayed open, an explanation of
        status `UNKNOWN` over all features that it may contain.

    Raises
    ------
    DataError
        For features that do not exist or are both wanted and excluded.
    InputError
        For an unknown strategy.

    Examples
    --------
    >>> from whyproof.engine.toy import toy
    >>> problem, oracle = toy(4, [{0, 1}, {2}])
    >>> preferred_explanation(problem, oracle, Kind.AXP, must_contain=[1]).features
    ('f1', 'f2')
    >>> preferred_explanation(problem, oracle, Kind.AXP, must_contain=[0, 1]) is None
    True
    """
    started, cpu_started = time.perf_counter(), time.thread_time()
    wanted = known_features(problem, must_contain)
    excluded = known_features(problem, must_not_contain)
    known_features(problem, order or ())
    if wanted & excluded:
        raise DataError(f"feature {min(wanted & excluded)} both must and must not occur")
    shrink = strategy_named(strategy)
    universe = relevant(oracle, problem.universe)
    if not wanted <= universe:
        return None  # what never moves, or never matters, stands in no explanation
    counted = Counted(oracle)
    meter = meter if meter is not None else (budget or Budget()).start()
    predicate = WeakExplanation(kind, Recall(counted, facts), universe, meter)
    search = _Search(predicate, shrink, order, wanted, excluded & universe)
    holds, found = search.run()
    if holds is False:
        return None
    if found is None:
        eligible = universe - excluded
        open_verdict = Verdict(None, frozenset(), search.trouble)
        found = MinimalSet(eligible, open_verdict, {}, eligible)
    statistics = SearchStatistics(
        counted.counts.calls,
        counted.counts.rounds,
        time.perf_counter() - started,
        time.thread_time() - cpu_started,
    )
    explanation = Explanation(
        problem, kind, found.members, found.verdict.answer, found.open, found.necessity, statistics
    )
    return Replay(problem).explanation(explanation)


class _Search:
    """The search for an explanation with all wanted and no excluded features."""

    def __init__(
        self,
        predicate: WeakExplanation,
        strategy: Strategy,
        order: Sequence[int] | None,
        wanted: FeatureSet,
        excluded: FeatureSet,
    ) -> None:
        self.predicate = predicate
        self.strategy = strategy
        self.order = order
        self.wanted = wanted
        self.excluded = excluded
        self.kind = predicate.kind
        self.trouble = Unknown(UnknownReason.INCOMPLETE)
        self.refusals = 0

    def run(self) -> tuple[bool | None, MinimalSet | None]:
        """Return whether there is one, if that is known, and one."""
        universe, meter = self.predicate.universe, self.predicate.meter
        inside, outside = self.wanted, self.excluded
        free, fixed = (outside, inside) if self.kind is Kind.AXP else (inside, outside)
        skipped = 0
        with MapSolver(universe, self.kind, free=free, fixed=fixed) as candidates:
            while meter.exhausted() is None:
                seed = candidates.seed()
                if seed is None:
                    return (None if skipped else False), None
                candidate = seed if self.kind is Kind.CXP else universe - seed
                verdict = self._without_a_wanted_one(candidate, candidates)
                if verdict is None:
                    continue
                if isinstance(verdict.answer, Unknown):
                    self.trouble = verdict.answer
                    skipped += 1
                    few = skipped <= 2 * len(universe)
                    (candidates.skip if few else candidates.skip_cone)(seed)
                    continue
                start = arranged(verdict.support, self.order)
                return True, self.strategy(self.predicate, verdict, start)
        self.trouble = Unknown(meter.exhausted() or UnknownReason.CANCELLED)
        return None, None

    def _without_a_wanted_one(self, candidate: FeatureSet, unexplored: MapSolver) -> Verdict | None:
        """Return the verdict on a candidate that nothing refutes, or learn what does.

        The verdict is unknown if one of the questions stayed so.
        """
        verdict = self.predicate.test_one(candidate)
        if verdict.holds is False:
            self._block_dual(verdict, candidate, unexplored)
            return None
        if verdict.holds is None:
            return verdict
        if not self.wanted <= verdict.support:
            unexplored.block(self.kind, verdict.support)
            return None
        without = self.predicate.test([verdict.support - {i} for i in sorted(self.wanted)])
        for trial in without:
            if trial.holds:
                unexplored.block(self.kind, trial.support)
                return None
        return next((trial for trial in without if trial.holds is None), verdict)

    def _block_dual(self, refusal: Verdict, candidate: FeatureSet, unexplored: MapSolver) -> None:
        """Let candidates hit the evidence; shrunk if it is weak, or the search takes long."""
        members = refusal.support
        self.refusals += 1
        weak = len(members) == len(self.predicate.universe - candidate)
        if weak or self.refusals > 2 * len(self.predicate.universe):
            dual = self.predicate.dual
            start = dual.verdict(refusal.answer)
            members = self.strategy(dual, start, arranged(members, self.order)).members
        unexplored.block(self.kind.dual, members)

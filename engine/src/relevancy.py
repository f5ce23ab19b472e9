"""Necessity and relevancy of a feature: in all explanations of a kind, in some, in none.

* A feature is *necessary* for a kind if it stands in every explanation of this kind.  That
  is so exactly if it alone is a weak explanation of the dual kind: one question.
* Features are *relevant* together if some explanation contains them all.  We follow the
  abstraction refinement of Huang et al. (TACAS 2023): a candidate set that contains them
  is wanted that is a weak explanation and is none without any one of them; what refutes a
  candidate prunes the map of candidates.  A feature is relevant for AXps exactly if it is
  for CXps.

Our map is the one of the enumeration, biased to small candidates, and the evidence of each
answer is used as it comes: a refusal says what candidates have to hit, and an explanation
found without the feature says what they must not contain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .answers import Answer
from .budget import Budget, Meter
from .enumeration.map_solver import MapSolver
from .errors import DataError
from .explanation import Explanation, Kind
from .facts import Facts
from .minimal import MinimalSet, Strategy, Verdict, WeakExplanation
from .minimise import strategy_named
from .oracle import Counted, Oracle, Recall
from .problem import ExplanationProblem
from .replay import Replay
from .selection import arranged, known_features
from .space import FeatureSet

__all__ = ["Finding", "is_necessary", "is_relevant"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether something holds of a decision, and what shows it.

    Parameters
    ----------
    holds
        True, false, or `None` when it is not known.
    evidence
        The answer behind a necessity; an explanation that contains the features for a
        relevancy that holds; `None` for a search that ended without one.
    """

    holds: bool | None
    evidence: Answer | Explanation | None


def is_necessary(
    problem: ExplanationProblem,
    oracle: Oracle,
    feature: int,
    kind: Kind = Kind.AXP,
    *,
    budget: Budget | None = None,
    meter: Meter | None = None,
    facts: Facts | None = None,
) -> Finding:
    """Tell whether a feature stands in every explanation of a kind, by one question.

    Parameters
    ----------
    problem
        What is to be explained.
    oracle
        Decides free sets of this problem.
    feature
        Feature index.
    kind
        Which explanations.  Where there are none at all, every feature is in all of them.
    budget, meter
        Limits, or a meter that already runs.
    facts
        Evidence to start from and to add to.
    """
    asked = known_features(problem, [feature]) & problem.universe
    meter = meter if meter is not None else (budget or Budget()).start()
    dual = WeakExplanation(kind.dual, Recall(Counted(oracle), facts), problem.universe, meter)
    verdict = dual.test_one(asked)
    return Finding(verdict.holds, Replay(problem).answer(verdict.answer))


def is_relevant(
    problem: ExplanationProblem,
    oracle: Oracle,
    features: int | Iterable[int],
    kind: Kind = Kind.AXP,
    *,
    must_not_contain: Iterable[int] = (),
    strategy: str | Strategy = "witness",
    order: Sequence[int] | None = None,
    budget: Budget | None = None,
    meter: Meter | None = None,
    facts: Facts | None = None,
) -> Finding:
    """Tell whether some explanation contains all of the features, and return one.

    Parameters
    ----------
    problem
        What is to be explained.
    oracle
        Decides free sets of this problem.
    features
        One feature index or several.
    kind
        Which explanations.  For a single feature the two kinds agree.
    must_not_contain
        The explanation shall have none of these.
    strategy, order
        How weak explanations are shrunk, as for `minimise`.
    budget, meter
        Limits, or a meter that already runs.
    facts
        Evidence to start from and to add to.

    Returns
    -------
    Finding
        Its evidence is a minimal explanation if it holds.

    Raises
    ------
    DataError
        For features that do not exist or are both wanted and excluded.
    """
    wanted = known_features(problem, [features] if isinstance(features, int) else features)
    excluded = known_features(problem, must_not_contain)
    known_features(problem, order or ())
    if wanted & excluded:
        raise DataError(f"feature {min(wanted & excluded)} both must and must not occur")
    shrink = strategy_named(strategy)
    if not wanted <= problem.universe:
        return Finding(False, None)  # what never moves stands in no explanation
    meter = meter if meter is not None else (budget or Budget()).start()
    predicate = WeakExplanation(kind, Recall(Counted(oracle), facts), problem.universe, meter)
    search = _Through(predicate, shrink, order, wanted, excluded & problem.universe)
    holds, result = search.run()
    if result is None:
        return Finding(holds, None)
    explanation = Explanation(
        problem, kind, result.members, result.verdict.answer, result.open, result.necessity
    )
    return Finding(holds, Replay(problem).explanation(explanation))


class _Through:
    """The search for an explanation that contains all wanted features."""

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

    def run(self) -> tuple[bool | None, MinimalSet | None]:
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
                if verdict.holds is None:
                    skipped += 1
                    few = skipped <= 2 * len(universe)
                    (candidates.skip if few else candidates.skip_cone)(seed)
                    continue
                start = arranged(verdict.support, self.order)
                return True, self.strategy(self.predicate, verdict, start)
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
        members = refusal.support
        if len(members) == len(self.predicate.universe - candidate):
            # Evidence without any strength: shrink it before it prunes the map.
            dual = self.predicate.dual
            start = dual.verdict(refusal.answer)
            members = self.strategy(dual, start, arranged(members, self.order)).members
        unexplored.block(self.kind.dual, members)

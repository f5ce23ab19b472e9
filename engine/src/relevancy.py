"""Necessity and relevancy of a feature: in all explanations of a kind, in some, in none.

* A feature is *necessary* for a kind if it stands in every explanation of this kind.  That
  is so exactly if it alone is a weak explanation of the dual kind: one question.
* Features are *relevant* together if some explanation contains them all: a search for
  one, see `preferred_explanation`.  A single feature is relevant for AXps exactly if it is
  for CXps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .answers import Answer
from .budget import Budget, Meter
from .explanation import Explanation, Kind, Status
from .facts import Facts
from .minimal import WeakExplanation
from .oracle import Counted, Oracle, Recall
from .preferred import preferred_explanation
from .problem import ExplanationProblem
from .replay import Replay
from .selection import known_features

__all__ = ["Finding", "is_necessary", "is_relevant"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether something holds of a decision, and what shows it.

    Parameters
    ----------
    holds
        True, false, or `None` when it is not known.
    evidence
        The answer behind a necessity; for a relevancy that holds an explanation that
        contains the features, for one that is not known the unknown answer, and `None` for
        one that does not hold: then the search was exhaustive.
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

    Examples
    --------
    >>> from whyproof.engine.toy import toy
    >>> problem, oracle = toy(4, [{0, 1}, {2}])
    >>> [is_necessary(problem, oracle, i).holds for i in range(4)]
    [False, False, True, False]
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
    budget, meter
        Limits, or a meter that already runs.
    facts
        Evidence to start from and to add to.

    Raises
    ------
    DataError
        For features that do not exist or are both wanted and excluded.

    Examples
    --------
    >>> from whyproof.engine.toy import toy
    >>> problem, oracle = toy(4, [{0, 1}, {2}])
    >>> [is_relevant(problem, oracle, i).holds for i in range(4)]
    [True, True, True, False]
    """
    found = preferred_explanation(
        problem,
        oracle,
        kind,
        must_contain=[features] if isinstance(features, int) else features,
        must_not_contain=must_not_contain,
        budget=budget,
        meter=meter,
        facts=facts,
    )
    if found is None:
        return Finding(False, None)
    if found.status is Status.UNKNOWN:
        return Finding(None, found.evidence)
    return Finding(True, found)

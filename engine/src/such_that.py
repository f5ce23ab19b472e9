"""Explanations with a property: the first, or the least, whose set of features has it.

The property may be anything that can be asked of a set: "at most one of these", "not both",
"if income then debt as well".  Explanations are enumerated, in the order of cost if the least
is wanted, until one has it; each one that has not is blocked with the evidence that it brings.
Being none is proved by a complete enumeration.  This answers what optimal constrained
unsatisfiable subsets ask (Gamba, Bogaerts, Guns, Efficiently Explaining CSPs with
Unsatisfiable Subset Optimization, JAIR 2023), with the constraint on *minimal* sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .answers import UnknownReason
from .budget import Budget, Meter
from .enumerate import enumerate_explanations
from .explanation import Explanation, Kind
from .facts import Facts
from .oracle import Oracle
from .problem import ExplanationProblem
from .space import FeatureSet

__all__ = ["Chosen", "explanation_such_that"]


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """What a search for an explanation with a property found.

    Parameters
    ----------
    explanation
        One that has it; `None` if none was found.
    proved
        Without an explanation: that there is none.  With one: that no smaller one has the
        property, if the least was asked for.
    seen
        Number of explanations that were looked at.
    stopped_by
        Which limit ended the search, if one did.
    """

    explanation: Explanation | None
    proved: bool
    seen: int
    stopped_by: UnknownReason | None = None


def explanation_such_that(
    problem: ExplanationProblem,
    oracle: Oracle,
    kind: Kind,
    accepts: Callable[[FeatureSet], bool],
    *,
    smallest: bool = True,
    must_contain: Iterable[int] = (),
    must_not_contain: Iterable[int] = (),
    order: Sequence[int] | None = None,
    budget: Budget | None = None,
    meter: Meter | None = None,
    facts: Facts | None = None,
) -> Chosen:
    """Find an explanation whose features have a property.

    Parameters
    ----------
    problem
        What is to be explained.
    oracle
        Decides free sets of this problem.
    kind
        Abductive or contrastive.
    accepts
        The property.
    smallest
        Of the least size; else the first that comes.
    must_contain, must_not_contain
        Features that have to, that must not occur; they narrow the search itself.
    order
        Feature indices, those to leave out first in front.
    budget, meter
        Limits, or a meter that already runs.
    facts
        Evidence to start from and to add to.

    Examples
    --------
    >>> from whyproof.engine.toy import toy
    >>> problem, oracle = toy(4, [{0, 1}, {2}])
    >>> found = explanation_such_that(problem, oracle, Kind.AXP, lambda chosen: 1 in chosen)
    >>> found.explanation.features, found.proved
    (('f1', 'f2'), True)
    """
    enumeration = enumerate_explanations(
        problem,
        oracle,
        kinds=[kind],
        smallest_first=smallest,
        must_contain=must_contain,
        must_not_contain=must_not_contain,
        order=order,
        budget=budget,
        meter=meter,
        facts=facts,
    )
    seen = 0
    for explanation in enumeration:
        seen += 1
        if accepts(explanation.members):
            return Chosen(explanation, smallest, seen)
    return Chosen(None, enumeration.complete, seen, enumeration.stopped_by)

"""Why there is no counterfactual: the smallest set of rules that excludes all of them.

Rules that exclude every counterfactual together are a hitting set of what each counterfactual
without them violates (Reiter, A Theory of Diagnosis from First Principles, AIJ 1987; implicit
hitting sets as in Ignatiev, Previti, Liffiton, Marques-Silva, Smallest MUS Extraction with
Minimal Hitting Set Dualization, CP 2015).  A smallest set that hits all known violations is
tried: either it excludes everything, and then no smaller one does, or a point obeys it, and
the rules that this point violates must be hit as well.  Ours asks for a *nearest* such point,
which violates few rules.
"""

from __future__ import annotations

from dataclasses import dataclass

from whyproof.engine.budget import Budget, Meter
from whyproof.engine.hitting.sat import SatHittingSets
from whyproof.engine.hitting.solver import HittingSetProblem
from whyproof.engine.space import Point

from .answer import NearestStatus, Rule
from .nearest import NearestSearch

__all__ = ["Conflict", "smallest_conflict"]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Rules that leave no counterfactual.

    Parameters
    ----------
    rules
        Together they exclude every counterfactual; empty if the model itself has none in
        the space.
    is_smallest
        Whether it is proved that no fewer rules do.
    """

    rules: tuple[Rule, ...]
    is_smallest: bool


def smallest_conflict(
    search: NearestSearch,
    instance: Point,
    *,
    budget: Budget | None = None,
    meter: Meter | None = None,
) -> Conflict | None:
    """Find the fewest rules that exclude every counterfactual.

    Parameters
    ----------
    search
        Model, question and rules.
    instance
        The person, for whom there is no counterfactual under all rules.
    budget, meter
        Limits, or those of a run that has begun.

    Returns
    -------
    Conflict or None
        `None` if the rules leave a counterfactual, or it was not decided in time whether
        they do.
    """
    meter = meter or (budget or Budget()).start()
    rules = search.rules
    everything = search.nearest(instance, meter=meter, feasible_only=True)
    if everything.status is not NearestStatus.NONE:
        return None
    problem = HittingSetProblem(frozenset(range(len(rules))))
    with SatHittingSets(problem) as solver:
        while meter.exhausted() is None:
            hitting = solver.smallest(meter)
            if hitting is None or hitting.members is None:
                break
            chosen = [rules[i] for i in sorted(hitting.members)]
            found = search.nearest(instance, meter=meter, rules=chosen)
            if found.status is NearestStatus.NONE:
                return Conflict(tuple(chosen), True)
            if found.point is None:
                break
            solver.add(frozenset(search.violated(instance, found.point)))
    return Conflict(rules, False)

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

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from whyproof.engine.budget import Budget, Meter
from whyproof.engine.hitting.sat import SatHittingSets
from whyproof.engine.hitting.solver import HittingSetProblem
from whyproof.engine.region import Region
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
            solver.add(frozenset(violated(search, rules, instance, found.point)))
    return Conflict(rules, False)


def violated(
    search: NearestSearch, rules: Sequence[Rule], instance: Point, point: Point
) -> list[int]:
    """Return the positions of the rules that a point violates."""
    return [i for i, rule in enumerate(rules) if not _obeys(search, rule, instance, point)]


def _obeys(search: NearestSearch, rule: Rule, instance: Point, point: Point) -> bool:
    match rule.kind:
        case "action":
            return _allowed(search, rule.index, instance, point)
        case "region":
            region: Region = search.region
            return region.contains(search.free_space, instance, point)
        case "floor":
            floor = search.floors[rule.index]
            return bool(floor.ensemble.sums(point[None])[0, 0] >= floor.least)
        case "table":
            boxes = search.terrain(search.put(instance)).boxes
            seen = search.together[rule.index]
            cells, columns = boxes.locate(point), list(seen.columns)
            rows = np.stack([boxes.locate(row)[columns] for row in seen.data])
            return int((rows == cells[columns]).all(axis=1).sum()) >= seen.least
        case _:
            constraint = search.constraints[rule.index].at(instance)
            return bool(constraint.holds(point[None])[0])


def _allowed(search: NearestSearch, feature: int, instance: Point, point: Point) -> bool:
    action = search.actions.of_feature(feature)
    for c in search.space.features[feature].columns:
        here, there = float(instance[c]), float(point[c])
        if here == there or (np.isnan(here) and np.isnan(there)):
            continue
        if action.direction == "stay" or np.isnan(here) or np.isnan(there):
            return False
        low, high = action.limits(here)
        if not low <= there <= high:
            return False
        if action.step is not None:
            count = round((there - here) / action.step)
            if here + count * action.step != there:
                return False
    return True

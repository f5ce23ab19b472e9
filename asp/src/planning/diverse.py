"""Diverse paths: a few ways that differ as much as possible.

Candidates are the shortest paths and a shortest path for every minimal set of features.
The best comes first; then, again and again, the candidate that is farthest from all chosen
ones (largest least distance, the greedy 2-approximation of max-min dispersion).  Distance
is that of Jaccard between the sets of changed features, and for equal sets the share of
steps that differ.
"""

from __future__ import annotations

from dataclasses import replace

from whyproof.asp.worlds.problem import Problem
from whyproof.engine.budget import Meter

from .changes import fewest_changes
from .options import Objective, PlanOptions
from .path import Path
from .replay import Verdicts
from .shortest import Search, shortest_paths

__all__ = ["distance", "diverse_paths"]

_POOL = 200


def diverse_paths(
    problem: Problem, options: PlanOptions, verdicts: Verdicts, meter: Meter
) -> Search:
    """Choose `options.diverse` paths that differ.

    Parameters
    ----------
    problem
        With a start.
    options
        Horizon, number of paths, extra lengths.
    verdicts
        The real model.
    meter
        Budget.
    """
    pool = replace(options, diverse=0, limit=_POOL)
    search = shortest_paths(problem, pool, verdicts, meter)
    if not search.paths or search.stopped:
        return search
    sets = replace(pool, objective=Objective.CHANGES, extra=0)
    more = fewest_changes(problem, sets, verdicts, meter)
    known = {path.cells for path in search.paths}
    candidates = [*search.paths, *(p for p in more.paths if p.cells not in known)]
    chosen = [candidates.pop(0)]
    while candidates and len(chosen) < options.diverse:
        farthest = max(
            range(len(candidates)),
            key=lambda i: (min(distance(candidates[i], path) for path in chosen), -i),
        )
        chosen.append(candidates.pop(farthest))
    search.paths = chosen
    search.complete = not candidates and search.complete and more.complete
    return search


def distance(one: Path, other: Path) -> float:
    """Return how different two paths are, in [0, 1]."""
    union = one.changed | other.changed
    if not union:
        return 0.0
    if one.changed != other.changed:
        return 1 - len(one.changed & other.changed) / len(union)
    # the same features: at most half of what one differing feature out of two counts
    pairs = set(one.actions) | set(other.actions)
    return (1 - len(set(one.actions) & set(other.actions)) / len(pairs)) / (2 * len(union) + 2)

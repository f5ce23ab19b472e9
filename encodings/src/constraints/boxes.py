"""The box of one question: what every column may hold while some features are free."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .background import Edge
from .values import Values

__all__ = ["features_of", "free_box", "reachable"]


def reachable(problem: ExplanationProblem, columns: Iterable[int]) -> dict[int, Values]:
    """Return the values that the region and the domains leave to columns when they are free.

    Balls other than linf are seen as their box.
    """
    low, high = problem.limits
    restricted = problem.region.restricted(problem.space)
    found: dict[int, Values] = {}
    for column in columns:
        value = float(problem.instance[column])
        if math.isnan(low[column]) or problem.space.pinned[column]:
            found[column] = Values.of([value])
            continue
        nullable = problem.space.columns[column].domain.nullable
        missing = (nullable and not restricted[column]) or math.isnan(value)
        interval = Values.between(float(low[column]), float(high[column]))
        found[column] = Values(interval.intervals, missing) | Values.of([value])
    return found


def free_box(
    problem: ExplanationProblem, free: FeatureSet, columns: Iterable[int]
) -> dict[int, Values]:
    """Return the values of columns while only some features may move.

    Parameters
    ----------
    problem
        Instance and region.
    free
        Features that may move.
    columns
        Which columns are asked about.
    """
    owner, instance = problem.space.owner, problem.instance
    listed = list(columns)
    moving = free & problem.universe
    box = reachable(problem, [c for c in listed if int(owner[c]) in moving])
    for column in listed:
        if column not in box:
            box[column] = Values.of([float(instance[column])])
    return box


def features_of(problem: ExplanationProblem, edges: Iterable[Edge]) -> FeatureSet:
    """Return the features to which sides of a box belong."""
    columns = np.array([column for _, column in edges], dtype=np.intp)
    return frozenset(problem.space.owner[columns].tolist())

"""How far a column without bounds has to be followed, of models that are linear in it.

Where one score row decides and no relation binds its columns, the cheapest change never moves a
column further than would suffice alone: what goes beyond could be taken back, and the row
would still be met.  So an unbounded column gets this reach as its bound, and nothing is lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from whyproof.encodings.constraints.constraint import Constraint
from whyproof.engine.space import Point

from .goal import Alternative

__all__ = ["reached_limits"]

_ROOM = 1.001
"""A little further: the row is also met beyond doubt."""

Limits = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def reached_limits(
    limits: Limits, instance: Point, goal: Sequence[Alternative], constraints: Sequence[Constraint]
) -> Limits:
    """Bound the unbounded columns of linear models.

    Parameters
    ----------
    limits
        Least and greatest value of each column, shape ``(columns,)`` each.
    instance
        The person as they are.
    goal
        What has to be met; with several rows in one alternative nothing is bounded.
    constraints
        Columns that they name are not bounded here.
    """
    low, high = limits[0].copy(), limits[1].copy()
    if any(sum(bool(row.valued) for row in rows) > 1 for rows in goal):
        return low, high
    bound = {c for constraint in constraints for c in constraint.columns}
    far = np.zeros(len(instance))
    for rows in goal:
        for row in rows:
            slopes = row.slopes
            if slopes is None:
                return low, high
            here = float(np.nansum(slopes * np.nan_to_num(instance)))
            gains = float(np.abs(row.gains).sum())
            need = max(row.sums(sure=True) - here + gains, 0.0) + row.scale * 1e-6
            used = np.flatnonzero(slopes)
            far[used] = np.maximum(far[used], need / np.abs(slopes[used]) * _ROOM)
    for c in np.flatnonzero(far).tolist():
        if c in bound or math.isnan(instance[c]):
            continue
        if math.isinf(low[c]):
            low[c] = instance[c] - far[c]
        if math.isinf(high[c]):
            high[c] = instance[c] + far[c]
    return low, high

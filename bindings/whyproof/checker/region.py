"""Where a free column may go: a box, a ball of the largest distance, or everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .document import fields, number
from .refusal import Refused

__all__ = ["Region"]


class Region:
    """The region of one decision.

    Parameters
    ----------
    entry
        ``{"epsilon": r, "lower": [...], "upper": [...]}``, each may be ``null``; the radius is
        one number or one for each column.
    instance
        Its middle.

    Attributes
    ----------
    limits
        Least and greatest value of each column, both included.  The ends of a ball are
        ``value - r`` and ``value + r`` in float64.
    restricted
        Columns that may neither become missing nor stop being so.
    """

    def __init__(self, entry: object, instance: Sequence[float]) -> None:
        given = fields(entry, "the region", ("epsilon", "lower", "upper"))
        n = len(instance)
        self._instance = instance
        self.limits = [(-math.inf, math.inf)] * n
        self.restricted = [False] * n
        for end in ("lower", "upper"):
            if given[end] is not None:
                for i, value in enumerate(_numbers(given[end], n)):
                    low, high = self.limits[i]
                    bounds = (max(low, value), high) if end == "lower" else (low, min(high, value))
                    self.limits[i] = bounds
                    self.restricted[i] = self.restricted[i] or math.isfinite(value)
        radius = given["epsilon"]
        if radius is not None:
            steps = _numbers(radius if isinstance(radius, list) else [radius] * n, n)
            if not all(0 <= step < math.inf for step in steps):
                raise Refused("the radius of the region is not understood")
            self.restricted = [True] * n
            for i, (value, step) in enumerate(zip(instance, steps, strict=True)):
                if not math.isnan(value):
                    low, high = self.limits[i]
                    self.limits[i] = max(low, value - step), min(high, value + step)
        for (low, high), value in zip(self.limits, instance, strict=True):
            if not math.isnan(value) and not low <= value <= high:
                raise Refused("the instance lies outside the region")

    def holds(self, column: int, value: float) -> bool:
        """Tell whether a free column may take a value."""
        before = self._instance[column]
        if value == before or (math.isnan(value) and math.isnan(before)):
            return True
        if math.isnan(value) or math.isnan(before):
            return not self.restricted[column]
        low, high = self.limits[column]
        return low <= value <= high


def _numbers(entry: object, n: int) -> list[float]:
    if not isinstance(entry, list) or len(entry) != n:
        raise Refused("the region does not fit the columns")
    values = [number(value) for value in entry]
    if any(math.isnan(value) for value in values):
        raise Refused("a limit of the region is missing")
    return values

"""What free columns add to distances: straight lines, segments, or one value of several.

Everything a program has to know about a free column is here: its variables, what each of
them adds to the distance of each training row, and how a solution becomes a value.

* a column of few values: one 0/1 variable for each of them;
* Euclidean distance: ``(x - p)^2`` less the ``x^2`` that all rows share is a straight line;
* city-block distance: ``abs(x - p)`` is straight between neighbouring training values, so
  `x` fills segments from left to right, with a 0/1 variable at each end (the incremental
  form, Markowitz, Manne, On the Solution of Discrete Programming Problems, 1957).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whyproof.engine.domain import Domain

from .model import NeighbourModel

__all__ = ["FreeColumn", "few_values", "free_column"]

Floats = npt.NDArray[np.float64]

_FEW = 64


@dataclass(frozen=True, eq=False)
class FreeColumn:
    """One free column of a program.

    Parameters
    ----------
    column
        Which original column.
    values
        Its values, if these are few: one 0/1 variable each, exactly one of them 1.
    edges
        Else the ends of its segments, ascending: one variable from 0 to 1 for each, filled
        from left to right.
    whole
        Whether it takes whole numbers only.
    start, gains
        Distance of each row at the first end, shape ``(rows,)``, and what each variable
        adds, shape ``(variables, rows)``; up to an amount that all rows share.
    """

    column: int
    values: Floats
    edges: Floats
    whole: bool
    start: Floats
    gains: Floats

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        return len(self.gains)

    def value(self, solution: Floats) -> float:
        """Return the value that a solution stands for."""
        if len(self.values):
            return float(self.values[int(np.argmax(solution))])
        found = float(self.edges[0] + np.clip(solution, 0.0, 1.0) @ np.diff(self.edges))
        found = min(max(found, float(self.edges[0])), float(self.edges[-1]))
        return float(round(found)) if self.whole else found


def few_values(domain: Domain, low: float, high: float) -> Floats | None:
    """Return the values of a discrete column within limits, if these are few."""
    if not domain.is_discrete or not high - low < _FEW:
        return None
    return np.arange(math.ceil(low), math.floor(high) + 1, dtype=np.float64)


def free_column(
    model: NeighbourModel, column: int, domain: Domain, low: float, high: float
) -> FreeColumn:
    """Describe one free column between finite limits."""
    own = [(j, d) for j, d in enumerate(model.derived) if d.source == column]
    values = few_values(domain, low, high)
    nothing = np.zeros(0)
    n = len(model.training)
    if values is not None:
        added = sum((model.terms(d.apply(values), j) for j, d in own), np.zeros((len(values), n)))
        return FreeColumn(column, values, nothing, False, np.zeros(n), np.asarray(added))
    edges = {low, high}
    if model.metric == "l1":
        for j, d in own:
            if d.slope:
                bends = (model.training[:, j] - d.offset) / d.slope
                edges |= {float(b) for b in bends if low < b < high}
    ends = np.array(sorted(edges))
    at = np.zeros((len(ends), n))
    for j, d in own:
        derived = d.apply(ends)
        at += model.terms(derived, j)
        if model.metric == "l2":
            # What all rows share is curved, and does not matter.
            at -= (derived**2)[:, None]
    return FreeColumn(column, nothing, ends, domain.is_discrete, at[0], np.diff(at, axis=0))

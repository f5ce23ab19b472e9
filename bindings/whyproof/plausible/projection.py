"""Constraints in the search: every point is projected after every step.

Box, frozen columns and directions are one box per row; blocks of indicators are points of
the simplex; linear relations are half-spaces, met by cyclic projections.  What is projected
is the resulting point, never the shift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .backend import Array, tensor
from .reach import Reach
from .scale import Scale
from .sparsemax import sparsemax

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Projection"]

_ROUNDS = 30


class Projection:
    """Projects scaled points of given rows onto what the rows may become.

    Parameters
    ----------
    reach, scale
        Constraints in units of the data, and the scaling.
    rows
        Shape ``(rows, columns)``, in units of the data.
    device
        Where points live.
    """

    def __init__(self, reach: Reach, scale: Scale, rows: Array, device: torch.device) -> None:
        lower, upper = reach.limits(rows)
        self.lower = tensor(scale.to_unit(lower), device)
        self.upper = tensor(scale.to_unit(upper), device)
        self._blocks = [list(b) for b in reach.blocks if bool(reach.movable[list(b)].any())]
        self._planes: list[tuple[Tensor, Tensor, float]] = []
        for plane in reach.half_spaces:
            factors = plane.factors * scale.span
            bound = plane.bound - float(plane.factors @ scale.lower)
            # A row moves only what may move, and a shade further than it has to.
            moving = np.where(reach.movable, factors, 0.0)
            square = float(moving @ moving)
            if square > 0:
                slack = 1e-6 * float(np.abs(factors).sum())
                self._planes.append(
                    (tensor(factors, device), tensor(moving / square, device), bound - slack)
                )

    def project(self, points: Tensor) -> Tensor:
        """Return admissible points, up to whole numbers and relations that are not linear."""
        points = points.clamp(self.lower, self.upper)
        for columns in self._blocks:
            points[:, columns] = sparsemax(points[:, columns])
        if self._planes:
            for _ in range(_ROUNDS):
                worst = 0.0
                for factors, direction, bound in self._planes:
                    excess = (points @ factors - bound).clamp(min=0)
                    worst = max(worst, float(excess.max())) if len(excess) else worst
                    points = points - excess[:, None] * direction
                points = points.clamp(self.lower, self.upper)
                if worst == 0.0:
                    break
        return points

    def inward(self, points: Tensor, slope: Tensor) -> Tensor:
        """Remove from a gradient what would push points further out of the box."""
        at_lower = (points <= self.lower) & (slope > 0)
        at_upper = (points >= self.upper) & (slope < 0)
        return slope.masked_fill(at_lower | at_upper, 0.0)

    def of(self, rows: Tensor | slice) -> Projection:
        """Return the projection of some of the rows."""
        part = object.__new__(Projection)
        part.lower, part.upper = self.lower[rows], self.upper[rows]
        part._blocks, part._planes = self._blocks, self._planes
        return part

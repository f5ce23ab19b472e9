"""Kernel density estimates: a Gaussian around every training row of the class.

The width follows Scott's rule (Scott, "Multivariate Density Estimation", 1992), with a
floor for columns that hardly vary.  Exact up to a number of rows; beyond it a sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .backend import Array, tensor
from .density import TapedTarget, TargetDensity

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["KernelDensity"]

_FLOOR = 0.01


class KernelDensity:
    """A conditional density: log mean_i N(x; x_i, diag(h^2)) for each class.

    Parameters
    ----------
    centres
        Scaled rows of each class, shape ``(rows, columns)``.
    widths
        Standard deviations of each class, shape ``(columns,)``.

    Examples
    --------
    >>> import torch
    >>> rows = np.random.default_rng(0).normal(0.5, 0.1, (50, 2))
    >>> density = KernelDensity.fit(
    ...     rows, np.zeros(50, dtype=np.int64), classes=1, device=torch.device("cpu"))
    >>> value = density.fixed(0).value(torch.tensor([[0.5, 0.5], [3.0, 3.0]]))
    >>> bool(value[0] > value[1])
    True
    """

    name = "kernel"

    def __init__(self, centres: Sequence[Tensor], widths: Sequence[Tensor]) -> None:
        self._centres, self._widths = tuple(centres), tuple(widths)

    @classmethod
    def fit(
        cls,
        points: Array,
        labels: npt.NDArray[np.int64],
        *,
        classes: int,
        device: torch.device,
        most: int = 4096,
        seed: int = 0,
    ) -> KernelDensity:
        """Keep scaled rows, at most so many for each class.

        Parameters
        ----------
        points, labels
            Shape ``(rows, columns)`` and ``(rows,)``.
        classes
            Number of classes; a class without rows gets all rows.
        """
        random = np.random.default_rng(seed)
        centres: list[Tensor] = []
        widths: list[Tensor] = []
        for label in range(classes):
            mine = points[labels == label]
            mine = mine if len(mine) > 1 else points
            if len(mine) > most:
                mine = mine[random.choice(len(mine), most, replace=False)]
            factor = len(mine) ** (-1.0 / (points.shape[1] + 4))
            centres.append(tensor(mine, device))
            widths.append(tensor(np.maximum(mine.std(axis=0) * factor, _FLOOR), device))
        return cls(centres, widths)

    @property
    def n_columns(self) -> int:
        """Columns of a row."""
        return int(self._centres[0].shape[1])

    @property
    def n_classes(self) -> int:
        """Classes that it is conditioned on."""
        return len(self._centres)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._centres[0].device

    def log_density(self, points: Tensor, labels: Tensor) -> Tensor:
        """Return log p(row | class) in nats, differentiable, shape ``(rows,)``."""
        result = points.new_empty(len(points))
        for label, (centres, widths) in enumerate(zip(self._centres, self._widths, strict=True)):
            mine = labels == label
            if not bool(mine.any()):
                continue
            at, around = points[mine] / widths, centres / widths
            squares = at.square().sum(1)[:, None] + around.square().sum(1) - 2 * at @ around.T
            constant = widths.log().sum() + 0.5 * self.n_columns * math.log(2 * math.pi)
            result[mine] = (
                (-0.5 * squares.clamp(min=0)).logsumexp(1) - math.log(len(centres)) - constant
            )
        return result

    def fixed(self, target: int) -> TargetDensity:
        """Return the density of one class."""
        return TapedTarget(self, target)

"""Densities: how probable a row of a class is, with a gradient, behind one protocol.

The score of a row is its log2-likelihood per column, b(x) = log p(x | y) log2(e) / D.
A row is *plausible* if its score exceeds a threshold: by default the first quartile of
the scores of the training rows, each with its own class.
Source: the unified local, group-wise and global method, eqs. (12)-(14).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from whyproof.engine.errors import DataError

from .backend import Array, numbers, tensor

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = [
    "Density",
    "TapedTarget",
    "TargetDensity",
    "batches",
    "log_densities",
    "score_factor",
    "scores_of",
]

BATCH = 16_384
"""Rows evaluated together: memory is bounded by it."""


class TargetDensity(Protocol):
    """The density of one class over scaled rows."""

    def value(self, points: Tensor) -> Tensor:
        """Return log densities in nats, shape ``(rows,)``."""
        ...

    def value_and_gradient(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return log densities and their gradients, ``(rows,)`` and ``(rows, columns)``."""
        ...


class Density(Protocol):
    """A density conditioned on the class."""

    @property
    def name(self) -> str:
        """Kind of density, for reports."""
        ...

    @property
    def n_columns(self) -> int:
        """Columns of a row."""
        ...

    @property
    def n_classes(self) -> int:
        """Classes that it is conditioned on."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    def log_density(self, points: Tensor, labels: Tensor) -> Tensor:
        """Return log p(row | class) in nats, differentiable, shape ``(rows,)``."""
        ...

    def fixed(self, target: int) -> TargetDensity:
        """Return the density of one class."""
        ...


class TapedTarget:
    """The density of one class by automatic differentiation, for any `Density`."""

    def __init__(self, density: Density, target: int) -> None:
        if not 0 <= target < density.n_classes:
            raise DataError(f"class {target} is not among the density's {density.n_classes}")
        self._density, self._target = density, target

    def value(self, points: Tensor) -> Tensor:
        """Return log densities in nats, shape ``(rows,)``."""
        import torch

        with torch.no_grad():
            return self._log_density(points)

    def value_and_gradient(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return log densities and their gradients."""
        import torch

        leaf = points.detach().requires_grad_(True)
        value = self._log_density(leaf)
        (slope,) = torch.autograd.grad(value.sum(), leaf)
        return value.detach(), slope

    def _log_density(self, points: Tensor) -> Tensor:
        import torch

        labels = torch.full((len(points),), self._target, device=points.device)
        return self._density.log_density(points, labels)


def score_factor(columns: int) -> float:
    """Return what turns nats into the score, bits per column."""
    return math.log2(math.e) / columns


def batches(count: int, size: int = BATCH) -> Iterator[slice]:
    """Cut rows into batches.

    Examples
    --------
    >>> list(batches(5, 3))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def log_densities(density: Density, points: Array, labels: Array | int) -> Array:
    """Return log p(row | class) in nats of scaled rows, batch by batch, shape ``(rows,)``."""
    import torch

    wanted = np.broadcast_to(np.asarray(labels, dtype=np.int64), (len(points),))
    found = np.empty(len(points))
    for target in np.unique(wanted).tolist():
        fixed, mine = density.fixed(int(target)), np.flatnonzero(wanted == target)
        for part in batches(len(mine)):
            with torch.no_grad():
                value = fixed.value(tensor(points[mine[part]], density.device))
            found[mine[part]] = numbers(value)
    return found


def scores_of(density: Density, points: Array, labels: Array | int) -> Array:
    """Return the score of scaled rows in bits per column, shape ``(rows,)``."""
    return log_densities(density, points, labels) * score_factor(density.n_columns)

"""Sets of deviations that bounds are taken over: boxes, budgets, balls.

Deviations are taken column by column and counted feature by feature.  A set knows one
thing, the smallest value of linear functions over it; a `Box` and a `Budget` know it as a
sum of one term per feature, which is what lets one bound speak for many free sets.

* `Box`: every column between its limits.
* `Budget`: some features in the box, and of the candidates at most `m` at a time
  (Boumazouza et al. 2026, cardinality-constrained domains).
* `Ball`: a box cut by an l1 or l2 ball; the smaller of the two bounds is not exact but
  sound.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Ball", "Box", "Budget", "InputSet"]


@dataclass(frozen=True)
class InputSet(ABC):
    """Deviations of the columns in play.

    Parameters
    ----------
    lower, upper
        Limits, ``lower <= 0 <= upper``, shape ``(batch or 1, columns)``.
    """

    lower: Tensor
    upper: Tensor

    @property
    def batch(self) -> int:
        """Number of sets; one set serves every batch."""
        return len(self.lower)

    @property
    def reach(self) -> Tensor:
        """Largest size of each deviation, shape ``(batch, columns)``."""
        return torch.maximum(-self.lower, self.upper)

    @property
    def is_box(self) -> bool:
        """Whether interval arithmetic is exact for linear functions."""
        return False

    @abstractmethod
    def minimum(self, coefficients: Tensor) -> Tensor:
        """Return the smallest value of linear functions, ``(batch, rows)``.

        Parameters
        ----------
        coefficients
            Shape ``(batch, rows, columns)``.
        """

    def terms(self, coefficients: Tensor) -> Tensor:
        """Return the smallest contribution of each column, never positive."""
        return torch.minimum(coefficients * self.lower[:, None], coefficients * self.upper[:, None])

    def corner(self, coefficients: Tensor) -> Tensor:
        """Return the corner of the box that makes a function smallest, ``(batch, columns)``.

        Parameters
        ----------
        coefficients
            Shape ``(batch, columns)``.
        """
        return torch.where(coefficients > 0, self.lower, self.upper)

    @abstractmethod
    def take(self, index: Tensor | slice) -> InputSet:
        """Return some sets of the batch."""


@dataclass(frozen=True)
class Box(InputSet):
    """Every column moves on its own."""

    @property
    def is_box(self) -> bool:
        """Interval arithmetic is exact."""
        return True

    def minimum(self, coefficients: Tensor) -> Tensor:
        """Choose the better end for each column."""
        positive = coefficients.clamp(min=0)
        negative = coefficients.clamp(max=0)
        low, high = self.lower[..., None], self.upper[..., None]
        return (positive @ low + negative @ high)[..., 0]

    def take(self, index: Tensor | slice) -> Box:
        """Return some sets of the batch."""
        if self.batch == 1:
            return self
        return Box(self.lower[index], self.upper[index])


@dataclass(frozen=True)
class Budget(InputSet):
    """Features that move freely, and candidates of which at most `budget` move at a time.

    Parameters
    ----------
    owner
        Feature of each column, counted from 0, shape ``(columns,)``.
    free, candidates
        Shape ``(batch, features)``, disjoint, 1 for members.
    budget
        Shape ``(batch,)``, whole numbers.
    """

    owner: Tensor
    free: Tensor
    candidates: Tensor
    budget: Tensor

    def by_feature(self, terms: Tensor) -> Tensor:
        """Add up the terms of the columns of each feature."""
        n = self.free.shape[1]
        if n == terms.shape[-1]:
            return terms
        out = terms.new_zeros((*terms.shape[:-1], n))
        return out.index_add(-1, self.owner, terms)

    def minimum(self, coefficients: Tensor) -> Tensor:
        """Free features count in full, of the candidates the worst few."""
        if not coefficients.shape[-1]:
            return coefficients.sum(-1)
        terms = self.by_feature(self.terms(coefficients))
        fixed = (terms @ self.free[..., None])[..., 0]
        chosen = terms * self.candidates[:, None]
        most = int(self.budget.max())
        if most <= 1:
            worst = chosen.min(dim=-1).values * (self.budget[:, None] > 0)
            return fixed + worst
        most = min(most, chosen.shape[-1])
        worst = chosen.topk(most, dim=-1, largest=False).values.cumsum(-1)
        at = (self.budget.clamp(1, most) - 1).long()[:, None, None]
        picked = worst.gather(-1, at.expand(worst.shape[0], worst.shape[1], 1))[..., 0]
        return fixed + picked * (self.budget[:, None] > 0)

    def take(self, index: Tensor | slice) -> Budget:
        """Return some sets of the batch."""
        if self.batch == 1:
            return self
        return Budget(
            self.lower[index],
            self.upper[index],
            self.owner,
            self.free[index],
            self.candidates[index],
            self.budget[index],
        )


@dataclass(frozen=True)
class Ball(InputSet):
    """A box and an l1 or l2 ball around the origin.

    Parameters
    ----------
    norm, radius
        Of the ball.
    """

    norm: Literal["l1", "l2"]
    radius: float

    def minimum(self, coefficients: Tensor) -> Tensor:
        """Take the better of the box bound and the dual norm bound."""
        if not coefficients.shape[-1]:
            return coefficients.sum(-1)
        # A column that cannot move takes no part in the ball either.
        moving = coefficients * (self.reach[:, None] > 0)
        if self.norm == "l1":
            dual = moving.abs().max(dim=-1).values
        else:
            dual = torch.linalg.vector_norm(moving, dim=-1)
        box = self.terms(coefficients).sum(-1)
        return torch.maximum(box, -self.radius * dual)

    def take(self, index: Tensor | slice) -> Ball:
        """Return some sets of the batch."""
        if self.batch == 1:
            return self
        return Ball(self.lower[index], self.upper[index], self.norm, self.radius)

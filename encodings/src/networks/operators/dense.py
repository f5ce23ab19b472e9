"""Matrix products."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import LinearOperator

__all__ = ["DenseOperator"]


class DenseOperator(LinearOperator):
    """One matrix applied to each of `parts` equal parts of the vector.

    Parameters
    ----------
    weight
        Shape ``(out, in)``.
    bias
        Shape ``(out,)``.
    parts
        Number of parts.
    rounding
        For a matrix that is itself a product: the same product of absolute values, and
        how many numbers went into an entry.  `None` for the model's own constants.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        parts: int = 1,
        rounding: tuple[Tensor, int] | None = None,
    ) -> None:
        self.weight = weight
        self.part_bias = bias
        self.parts = parts
        self.bias = bias.repeat(parts)
        self.rounding = rounding
        self.terms = weight.shape[1] + (rounding[1] if rounding else 0)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Multiply."""
        (x,) = inputs
        if self.parts == 1:
            return torch.nn.functional.linear(x, self.weight, self.part_bias)
        split = x.reshape(len(x), self.parts, -1)
        return torch.nn.functional.linear(split, self.weight, self.part_bias).flatten(1)

    def absolute(self, *inputs: Tensor) -> Tensor:
        """Multiply by the absolute values."""
        (x,) = inputs
        size = self.rounding[0] if self.rounding else self.weight.abs()
        return (x.reshape(len(x), self.parts, -1) @ size.T).flatten(1)

    def transpose(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Multiply from the left."""
        if self.parts == 1:
            return (rows @ self.weight,)
        split = rows.reshape(*rows.shape[:2], self.parts, -1)
        return ((split @ self.weight).flatten(2),)

    def rows_at(self, index: Tensor, sign: float) -> tuple[Tensor, ...]:
        """Pick rows."""
        if self.parts > 1:
            return super().rows_at(index, sign)
        return (sign * self.weight[index][None],)

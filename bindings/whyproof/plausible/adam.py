"""Adam over one tensor, with rows that can leave; the rate falls along a cosine.

Source: Kingma and Ba, ICLR 2015, Algorithm 1.  Own, because rows that are done leave the
search together with their moments.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Adam", "cosine"]


def cosine(step: int, steps: int, floor: float = 0.02) -> float:
    """Return the share of the first rate at a step, from 1 down to `floor`.

    Examples
    --------
    >>> cosine(0, 10), cosine(10, 10)
    (1.0, 0.02)
    """
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(step, steps) / steps))


class Adam:
    """Moments of one tensor."""

    def __init__(self, like: Tensor, *, first: float = 0.9, second: float = 0.99) -> None:
        self._mean, self._square = like.new_zeros(like.shape), like.new_zeros(like.shape)
        self._first, self._second = first, second
        self._count = 0

    def step(self, values: Tensor, slope: Tensor, rate: float) -> Tensor:
        """Return the values after one step."""
        self._count += 1
        self._mean.mul_(self._first).add_(slope, alpha=1 - self._first)
        self._square.mul_(self._second).addcmul_(slope, slope, value=1 - self._second)
        mean = self._mean / (1 - self._first**self._count)
        square = self._square / (1 - self._second**self._count)
        return values - rate * mean / (square.sqrt() + 1e-8)

    def keep(self, rows: Tensor) -> None:
        """Forget all rows but these."""
        self._mean, self._square = self._mean[rows], self._square[rows]

"""What bounds need to know of an operator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Activation", "LinearOperator", "Relaxation"]


class LinearOperator(ABC):
    """``W_1 x_1 + ... + W_k x_k + b`` on flat vectors.

    Attributes
    ----------
    bias
        Shape ``(size,)``.
    terms
        Most numbers added up in one entry: rounding errors grow with it.
    """

    bias: Tensor
    terms: int

    @abstractmethod
    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the value, shapes ``(batch, in)`` to ``(batch, size)``."""

    @abstractmethod
    def absolute(self, *inputs: Tensor) -> Tensor:
        """Return ``|W_1| x_1 + ...`` without the bias."""

    @abstractmethod
    def transpose(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Pull coefficients back: ``(batch, rows, size)`` to ``rows @ W`` per input."""

    def rows_at(self, index: Tensor, sign: float) -> tuple[Tensor, ...]:
        """Return `sign` times rows of the matrices, shape ``(1, len(index), in)`` each."""
        unit = torch.zeros(
            (1, len(index), len(self.bias)), dtype=self.bias.dtype, device=self.bias.device
        )
        unit[0, torch.arange(len(index), device=index.device), index] = sign
        return self.transpose(unit)


@dataclass(frozen=True, slots=True)
class Relaxation:
    """Two lines that enclose an activation between its bounds.

    ``lower_slope * x + lower_shift <= f(x) <= upper_slope * x + upper_shift``; shapes
    broadcast with ``(batch, rows, size)``.
    """

    lower_slope: Tensor
    lower_shift: Tensor
    upper_slope: Tensor
    upper_shift: Tensor


class Activation(ABC):
    """A monotone function, number by number."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the value."""

    @abstractmethod
    def relax(self, lower: Tensor, upper: Tensor, slopes: Tensor | None) -> Relaxation:
        """Return enclosing lines between bounds.

        Parameters
        ----------
        lower, upper
            Shape ``(batch, size)``.
        slopes
            Free parameters in [0, 1], shape ``(batch, rows, size)``; `None` for the
            default lines.
        """

    @abstractmethod
    def initial_slopes(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Return the parameters of the default lines, shape ``(batch, size)``."""

    @abstractmethod
    def loose(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Tell where the two lines differ, so that branching can gain, ``(batch, size)``."""

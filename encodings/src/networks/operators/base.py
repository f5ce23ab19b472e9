"""What bounds need to know of an operator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["Activation", "Enclosure", "LinearOperator", "Relaxation"]


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

    @property
    def bias_size(self) -> Tensor:
        """Bound on the size of the numbers added up in the bias."""
        return self.bias.abs()

    @abstractmethod
    def linear(self, *inputs: Tensor) -> Tensor:
        """Return ``W_1 x_1 + ...`` without the bias, ``(batch, in)`` to ``(batch, size)``."""

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the value, shapes ``(batch, in)`` to ``(batch, size)``."""
        value = self.linear(*inputs)
        return value + self.bias if self._shifts else value

    @cached_property
    def _shifts(self) -> bool:
        return bool(self.bias.any())

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
    broadcast with ``(batch, rows, size)``; a lower shift of `None` is zero.
    """

    lower_slope: Tensor
    lower_shift: Tensor | None
    upper_slope: Tensor
    upper_shift: Tensor


class Enclosure(ABC):
    """An activation between bounds of shape ``(batch, size)``.

    Attributes
    ----------
    loose
        Where the two lines differ, so that branching can gain, ``(batch, size)``.
    initial
        Parameters of the default lines, ``(batch, size)``, in [0, 1].
    """

    loose: Tensor
    initial: Tensor

    @abstractmethod
    def lines(self, slopes: Tensor | None = None) -> Relaxation:
        """Return enclosing lines.

        Parameters
        ----------
        slopes
            Free parameters in [0, 1], shape ``(batch, rows, size)``; every choice is
            sound.  `None` for the default lines.
        """


class Activation(ABC):
    """A monotone function, number by number."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the value."""

    @abstractmethod
    def enclose(self, lower: Tensor, upper: Tensor) -> Enclosure:
        """Prepare the lines between bounds of shape ``(batch, size)``."""

    @abstractmethod
    def cut(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Return where branching cuts the interval."""

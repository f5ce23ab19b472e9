"""Adam on a few tensors (Kingma and Ba 2015), without the machinery around it.

Importing torch's own optimisers costs a second, and their bookkeeping as much as a small
backward pass; a bound takes a dozen steps on three tensors.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["Adam"]

_FIRST, _SECOND, _TINY = 0.9, 0.999, 1e-8


class Adam:
    """Maximises a function of tensors that require gradients.

    Parameters
    ----------
    tensors
        Changed in place.
    rates
        Step size of each.

    Examples
    --------
    >>> x = torch.zeros(1, requires_grad=True)
    >>> adam = Adam([x], [0.1])
    >>> for _ in range(100):
    ...     adam.ascend(-(x - 0.5).square().sum())
    >>> abs(x.item() - 0.5) < 0.05
    True
    """

    def __init__(self, tensors: Sequence[Tensor], rates: Sequence[float]) -> None:
        self.tensors = list(tensors)
        self.rates = list(rates)
        self._steps = 0
        self._mean = [torch.zeros_like(t, requires_grad=False) for t in tensors]
        self._square = [torch.zeros_like(t, requires_grad=False) for t in tensors]

    def ascend(self, value: Tensor) -> None:
        """Take one step in the direction that makes `value` larger; none if nothing moves it."""
        if not value.requires_grad:
            return
        slopes = torch.autograd.grad(value, self.tensors, allow_unused=True)
        self._steps += 1
        scale = 1 - _FIRST**self._steps
        spread = 1 - _SECOND**self._steps
        with torch.no_grad():
            for i, slope in enumerate(slopes):
                if slope is None:  # pyright: ignore[reportUnnecessaryComparison]
                    continue
                mean, square = self._mean[i], self._square[i]
                mean.mul_(_FIRST).add_(slope, alpha=1 - _FIRST)
                square.mul_(_SECOND).addcmul_(slope, slope, value=1 - _SECOND)
                size = (square / spread).sqrt_().add_(_TINY)
                self.tensors[i].addcdiv_(mean, size, value=self.rates[i] / scale)

    def slow(self, factor: float) -> None:
        """Multiply the step sizes."""
        self.rates = [rate * factor for rate in self.rates]

    def keep(self, tensors: Sequence[Tensor], rows: Tensor) -> None:
        """Go on with some rows of the tensors, which are handed in.

        Parameters
        ----------
        tensors
            The rows that are kept, in the order of before.
        rows
            Which ones those are, along the first axis.
        """
        self.tensors = list(tensors)
        self._mean = [t[rows] for t in self._mean]
        self._square = [t[rows] for t in self._square]

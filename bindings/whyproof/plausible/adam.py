"""Adam over one tensor whose rows can leave; the rate falls along a cosine.

Source: Kingma and Ba, ICLR 2015, Algorithm 1, by torch.  What is added: rows that are done
leave the search together with their moments.
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
    """Moments of one tensor.

    Parameters
    ----------
    like
        Of the shape and on the device of the values.
    first, second
        Decay of the moments.

    Examples
    --------
    >>> import torch
    >>> moments = Adam(torch.zeros(2, 1))
    >>> moments.step(torch.zeros(2, 1), torch.tensor([[1.0], [-1.0]]), 0.5).round(decimals=3)
    tensor([[-0.5000],
            [ 0.5000]])
    """

    def __init__(self, like: Tensor, *, first: float = 0.9, second: float = 0.99) -> None:
        import torch

        self._leaf = like.detach().clone().requires_grad_(True)
        self._steps = torch.optim.Adam([self._leaf], betas=(first, second))

    def step(self, values: Tensor, slope: Tensor, rate: float) -> Tensor:
        """Return the values after one step."""
        self._leaf.data, self._leaf.grad = values.detach().clone(), slope
        self._steps.param_groups[0]["lr"] = rate
        self._steps.step()
        return self._leaf.detach().clone()

    def keep(self, rows: Tensor) -> None:
        """Forget all rows but these."""
        # The gradient has to fit the values: both come anew with the next step.
        self._leaf.grad = None
        self._leaf.data = self._leaf.data[rows]
        state = self._steps.state[self._leaf]
        for name in ("exp_avg", "exp_avg_sq"):
            if name in state:
                state[name] = state[name][rows]

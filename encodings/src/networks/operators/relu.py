"""The ReLU between two lines (Wong and Kolter 2018; CROWN, Zhang et al. 2018).

Between ``l < 0 < u`` the upper line is the chord, slope ``u / (u - l)``; any lower line
through the origin with a slope in [0, 1] is sound, so that slope is a free parameter to
optimise (alpha-CROWN, Xu et al. 2021).  Outside, the function is linear.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Activation, Relaxation

__all__ = ["ReluActivation"]


class ReluActivation(Activation):
    """``max(x, 0)``."""

    def forward(self, x: Tensor) -> Tensor:
        """Cut at zero."""
        return torch.relu(x)

    def relax(self, lower: Tensor, upper: Tensor, slopes: Tensor | None) -> Relaxation:
        """Chord above, a line through the origin below."""
        unstable = self.loose(lower, upper)
        stable_slope = (lower >= 0).to(lower.dtype)
        width = torch.where(unstable, upper - lower, torch.ones_like(upper))
        chord = torch.where(unstable, upper / width, stable_slope)
        shift = torch.where(unstable, -chord * lower, torch.zeros_like(lower))
        if slopes is None:
            below = torch.where(unstable, (upper > -lower).to(lower.dtype), stable_slope)[:, None]
        else:
            below = torch.where(unstable[:, None], slopes, stable_slope[:, None])
        zero = torch.zeros((), dtype=lower.dtype, device=lower.device)
        return Relaxation(below, zero, chord[:, None], shift[:, None])

    def initial_slopes(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Slope 1 where the positive side is the longer one."""
        return (upper > -lower).to(lower.dtype)

    def loose(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Unstable neurons."""
        return (lower < 0) & (upper > 0)

"""The ReLU between two lines (Wong and Kolter 2018; CROWN, Zhang et al. 2018).

Between ``l < 0 < u`` the upper line is the chord, slope ``u / (u - l)``; any lower line
through the origin with a slope in [0, 1] is sound, so that slope is a free parameter to
optimise (alpha-CROWN, Xu et al. 2021).  Outside, the function is linear.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Activation, Enclosure, Relaxation

__all__ = ["ReluActivation"]


class ReluActivation(Activation):
    """``max(x, 0)``."""

    def forward(self, x: Tensor) -> Tensor:
        """Cut at zero."""
        return torch.relu(x)

    def enclose(self, lower: Tensor, upper: Tensor) -> Enclosure:
        """Chord above, a line through the origin below."""
        return _ReluEnclosure(lower, upper)

    def cut(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Branch on the sign."""
        return torch.zeros_like(lower)


class _ReluEnclosure(Enclosure):
    def __init__(self, lower: Tensor, upper: Tensor) -> None:
        self.loose = (lower < 0) & (upper > 0)
        loose = self.loose
        active = (lower >= 0).to(lower.dtype)
        width = torch.where(loose, upper - lower, torch.ones_like(upper))
        chord = torch.where(loose, upper / width, active)
        self._active = active[:, None]
        self._loose = loose.to(lower.dtype)[:, None]
        self._chord = chord[:, None]
        self._shift = torch.where(loose, -chord * lower, torch.zeros_like(lower))[:, None]
        # Slope 1 where the positive side is the longer one.
        self.initial = (upper > -lower).to(lower.dtype)

    def lines(self, slopes: Tensor | None = None) -> Relaxation:
        """Return the chord and the line through the origin."""
        chosen = self.initial[:, None] if slopes is None else slopes
        below = chosen * self._loose + self._active
        return Relaxation(below, None, self._chord, self._shift)

"""Sigmoid and tanh between two lines (CROWN, Zhang et al. 2018, section on S-shapes).

Both are convex left of zero and concave right of it.  Where the interval lies on one
side, one line is the chord and the other any tangent inside; across zero, a line through
one end is tangent on the far side, found by bisection.  The parameter in [0, 1] places
the tangent: between the ends where the side is free, between the limiting tangent point
and the far end otherwise.  Bisection stops on the safe side, and each line is moved out by
a margin that covers the rounding of ``exp`` and ``tanh``.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from .base import Activation, Enclosure, Relaxation

__all__ = ["SigmoidActivation", "TanhActivation"]

_BISECTIONS = 40
_NARROW = 1e-6


class _SmoothActivation(Activation):
    """An S-shaped function that is odd about zero up to a shift."""

    @abstractmethod
    def slope(self, x: Tensor) -> Tensor:
        """Return the derivative."""

    def enclose(self, lower: Tensor, upper: Tensor) -> Enclosure:
        """Prepare chords and limiting tangents."""
        return _SmoothEnclosure(self, lower, upper)

    def cut(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Branch at zero where it lies inside, else in the middle."""
        inside = (lower < 0) & (upper > 0)
        return torch.where(inside, torch.zeros_like(lower), (lower + upper) / 2)

    def tangent(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rightmost point whose tangent stays below f, and where there is none.

        A tangent on the convex side stays below f on ``[lower, upper]`` if it is not above
        f at `upper` (on the concave side f minus a line is concave).  If not even the
        tangent at `lower` is, or there is no convex side, the chord is the lower line.
        """
        f_upper = self.forward(upper)

        def fits(x: Tensor) -> Tensor:
            return self.forward(x) + self.slope(x) * (upper - x) <= f_upper

        far = torch.minimum(upper, torch.zeros_like(upper))
        none = (lower >= 0) | ~fits(lower)
        safe = torch.where(fits(far), far, lower)
        unsafe = far
        for _ in range(_BISECTIONS):
            middle = (safe + unsafe) / 2
            fine = fits(middle)
            safe = torch.where(fine, middle, safe)
            unsafe = torch.where(fine, unsafe, middle)
        return safe, none


class _SmoothEnclosure(Enclosure):
    def __init__(self, function: _SmoothActivation, lower: Tensor, upper: Tensor) -> None:
        self._function = function
        width = upper - lower
        self.loose = width >= _NARROW
        self.initial = torch.full_like(lower, 0.5)
        f_lower, f_upper = function.forward(lower), function.forward(upper)
        chord = (f_upper - f_lower) / width.clamp(min=_NARROW)
        below, chord_below = function.tangent(lower, upper)
        above, chord_above = function.tangent(-upper, -lower)
        # Between points that are next to each other the function is taken as constant.
        self._chord = torch.where(self.loose, chord, torch.zeros_like(chord))[:, None]
        self._sides = (
            (
                lower[:, None],
                f_lower[:, None],
                below[:, None],
                (chord_below | ~self.loose)[:, None],
            ),
            (
                upper[:, None],
                f_upper[:, None],
                -above[:, None],
                (chord_above | ~self.loose)[:, None],
            ),
        )
        eps = torch.finfo(lower.dtype).eps
        self._margin = (16 * eps * (1 + torch.maximum(lower.abs(), upper.abs())))[:, None]

    def lines(self, slopes: Tensor | None = None) -> Relaxation:
        """Return a chord or tangent on either side."""
        position = self.initial[:, None] if slopes is None else slopes
        lower_slope, lower_shift = self._line(0, position)
        upper_slope, upper_shift = self._line(1, 1 - position)
        return Relaxation(
            lower_slope, lower_shift - self._margin, upper_slope, upper_shift + self._margin
        )

    def _line(self, side: int, position: Tensor) -> tuple[Tensor, Tensor]:
        """Return the chord, or the tangent between the end and its limit."""
        end, f_end, limit, straight = self._sides[side]
        at = end + position * (limit - end)
        slope = torch.where(straight, self._chord, self._function.slope(at))
        tangent = self._function.forward(at) - slope * at
        return slope, torch.where(straight, f_end - self._chord * end, tangent)


class SigmoidActivation(_SmoothActivation):
    """``1 / (1 + exp(-x))``."""

    def forward(self, x: Tensor) -> Tensor:
        """Squash to (0, 1)."""
        return torch.sigmoid(x)

    def slope(self, x: Tensor) -> Tensor:
        """``f (1 - f)``."""
        value = torch.sigmoid(x)
        return value * (1 - value)


class TanhActivation(_SmoothActivation):
    """``tanh(x)``."""

    def forward(self, x: Tensor) -> Tensor:
        """Squash to (-1, 1)."""
        return torch.tanh(x)

    def slope(self, x: Tensor) -> Tensor:
        """``1 - f^2``."""
        return 1 - torch.tanh(x) ** 2

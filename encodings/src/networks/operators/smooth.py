"""Sigmoid and tanh between two lines (CROWN, Zhang et al. 2018, section on S-shapes).

Both are convex left of zero and concave right of it.  Where the interval lies on one
side, one line is the chord and the other any tangent inside; across zero, a line through
one end is tangent on the far side, found by bisection.  The parameter in [0, 1] places
the tangent: between the ends where the side is free, between the limiting tangent point
and the far end otherwise.  Bisection stops on the safe side, and each line is moved out by
a margin that covers the rounding of ``exp`` and ``tanh``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Activation, Relaxation

__all__ = ["SigmoidActivation", "TanhActivation"]

_BISECTIONS = 40
_NARROW = 1e-6


class _SmoothActivation(Activation):
    """An S-shaped function that is odd about zero up to a shift."""

    def slope(self, x: Tensor) -> Tensor:
        """Return the derivative."""
        raise NotImplementedError

    def relax(self, lower: Tensor, upper: Tensor, slopes: Tensor | None) -> Relaxation:
        """Enclose between a chord or tangent on either side."""
        if slopes is None:
            slopes = self.initial_slopes(lower, upper)[:, None]
        position: Tensor = slopes
        with torch.no_grad():
            width = upper - lower
            narrow = width < _NARROW
            f_lower, f_upper = self.forward(lower), self.forward(upper)
            chord = (f_upper - f_lower) / width.clamp(min=_NARROW)
            below, chord_below = self._tangent(lower, upper)
            above, chord_above = self._tangent(-upper, -lower)
        margin = self._margin(lower, upper)[:, None]
        # The tangent moves between the end of the convex (concave) side and its limit.
        lower_slope, lower_shift = self._line(
            lower, f_lower, chord, chord_below, narrow, lower[:, None], below[:, None], position
        )
        upper_slope, upper_shift = self._line(
            upper,
            f_upper,
            chord,
            chord_above,
            narrow,
            upper[:, None],
            -above[:, None],
            1 - position,
        )
        return Relaxation(lower_slope, lower_shift - margin, upper_slope, upper_shift + margin)

    def _line(
        self,
        end: Tensor,
        f_end: Tensor,
        chord: Tensor,
        use_chord: Tensor,
        narrow: Tensor,
        start: Tensor,
        limit: Tensor,
        position: Tensor,
    ) -> tuple[Tensor, Tensor]:
        at = start + position * (limit - start)
        flat = torch.where(narrow, torch.zeros_like(chord), chord)[:, None]
        straight = (use_chord | narrow)[:, None]
        slope = torch.where(straight, flat, self.slope(at))
        shift = torch.where(
            straight, f_end[:, None] - flat * end[:, None], self.forward(at) - slope * at
        )
        return slope, shift

    def _tangent(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
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

    def _margin(self, lower: Tensor, upper: Tensor) -> Tensor:
        eps = torch.finfo(lower.dtype).eps
        return 16 * eps * (1 + torch.maximum(lower.abs(), upper.abs()))

    def initial_slopes(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Place the tangents in the middle."""
        return torch.full_like(lower, 0.5)

    def loose(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Everything that is not a point."""
        return upper - lower > _NARROW


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

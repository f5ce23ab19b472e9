"""Guidance whose step size needs no learning rate: Adam, then the norm of the first step.

Per sample the smoothed gradient is divided by a running root mean square (Kingma and Ba 2015,
bias-corrected), and the whole by its own norm at the first step of the walk, so that a walk
begins with a step of length 1 and later steps keep their relative length.

Source: Sobieski et al., Rethinking Visual Counterfactual Explanations Through Region
Constraint, ICLR 2025 (arXiv 2410.12591).  How ours differs: the state belongs to one walk
and to each sample in it, so that batches of any size, one inside the other, do not disturb
each other; and the mean square is taken over the pixels of a sample (`pooled`).  One number
per pixel, as published, gives pixels that hardly matter as long a step as those that do:
a walk then greys the whole region instead of drawing in it.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Stabiliser"]

_FIRST, _SECOND, _SMALL = 0.9, 0.999, 1e-8


class Stabiliser:
    """The state of one walk.

    Parameters
    ----------
    adam
        Divide by the running root mean square.
    pooled
        Take the mean square over all pixels of a sample instead of one per pixel.
    normalise
        Divide by the norm of the first step.

    Examples
    --------
    >>> steady = Stabiliser()
    >>> step = steady(torch.full((1, 1, 2, 2), 5.0))
    >>> round(float(step.norm()), 4)
    1.0
    """

    def __init__(self, *, adam: bool = True, pooled: bool = True, normalise: bool = True) -> None:
        self.adam, self.pooled, self.normalise = adam, pooled, normalise
        self.count = 0
        self._mean: Tensor | None = None
        self._square: Tensor | None = None
        self._norm: Tensor | None = None

    def __call__(self, gradient: Tensor) -> Tensor:
        """Return the step for a gradient, shape ``(batch, channels, height, width)``."""
        self.count += 1
        step = self._stabilised(gradient) if self.adam else gradient
        if not self.normalise:
            return step
        if self._norm is None:
            length = step.flatten(1).norm(dim=1).clamp_min(torch.finfo(step.dtype).tiny)
            self._norm = length.view(-1, 1, 1, 1)
        return step / self._norm

    def _stabilised(self, gradient: Tensor) -> Tensor:
        if self._mean is None or self._square is None:
            self._mean, self._square = torch.zeros_like(gradient), torch.zeros(())
        self._mean = _FIRST * self._mean + (1 - _FIRST) * gradient
        power = gradient.square()
        if self.pooled:
            power = power.mean(dim=(1, 2, 3), keepdim=True)
        self._square = _SECOND * self._square + (1 - _SECOND) * power
        mean = self._mean / (1 - _FIRST**self.count)
        square = self._square / (1 - _SECOND**self.count)
        return mean / (square.sqrt() + _SMALL)

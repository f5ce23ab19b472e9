"""A bridge with its network: draw between two images, estimate the clean one, step back.

The network is asked for ``(x_n - x0) / sigma_n`` (sigma_n from the clean side), so that

    x0_hat = x_n - sigma_n * network(x_n, t_n, mask)

Source: I2SB (Liu et al. 2023), Equations 11-13 and Algorithms 1-2.  ``straight`` is its
OT-ODE variant, the noiseless limit, in which the walk is deterministic given its start.
Images are float tensors ``(batch, channels, height, width)`` in -1 to 1, masks
``(batch, 1, height, width)`` with 1 where the image is to be painted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from .schedule import Schedule

__all__ = ["Bridge", "Logits", "Predictor"]

Logits: TypeAlias = Callable[[Tensor], Tensor]
"""Images with values in 0 to 1 to logits, shape ``(batch, classes)``; differentiable."""


class Predictor(Protocol):
    """A network of a bridge: images, times and masks to noise directions."""

    def __call__(self, images: Tensor, times: Tensor, mask: Tensor) -> Tensor:
        """Return a tensor of the images' shape; times have shape ``(batch,)``."""
        ...


@dataclass(frozen=True, eq=False)
class Bridge:
    """A schedule and the network that walks it.

    Parameters
    ----------
    network
        Predicts ``(x_n - x0) / sigma_n``.
    shape
        Channels, height and width of its images.
    schedule
        Noise of the steps.

    Examples
    --------
    >>> flat = Bridge(lambda images, times, mask: torch.zeros_like(images), (1, 4, 4))
    >>> image = torch.zeros(2, 1, 4, 4)
    >>> flat.denoise(image, 10, image).shape
    torch.Size([2, 1, 4, 4])
    """

    network: Predictor
    shape: tuple[int, int, int]
    schedule: Schedule = field(default_factory=Schedule)

    def between(
        self, clean: Tensor, degraded: Tensor, steps: Tensor, noise: Tensor | None = None
    ) -> Tensor:
        """Return the image at a step per row between two images.

        Parameters
        ----------
        clean, degraded
            Images of the same shape.
        steps
            Whole numbers, shape ``(batch,)``.
        noise
            Standard normal; the straight bridge without it.
        """
        weight = self._at(self.schedule.clean_weight, steps, clean)
        drawn = weight * clean + (1 - weight) * degraded
        if noise is None:
            return drawn
        return drawn + self._at(self.schedule.variance, steps, clean).sqrt() * noise

    def direction(self, clean: Tensor, current: Tensor, steps: Tensor) -> Tensor:
        """Return what the network should predict."""
        return (current - clean) / self._at(self.schedule.deviation, steps, clean)

    def denoise(self, current: Tensor, step: int, mask: Tensor) -> Tensor:
        """Estimate the clean images from those at a step; gradients pass through."""
        time = float(self.schedule.times[step])
        times = torch.full((len(current),), time, dtype=current.dtype, device=current.device)
        return current - float(self.schedule.deviation[step]) * self.network(current, times, mask)

    def back(
        self, current: Tensor, clean: Tensor, step: int, earlier: int, noise: Tensor | None = None
    ) -> Tensor:
        """Step back from one step to an earlier one, given an estimate of the clean image."""
        posterior = self.schedule.posterior(step, earlier)
        mean = posterior.clean * clean + posterior.current * current
        return mean if noise is None else mean + sqrt(posterior.variance) * noise

    def loss(
        self, clean: Tensor, mask: Tensor, steps: Tensor, hole: Tensor, noise: Tensor | None = None
    ) -> Tensor:
        """Return the squared error of the prediction inside the masks, one number.

        Parameters
        ----------
        clean
            Training images.
        mask
            Where each one was degraded.
        steps
            A step per image.
        hole
            What stands in the masked part at the far end, standard normal.
        noise
            For a bridge with noise.
        """
        degraded = clean * (1 - mask) + mask * hole
        current = self.between(clean, degraded, steps, noise)
        if noise is not None:
            current = torch.where(mask > 0, current, clean)
        times = self._times(steps, clean)
        error = (self.network(current, times, mask) - self.direction(clean, current, steps)) * mask
        return error.square().mean()

    def _times(self, steps: Tensor, like: Tensor) -> Tensor:
        return self._at(self.schedule.times, steps, like).flatten()

    def _at(self, numbers: Sequence[float] | object, steps: Tensor, like: Tensor) -> Tensor:
        table = torch.as_tensor(numbers, dtype=torch.float64)[steps.cpu()]
        return table.to(like.device, like.dtype).view(-1, 1, 1, 1)

"""What a classifier is shown of an estimate: the image itself, or several disturbed views.

A gradient averaged over shifted and noisy views asks for changes that hold up when the image
is looked at slightly differently, which an independent model believes more often.  The
idea of guiding through augmentations is of DVCE (Augustin et al., NeurIPS 2022); ours draws
the same views for all images of a batch, so that results do not depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from whyproof.engine.errors import InputError

from .bridge import Logits

__all__ = ["Views"]


@dataclass(frozen=True, slots=True)
class Views:
    """How many views, and how different they are.

    Parameters
    ----------
    count
        Number of views; 0 for the image itself alone.
    noise
        Standard deviation of the noise, where images lie in 0 to 1.
    shift
        Largest shift in pixels.
    """

    count: int = 0
    noise: float = 0.4
    shift: int = 2

    def __post_init__(self) -> None:
        if self.count < 0 or self.noise < 0 or self.shift < 0:
            raise InputError("views need a count, noise and shift that are not negative")

    def log_probabilities(self, logits: Logits, images: Tensor, turn: int) -> Tensor:
        """Return log-probabilities, averaged over the views, shape ``(batch, classes)``.

        Parameters
        ----------
        logits
            The classifier.
        images
            In 0 to 1.
        turn
            Number of the step, which decides the views.
        """
        if not self.count:
            return functional.log_softmax(logits(images), dim=1)
        random = torch.Generator().manual_seed(turn)
        size = (self.count, 2)
        shifts = torch.randint(-self.shift, self.shift + 1, size, generator=random).tolist()
        noise = torch.randn((self.count, *images.shape[1:]), generator=random).to(images.device)
        seen = torch.cat(
            [
                torch.roll(images, tuple(shift), (2, 3)) + self.noise * noise[i]
                for i, shift in enumerate(shifts)
            ]
        )
        found = functional.log_softmax(logits(seen), dim=1)
        return found.view(self.count, len(images), -1).mean(0)

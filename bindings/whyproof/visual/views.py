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

    def belief(
        self, logits: Logits, images: Tensor, targets: Tensor, turn: int, *, fading: bool
    ) -> Tensor:
        """Return how much the target is believed, averaged over the views, shape ``(batch,)``.

        Parameters
        ----------
        logits
            The classifier.
        images
            In 0 to 1.
        targets
            Class indices, shape ``(batch,)``.
        turn
            Number of the step, which decides the views.
        fading
            Log-probability, whose slope fades as the target becomes likely, instead of
            log-odds, whose slope has the same direction and does not.
        """
        if not self.count:
            return _belief(logits(images), targets, fading=fading)
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
        found = _belief(logits(seen), targets.repeat(self.count), fading=fading)
        return found.view(self.count, len(images)).mean(0)


def _belief(scores: Tensor, targets: Tensor, *, fading: bool) -> Tensor:
    own = targets[:, None]
    if fading:
        return functional.log_softmax(scores, dim=1).gather(1, own)[:, 0]
    rest = scores.scatter(1, own, -torch.inf).logsumexp(dim=1)
    return scores.gather(1, own)[:, 0] - rest

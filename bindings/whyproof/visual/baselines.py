"""Projected gradient steps inside a region: the same question without a generator.

What it finds changes the model's mind and need not look like anything; it is the control
for the worth of a generator (Madry et al. 2018, restricted to a region).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from whyproof.engine.errors import InputError

from .classifiers import ImageClassifier
from .pixels import Pixels, as_signed, rounded
from .repainting import Regions

__all__ = ["gradient_attack"]


def gradient_attack(
    classifier: ImageClassifier,
    images: Pixels,
    regions: Regions,
    targets: Sequence[int] | npt.NDArray[np.integer],
    *,
    steps: int = 40,
    size: float = 0.1,
) -> Pixels:
    """Return images after signed gradient steps towards a target inside regions.

    Parameters
    ----------
    classifier, images, regions, targets
        As for `repaint`.
    steps
        Number of steps.
    size
        Length of a step per pixel where images lie in -1 to 1.
    """
    if steps < 1 or not size > 0:
        raise InputError("an attack needs at least one step of positive size")
    start = as_signed(images).to(classifier.device)
    free = torch.from_numpy(regions)[:, None].to(classifier.device)
    wanted = torch.as_tensor(np.asarray(targets, dtype=np.int64)).to(classifier.device)[:, None]
    current = start
    for _ in range(steps):
        with torch.enable_grad():
            origin = current.detach().requires_grad_()
            likely = functional.log_softmax(classifier.logits((origin + 1) / 2), dim=1)
            (gradient,) = torch.autograd.grad(likely.gather(1, wanted).sum(), origin)
        current = (current + size * gradient.sign() * free).clamp(-1, 1)
    return rounded(current, images, regions)

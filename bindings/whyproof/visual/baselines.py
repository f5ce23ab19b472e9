"""Projected gradient steps inside a region: the same question without a generator.

What it finds changes the model's mind and need not look like anything; it is the control
for the worth of a generator (Madry et al. 2018, restricted to a region).  Steps are signs of
the gradient ("linf", the usual attack), or gradients of unit length ("l2"), which move what
matters more than what does not.  An attack can be stopped, image by image, as soon as it has
changed as much as something it is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from whyproof.engine.errors import InputError

from .classifiers import ImageClassifier
from .pixels import Pixels, as_signed, rounded
from .repainting import Regions

__all__ = ["change_within", "gradient_attack"]


def gradient_attack(
    classifier: ImageClassifier,
    images: Pixels,
    regions: Regions,
    targets: Sequence[int] | npt.NDArray[np.integer],
    *,
    steps: int = 40,
    size: float = 0.1,
    norm: Literal["linf", "l2"] = "linf",
    change: npt.NDArray[np.float64] | None = None,
) -> Pixels:
    """Return images after gradient steps towards a target inside regions.

    Parameters
    ----------
    classifier, images, regions, targets
        As for `repaint`.
    steps
        Number of steps.
    size
        Length of a step where images lie in -1 to 1: per pixel, or of the whole step for "l2".
    norm
        Signs, or gradients of unit length.
    change
        Per image, the mean absolute change of the region's pixels, 0 to 1, at which it is left
        as it is; those that never get there have had all steps.
    """
    if steps < 1 or not size > 0:
        raise InputError("an attack needs at least one step of positive size")
    if norm not in ("linf", "l2"):
        raise InputError(f"steps are measured by linf or l2, not {norm!r}")
    free = torch.from_numpy(regions)[:, None].to(classifier.device)
    wanted = torch.as_tensor(np.asarray(targets, dtype=np.int64)).to(classifier.device)[:, None]
    current = as_signed(images).to(classifier.device)
    found, waiting = images.copy(), np.arange(len(images))
    for _ in range(steps):
        with torch.enable_grad():
            origin = current.detach().requires_grad_()
            likely = functional.log_softmax(classifier.logits((origin + 1) / 2), dim=1)
            (gradient,) = torch.autograd.grad(likely.gather(1, wanted).sum(), origin)
        current = (current + size * _step(gradient * free, norm)).clamp(-1, 1)
        if change is None:
            continue
        found[waiting] = rounded(current, images[waiting], regions[waiting])
        made = change_within(found[waiting], images[waiting], regions[waiting])
        left = made < change[waiting]
        waiting, keep = waiting[left], torch.from_numpy(left).to(classifier.device)
        current, free, wanted = current[keep], free[keep], wanted[keep]
        if not len(waiting):
            return found
    found[waiting] = rounded(current, images[waiting], regions[waiting])
    return found


def change_within(images: Pixels, originals: Pixels, regions: Regions) -> npt.NDArray[np.float64]:
    """Return the mean absolute change of the pixels of each region, 0 to 1, shape ``(batch,)``.

    Examples
    --------
    >>> before, after = np.zeros((1, 2, 2, 1), np.uint8), np.full((1, 2, 2, 1), 51, np.uint8)
    >>> change_within(after, before, np.array([[[True, False], [False, False]]])).tolist()
    [0.2]
    """
    difference = np.abs(images.astype(np.float64) - originals).mean(axis=3) / 255
    return np.asarray((difference * regions).sum(axis=(1, 2)) / regions.sum(axis=(1, 2)))


def _step(gradient: Tensor, norm: str) -> Tensor:
    if norm == "linf":
        return gradient.sign()
    length: Tensor = gradient.flatten(1).norm(dim=1).clamp_min(torch.finfo(gradient.dtype).tiny)
    return gradient / length.view(-1, 1, 1, 1)

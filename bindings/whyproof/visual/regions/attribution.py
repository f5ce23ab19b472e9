"""How much each pixel matters to a class: five ways, for any differentiable classifier.

======================  ============================================================
integrated gradients    average gradient on the line from black, times the difference
                        (Sundararajan et al. 2017), averaged over noisy copies of the
                        image (SmoothGrad, Smilkov et al. 2017)
saliency                absolute gradient (Simonyan et al. 2014)
grad-cam                last convolution, channels weighted by their mean gradient
                        (Selvaraju et al. 2017), positive part, enlarged
occlusion               fall of the logit when a cell is blackened (Zeiler and Fergus 2014)
======================  ============================================================

Maps have shape ``(batch, height, width)``: colours are added up.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from whyproof.engine.errors import InputError, UnsupportedError

from ..cells import Grid
from ..classifiers import ImageClassifier
from ..pixels import Pixels, as_unit
from .choice import Regions, Sign, best_cells

__all__ = ["METHODS", "attributed_regions", "attribution"]

Maps = npt.NDArray[np.float64]

_POINTS, _COPIES, _DEVIATION = 50, 5, 0.05
_BATCH = 256


def attributed_regions(
    classifier: ImageClassifier,
    images: Pixels,
    classes: Sequence[int] | npt.NDArray[np.integer],
    *,
    area: float = 0.3,
    cell: int = 4,
    method: str = "integrated gradients",
    sign: Sign = "absolute",
    seed: int = 0,
) -> Regions:
    """Return the cells that matter most to a class of each image.

    Parameters
    ----------
    classifier, images
        The model and what it sees.
    classes
        Class index per image, by custom the predicted one.
    area
        Largest share of the image.
    cell
        Side of the cells in pixels.
    method
        A name in `METHODS`.
    sign
        Which part of the attribution counts.
    seed
        Of the noisy copies.
    """
    grid = Grid(images.shape[1], images.shape[2], cell)
    maps = attribution(classifier, images, classes, method=method, cell=cell, seed=seed)
    return best_cells(maps, grid, area, sign=sign)


def attribution(
    classifier: ImageClassifier,
    images: Pixels,
    classes: Sequence[int] | npt.NDArray[np.integer],
    *,
    method: str = "integrated gradients",
    cell: int = 4,
    seed: int = 0,
) -> Maps:
    """Return how much each pixel matters to a class; see the module for the methods.

    Raises
    ------
    InputError
        For an unknown method.
    UnsupportedError
        For grad-cam on a model without convolutions.
    """
    if method not in METHODS:
        raise InputError(f"no attribution {method!r}; known are {', '.join(METHODS)}")
    wanted = torch.as_tensor(np.asarray(classes, dtype=np.int64))
    if wanted.shape != (len(images),):
        raise InputError(f"{wanted.numel()} classes for {len(images)} images")
    found = [
        METHODS[method](
            classifier, as_unit(images[i : i + _BATCH]), wanted[i : i + _BATCH], cell, seed
        )
        for i in range(0, len(images), _BATCH)
    ]
    return torch.cat(found).double().cpu().numpy()


def _slope(classifier: ImageClassifier, images: Tensor, classes: Tensor) -> Tensor:
    with torch.enable_grad():
        origin = images.detach().to(classifier.device).requires_grad_()
        total = classifier.logits(origin).gather(1, classes.to(origin.device)[:, None]).sum()
        (gradient,) = torch.autograd.grad(total, origin)
    return gradient.cpu()


def _integrated(
    classifier: ImageClassifier, images: Tensor, classes: Tensor, cell: int, seed: int
) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    nodes, weights = np.polynomial.legendre.leggauss(_POINTS)
    total = torch.zeros_like(images)
    for _ in range(_COPIES):
        noisy = images + _DEVIATION * torch.randn(images.shape, generator=random)
        for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            total += float(weight) * noisy * _slope(classifier, float(node) * noisy, classes)
    return (total / _COPIES).sum(1)


def _saliency(
    classifier: ImageClassifier, images: Tensor, classes: Tensor, cell: int, seed: int
) -> Tensor:
    return _slope(classifier, images, classes).abs().sum(1)


def _occlusion(
    classifier: ImageClassifier, images: Tensor, classes: Tensor, cell: int, seed: int
) -> Tensor:
    grid = Grid(images.shape[2], images.shape[3], cell)
    result = torch.zeros(images.shape[0], images.shape[2], images.shape[3])
    with torch.no_grad():
        whole = classifier.logits(images.to(classifier.device)).cpu().gather(1, classes[:, None])
        for i in range(grid.count):
            hidden = torch.from_numpy(grid.pixels([i]))
            seen = images.masked_fill(hidden, 0.0).to(classifier.device)
            left = classifier.logits(seen).cpu().gather(1, classes[:, None])
            result += (whole - left)[:, :, None] * hidden
    return result


def _grad_cam(
    classifier: ImageClassifier, images: Tensor, classes: Tensor, cell: int, seed: int
) -> Tensor:
    with torch.enable_grad(), _last_convolution(classifier) as watched:
        origin = images.detach().to(classifier.device).requires_grad_()
        total = classifier.logits(origin).gather(1, classes.to(origin.device)[:, None]).sum()
        seen, shape = watched()
        (gradient,) = torch.autograd.grad(total, seen)
    weights = gradient.reshape(-1, *shape).mean(dim=(2, 3), keepdim=True)
    found = (weights * seen.detach().reshape(-1, *shape)).sum(1, keepdim=True).clamp_min(0)
    size = images.shape[-2:]
    wide = functional.interpolate(found, size=size, mode="bilinear", align_corners=False)
    return wide[:, 0].cpu()


@contextmanager
def _last_convolution(
    classifier: ImageClassifier,
) -> Generator[Callable[[], tuple[Tensor, tuple[int, int, int]]]]:
    """Watch what the last convolution returns while a model runs."""
    module = classifier.module
    if module is None:
        with classifier.watched_convolution() as maps:
            yield maps
        return
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    if not layers:
        raise UnsupportedError("grad-cam needs a model with convolutions; use another attribution")
    seen: list[Tensor] = []

    def keep(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append(output)

    handle = layers[-1].register_forward_hook(keep)
    try:
        yield lambda: (seen[-1], cast("tuple[int, int, int]", tuple(seen[-1].shape[1:])))
    finally:
        handle.remove()


METHODS: dict[str, Callable[[ImageClassifier, Tensor, Tensor, int, int], Tensor]] = {
    "integrated gradients": _integrated,
    "saliency": _saliency,
    "grad-cam": _grad_cam,
    "occlusion": _occlusion,
}
"""Attributions by the name that users choose them by."""

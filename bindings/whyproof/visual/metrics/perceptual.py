"""LPIPS between images, with weights that the user has: nothing is downloaded.

The package `lpips` ships its linear layers; the network below them (AlexNet, VGG) comes from
a safetensors file with torchvision's key names.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import InputError, MissingExtraError

from ..pixels import Pixels, as_signed
from ..weights import load_exactly, read_tensors

__all__ = ["lpips_distance"]

_BACKBONES = ("alex", "vgg")


def lpips_distance(
    weights: str | os.PathLike[str], backbone: str = "alex"
) -> Callable[[Pixels, Pixels], npt.NDArray[np.float64]]:
    """Return the function that measures LPIPS between pairs of images.

    Parameters
    ----------
    weights
        Safetensors file of the backbone's convolutions, ``features.0.weight`` and so on.
    backbone
        ``alex`` or ``vgg``.

    Raises
    ------
    MissingExtraError
        Without the package.
    ModelError
        If the weights do not fit.
    """
    if backbone not in _BACKBONES:
        raise InputError(f"no backbone {backbone!r}; known are {', '.join(_BACKBONES)}")
    try:
        import lpips
        import torch
        import torchvision  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        name = error.name or "lpips"
        raise MissingExtraError(name, "perceptual", "measure LPIPS") from error
    tensors, _ = read_tensors(weights)
    makers: dict[str, Any] = {"alex": torchvision.models.alexnet, "vgg": torchvision.models.vgg16}
    features: Any = makers[backbone](weights=None).features
    kept = {k.removeprefix("features."): v for k, v in tensors.items() if k.startswith("features.")}
    load_exactly(features, kept, os.path.basename(os.fspath(weights)))
    model: Any = lpips.LPIPS(net=backbone, pnet_rand=True, verbose=False)
    slices = [getattr(model.net, f"slice{i + 1}") for i in range(model.net.N_slices)]
    layers = [layer for part in slices for layer in part.children()]
    for own, loaded in zip(layers, features.children(), strict=False):
        own.load_state_dict(loaded.state_dict())
    model.eval()

    def distance(first: Pixels, second: Pixels) -> npt.NDArray[np.float64]:
        pair = [_coloured(as_signed(images)) for images in (first, second)]
        with torch.no_grad():
            return np.asarray(model(*pair).flatten().double().numpy())

    return distance


def _coloured(images: Any) -> Any:  # noqa: ANN401
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images

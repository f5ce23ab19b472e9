"""Read weights of published bridges: 256 pixels, ADM network, safetensors only.

Published checkpoints are pickles that hold several sets of weights.  Nothing is unpickled
here: save the set that is wanted as safetensors first, in any of these forms of names

    net.diffusion_model.input_blocks.0.0.weight        (a whole checkpoint, flattened)
    diffusion_model.input_blocks.0.0.weight            (the wrapped network)
    input_blocks.0.0.weight                            (the network alone)

Moving averages (``ema.``) are preferred over raw weights (``net.``) where both are there, a
table of noise levels is recognised and left out, and the second half of an output that also
predicts variances is dropped.  What is then missing, extra or of another shape is listed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from .bridge import Bridge
from .networks.adm import AdmShape, AdmUNet
from .schedule import Schedule
from .weights import load_exactly, read_tensors

__all__ = ["load_adm_bridge", "published_names"]

_PREFIXES = ("module.", "diffusion_model.", "model.")
_LEFT_OUT = ("noise_levels",)


def load_adm_bridge(
    path: str | os.PathLike[str],
    *,
    side: int = 256,
    shape: AdmShape | None = None,
    schedule: Schedule | None = None,
    device: str = "cpu",
) -> Bridge:
    """Read a published bridge.

    Parameters
    ----------
    path
        Safetensors file.
    side
        Height and width of the images.
    shape
        Sizes of the network; those of the published one for 256 pixels by default.
    schedule
        Its noise; 1,000 steps of peak rate 1 by default.
    device
        Where it is to run.

    Raises
    ------
    ModelError
        If the file cannot be read, or keys are missing, extra or of other shapes; they are
        listed.
    """
    tensors, _ = read_tensors(path)
    size = shape if shape is not None else AdmShape()
    with torch.device("meta"):
        network = AdmUNet(size)
    found = {k: v.float() for k, v in published_names(tensors, size.channels).items()}
    load_exactly(network, found, Path(path).name, assign=True)
    network.to(device).eval().requires_grad_(False)
    return Bridge(network, (size.channels, side, side), schedule or Schedule())


def published_names(tensors: Mapping[str, Tensor], channels: int) -> dict[str, Tensor]:
    """Map the names of a published file to those of the network.

    Parameters
    ----------
    tensors
        As read.
    channels
        Of the images: an output of twice as many is cut.

    Examples
    --------
    >>> import torch
    >>> sorted(published_names({"ema.module.out.0.bias": torch.zeros(1)}, 3))
    ['out.0.bias']
    """
    kept: Mapping[str, Tensor] = tensors
    for section in ("ema.", "net."):
        inside = {k.removeprefix(section): v for k, v in tensors.items() if k.startswith(section)}
        if inside:
            kept = inside
            break
    found: dict[str, Tensor] = {}
    for key, value in kept.items():
        name = key
        while name.startswith(_PREFIXES):
            name = name.split(".", 1)[1]
        if name not in _LEFT_OUT:
            found[name] = value
    for name in ("out.2.weight", "out.2.bias"):
        if name in found and found[name].shape[0] == 2 * channels:
            found[name] = found[name][:channels]
    return found

"""Read any generator from where the user points: what it is, the file or folder says.

==========================  ======================================================
a safetensors file of ours  a small bridge, written by ``whyproof visual train``
another safetensors file    a published 256-pixel bridge, if its names are those of one
a folder                    an unconditional model as `diffusers` saves it (RePaint)
==========================  ======================================================
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TypeAlias

from .bridge import Bridge
from .diffusion import Diffusion, load_diffusion
from .published import load_adm_bridge
from .weights import load_bridge, tensor_names

__all__ = ["Generator", "generator_hash", "load_generator"]

Generator: TypeAlias = Bridge | Diffusion

_ADM = "input_blocks.0.0.weight"


def load_generator(path: str | os.PathLike[str], *, device: str = "cpu") -> Generator:
    """Read a bridge or a diffusion model.

    Parameters
    ----------
    path
        File or folder.
    device
        Where it is to run.

    Raises
    ------
    ModelError
        If it is none of these; missing and unexpected keys are listed.
    MissingExtraError
        For a folder without the package `diffusers`.
    """
    place = Path(path)
    if place.is_dir():
        return load_diffusion(place, device=device)
    if any(name.endswith(_ADM) for name in tensor_names(place)):
        return load_adm_bridge(place, device=device)
    return load_bridge(place, device=device)


def generator_hash(path: str | os.PathLike[str]) -> bytes:
    """Return a digest of a generator's files, so that results can be told to belong to it."""
    place = Path(path)
    files = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
    digest = hashlib.sha256()
    for part in files:
        digest.update(part.name.encode())
        with part.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.digest()

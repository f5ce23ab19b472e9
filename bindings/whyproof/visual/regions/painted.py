"""Regions painted by hand: black and white images of the size of what they belong to."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import DataError

from ..pixels import read_image, write_image

__all__ = ["mask_beside", "read_mask", "write_mask"]


def read_mask(path: str | os.PathLike[str], height: int, width: int) -> npt.NDArray[np.bool_]:
    """Read a mask, shape ``(height, width)``: white is where to paint.

    Raises
    ------
    DataError
        If it is no image, has another size, or is empty or full.
    """
    name = Path(path).name
    pixels = read_image(path)[0]
    if pixels.shape[:2] != (height, width):
        raise DataError(
            f"{name} is a mask of {pixels.shape[0]} x {pixels.shape[1]} pixels "
            f"for an image of {height} x {width}"
        )
    mask = np.asarray(pixels.max(axis=2) >= 128)
    if not mask.any():
        raise DataError(f"{name} is empty: paint white where the image may change")
    if mask.all():
        raise DataError(f"{name} covers the whole image: leave something black that is kept")
    return mask


def write_mask(path: str | os.PathLike[str], mask: npt.NDArray[np.bool_]) -> None:
    """Write a mask as a PNG file, white where to paint."""
    write_image(path, (mask[..., None] * 255).astype(np.uint8))


def mask_beside(image: str | os.PathLike[str]) -> Path:
    """Return where the mask of an image is kept: ``STEM_mask.png`` beside it."""
    place = Path(image)
    return place.with_name(f"{place.stem}_mask.png")

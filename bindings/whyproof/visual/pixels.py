"""Images as 8-bit pixels: files in and out, and the way to and from tensors.

What is verified is what is saved: images are whole numbers 0 to 255 in shape
``(batch, height, width, channels)``, and a repainted image is rounded before it is checked.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Pixels",
    "as_pixels",
    "as_signed",
    "as_unit",
    "read_image",
    "rounded",
    "write_image",
]

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""Images, shape ``(batch, height, width, channels)``, 0 to 255."""

_MOST_BYTES = 64 << 20
_MOST_PIXELS = 16 << 20


def as_pixels(images: npt.ArrayLike, shape: tuple[int, int, int] | None = None) -> Pixels:
    """Return images as 8-bit pixels with all four axes.

    Parameters
    ----------
    images
        One image or several, ``(height, width)``, ``(batch, height, width)``,
        ``(height, width, channels)`` or all four axes; whole numbers in 0 to 255, of any type.
    shape
        Channels, height and width that are wanted.

    Raises
    ------
    DataError
        For values outside 0 to 255 or not whole, and for other sizes.

    Examples
    --------
    >>> as_pixels(np.zeros((5, 28, 28)), (1, 28, 28)).shape
    (5, 28, 28, 1)
    """
    array = np.asarray(images)
    if array.dtype.kind not in "uifb" or not array.size:
        raise DataError(f"images hold numbers, found an array of {array.dtype}, {array.shape}")
    if array.ndim == 2:
        array = array[None, :, :, None]
    elif array.ndim == 3:
        single = array.shape[-1] in (1, 3) and (shape is None or array.shape[-1] == shape[0])
        array = array[None] if single else array[..., None]
    if array.ndim != 4:
        raise DataError(f"an array of shape {np.shape(images)} is no image and no batch of images")
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 255):
        raise DataError(f"pixels must lie in 0 to 255, found {low:g} to {high:g}")
    if array.dtype != np.uint8:
        whole = array.astype(np.uint8)
        if not np.array_equal(whole, array):
            hint = "; multiply by 255 and round" if high <= 1 else ""
            raise DataError(f"pixels must be whole numbers from 0 to 255{hint}")
        array = whole
    if shape is not None and array.shape[1:] != (shape[1], shape[2], shape[0]):
        found = f"{array.shape[1]} x {array.shape[2]} with {array.shape[3]} channel(s)"
        raise DataError(
            f"an image of {found} where {shape[1]} x {shape[2]} with {shape[0]} is needed"
        )
    return array


def as_unit(pixels: Pixels) -> Tensor:
    """Return images as a tensor ``(batch, channels, height, width)`` in 0 to 1."""
    import torch

    return torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy()).float() / 255.0


def as_signed(pixels: Pixels) -> Tensor:
    """Return images as a tensor ``(batch, channels, height, width)`` in -1 to 1."""
    return as_unit(pixels) * 2 - 1


def rounded(images: Tensor, original: Pixels, region: npt.NDArray[np.bool_]) -> Pixels:
    """Return images in -1 to 1 as pixels; outside the regions those of the original.

    Parameters
    ----------
    images
        Shape ``(batch, channels, height, width)``.
    original
        Pixels of the same images.
    region
        Shape ``(batch, height, width)``.
    """
    values = ((images.detach().cpu().clamp(-1, 1) + 1) * 127.5).round().to(dtype=_uint8())
    painted = values.permute(0, 2, 3, 1).numpy()
    return np.where(region[..., None], painted, original)


def read_image(path: str | os.PathLike[str], shape: tuple[int, int, int] | None = None) -> Pixels:
    """Read one image file as a batch of one.

    Parameters
    ----------
    path
        PNG, JPEG or another format that Pillow reads, or a ``.npy`` array.
    shape
        Channels, height and width that are wanted.  Grey is turned into colour, and colour
        whose channels are equal into grey; nothing that would lose something is done.

    Raises
    ------
    DataError
        If it is no image, is too large, or has another size.
    """
    place = Path(path)
    if not place.is_file():
        raise DataError(f"there is no image {place}")
    if place.stat().st_size > _MOST_BYTES:
        raise DataError(f"{place.name} is larger than {_MOST_BYTES >> 20} MiB")
    try:
        if place.suffix == ".npy":
            return as_pixels(np.load(place, allow_pickle=False), shape)
        return as_pixels(_decoded(place, shape), shape)
    except DataError as error:
        raise DataError(f"{place.name}: {error}") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{place.name} is no image that can be read: {error}") from error


def write_image(path: str | os.PathLike[str], pixels: Pixels) -> None:
    """Write one image, shape ``(height, width, channels)``, as a PNG file; whole or not at all."""
    place = Path(path)
    partial = place.with_name(place.name + ".partial")
    squeezed = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    pillow().fromarray(np.ascontiguousarray(squeezed)).save(partial, format="PNG")
    partial.replace(place)


def pillow() -> Any:  # noqa: ANN401
    """Return Pillow's image module.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("PIL", "visual", "read and write images") from error
    return Image


def _decoded(place: Path, shape: tuple[int, int, int] | None) -> npt.NDArray[Any]:
    with pillow().open(place) as image:
        width, height = image.size
        if width * height > _MOST_PIXELS:
            raise DataError(f"{width} x {height} pixels are more than {_MOST_PIXELS}")
        if image.mode.startswith(("I", "F")):
            return np.asarray(image)
        grey = image.mode in ("1", "L", "LA")
        found = np.asarray(image.convert("L" if grey else "RGB"), dtype=np.uint8)
        if grey and shape is not None and shape[0] == 3:
            return np.repeat(found[..., None], 3, axis=2)
        if not grey and shape is not None and shape[0] == 1:
            if not bool((found == found[..., :1]).all()):
                raise DataError("a colour image where a grey one is needed; convert it first")
            return found[..., 0]
        return found


def _uint8() -> Any:  # noqa: ANN401
    import torch

    return torch.uint8

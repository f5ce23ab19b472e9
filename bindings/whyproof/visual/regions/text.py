"""Regions by words: "the stripes", found by a grounded segmenter.

LangSAM joins GroundingDINO, which finds boxes for words, with SAM, which cuts them out.
Both are large and their weights come from files that the user has: nothing is downloaded.
Any other segmenter serves as well: a function from an image and words to scores per pixel.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import InputError, MissingExtraError, ModelError

from ..cells import Grid
from ..pixels import Pixels, pillow
from .choice import Regions, best_cells

__all__ = ["Segmenter", "load_lang_sam", "text_regions"]

_SOURCE = "git+https://github.com/luca-medeiros/lang-segment-anything"
_SAM = tuple(f"sam2.1_hiera_{size}" for size in ("tiny", "small", "base_plus", "large"))

Segmenter: TypeAlias = Callable[[Pixels, str], npt.NDArray[np.float64]]
"""One image ``(height, width, 3)`` and words to scores ``(height, width)``, 0 to 1."""


def text_regions(
    segmenter: Segmenter,
    images: Pixels,
    words: str,
    *,
    area: float | None = None,
    cell: int = 16,
) -> Regions:
    """Return the regions that words name, shape ``(batch, height, width)``.

    Parameters
    ----------
    segmenter
        From `load_lang_sam`, or one of your own.
    images
        8-bit pixels; grey ones are shown as colour.
    words
        What to look for.
    area
        Take the best cells up to this share; by default every pixel above one half.
    cell
        Side of the cells in pixels.

    Raises
    ------
    InputError
        If there are no words, or nothing is found in an image.
    """
    if not words.strip():
        raise InputError("give the words that name the region, for example 'the stripes'")
    scores = np.stack([segmenter(_coloured(image), words) for image in images])
    if scores.shape != images.shape[:3]:
        raise InputError(f"the segmenter returned {scores.shape} for {images.shape[:3]}")
    nothing = np.flatnonzero(scores.max(axis=(1, 2)) < 0.5)
    if len(nothing):
        raise InputError(f"nothing called {words!r} was found in image {int(nothing[0])}")
    if area is None:
        return np.asarray(scores >= 0.5)
    return best_cells(scores, Grid(images.shape[1], images.shape[2], cell), area)


def load_lang_sam(
    folder: str | os.PathLike[str], *, box_threshold: float = 0.3, text_threshold: float = 0.25
) -> Segmenter:
    """Load LangSAM from weights on disc.

    Parameters
    ----------
    folder
        Holds one SAM 2.1 checkpoint under its published name, for example
        ``sam2.1_hiera_small.pt``, and ``grounding``, a folder with the published GroundingDINO
        model and processor.
    box_threshold, text_threshold
        Of the detection.

    Raises
    ------
    ModelError
        If weights are not there.
    MissingExtraError
        Without the packages.
    """
    place = Path(folder)
    checkpoints = [place / f"{name}.pt" for name in _SAM if (place / f"{name}.pt").is_file()]
    grounding = place / "grounding"
    if len(checkpoints) != 1 or not (grounding / "config.json").is_file():
        missing = "grounding/config.json" if checkpoints else f"{_SAM[1]}.pt"
        found = f"more than one SAM checkpoint in {place}"
        raise ModelError(
            f"{found if len(checkpoints) > 1 else f'there is no {missing} in {place}'}: regions by "
            "words need the weights of one SAM 2.1 and GroundingDINO, which are not downloaded; "
            "use --region mask or attribution"
        )
    try:
        from lang_sam import LangSAM
    except ImportError as error:
        raise MissingExtraError("lang_sam", "text", "find regions by words", _SOURCE) from error
    # Without both paths of GroundingDINO the package would download it.
    model: Any = LangSAM(
        sam_type=checkpoints[0].stem,
        sam_ckpt_path=str(checkpoints[0]),
        gdino_model_ckpt_path=str(grounding),
        gdino_processor_ckpt_path=str(grounding),
    )

    def segment(image: Pixels, words: str) -> npt.NDArray[np.float64]:
        shown = pillow().fromarray(image)
        (found,) = model.predict([shown], [words], box_threshold, text_threshold)
        masks = np.asarray(found["masks"], dtype=np.float64)
        if masks.size == 0:
            return np.zeros(image.shape[:2])
        return np.asarray(masks.reshape(-1, *image.shape[:2]).max(axis=0))

    return segment


def _coloured(image: Pixels) -> Pixels:
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image

"""Where the region of an image comes from, by the name that users choose it by.

``attribution``, ``random``, ``mask`` (one file for all, or ``STEM_mask.png`` beside each
image), ``text``, and ``symbolic``: the smallest region of a shape that can change the
decision at all, found by an exact oracle or by the generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from whyproof.engine.budget import Budget
from whyproof.engine.errors import InputError

from .cells import Grid
from .classifiers import ImageClassifier
from .generators import Generator
from .oracle import GeneratorOracle, image_problem
from .pixels import Pixels
from .regions.attribution import attributed_regions
from .regions.choice import random_cells
from .regions.painted import mask_beside, read_mask
from .regions.symbolic import RegionSearch, Shape
from .regions.text import load_lang_sam, text_regions
from .repainting import Attempts
from .sampler import SamplerOptions

__all__ = ["KINDS", "RegionSource", "cells_named"]

KINDS = ("attribution", "mask", "random", "symbolic", "text")


@dataclass(frozen=True)
class RegionSource:
    """How regions are made.

    Parameters
    ----------
    kind
        One of `KINDS`.
    cell, area
        Side of the cells in pixels, and largest share of the image.
    method
        Of attribution.
    inverse
        Take everything else instead.
    mask
        File for all images; by default the one beside each.
    words, weights
        Of text regions: what to look for, and the folder of the segmenter's weights.
    shape
        Of symbolic regions.
    by_generator
        Let the generator decide about symbolic regions instead of the exact oracle.
    seconds
        For the search of each symbolic region.
    seed
        Of random cells and noisy attributions.
    """

    kind: str = "attribution"
    cell: int = 4
    area: float = 0.3
    method: str = "integrated gradients"
    inverse: bool = False
    mask: Path | None = None
    words: str | None = None
    weights: Path | None = None
    shape: Shape = field(default_factory=Shape)
    by_generator: bool = False
    seconds: float = 60.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"no kind of region {self.kind!r}; known are {', '.join(KINDS)}")

    def region(
        self,
        bridge: Generator,
        classifier: ImageClassifier,
        image: Pixels,
        place: Path,
        source: int,
        target: int,
        options: SamplerOptions,
    ) -> npt.NDArray[np.bool_]:
        """Return the region of one image, shape ``(height, width)``.

        Parameters
        ----------
        bridge, classifier
            The generator and the model.
        image
            Shape ``(1, height, width, channels)``.
        place
            Its file.
        source, target
            Class indices.
        options
            How the generator walks.

        Raises
        ------
        InputError
            If no region can be made; the message says why.
        """
        found = self._region(bridge, classifier, image, place, source, target, options)
        return ~found if self.inverse else found

    def _region(
        self,
        bridge: Generator,
        classifier: ImageClassifier,
        image: Pixels,
        place: Path,
        source: int,
        target: int,
        options: SamplerOptions,
    ) -> npt.NDArray[np.bool_]:
        _, height, width, _ = image.shape
        grid = Grid(height, width, self.cell)
        if self.kind == "attribution":
            maps = attributed_regions(
                classifier,
                image,
                [source],
                area=self.area,
                cell=self.cell,
                method=self.method,
                seed=self.seed,
            )
            return np.asarray(maps[0])
        if self.kind == "random":
            seed = self.seed + sum(place.name.encode())
            return np.asarray(random_cells(1, grid, self.area, seed)[0])
        if self.kind == "mask":
            return read_mask(self.mask or mask_beside(place), height, width)
        if self.kind == "text":
            if self.words is None or self.weights is None:
                raise InputError(
                    "regions by words need --text WORDS and --text-weights FOLDER; "
                    "no weights are downloaded"
                )
            segmenter = load_lang_sam(self.weights)
            return np.asarray(text_regions(segmenter, image, self.words, cell=self.cell)[0])
        return self._symbolic(bridge, classifier, image, grid, target, options)

    def _symbolic(
        self,
        bridge: Generator,
        classifier: ImageClassifier,
        image: Pixels,
        grid: Grid,
        target: int,
        options: SamplerOptions,
    ) -> npt.NDArray[np.bool_]:
        from whyproof.encodings.networks.oracle import NetworkOracle

        problem = image_problem(classifier, image, self.cell, target)
        oracle = (
            GeneratorOracle(
                problem,
                bridge,
                classifier,
                image,
                self.cell,
                options=options,
                attempts=Attempts(seed=self.seed),
            )
            if self.by_generator
            else NetworkOracle(problem)
        )
        budget = Budget(seconds=self.seconds)
        search = RegionSearch(problem, oracle, grid, self.shape, budget)
        found = search.smallest()
        if found is None:
            why = (
                "no region of this shape can change the decision (proved)"
                if search.complete
                else "no region was found in time; allow more with --region-time-limit"
            )
            raise InputError(f"{why}")
        return grid.pixels(found.cells)


def cells_named(names: Sequence[str], grid: Grid) -> frozenset[int]:
    """Return cells given as ``ROW,COLUMN``, counted from 0.

    Raises
    ------
    InputError
        For anything else, and cells that do not exist.
    """
    found: set[int] = set()
    for name in names:
        parts = name.split(",")
        if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
            raise InputError(f"a cell is ROW,COLUMN, counted from 0; found {name!r}")
        row, column = (int(part) for part in parts)
        if row >= grid.rows or column >= grid.columns:
            raise InputError(f"there is no cell {name}; there are {grid.describe()}")
        found.add(grid.at(row, column))
    return frozenset(found)

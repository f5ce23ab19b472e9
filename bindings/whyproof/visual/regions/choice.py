"""From maps to regions: the best cells up to an area, cells by chance, all the rest.

A map is made positive (or only its positive or negative part is taken), cut where its
sorted values have gathered 98 % of their sum, added up over cells, and the best cells are
taken as long as their share of the image stays within the area.

Source: Sobieski et al. 2025 (arXiv 2410.12591), automated regions.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import InputError

from ..cells import Grid

__all__ = ["Sign", "best_cells", "complements", "random_cells"]

Sign = Literal["absolute", "positive", "negative"]
Maps = npt.NDArray[np.float64]
Regions = npt.NDArray[np.bool_]

_OUTLIERS = 0.02


def best_cells(maps: Maps, grid: Grid, area: float, *, sign: Sign = "absolute") -> Regions:
    """Return the cells that matter most, as pixels, shape ``(batch, height, width)``.

    Parameters
    ----------
    maps
        How much each pixel matters, shape ``(batch, height, width)``.
    grid
        Its cells.
    area
        Largest share of the cells, more than 0 and less than 1; at least one cell is taken.
    sign
        Which part of the maps counts.

    Examples
    --------
    >>> best_cells(np.eye(4)[None], Grid(4, 4, 2), 0.5).astype(int)[0].tolist()[0]
    [1, 1, 0, 0]
    """
    count = _number_of_cells(grid, area)
    parts = {"absolute": np.abs(maps), "positive": maps.clip(0), "negative": (-maps).clip(0)}
    if sign not in parts:
        raise InputError(f"no part {sign!r} of a map; known are {', '.join(parts)}")
    scores = grid.sums(without_outliers(parts[sign]))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    chosen = np.zeros(scores.shape, dtype=np.bool_)
    np.put_along_axis(chosen, order, True, axis=1)
    return grid.spread(chosen)


def random_cells(batch: int, grid: Grid, area: float, seed: int) -> Regions:
    """Return as many cells as `best_cells` takes, by chance, as pixels.

    Examples
    --------
    >>> float(random_cells(2, Grid(28, 28, 4), 0.3, 0).mean().round(2))
    0.29
    """
    count = _number_of_cells(grid, area)
    random = np.random.default_rng(seed)
    chosen = np.zeros((batch, grid.count), dtype=np.bool_)
    for row in chosen:
        row[random.permutation(grid.count)[:count]] = True
    return grid.spread(chosen)


def complements(regions: Regions) -> Regions:
    """Return the rest of each image."""
    return ~regions


def without_outliers(maps: Maps) -> Maps:
    """Scale maps to 0 to 1 and cut their top: the values that gather the last 2 %.

    The sum is taken over sorted values, from the smallest, so that few large values do not
    decide about the scale.
    """
    flat = np.sort(maps.reshape(len(maps), -1), axis=1)
    gathered = flat.cumsum(axis=1)
    total = gathered[:, -1:]
    at = (gathered >= (1 - _OUTLIERS) * total).argmax(axis=1)
    cut = np.take_along_axis(flat, at[:, None], axis=1)
    safe = np.where(cut > 0, cut, 1.0)
    return np.minimum(maps / safe[:, :, None], 1.0)


def _number_of_cells(grid: Grid, area: float) -> int:
    if not 0 < area < 1:
        raise InputError(f"the area must be more than 0 and less than 1, found {area!r}")
    return max(1, int(area * grid.count + 1e-9))

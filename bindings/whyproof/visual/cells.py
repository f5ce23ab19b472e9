"""Square cells of an image: the features that regions are made of.

Cells are numbered row by row; those at the right and lower edge may be smaller.  The same
numbering as `whyproof.networks.image_space(shape, cell=...)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import DataError

__all__ = ["Grid"]


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of one side over images of one size.

    Parameters
    ----------
    height, width
        Of the images, in pixels.
    cell
        Side of a cell, in pixels, from 1 to the shorter side of the image.

    Examples
    --------
    >>> grid = Grid(28, 28, 4)
    >>> grid.count, int(grid.pixels({0, 1}).sum())
    (49, 32)
    """

    height: int
    width: int
    cell: int

    def __post_init__(self) -> None:
        if not 1 <= self.cell <= min(self.height, self.width):
            raise DataError(
                f"cells of {self.cell} pixels do not fit an image of {self.height} x {self.width}"
            )

    @property
    def rows(self) -> int:
        """Number of rows of cells."""
        return -(-self.height // self.cell)

    @property
    def columns(self) -> int:
        """Number of columns of cells."""
        return -(-self.width // self.cell)

    @property
    def count(self) -> int:
        """Number of cells."""
        return self.rows * self.columns

    def spread(self, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return the pixels of chosen cells, shape ``(..., height, width)``.

        Parameters
        ----------
        chosen
            Shape ``(..., count)``.
        """
        grid = chosen.reshape(*chosen.shape[:-1], self.rows, self.columns)
        wide = grid.repeat(self.cell, axis=-2).repeat(self.cell, axis=-1)
        return wide[..., : self.height, : self.width]

    def pixels(self, cells: Iterable[int]) -> npt.NDArray[np.bool_]:
        """Return the pixels of some cells, shape ``(height, width)``."""
        chosen = np.zeros(self.count, dtype=np.bool_)
        chosen[list(cells)] = True
        return self.spread(chosen)

    def cells(self, pixels: npt.NDArray[np.bool_]) -> frozenset[int]:
        """Return the cells in which at least one pixel is set."""
        return frozenset(np.flatnonzero(self.sums(pixels.astype(np.float64)) > 0).tolist())

    def sums(self, maps: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Add maps up over cells, from ``(..., height, width)`` to ``(..., count)``."""
        tall = self.rows * self.cell - self.height
        wide = self.columns * self.cell - self.width
        padding = [(0, 0)] * (maps.ndim - 2) + [(0, tall), (0, wide)]
        padded = np.pad(maps, padding)
        blocks = padded.reshape(*maps.shape[:-2], self.rows, self.cell, self.columns, self.cell)
        return np.asarray(blocks.sum(axis=(-3, -1)).reshape(*maps.shape[:-2], self.count))

    def at(self, row: int, column: int) -> int:
        """Return the number of a cell."""
        return row * self.columns + column

    def describe(self) -> str:
        """Say what the grid is, for messages."""
        return f"{self.rows} x {self.columns} cells of {self.cell} pixels"

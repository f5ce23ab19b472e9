"""Random regions to learn inpainting from: cells, boxes and brush strokes.

One third each; cells and boxes cover about a tenth to a half of the image, strokes are drawn
by a pen that wanders.  Published brush masks are a download; these are drawn on the spot and
reproducible from the generator.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["random_masks"]

Masks = npt.NDArray[np.bool_]


def random_masks(
    count: int, height: int, width: int, random: np.random.Generator, *, cell: int = 4
) -> Masks:
    """Draw masks, shape ``(count, height, width)``, true where an image is to be painted.

    Parameters
    ----------
    count, height, width
        How many and how large.
    random
        Source of randomness.
    cell
        Side of the cells in pixels.

    Examples
    --------
    >>> masks = random_masks(30, 28, 28, np.random.default_rng(0))
    >>> bool(masks.any(axis=(1, 2)).all())
    True
    """
    masks = np.zeros((count, height, width), dtype=np.bool_)
    for i, kind in enumerate(random.integers(3, size=count)):
        if kind == 0:
            _cells(masks[i], random, cell)
        elif kind == 1:
            _box(masks[i], random)
        else:
            _strokes(masks[i], random)
    return masks


def _cells(mask: Masks, random: np.random.Generator, cell: int) -> None:
    height, width = mask.shape
    rows, columns = -(-height // cell), -(-width // cell)
    total = rows * columns
    chosen = random.permutation(total)[: int(random.integers(max(1, total // 10), total // 2 + 1))]
    grid = np.zeros(total, dtype=np.bool_)
    grid[chosen] = True
    spread = grid.reshape(rows, columns).repeat(cell, axis=0).repeat(cell, axis=1)
    mask[:] = spread[:height, :width]


def _box(mask: Masks, random: np.random.Generator) -> None:
    sides = [int(random.integers(max(1, n * 2 // 7), max(2, n * 5 // 7))) for n in mask.shape]
    begins = [
        int(random.integers(0, n - side + 1)) for n, side in zip(mask.shape, sides, strict=True)
    ]
    mask[begins[0] : begins[0] + sides[0], begins[1] : begins[1] + sides[1]] = True


def _strokes(mask: Masks, random: np.random.Generator) -> None:
    height, width = mask.shape
    unit = max(1.0, min(height, width) / 14)
    for _ in range(int(random.integers(1, 5))):
        y, x = random.uniform(0.15, 0.85) * height, random.uniform(0.15, 0.85) * width
        angle = float(random.uniform(0, 2 * math.pi))
        thick = float(random.uniform(1.0, 1.8)) * unit
        for _ in range(int(random.integers(4, 14))):
            angle += float(random.normal(0, 0.5))
            y = float(np.clip(y + unit * math.sin(angle), 0, height - 1))
            x = float(np.clip(x + unit * math.cos(angle), 0, width - 1))
            top, left = max(0, round(y - thick)), max(0, round(x - thick))
            mask[top : round(y + thick) + 1, left : round(x + thick) + 1] = True

"""K-means with careful seeding: the start of groups, and half of a baseline.

Source: Lloyd's iteration from the seeding of Arthur and Vassilvitskii, "k-means++", SODA
2007; the best of a few seedings is kept.  Own, so that groups need no further package.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import DataError

from .backend import Array

__all__ = ["kmeans"]


def kmeans(
    points: Array, count: int, *, seed: int = 0, restarts: int = 3, rounds: int = 50
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return centres, shape ``(count, columns)``, and the centre of each row.

    Raises
    ------
    DataError
        If there are more groups than rows.

    Examples
    --------
    >>> centres, label = kmeans(np.array([[0.0], [0.1], [5.0]]), 2)
    >>> sorted(centres[:, 0].round(2).tolist()), bool(label[0] == label[1])
    ([0.05, 5.0], True)
    """
    if not 1 <= count <= len(points):
        raise DataError(f"{count} groups of {len(points)} rows: give 1 to {len(points)} groups")
    random = np.random.default_rng(seed)
    best: tuple[float, Array, npt.NDArray[np.int64]] | None = None
    for _ in range(restarts):
        centres = _seeds(points, count, random)
        label = np.full(len(points), -1, dtype=np.int64)
        apart = _squares(points, centres)
        for _ in range(rounds):
            found = np.asarray(apart.argmin(axis=1), dtype=np.int64)
            if np.array_equal(found, label):
                break
            label = found
            for k in range(count):
                mine = points[label == k]
                # An empty group restarts at the row that is served worst.
                centres[k] = mine.mean(axis=0) if len(mine) else points[apart.min(axis=1).argmax()]
            apart = _squares(points, centres)
        total = float(apart.min(axis=1).sum())
        if best is None or total < best[0]:
            best = total, centres, np.asarray(apart.argmin(axis=1), dtype=np.int64)
    if best is None:
        raise DataError("k-means needs one start at least")
    return best[1], best[2]


def _seeds(points: Array, count: int, random: np.random.Generator) -> Array:
    chosen = [points[random.integers(len(points))]]
    for _ in range(count - 1):
        apart = _squares(points, np.array(chosen)).min(axis=1)
        total = apart.sum()
        share = apart / total if total > 0 else np.full(len(points), 1 / len(points))
        chosen.append(points[random.choice(len(points), p=share)])
    return np.array(chosen, dtype=np.float64)


def _squares(points: Array, centres: Array) -> Array:
    squares: Array = (
        (points**2).sum(1)[:, None] + (centres**2).sum(1)[None] - 2 * points @ centres.T
    )
    return np.asarray(np.maximum(squares, 0.0), dtype=np.float64)

"""K-means by scikit-learn: the start of groups, and half of a baseline.

Source: Lloyd's iteration from the seeding of Arthur and Vassilvitskii, "k-means++", SODA
2007.  One group is the mean and needs no package.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import DataError, MissingExtraError

from .backend import Array

__all__ = ["kmeans"]


def kmeans(
    points: Array, count: int, *, seed: int = 0, restarts: int = 3
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return centres, shape ``(count, columns)``, and the centre of each row.

    Parameters
    ----------
    points
        Shape ``(rows, columns)``.
    count
        Groups; with fewer different rows some centres coincide.
    restarts
        Seedings, of which the best is kept.

    Raises
    ------
    DataError
        If there are more groups than rows.
    MissingExtraError
        For two or more groups without scikit-learn.

    Examples
    --------
    >>> centres, label = kmeans(np.array([[0.0], [0.1], [5.0]]), 2)
    >>> sorted(centres[:, 0].round(2).tolist()), bool(label[0] == label[1])
    ([0.05, 5.0], True)
    """
    if not 1 <= count <= len(points):
        raise DataError(f"{count} groups of {len(points)} rows: give 1 to {len(points)} groups")
    if count == 1:
        return points.mean(axis=0, keepdims=True), np.zeros(len(points), dtype=np.int64)
    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "sklearn", "start groups by k-means") from error
    different = len(np.unique(points, axis=0))
    lloyd: Any = KMeans(min(count, different), random_state=seed).set_params(n_init=restarts)
    made = lloyd.fit(points)
    centres = np.asarray(made.cluster_centers_, dtype=np.float64)
    spare = np.repeat(centres[:1], count - len(centres), axis=0)
    return np.concatenate([centres, spare]), np.asarray(made.labels_, dtype=np.int64)

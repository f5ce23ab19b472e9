"""Distances in the features of a network: Fréchet distance, its split form, S3, diversity.

Which network is up to the user: any function from images to vectors.  Published numbers use
Inception (FID) and SimSiam (S3), whose weights are downloads; a small judge trained on the
data at hand is the default, and its numbers compare with each other only.

Sources: Heusel et al. 2017 (FID); the split form that avoids the bias of nearly equal pairs,
and S3, from ACE (Jeanneret et al., CVPR 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from whyproof.engine.errors import DataError, InputError

from ..networks.judge import Judge
from ..pixels import Pixels, as_unit

__all__ = [
    "FeatureNet",
    "frechet_distance",
    "judge_features",
    "matched_reference",
    "mean_similarity",
    "split_frechet_distance",
    "spread_of_copies",
]

Vectors = npt.NDArray[np.float64]

FeatureNet: TypeAlias = Callable[[Pixels], Vectors]
"""Images to feature vectors, shape ``(batch, features)``."""

_BATCH = 500


def judge_features(judge: Judge) -> FeatureNet:
    """Return the features of a small judge."""

    def features(images: Pixels) -> Vectors:
        with torch.no_grad():
            parts = [
                judge.features(as_unit(images[i : i + _BATCH])).double().numpy()
                for i in range(0, len(images), _BATCH)
            ]
        return np.concatenate(parts)

    return features


def frechet_distance(first: Vectors, second: Vectors) -> float:
    """Return the Fréchet distance of the Gaussians fitted to two sets of vectors.

    Parameters
    ----------
    first, second
        Shape ``(count, features)``, at least two vectors each.

    Examples
    --------
    >>> vectors = np.random.default_rng(0).normal(size=(50, 3))
    >>> round(frechet_distance(vectors, vectors + 2), 6)
    12.0
    """
    for vectors in (first, second):
        if vectors.ndim != 2 or len(vectors) < 2 or not np.isfinite(vectors).all():
            raise DataError("a Fréchet distance needs two sets of at least two finite vectors")
    shift = float(((first.mean(axis=0) - second.mean(axis=0)) ** 2).sum())
    one, two = (np.atleast_2d(np.cov(vectors, rowvar=False)) for vectors in (first, second))
    # The trace of the root of a product equals that of a symmetric matrix: no complex roots.
    root = _root(one)
    inner = np.linalg.eigvalsh(root @ two @ root).clip(0)
    return float(max(0.0, shift + np.trace(one) + np.trace(two) - 2 * np.sqrt(inner).sum()))


def split_frechet_distance(originals: Vectors, changed: Vectors, *, seed: int = 0) -> float:
    """Return the mean Fréchet distance between a half of one set and the other half of the other.

    Parameters
    ----------
    originals, changed
        Vectors of pairs of images in the same order, at least four pairs.
    seed
        Of the split.
    """
    if len(originals) != len(changed) or len(originals) < 4:
        raise DataError("the split Fréchet distance needs at least four pairs")
    order = np.random.default_rng(seed).permutation(len(originals))
    left, right = order[: len(order) // 2], order[len(order) // 2 :]
    return 0.5 * (
        frechet_distance(originals[left], changed[right])
        + frechet_distance(originals[right], changed[left])
    )


def matched_reference(
    vectors: Vectors,
    labels: npt.NDArray[np.integer],
    targets: Sequence[int] | npt.NDArray[np.integer],
    *,
    seed: int = 0,
) -> Vectors:
    """Draw real vectors with the class mix of the targets.

    A reference of all classes rewards doing nothing; this one asks whether images look like
    those of the class that they should belong to.

    Parameters
    ----------
    vectors, labels
        Of real images.
    targets
        Wanted classes; as many vectors of each are drawn as fit the scarcest.
    seed
        Of the draw.
    """
    random = np.random.default_rng(seed)
    wanted, counts = np.unique(np.asarray(targets), return_counts=True)
    available = {int(c): np.flatnonzero(labels == c) for c in wanted}
    missing = [c for c, places in available.items() if not len(places)]
    if missing:
        raise InputError(f"there is no real image of class {missing[0]}")
    factor = min(len(available[int(c)]) / n for c, n in zip(wanted, counts, strict=True))
    chosen = [
        random.permutation(available[int(c)])[: max(1, int(factor * n))]
        for c, n in zip(wanted, counts, strict=True)
    ]
    return np.asarray(vectors[np.concatenate(chosen)])


def mean_similarity(originals: Vectors, changed: Vectors) -> float:
    """Return the mean cosine of pairs of vectors (S3 with SimSiam's features)."""
    product = (originals * changed).sum(axis=1)
    lengths = np.linalg.norm(originals, axis=1) * np.linalg.norm(changed, axis=1)
    return float((product / np.maximum(lengths, 1e-12)).mean())


def spread_of_copies(copies: Sequence[Vectors]) -> float:
    """Return the mean distance between copies of the same images.

    Parameters
    ----------
    copies
        At least two sets, each ``(images, features)`` in the same order: features, or
        pixels as vectors.
    """
    if len(copies) < 2:
        raise InputError("diversity needs at least two counterfactuals per image")
    distances = [
        np.linalg.norm(copies[i] - copies[j], axis=1)
        for i in range(len(copies))
        for j in range(i + 1, len(copies))
    ]
    return float(np.mean(distances))


def _root(matrix: Vectors) -> Vectors:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(values.clip(0))) @ vectors.T)

"""How well decisions agree with other decisions: accuracy, precision, recall, F1.

Precision, recall and F1 are averages over the classes of the reference, weighted by how
often each occurs, as in the tables of the CoGS paper; a class that is never decided has
precision 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Quality", "Spread", "quality_of", "spread_of", "stratified_folds"]

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Quality:
    """Agreement of decisions with a reference, all in [0, 1].

    Parameters
    ----------
    fidelity
        Share of rows decided as the model decides; NaN without a model.
    accuracy
        Share of rows decided as the reference says.
    precision, recall, f1
        Averages over the reference's classes, weighted by their frequency.
    """

    fidelity: float
    accuracy: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation (of the population) of several qualities."""

    mean: Quality
    deviation: Quality


def quality_of(decided: Codes, reference: Codes, model: Codes | None = None) -> Quality:
    """Compare decisions with a reference and with a model.

    Parameters
    ----------
    decided, reference, model
        Class index of each row, shape ``(rows,)`` each.

    Examples
    --------
    >>> quality = quality_of(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
    >>> quality.accuracy, round(quality.precision, 3), round(quality.f1, 3)
    (0.75, 0.875, 0.767)
    """
    n = int(max(decided.max(initial=0), reference.max(initial=0))) + 1
    table = np.bincount(reference * n + decided, minlength=n * n).reshape(n, n).astype(np.float64)
    right, actual, said = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    weight = actual / actual.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(said > 0, right / said, 0.0)
        recall = np.where(actual > 0, right / actual, 0.0)
        both = precision + recall
        f1 = np.where(both > 0, 2 * precision * recall / both, 0.0)
    return Quality(
        fidelity=float("nan") if model is None else float(np.mean(decided == model)),
        accuracy=float(right.sum() / actual.sum()),
        precision=float((weight * precision).sum()),
        recall=float((weight * recall).sum()),
        f1=float((weight * f1).sum()),
    )


def spread_of(qualities: Iterable[Quality]) -> Spread:
    """Return mean and standard deviation, field by field."""
    rows = np.array([astuple(quality) for quality in qualities])
    return Spread(Quality(*rows.mean(axis=0).tolist()), Quality(*rows.std(axis=0).tolist()))


def stratified_folds(labels: Codes, folds: int, seed: int = 0) -> Sequence[npt.NDArray[np.intp]]:
    """Deal rows into folds of nearly equal size, each class evenly.

    Parameters
    ----------
    labels
        Class index of each row.
    folds
        Number of folds, 2 or more.
    seed
        Decides which row goes where.

    Returns
    -------
    sequence of arrays
        Row numbers of each fold, ascending.

    Examples
    --------
    >>> [len(fold) for fold in stratified_folds(np.array([0] * 6 + [1] * 3), 3)]
    [3, 3, 3]
    """
    random = np.random.default_rng(seed)
    order = np.concatenate(
        [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    )
    return [np.sort(order[k::folds]) for k in range(folds)]

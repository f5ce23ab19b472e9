"""Nearest neighbours as data: training rows, a distance, a vote.

Distances are taken in *derived* columns: what scaling and encoding in front of the model make
of the columns that come in.  A derived column is a straight line of one original column,
or a table over its codes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.ensemble import DecisionRule
from whyproof.engine.errors import ModelError
from whyproof.engine.space import Points

__all__ = ["DerivedColumn", "Metric", "NeighbourModel"]

Metric = Literal["l1", "l2"]


@dataclass(frozen=True, slots=True)
class DerivedColumn:
    """What the distance sees of one original column.

    Parameters
    ----------
    source
        Position of the original column.
    slope, offset
        The value is ``offset + slope * x``.
    table
        Values by code instead, for categories.
    """

    source: int
    slope: float = 1.0
    offset: float = 0.0
    table: tuple[float, ...] = ()

    def apply(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return derived values, shape ``(rows,)``."""
        if self.table:
            return np.array(self.table)[values.astype(np.intp)]
        return self.offset + self.slope * values


@dataclass(frozen=True, eq=False)
class NeighbourModel:
    """A classifier by the vote of the nearest training rows.

    Parameters
    ----------
    n_columns
        Number of inputs.
    derived
        What distances are taken in.
    training
        Shape ``(rows, derived)``, finite.
    labels
        Class index of each training row, shape ``(rows,)``.
    neighbours
        How many vote.
    metric
        City-block (``l1``) or Euclidean (``l2``) distance.
    classes
        Labels by index; the most votes decide, ties go to the lowest index.
    nearest_decides
        Whether votes count by inverse distance, which with two neighbours means that the
        nearest one decides.

    Examples
    --------
    >>> model = NeighbourModel.of(np.array([[0.0], [4.0], [5.0]]), [0, 1, 1], 1, "l2", ("a", "b"))
    >>> model.predict(np.array([[1.9], [2.1]])).tolist()
    [0, 1]
    """

    n_columns: int
    derived: tuple[DerivedColumn, ...]
    training: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    neighbours: int
    metric: Metric
    classes: tuple[Hashable, ...]
    nearest_decides: bool = False

    def __post_init__(self) -> None:
        n = len(self.training)
        if self.training.shape != (n, len(self.derived)) or self.labels.shape != (n,):
            raise ModelError(f"{n} training rows need as many labels, and the derived columns")
        if not 1 <= self.neighbours <= n:
            raise ModelError(f"{self.neighbours} neighbours cannot be found among {n} rows")
        if not bool(np.isfinite(self.training).all()):
            raise ModelError("a training row has a value that is not finite")
        if len(self.labels) and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(
            self.classes
        ):
            raise ModelError("a training row has a class that does not exist")
        if any(not 0 <= d.source < self.n_columns for d in self.derived):
            raise ModelError("a distance is taken in a column that does not exist")

    @classmethod
    def of(
        cls,
        training: npt.NDArray[np.float64],
        labels: npt.ArrayLike,
        neighbours: int,
        metric: Metric,
        classes: tuple[Hashable, ...],
        *,
        nearest_decides: bool = False,
    ) -> NeighbourModel:
        """Return a model whose distances are taken in the columns as they are."""
        n = training.shape[1]
        derived = tuple(DerivedColumn(i) for i in range(n))
        made = np.asarray(labels, dtype=np.int64)
        return cls(n, derived, training, made, neighbours, metric, classes, nearest_decides)

    @property
    def votes(self) -> int:
        """How many of the nearest have a say."""
        return 1 if self.nearest_decides else self.neighbours

    @property
    def rule(self) -> DecisionRule:
        """How scores become an outcome: most votes, ties to the lowest index."""
        return DecisionRule.ARGMAX

    @property
    def n_outputs(self) -> int:
        """Number of scores, one for each class."""
        return len(self.classes)

    def terms(self, values: npt.NDArray[np.float64], derived: int) -> npt.NDArray[np.float64]:
        """Return what values of one derived column add to the distance of each row.

        Squared differences for ``l2``.

        Parameters
        ----------
        values
            Of the derived column, shape ``(values,)``.
        derived
            Which.

        Returns
        -------
        numpy.ndarray
            Shape ``(values, rows)``.
        """
        apart = values[:, None] - self.training[None, :, derived]
        return np.asarray(apart**2 if self.metric == "l2" else np.abs(apart))

    def distances(self, points: Points) -> npt.NDArray[np.float64]:
        """Return distances, squared for ``l2``, shape ``(points, rows)``."""
        total = np.zeros((len(points), len(self.training)))
        for j, column in enumerate(self.derived):
            total += self.terms(column.apply(points[:, column.source]), j)
        return total

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return votes, ties of distance to the earlier row, shape ``(points, classes)``."""
        nearest = np.argsort(self.distances(points), axis=1, kind="stable")[:, : self.votes]
        votes = np.zeros((len(points), len(self.classes)))
        for k in range(self.votes):
            votes[np.arange(len(points)), self.labels[nearest[:, k]]] += 1.0
        return votes

    def predict(self, points: Points) -> npt.NDArray[np.int64]:
        """Return class indices, shape ``(points,)``."""
        return np.asarray(self.sums(points).argmax(axis=1), dtype=np.int64)

    @property
    def fingerprint(self) -> str:
        """``sha256:`` and the hash of everything that decides an outcome."""
        digest = hashlib.sha256(b"whyproof-neighbours-1")
        labels = [f"{type(label).__name__}:{label}" for label in self.classes]
        derived = [(d.source, d.slope, d.offset, d.table) for d in self.derived]
        head = (self.n_columns, self.neighbours, self.metric, self.nearest_decides, labels, derived)
        digest.update(repr(head).encode())
        digest.update(np.ascontiguousarray(self.training.astype("<f8") + 0.0).tobytes())
        digest.update(np.ascontiguousarray(self.labels.astype("<i8")).tobytes())
        return f"sha256:{digest.hexdigest()}"

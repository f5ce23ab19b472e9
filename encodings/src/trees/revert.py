"""Shrink a witness: put moved features back while the objective stays beyond zero.

A best-first solution moves whatever its leaves ask for.  Many of those moves are not
needed to change the decision; each one put back makes the counterexample a stronger
piece of evidence.  All single reversions are valued in one matrix product, then all
prefixes of their order by value in a second one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from .boxes import Cells, LeafBoxes
from .program import WeightedScore

__all__ = ["Reverter"]

_ROUNDS = 4


class Reverter:
    """Reverts witnesses of one instance.

    Parameters
    ----------
    boxes
        The ensemble.
    blocks
        From `blocking_features`, shape ``(leaves, features)``.
    """

    def __init__(self, boxes: LeafBoxes, blocks: npt.NDArray[np.float32]) -> None:
        self._boxes = boxes
        self._blocks = blocks
        self._tables: dict[int, _Table] = {}

    def shrink(
        self,
        cells: Cells,
        moved: Sequence[int],
        scores: Sequence[WeightedScore],
        accept: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.bool_]],
    ) -> list[int]:
        """Return moved features that suffice, a subset of `moved`.

        Parameters
        ----------
        cells
            The witness, shape ``(columns,)``.
        moved
            Features in which it differs from the instance.
        scores
            What has to stay large.
        accept
            Tells for score sums of shape ``(candidates, scores)`` which are beyond doubt.
        """
        features = np.array(moved, dtype=np.intp)
        counts = [self._table(score).counts(cells, features) for score in scores]
        kept = np.ones(len(features) + 1, dtype=np.float32)  # a leading 1 for the constant
        for _ in range(_ROUNDS):
            positions = np.flatnonzero(kept[1:]) + 1
            if len(positions) < 2:
                break
            singles = np.repeat(kept[:, None], len(positions), axis=1)
            singles[positions, np.arange(len(positions))] = 0.0
            sums = _sums(counts, scores, singles)
            good = np.flatnonzero(accept(sums))
            if not len(good):
                break
            order = positions[good[np.argsort(-sums[good].min(axis=1), kind="stable")]]
            if len(order) == 1:
                kept[order] = 0.0
                break
            prefixes = np.repeat(kept[:, None], len(order), axis=1)
            prefixes[order] = np.tri(len(order), k=-1, dtype=np.float32)
            longest = np.flatnonzero(accept(_sums(counts, scores, prefixes)))[-1]
            kept = prefixes[:, longest]
        return [int(feature) for feature in features[kept[1:] > 0]]

    def _table(self, score: WeightedScore) -> _Table:
        if id(score) not in self._tables:
            self._tables[id(score)] = _Table(self._boxes, self._blocks, score.rows)
        return self._tables[id(score)]


class _Table:
    """What excludes the leaves of one score."""

    def __init__(
        self, boxes: LeafBoxes, blocks: npt.NDArray[np.float32], rows: npt.NDArray[np.intp]
    ) -> None:
        whole = len(rows) == boxes.n_leaves
        self._space = boxes.space
        self._blocks = blocks if whole else blocks[rows]
        self._lower = boxes.lower if whole else boxes.lower[rows]
        self._upper = boxes.upper if whole else boxes.upper[rows]
        self._total = self._blocks.sum(axis=1)

    def counts(self, cells: Cells, features: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """Return per leaf how many features exclude it, as an affine function of kept moves.

        The first column counts with all moves reverted, each further one is the change
        when a move is kept; shape ``(leaves, 1 + features)``.
        """
        counts = np.empty((len(self._total), 1 + len(features)), dtype=np.float32)
        counts[:, 0] = self._total
        if self._space.n_features == self._space.n_columns:
            at = cells[features]
            counts[:, 1:] = (at < self._lower[:, features]) | (at >= self._upper[:, features])
        else:
            for j, feature in enumerate(features):
                columns = list(self._space.features[feature].columns)
                at = cells[columns]
                outside = (at < self._lower[:, columns]) | (at >= self._upper[:, columns])
                counts[:, 1 + j] = outside.any(axis=1)
        counts[:, 1:] -= self._blocks[:, features]
        return counts


def _sums(
    counts: Sequence[npt.NDArray[np.float32]],
    scores: Sequence[WeightedScore],
    kept: npt.NDArray[np.float32],
) -> npt.NDArray[np.float64]:
    """Return the scores of each candidate, shape ``(candidates, scores)``."""
    sums = np.empty((kept.shape[1], len(scores)))
    for j, (count, score) in enumerate(zip(counts, scores, strict=True)):
        sums[:, j] = score.gains @ (count @ kept == 0) + score.constant
    return sums

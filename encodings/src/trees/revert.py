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
        features = list(moved)
        parts = [self._part(cells, features, score) for score in scores]
        kept = np.ones(len(features), dtype=np.float32)
        for _ in range(_ROUNDS):
            positions = np.flatnonzero(kept)
            if len(positions) < 2:
                break
            singles = np.repeat(kept[:, None], len(positions), axis=1)
            singles[positions, np.arange(len(positions))] = 0.0
            sums = self._sums(parts, singles)
            good = np.flatnonzero(accept(sums))
            if not len(good):
                break
            order = positions[good[np.argsort(-sums[good].min(axis=1), kind="stable")]]
            prefixes = np.repeat(kept[:, None], len(order), axis=1)
            for k, position in enumerate(order):
                prefixes[position, k:] = 0.0
            longest = np.flatnonzero(accept(self._sums(parts, prefixes)))[-1]
            kept = prefixes[:, longest]
            if longest == len(order) - 1 == len(positions) - 1:
                break
        return [feature for feature, keep in zip(features, kept, strict=True) if keep]

    def _part(
        self, cells: Cells, features: list[int], score: WeightedScore
    ) -> tuple[npt.NDArray[np.float32], WeightedScore]:
        """Return per leaf the count of exclusions with all reverted, then the change by each.

        The count of a candidate is the product of this matrix with ``(1, kept)``.
        """
        rows = score.rows
        blocks = self._blocks[rows]
        here = blocks[:, features]
        excluded = np.empty_like(here)
        for j, feature in enumerate(features):
            out = np.zeros(len(rows), dtype=np.bool_)
            for column in self._boxes.space.features[feature].columns:
                lower, upper = self._boxes.lower[rows, column], self._boxes.upper[rows, column]
                out |= (cells[column] < lower) | (cells[column] >= upper)
            excluded[:, j] = out
        return np.column_stack([blocks.sum(axis=1), excluded - here]), score

    @staticmethod
    def _sums(
        parts: Sequence[tuple[npt.NDArray[np.float32], WeightedScore]],
        kept: npt.NDArray[np.float32],
    ) -> npt.NDArray[np.float64]:
        ones = np.vstack([np.ones((1, kept.shape[1]), dtype=np.float32), kept])
        sums = np.empty((kept.shape[1], len(parts)))
        for j, (counts, score) in enumerate(parts):
            hit = counts @ ones == 0
            sums[:, j] = hit.T @ score.gains + score.constant
        return sums

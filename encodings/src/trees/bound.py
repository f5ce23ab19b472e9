"""Interval bound: each tree takes its best reachable leaf, independently of the others.

With `S` free, a leaf is reachable when every feature on which its box excludes the
instance is in `S`.  One matrix product counts, for a batch of free sets at once, the
fixed features that exclude each leaf; the sum over trees of the best leaf with count
zero bounds the objective from above.  Cheap, batched, sound, and monotone in `S`, so
that a single sweep over prefixes of an order finds how far a set can grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from whyproof.engine.space import FeatureSet, FeatureSpace

from .boxes import Cells, LeafBoxes
from .program import TreeProgram, WeighedSide, WeightedScore

__all__ = ["IntervalBound", "blocking_features", "feature_matrix"]


def blocking_features(
    boxes: LeafBoxes, cells: Cells, lower: Cells, upper: Cells
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Find which features keep an instance out of each leaf.

    Parameters
    ----------
    boxes
        The ensemble.
    cells
        The instance, shape ``(columns,)``.
    lower, upper
        Cells that the region leaves to a free column, upper excluded.

    Returns
    -------
    blocks
        1 where fixing the feature makes the leaf unreachable, ``(leaves, features)``.
    dead
        Leaves outside the region, never reachable, shape ``(leaves,)``.
    """
    excluded = (cells < boxes.lower) | (cells >= boxes.upper)
    if bool((lower == 0).all()) and bool((upper == boxes.n_cells).all()):
        dead = np.zeros(boxes.n_leaves, dtype=np.bool_)
    else:
        outside = (boxes.upper <= lower) | (boxes.lower >= upper)
        dead = np.asarray(outside.any(axis=1), dtype=np.bool_)
    space = boxes.space
    if space.n_features == space.n_columns:
        return excluded.astype(np.float32), dead
    blocks = np.zeros((boxes.n_leaves, space.n_features), dtype=np.float32)
    for i, feature in enumerate(space.features):
        blocks[:, i] = excluded[:, list(feature.columns)].any(axis=1)
    return blocks, dead


def feature_matrix(space: FeatureSpace, free_sets: Sequence[FeatureSet]) -> npt.NDArray[np.float32]:
    """Return 1 where a feature is fixed, shape ``(features, sets)``."""
    fixed = np.ones((space.n_features, len(free_sets)), dtype=np.float32)
    for j, free in enumerate(free_sets):
        if free:
            fixed[list(free), j] = 0.0
    return fixed


class IntervalBound:
    """Upper bounds of weighted scores for one instance.

    Parameters
    ----------
    program
        The compiled ensemble.
    blocks, dead
        From `blocking_features`.
    scores
        The weighted sums to bound.
    """

    def __init__(
        self,
        program: TreeProgram,
        blocks: npt.NDArray[np.float32],
        dead: npt.NDArray[np.bool_],
        scores: Sequence[WeightedScore],
    ) -> None:
        self._parts: list[_Part] = []
        sides = program.sides(tuple(score.weights for score in scores))
        if len(scores) > 1 and sides is not None:
            base = np.array([score.base for score in scores])
            self._parts.append(_ManyScores(blocks, dead, base, sides))
        else:
            self._parts += [_OneScore(blocks, dead, score) for score in scores]

    def upper(self, fixed: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Bound every score for every free set.

        Parameters
        ----------
        fixed
            1 where a feature is fixed, shape ``(features, sets)``.

        Returns
        -------
        numpy.ndarray
            Shape ``(sets, scores)``.
        """
        bounds = [part.upper(fixed) for part in self._parts]
        return bounds[0] if len(bounds) == 1 else np.column_stack(bounds)


class _Part(Protocol):
    def upper(self, fixed: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]: ...


class _OneScore:
    """The best leaf of each tree that varies in one score."""

    def __init__(
        self, blocks: npt.NDArray[np.float32], dead: npt.NDArray[np.bool_], score: WeightedScore
    ) -> None:
        whole = len(score.rows) == len(blocks)
        self._better = _BetterLeaves(
            blocks if whole else blocks[score.rows],
            dead if whole else dead[score.rows],
            score.gains,
            score.owner,
        )
        self._constant = score.constant + float(self._better.own.sum())

    def upper(self, fixed: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return np.asarray(self._better.gained(fixed).sum(axis=0)[:, None] + self._constant)


class _ManyScores:
    """Scores over trees of one output each, every tree looked at once for all of them."""

    def __init__(
        self,
        blocks: npt.NDArray[np.float32],
        dead: npt.NDArray[np.bool_],
        base: npt.NDArray[np.float64],
        sides: Sequence[WeighedSide],
    ) -> None:
        self._base = base.copy()
        self._sides: list[tuple[_BetterLeaves, npt.NDArray[np.float64]]] = []
        for side in sides:
            better = _BetterLeaves(blocks[side.rows], dead[side.rows], side.gains, side.owner)
            self._base += side.weights @ better.own
            self._sides.append((better, side.weights[:, better.trees]))

    def upper(self, fixed: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        bounds = np.tile(self._base, (fixed.shape[1], 1))
        for better, weights in self._sides:
            bounds += (weights @ better.gained(fixed)).T
        return bounds


class _BetterLeaves:
    """The leaves that gain more than the one the instance is in.

    That one is always within reach, so that no other leaf can matter.

    Parameters
    ----------
    blocks, dead
        From `blocking_features`, for these leaves.
    gains
        Value of each leaf, shape ``(leaves,)``.
    owner
        Position of each leaf's tree, ascending, shape ``(leaves,)``.
    """

    def __init__(
        self,
        blocks: npt.NDArray[np.float32],
        dead: npt.NDArray[np.bool_],
        gains: npt.NDArray[np.float64],
        owner: npt.NDArray[np.intp],
    ) -> None:
        self.own = gains[~blocks.any(axis=1) & ~dead]
        more = gains - self.own[owner]
        rows = np.flatnonzero((more > 0) & ~dead)
        owners = owner[rows]
        self._starts = np.flatnonzero(np.diff(owners, prepend=-1))
        self._blocks = blocks[rows]
        self._more = more[rows][:, None]
        self.trees = owners[self._starts]

    def gained(self, fixed: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return what each tree in `trees` gains at most, shape ``(trees, sets)``."""
        if not len(self._starts):
            return np.zeros((0, fixed.shape[1]))
        more = np.where(self._blocks @ fixed == 0, self._more, 0.0)
        return np.maximum.reduceat(more, self._starts, axis=0)

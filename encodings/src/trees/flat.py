"""All trees of an ensemble in one set of arrays, walked level by level at once.

One step moves every row in every tree one node down, so that a prediction takes as many
numpy operations as the deepest tree has levels, whatever the number of trees.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from whyproof.engine.space import Points

if TYPE_CHECKING:
    from .ensemble import Tree

__all__ = ["FlatTrees"]

_CELLS = 1 << 19
"""Pairs of row and tree that are walked at once: some arrays of eight bytes each."""


class FlatTrees:
    """Nodes of several trees, concatenated; leaves point to themselves.

    Parameters
    ----------
    trees
        At least one.
    """

    def __init__(self, trees: Sequence[Tree]) -> None:
        sizes = np.array([tree.n_nodes for tree in trees], dtype=np.int64)
        self.starts = np.cumsum(sizes) - sizes
        self.depth = max(_depth(tree.left, tree.right) for tree in trees)
        column = np.concatenate([tree.column for tree in trees]).astype(np.int64)
        is_leaf = column < 0
        self.column = np.maximum(column, 0)
        self.boundary = np.concatenate([tree.boundary for tree in trees])
        own = np.arange(len(column))
        shift = np.repeat(self.starts, sizes)
        self.left = np.where(is_leaf, own, np.concatenate([t.left for t in trees]) + shift)
        self.right = np.where(is_leaf, own, np.concatenate([t.right for t in trees]) + shift)
        self.missing_left = np.concatenate([tree.missing_left for tree in trees])
        self.values = np.concatenate([tree.values for tree in trees])
        self.categories = {
            node + int(start): np.array(sorted(codes), dtype=np.float64)
            for tree, start in zip(trees, self.starts, strict=True)
            for node, codes in tree.categories.items()
        }
        self.is_categorical = np.zeros(len(column), dtype=np.bool_)
        self.is_categorical[list(self.categories)] = True
        self.zero_missing: npt.NDArray[np.bool_] | None = None
        if any(tree.zero_missing is not None for tree in trees):
            self.zero_missing = np.concatenate(
                [
                    np.zeros(tree.n_nodes, dtype=np.bool_)
                    if tree.zero_missing is None
                    else tree.zero_missing
                    for tree in trees
                ]
            )

    def apply(self, points: Points) -> npt.NDArray[np.int64]:
        """Return the leaf that each (already cast) point reaches in each tree.

        Returns
        -------
        Node numbers over all trees, shape ``(rows, trees)``: rows of `values`.

        Examples
        --------
        >>> from whyproof.encodings.trees.ensemble import Tree
        >>> flat = FlatTrees([Tree.constant(np.array([2.0]))] * 3)
        >>> flat.values[flat.apply(np.array([[0.0]]))].sum()
        np.float64(6.0)
        """
        step = max(1, _CELLS // len(self.starts))
        if len(points) <= step:
            return self._walk(points)
        parts = [self._walk(points[i : i + step]) for i in range(0, len(points), step)]
        return np.concatenate(parts)

    def _walk(self, points: Points) -> npt.NDArray[np.int64]:
        from .ensemble import within_zero

        n_rows, n_trees = len(points), len(self.starts)
        cells = points.ravel()
        first = np.repeat(np.arange(n_rows) * points.shape[1], n_trees)
        node = np.tile(self.starts, n_rows)
        may_miss = self.zero_missing is not None or bool(np.isnan(cells).any())
        for _ in range(self.depth):
            value = cells[first + self.column[node]]
            goes_left = value < self.boundary[node]
            if self.categories:
                self._look_up(node, value, goes_left)
            if may_miss:
                missing = np.isnan(value)
                if self.zero_missing is not None:
                    missing |= self.zero_missing[node] & within_zero(value)
                goes_left = np.where(missing, self.missing_left[node], goes_left)
            # Children lie side by side: one look-up instead of two and a choice.
            node = self._children[2 * node + goes_left]
        return node.reshape(n_rows, n_trees)

    @cached_property
    def _children(self) -> npt.NDArray[np.int64]:
        """Right and left child of each node, alternating."""
        return np.column_stack([self.right, self.left]).ravel().astype(np.int64)

    def _look_up(
        self,
        node: npt.NDArray[np.int64],
        value: npt.NDArray[np.float64],
        goes_left: npt.NDArray[np.bool_],
    ) -> None:
        here = self.is_categorical[node]
        for split in np.unique(node[here]).tolist():
            at = here & (node == split)
            goes_left[at] = np.isin(value[at], self.categories[split])


def _depth(left: npt.NDArray[np.int32], right: npt.NDArray[np.int32]) -> int:
    depth = 0
    level = np.zeros(1, dtype=np.int64)
    while True:
        level = np.concatenate([left[level], right[level]])
        level = level[level > 0]
        if not level.size:
            return depth
        depth += 1

"""All trees of an ensemble in one set of arrays, walked level by level at once.

One step moves every row in every tree one node down, so that a prediction takes as many
numpy operations as the deepest tree has levels, whatever the number of trees.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.ensemble import TreeEnsemble, within_zero
from whyproof.engine.space import Points

__all__ = ["FlatTrees"]


class FlatTrees:
    """An ensemble's nodes, concatenated; leaves point to themselves.

    Parameters
    ----------
    ensemble
        Trees to lay out.
    """

    def __init__(self, ensemble: TreeEnsemble) -> None:
        trees = ensemble.trees
        sizes = np.array([tree.n_nodes for tree in trees], dtype=np.int64)
        start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.ensemble = ensemble
        self.roots = start[:-1]
        self.depth = max((_depth(tree.left, tree.right) for tree in trees), default=0)

        def joined(parts: list[npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
            return np.concatenate(parts) if parts else np.zeros(0)

        column = joined([tree.column for tree in trees]).astype(np.int64)
        self.is_leaf = column < 0
        self.column = np.maximum(column, 0)
        self.boundary = joined([tree.boundary for tree in trees]).astype(np.float64)
        at = np.arange(len(column))
        for side in ("left", "right"):
            children = joined(
                [getattr(tree, side) + offset for tree, offset in zip(trees, start, strict=False)]
            ).astype(np.int64)
            setattr(self, side, np.where(self.is_leaf, at, children))
        self.missing_left = joined([tree.missing_left for tree in trees]).astype(np.bool_)
        self.categories = {
            node + int(offset): np.array(sorted(codes), dtype=np.float64)
            for tree, offset in zip(trees, start, strict=False)
            for node, codes in tree.categories.items()
        }
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

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]

    @cached_property
    def values(self) -> npt.NDArray[np.float64]:
        """Leaf values of all trees, shape ``(nodes, outputs)``."""
        if not self.ensemble.trees:
            return np.zeros((0, self.ensemble.n_outputs))
        return np.concatenate([tree.values for tree in self.ensemble.trees])

    @cached_property
    def _category_nodes(self) -> npt.NDArray[np.bool_]:
        marked = np.zeros(len(self.column), dtype=np.bool_)
        marked[list(self.categories)] = True
        return marked

    def apply(self, points: Points) -> npt.NDArray[np.int64]:
        """Return the (global) leaf number in each tree, shape ``(rows, trees)``.

        Examples
        --------
        >>> from whyproof.encodings.trees.ensemble import DecisionRule, Tree
        >>> one = Tree.constant(np.array([2.0]))
        >>> ensemble = TreeEnsemble(1, (one, one), np.zeros(1), DecisionRule.VALUE)
        >>> flat = FlatTrees(ensemble)
        >>> flat.values[flat.apply(np.array([[0.0]]))].sum(axis=1)
        array([[4.]])
        """
        points = self.ensemble.cast(points)
        n_rows, n_trees = len(points), len(self.roots)
        flat = points.ravel()
        first = np.repeat(np.arange(n_rows) * points.shape[1], n_trees)
        node = np.tile(self.roots, n_rows)
        may_miss = self.zero_missing is not None or bool(np.isnan(flat).any())
        for _ in range(self.depth):
            value = flat[first + self.column[node]]
            goes_left = value < self.boundary[node]
            if self.categories:
                self._look_up(node, value, goes_left)
            if may_miss:
                missing = np.isnan(value)
                if self.zero_missing is not None:
                    missing |= self.zero_missing[node] & within_zero(value)
                goes_left = np.where(missing, self.missing_left[node], goes_left)
            # Children side by side: one look-up instead of two and a choice.
            node = self._children[2 * node + goes_left]
        return node.reshape(n_rows, n_trees)

    @cached_property
    def _children(self) -> npt.NDArray[np.int64]:
        """Right and left child of each node, alternating."""
        return np.column_stack([self.right, self.left]).ravel()

    def _look_up(
        self,
        node: npt.NDArray[np.int64],
        value: npt.NDArray[np.float64],
        goes_left: npt.NDArray[np.bool_],
    ) -> None:
        for i in np.flatnonzero(self._category_nodes[node]):
            goes_left[i] = bool((self.categories[int(node[i])] == value[i]).any())


def _depth(left: npt.NDArray[np.int32], right: npt.NDArray[np.int32]) -> int:
    depth = 0
    level = np.array([0])
    while True:
        level = np.concatenate([left[level], right[level]])
        level = level[level > 0]
        if not level.size:
            return depth
        depth += 1

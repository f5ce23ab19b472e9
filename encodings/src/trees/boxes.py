"""Leaf boxes: a tree ensemble in cell coordinates, every leaf an integer box.

Every split becomes ``cell < k``.  A split whose left side is not a prefix of the cells
(categories, missing values) becomes a chain of such splits.  Branches that no
admissible point can reach are dropped on the way.  What remains is the one form that
bounds, best-first search, encodings and certificates read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from whyproof.engine.space import FeatureSpace, Point

from .cells import ColumnCells, column_cells
from .ensemble import Tree, TreeEnsemble

__all__ = ["BoxTree", "LeafBoxes"]

Cells = npt.NDArray[np.int32]
"""A point in cell coordinates, shape ``(columns,)`` or ``(rows, columns)``."""


@dataclass(frozen=True, slots=True)
class BoxTree:
    """One tree in cell coordinates, as flat lists over its nodes; node 0 is the root.

    Parameters
    ----------
    column
        Column of each split, -1 at leaves.
    threshold
        Cells below it go left.
    left, right
        Children.
    leaf
        Row of the leaf in the table of `LeafBoxes`, -1 at splits.
    """

    column: list[int]
    threshold: list[int]
    left: list[int]
    right: list[int]
    leaf: list[int]


@dataclass(frozen=True, eq=False)
class LeafBoxes:
    """All leaves of an ensemble over the cells of a feature space.

    Parameters
    ----------
    ensemble, space
        What was cut into cells.
    columns
        Cells of each column.
    trees
        The trees in cell coordinates.
    lower, upper
        A leaf holds the cells ``lower <= cell < upper``, shape ``(leaves, columns)`` each.
    tree
        Tree of each leaf, ascending, shape ``(leaves,)``.
    values
        Leaf values, shape ``(leaves, outputs)``.
    """

    ensemble: TreeEnsemble
    space: FeatureSpace
    columns: tuple[ColumnCells, ...]
    trees: tuple[BoxTree, ...]
    lower: Cells
    upper: Cells
    tree: npt.NDArray[np.intp]
    values: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls,
        ensemble: TreeEnsemble,
        space: FeatureSpace,
        columns: tuple[ColumnCells, ...] | None = None,
    ) -> LeafBoxes:
        """Cut an ensemble over a space into boxes.

        Parameters
        ----------
        ensemble, space
            What to cut.
        columns
            Cells to use; those that the domains leave if not given.

        Raises
        ------
        DataError
            If a column's domain does not fit its splits.
        """
        if columns is None:
            columns = tuple(
                column_cells(ensemble, i, column.domain) for i, column in enumerate(space.columns)
            )
        sizes = [len(cells) for cells in columns]
        builder = _Builder(columns, sizes)
        trees = tuple(builder.tree(number, tree) for number, tree in enumerate(ensemble.trees))
        n_leaves = len(builder.boxes)
        lower = np.zeros((n_leaves, len(sizes)), dtype=np.int32)
        upper = np.tile(np.array(sizes, dtype=np.int32), (n_leaves, 1))
        for row, box in enumerate(builder.boxes):
            for column, (low, high) in box.items():
                lower[row, column], upper[row, column] = low, high
        return cls(
            ensemble,
            space,
            columns,
            trees,
            lower,
            upper,
            np.array(builder.owner, dtype=np.intp),
            np.array(builder.values, dtype=np.float64).reshape(n_leaves, ensemble.n_outputs),
        )

    @property
    def n_leaves(self) -> int:
        """Number of leaves over all trees."""
        return len(self.tree)

    @cached_property
    def starts(self) -> npt.NDArray[np.intp]:
        """First leaf of each tree, shape ``(trees,)``."""
        return np.searchsorted(self.tree, np.arange(len(self.trees)))

    @cached_property
    def outputs_of_trees(self) -> npt.NDArray[np.intp] | None:
        """Output that each tree adds to, shape ``(trees,)``; `None` if one adds to several."""
        if not len(self.trees):
            return None
        touched = np.logical_or.reduceat(self.values != 0, self.starts, axis=0)
        if bool((touched.sum(axis=1) > 1).any()):
            return None
        return np.asarray(touched.argmax(axis=1), dtype=np.intp)

    @cached_property
    def n_cells(self) -> npt.NDArray[np.int32]:
        """Number of cells of each column, shape ``(columns,)``."""
        return np.array([len(cells) for cells in self.columns], dtype=np.int32)

    def locate(self, point: Point) -> Cells:
        """Return the cell coordinates of an admissible point."""
        first_values, irregular = self._ladder
        cells = (first_values <= point[:, None]).sum(axis=1, dtype=np.int32) - 1
        for i in irregular:
            cells[i] = self.columns[i].locate(float(point[i]))
        return np.asarray(cells, dtype=np.int32)

    def enter(
        self,
        instance: Point,
        cells: Cells,
        target: Cells,
        columns: Sequence[int],
        limits: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    ) -> Point:
        """Move an instance into other cells, no further than needed.

        Parameters
        ----------
        instance, cells
            The instance and its cells, shape ``(columns,)`` each.
        target
            Cells to enter, shape ``(columns,)``.
        columns
            Columns to move; the others keep the instance's values.
        limits
            Smallest and largest value per column, from the region; each target cell
            holds a value within them.
        """
        point, edges = instance.copy(), self._edges
        for column in columns:
            cell, here = int(target[column]), int(cells[column])
            if cell == here:
                continue
            value = edges[0 if cell > here else 1][column][cell]
            low, high = float(limits[0][column]), float(limits[1][column])
            if not low <= value <= high:
                picked = self.columns[column].pick(cell, float(instance[column]), low, high)
                value = math.nan if picked is None else picked
            point[column] = value
        return point

    @cached_property
    def _edges(self) -> tuple[list[list[float]], list[list[float]]]:
        """Value to enter each cell of each column with, from below and from above.

        NaN where it has to be picked: missing and categorical cells.
        """
        sides: tuple[list[list[float]], list[list[float]]] = ([], [])
        for column in self.columns:
            edges = np.full((2, len(column)), np.nan)
            if column.is_ascending and not column.cells[0].codes:
                edges = column.edges()
            for side, values in zip(sides, edges.tolist(), strict=True):
                side.append(values)
        return sides

    @cached_property
    def _ladder(self) -> tuple[npt.NDArray[np.float64], list[int]]:
        """First value of each cell, ``(columns, most cells)``, and columns not in order."""
        width = int(self.n_cells.max())
        ladder = np.full((len(self.columns), width), np.inf)
        irregular: list[int] = []
        for i, column in enumerate(self.columns):
            first = [cell.lower for cell in column.cells]
            if column.is_ascending:
                ladder[i, : len(first)] = first
            else:
                irregular.append(i)
        return ladder, irregular


class _Builder:
    """Walks the trees once, dropping unreachable branches."""

    def __init__(self, columns: tuple[ColumnCells, ...], sizes: list[int]) -> None:
        self._columns = columns
        self._sizes = sizes
        self.boxes: list[dict[int, tuple[int, int]]] = []
        self.owner: list[int] = []
        self.values: list[npt.NDArray[np.float64]] = []

    def tree(self, number: int, tree: Tree) -> BoxTree:
        built = BoxTree([], [], [], [], [])
        column_of, left_of, right_of = tree.column.tolist(), tree.left.tolist(), tree.right.tolist()
        box: dict[int, tuple[int, int]] = {}

        def add(column: int, threshold: int, leaf: int) -> int:
            built.column.append(column)
            built.threshold.append(threshold)
            built.left.append(-1)
            built.right.append(-1)
            built.leaf.append(leaf)
            return len(built.column) - 1

        def walk(node: int) -> int:
            column = column_of[node]
            if column < 0:
                self.boxes.append(dict(box))
                self.owner.append(number)
                self.values.append(tree.values[node])
                return add(-1, 0, len(self.boxes) - 1)
            runs = self._columns[column].splits[number, node]
            low, high = box.get(column, (0, self._sizes[column]))
            return segments(column, _segments(runs, low, high), left_of[node], right_of[node])

        def segments(column: int, parts: list[tuple[int, int, bool]], yes: int, no: int) -> int:
            """Chain the segments of the current interval from left to right."""
            before = box.get(column)
            low, high, goes_left = parts[0]
            if len(parts) == 1:
                if before is not None or low > 0 or high < self._sizes[column]:
                    box[column] = (low, high)
                built_node = walk(yes if goes_left else no)
            else:
                built_node = add(column, high, -1)
                box[column] = (low, high)
                built.left[built_node] = walk(yes if goes_left else no)
                box[column] = (parts[1][0], parts[-1][1])
                built.right[built_node] = segments(column, parts[1:], yes, no)
            if before is None:
                box.pop(column, None)
            else:
                box[column] = before
            return built_node

        walk(0)
        return built


def _segments(
    runs: tuple[tuple[int, int], ...], low: int, high: int
) -> list[tuple[int, int, bool]]:
    """Divide ``low .. high`` into maximal parts that go one way: (first, end, goes left)."""
    parts: list[tuple[int, int, bool]] = []
    at = low
    for first, end in runs:
        first, end = max(first, at), min(end, high)
        if first >= end:
            continue
        if first > at:
            parts.append((at, first, False))
        parts.append((first, end, True))
        at = end
    if at < high:
        parts.append((at, high, False))
    return parts

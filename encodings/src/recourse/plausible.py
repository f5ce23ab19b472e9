"""Plausibility as linear rows: scores with a floor, and combinations that have been seen.

An isolation forest, whose score grows with the average depth at which a point is isolated
(Liu, Ting, Zhou, Isolation Forest, ICDM 2008), is an ensemble with depths as leaf values; that
a point is no outlier is one score row (as in Parmentier and Vidal, ICML 2021).  So is the
density over the model's own leaves: the average share of data in the leaves that hold a
point.  That a combination of values has been seen is a table of boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.errors import DataError
from whyproof.engine.space import FeatureSpace, Point, Points

from .program import CellTable

__all__ = ["Floor", "SeenTogether", "cell_table", "leaf_density"]


@dataclass(frozen=True, eq=False)
class Floor:
    """A score that must not fall below a value.

    Parameters
    ----------
    ensemble
        Trees with one output.
    least
        Smallest score allowed.
    text
        The rule in words.
    """

    ensemble: TreeEnsemble
    least: float
    text: str


@dataclass(frozen=True, eq=False)
class SeenTogether:
    """Columns whose values must have been seen together, cell by cell.

    Parameters
    ----------
    columns
        Positions of the columns.
    data
        What was seen, shape ``(rows, all columns)``.
    least
        In how many rows at least.
    """

    columns: tuple[int, ...]
    data: Points
    least: int = 1

    def text(self, space: FeatureSpace) -> str:
        """Say the rule in words."""
        names = ", ".join(space.columns[c].name for c in self.columns)
        times = "" if self.least == 1 else f" at least {self.least} times"
        return f"the combination of {names} has been seen{times}"

    def holds(self, boxes: LeafBoxes, point: Point) -> bool:
        """Tell whether a point's combination of cells has been seen often enough."""
        columns = list(self.columns)
        rows = np.stack([boxes.locate(row)[columns] for row in self.data])
        return int((rows == boxes.locate(point)[columns]).all(axis=1).sum()) >= self.least


def cell_table(boxes: LeafBoxes, seen: SeenTogether) -> CellTable:
    """Return the boxes of the combinations of cells that were seen.

    Raises
    ------
    DataError
        If no combination was seen often enough.
    """
    cells = np.stack([boxes.locate(row) for row in seen.data]) if len(seen.data) else None
    if cells is None or not seen.columns:
        raise DataError("combinations need columns and data in which they were seen")
    chosen = cells[:, list(seen.columns)]
    found, counts = np.unique(chosen, axis=0, return_counts=True)
    found = found[counts >= seen.least]
    if not len(found):
        raise DataError(f"no combination was seen {seen.least} times; ask for fewer")
    lower = np.zeros((len(found), len(boxes.columns)), dtype=np.int32)
    upper = np.tile(boxes.n_cells, (len(found), 1))
    lower[:, list(seen.columns)] = found
    upper[:, list(seen.columns)] = found + 1
    return CellTable("seen", lower, upper)


def leaf_density(ensemble: TreeEnsemble, data: Points) -> TreeEnsemble:
    """Return an ensemble whose score is the average share of data in a point's leaves.

    Parameters
    ----------
    ensemble
        Whose leaves.
    data
        Points, shape ``(rows, columns)``.

    Examples
    --------
    >>> tree = Tree.constant(np.zeros(1))
    >>> one = TreeEnsemble(1, (tree,), np.zeros(1), DecisionRule.POSITIVE, ("no", "yes"))
    >>> leaf_density(one, np.zeros((4, 1))).sums(np.zeros((1, 1)))
    array([[1.]])
    """
    if not len(data) or not ensemble.trees:
        raise DataError("a density needs data and trees")
    leaves = ensemble.apply(data)
    trees: list[Tree] = []
    for number, tree in enumerate(ensemble.trees):
        share = np.bincount(leaves[:, number], minlength=tree.n_nodes) / len(data)
        trees.append(_with_values(tree, share))
    return TreeEnsemble(
        ensemble.n_columns,
        tuple(trees),
        np.zeros(1),
        DecisionRule.VALUE,
        divisor=len(trees),
        input_type=ensemble.input_type,
    )


def _with_values(tree: Tree, values: npt.NDArray[np.float64] | Sequence[float]) -> Tree:
    return Tree(
        tree.column,
        tree.boundary,
        tree.left,
        tree.right,
        tree.missing_left,
        np.asarray(values, dtype=np.float64)[:, None],
        tree.categories,
        tree.zero_missing,
    )

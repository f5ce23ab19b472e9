"""Equal decisions: rows that a model cannot tell apart have the same explanations.

The splits of a tree ensemble cut every column into cells (see
`whyproof.encodings.trees.cells`).  Two rows whose values lie in the same cells take the
same branch everywhere, whatever features are freed: their AXps and CXps are the same sets, their
proofs and margins the same, and a counterexample of one becomes one of the other by moving
the same columns.  So one row of each combination of cells is explained, exactly.

That holds where the region does not move with the row and no constraint looks at values
inside a cell.  Anywhere else, and for other models, only rows of equal values are equal.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.encodings.trees.cells import ColumnCells
from whyproof.encodings.trees.ensemble import TreeEnsemble
from whyproof.engine.errors import WhyproofError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import Points

__all__ = ["cells_of", "equal_rows"]


def cells_of(example: ExplanationProblem, points: Points) -> npt.NDArray[np.int32] | None:
    """Return the cells of rows where cells are all that a decision depends on, else `None`.

    A value outside its column's domain gets a number of its own, so that its row equals no
    other one but by the same value.

    Parameters
    ----------
    example
        A problem of the audit: it names model, space, region and question.
    points
        Rows as codes, shape ``(rows, columns)``.

    Returns
    -------
    Shape ``(rows, columns)``.
    """
    structure = example.classifier.structure
    if (
        not isinstance(structure, TreeEnsemble)
        or example.region.norm is not None
        or example.space.constraints
    ):
        return None
    try:
        columns = LeafBoxes.of(structure, example.space).columns
    except WhyproofError:
        return None  # the oracle will say what is wrong, row by row
    cells = np.empty(points.shape, dtype=np.int32)
    for i, column in enumerate(columns):
        cells[:, i] = _cells(column, np.asarray(points[:, i], dtype=np.float64))
    return cells


def equal_rows(keys: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Return for each row the position of the first row that equals it, byte by byte.

    Examples
    --------
    >>> equal_rows(np.array([[1, 2], [3, 4], [1, 2]])).tolist()
    [0, 1, 0]
    """
    if not keys.size:
        return np.zeros(len(keys), dtype=np.int64)
    rows = np.ascontiguousarray(keys).view(f"V{keys.shape[1] * keys.itemsize}")[:, 0]
    _, first, group = np.unique(rows, return_index=True, return_inverse=True)
    return np.asarray(first[group], dtype=np.int64)


def _cells(column: ColumnCells, values: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """Return the cell of each value of one column."""
    cells = np.full(len(values), -1, dtype=np.int32)
    missing = np.isnan(values)
    present = [(k, cell) for k, cell in enumerate(column.cells) if not cell.is_missing]
    for k, cell in enumerate(column.cells):
        if cell.is_missing:
            cells[missing] = k
    starts: list[tuple[float, float, int]] = []
    for k, cell in present:
        if cell.codes:
            starts.extend((float(code), float(code), k) for code in cell.codes)
        else:
            starts.append((cell.lower, cell.upper, k))
    if starts:
        starts.sort()
        lower = np.array([entry[0] for entry in starts])
        upper = np.array([entry[1] for entry in starts])
        number = np.array([entry[2] for entry in starts], dtype=np.int32)
        at = np.searchsorted(lower, values, side="right") - 1
        inside = ~missing & (at >= 0) & (values <= upper[np.maximum(at, 0)])
        cells[inside] = number[at[inside]]
    outside = np.flatnonzero(cells < 0)
    if outside.size:
        _, own = np.unique(values[outside], return_inverse=True, equal_nan=True)
        cells[outside] = -1 - own.astype(np.int32)
    return cells

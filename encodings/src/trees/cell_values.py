"""Cells as sets of values: what a box of cells means to constraints."""

from __future__ import annotations

import math
from collections.abc import Iterable

from whyproof.encodings.constraints.values import Values

from .cells import ColumnCells

__all__ = ["cell_values", "has_plain_order"]


def cell_values(column: ColumnCells, kept: Iterable[int]) -> Values:
    """Return the values of some cells of a column.

    Parameters
    ----------
    column
        Its cells.
    kept
        Which of them.
    """
    numbers = sorted(kept)
    held = [column.cells[k] for k in numbers]
    if held and has_plain_order(column) and numbers[-1] - numbers[0] + 1 == len(held):
        return Values.between(held[0].lower, held[-1].upper)
    found = Values.of(code for cell in held for code in cell.codes)
    for cell in held:
        if cell.is_missing:
            found |= Values.of([math.nan])
        elif not cell.codes:
            found |= Values.between(cell.lower, cell.upper)
    return found


def has_plain_order(column: ColumnCells) -> bool:
    """Tell whether cells are intervals of numbers in ascending order, none of them missing."""
    return column.is_ascending and not column.cells[0].codes

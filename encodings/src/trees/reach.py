"""Reach: the cells that a region leaves to each column of an instance.

Mostly they lie side by side, and two numbers per column tell which they are.  Where a region
leaves gaps (codes of categories, or a missing value that may not be taken up, in the
middle of the order), the boxes are cut again over the cells that are left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from whyproof.engine.problem import ExplanationProblem

from .boxes import Cells, LeafBoxes

__all__ = ["Reach", "within_region"]


@dataclass(frozen=True, eq=False)
class Reach:
    """An instance among the cells of its region.

    Parameters
    ----------
    boxes
        The boxes to work with.
    cells
        The instance, shape ``(columns,)``.
    lower, upper
        A free column may take the cells ``lower <= cell < upper``, ``(columns,)`` each.
    """

    boxes: LeafBoxes
    cells: Cells
    lower: Cells
    upper: Cells


def within_region(boxes: LeafBoxes, problem: ExplanationProblem) -> Reach:
    """Find the cells that a problem's region leaves to free columns.

    Parameters
    ----------
    boxes
        The ensemble over the whole space.
    problem
        Instance and region.
    """
    low, high = problem.limits
    restricted = np.flatnonzero(problem.region.restricted(problem.space)).tolist()
    cells = boxes.locate(problem.instance)
    lower, upper = np.zeros_like(cells), boxes.n_cells.copy()
    columns = list(boxes.columns)
    for i in restricted:
        value = float(problem.instance[i])
        if math.isnan(value) or math.isnan(low[i]):
            kept = [int(cells[i])]
        else:
            kept = [
                k
                for k, cell in enumerate(boxes.columns[i].cells)
                if not cell.is_missing
                and boxes.columns[i].pick(k, value, float(low[i]), float(high[i])) is not None
            ]
        lower[i], upper[i] = kept[0], kept[-1] + 1
        if len(kept) != kept[-1] + 1 - kept[0]:
            columns[i] = boxes.columns[i].only(kept)
            lower[i], upper[i] = 0, len(kept)
    if all(new is old for new, old in zip(columns, boxes.columns, strict=True)):
        return Reach(boxes, cells, lower, upper)
    narrowed = LeafBoxes.of(boxes.ensemble, boxes.space, tuple(columns))
    return Reach(narrowed, narrowed.locate(problem.instance), lower, upper)

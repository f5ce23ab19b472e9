"""A good point at once: raise the score per cost, then take back what was not needed.

From a point, the scores of *all* points that differ in one column follow from the leaves
whose box is missed in at most that column: a sum over leaves, no search.  The best move by
gain per cost is made until the goal is met; then each column is brought to the cheapest
cell at which it still is.  What comes out is no optimum, but a bound that closes most cells
before the exact search begins.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.boxes import Cells, LeafBoxes

from .goal import Alternative, ScoreRow
from .places import Places

__all__ = ["greedy_point", "profiles"]

_MOST_MOVES = 80
_LEAST_GAIN = 1e-12


def greedy_point(
    boxes: LeafBoxes, places: Places, goal: Alternative, *, margin: float = 1e-6
) -> Cells | None:
    """Look for a cheap point that meets all score rows.

    Parameters
    ----------
    boxes
        The joint ensemble in cells.
    places
        Where columns may go, and their costs; costs that add up.
    goal
        Rows to meet.
    margin
        Share of a row's scale by which it is to be met.

    Returns
    -------
    Cells or None
        `None` if none was found, which says nothing.
    """
    cells = places.home.copy()
    needs = [float(row.least) + row.slack + margin * row.scale for row in goal]
    for _ in range(_MOST_MOVES):
        leads = [profiles(boxes, cells, row) for row in goal]
        short = [need - here for need, (here, _) in zip(needs, leads, strict=True)]
        if all(gap <= 0 for gap in short):
            return _shortened(boxes, places, goal, needs, cells)
        best = (_LEAST_GAIN, -1, -1)
        for c, cost in enumerate(places.costs):
            gain = np.zeros(len(cost))
            for row, need, (here, along) in zip(goal, needs, leads, strict=True):
                # What goes beyond the need is worth nothing, what is lost counts.
                gain += (np.minimum(along[c], need) - min(here, need)) / row.scale
            dearer = np.maximum(cost - cost[cells[c]], 1e-9)
            worth = np.where(np.isfinite(cost), gain / dearer, -np.inf)
            k = int(worth.argmax())
            if worth[k] > best[0]:
                best = (float(worth[k]), c, k)
        if best[1] < 0:
            return None
        cells[best[1]] = best[2]
    return None


def _shortened(
    boxes: LeafBoxes,
    places: Places,
    goal: Alternative,
    needs: Sequence[float],
    cells: Cells,
) -> Cells:
    """Bring columns to the cheapest cells at which the goal is still met."""
    while True:
        met = [np.ones(len(cost), dtype=np.bool_) for cost in places.costs]
        for row, need in zip(goal, needs, strict=True):
            _, along = profiles(boxes, cells, row)
            for c in range(len(met)):
                met[c] &= along[c] >= need
        best = (_LEAST_GAIN, -1, -1)
        for c, cost in enumerate(places.costs):
            allowed = np.where(met[c], cost, np.inf)
            k = int(allowed.argmin())
            saved = float(cost[cells[c]] - allowed[k])
            if saved > best[0]:
                best = (saved, c, k)
        if best[1] < 0:
            return cells
        cells[best[1]] = best[2]


def profiles(
    boxes: LeafBoxes, cells: Cells, row: ScoreRow
) -> tuple[float, list[npt.NDArray[np.float64]]]:
    """Return the sum of gains at a point, and along each column through it.

    Parameters
    ----------
    boxes
        The joint ensemble in cells.
    cells
        The point.
    row
        Whose gains.

    Returns
    -------
    here, along
        The sum at the point; per column the sums over its cells, shape ``(cells,)``.
    """
    missed = (boxes.lower > cells) | (cells >= boxes.upper)
    count = missed.sum(axis=1)
    here = float(row.gains[count == 0].sum())
    along: list[npt.NDArray[np.float64]] = []
    for c, n in enumerate(boxes.n_cells.tolist()):
        near = np.flatnonzero(count - missed[:, c] == 0)
        change = np.bincount(boxes.lower[near, c], row.gains[near], n + 1)
        change = change - np.bincount(boxes.upper[near, c], row.gains[near], n + 1)
        along.append(np.cumsum(change, dtype=np.float64)[:-1])
    return here, along

"""A proof that nothing nearer changes the decision: a tree of splits with multipliers at its ends.

At each end stands a Lagrangian bound.  Multipliers of the score rows and of the rows that tie
leaves to cells, whatever they are, make the problem fall apart into one choice of a leaf per
tree and one choice of a cell per column; the sum of the best choices is a lower bound on the
cost of every counterfactual in the box (Geoffrion, Lagrangean Relaxation, 1974).  It is at
least the bound of the linear program whose dual values serve as multipliers, and can be
checked in rationals without any solver: safe whatever the solver's tolerances did (the idea
of Neumaier and Shcherbina, Safe Bounds in Linear and Mixed-Integer Programming, 2004).

The search is our own best-bound search over linear relaxations, cut where a boundary is
most undecided; HiGHS only serves the dual values.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.boxes import Cells
from whyproof.engine.answers import Unknown, UnknownReason
from whyproof.engine.budget import Meter

from .goal import Alternative
from .places import Places
from .program import CellProgram

__all__ = ["DistanceProof", "Multipliers", "Split", "prove_distance"]

_WORTH = 8
"""Cells that must have been cut off to solve a box again at once."""

_LEAST = 1e-12
"""Smaller multipliers are dropped: they buy nothing."""


@dataclass(frozen=True, slots=True)
class Split:
    """A cut of a column: cells below `cell`, and cells from it on."""

    column: int
    cell: int


@dataclass(frozen=True, slots=True)
class Multipliers:
    """What closes a box.

    Parameters
    ----------
    scores
        One per score row, not negative, in cost per unit of gain.
    ties
        ``(tree, column, cell, beyond, value)``: the multiplier of "leaves of the tree wholly
        beyond the boundary (or wholly before it) need the column to be there".
    """

    scores: tuple[float, ...]
    ties: tuple[tuple[int, int, int, bool, float], ...]


@dataclass(frozen=True)
class DistanceProof:
    """A proof, in depth-first order: after a split comes the part below, then the part beyond.

    Parameters
    ----------
    steps
        Splits and ends.
    bound
        What it proves, in the units of the places' costs, in float64.
    """

    steps: tuple[Split | Multipliers, ...]
    bound: float

    @property
    def n_ends(self) -> int:
        """Number of boxes."""
        return sum(isinstance(step, Multipliers) for step in self.steps)


@dataclass(eq=False)
class _Node:
    lower: Cells
    upper: Cells
    bound: float = -math.inf
    closed: Multipliers | None = None
    cut: Split | None = None
    parts: tuple[_Node, _Node] | None = None


def prove_distance(
    program: CellProgram,
    places: Places,
    goal: Alternative,
    target: float,
    meter: Meter,
    *,
    most: int = 20_000,
) -> DistanceProof | Unknown:
    """Prove that no point that meets a goal costs less than a target.

    Parameters
    ----------
    program
        Trees over cells; without tables.
    places
        Where the person may go; costs that add up over columns.
    goal
        Score rows that have to hold together.
    target
        In units of the costs.
    meter
        Budget of the run.
    most
        Largest number of boxes.

    Returns
    -------
    DistanceProof or Unknown
        `Unknown` if the budget ended, or a point that may meet the goal is nearer.
    """
    return _Prover(program, places, goal, target).prove(meter, most)


class _Prover:
    def __init__(
        self, program: CellProgram, places: Places, goal: Alternative, target: float
    ) -> None:
        self.program, self.boxes, self.places = program, program.boxes, places
        self.goal, self.target = goal, target
        self.first, self.n = program.first, program.n_orders
        self.size = target if target > 0 else 1.0
        self.least = [float(row.least) - row.slack for row in goal]
        self.relaxed = _Relaxation(program, places, goal, self.least, self.size)

    def prove(self, meter: Meter, most: int) -> DistanceProof | Unknown:
        """Split boxes, the least bound first, until all reach the target."""
        # Costs beyond the target close a cell like any other bound; no cell is taken away.
        root = _Node(np.zeros_like(self.boxes.n_cells), self.boxes.n_cells.copy())
        order = itertools.count()
        waiting = [(-math.inf, next(order), root)]
        boxes = 1
        while waiting:
            reason = meter.exhausted()
            if reason is not None:
                return Unknown(reason)
            _, _, node = heapq.heappop(waiting)
            node, orders = self._tightened(node)
            if node.closed is not None:
                continue
            cut = self._cut(node, orders)
            if cut is None:
                return Unknown(UnknownReason.PRECISION, "a nearer point may change the decision")
            boxes += 1
            if boxes > most:
                return Unknown(UnknownReason.MEMORY, f"more than {most} boxes")
            node.cut = cut
            below, beyond = node.upper.copy(), node.lower.copy()
            below[cut.column] = beyond[cut.column] = cut.cell
            node.parts = _Node(node.lower, below), _Node(beyond, node.upper)
            for part in node.parts:
                heapq.heappush(waiting, (node.bound, next(order), part))
        return DistanceProof(tuple(_listed(root)), _least_bound(root))

    def _tightened(self, node: _Node) -> tuple[_Node, npt.NDArray[np.float64] | None]:
        """Bound a box, and cut off cells that the same multipliers exclude, while that helps."""
        while True:
            multipliers, orders = self.relaxed.solve(node.lower, node.upper)
            node.bound, prices = self.bound(node, multipliers)
            if node.bound >= self.target:
                node.closed = multipliers
                return node, orders
            removed = 0
            for c, price in enumerate(prices):
                low, high = int(node.lower[c]), int(node.upper[c])
                with np.errstate(invalid="ignore"):
                    alone = node.bound - price[low:high].min() + price[low:high]
                kept = np.flatnonzero(~(alone >= self.target))
                if not len(kept):
                    continue
                first, last = low + int(kept[0]), low + int(kept[-1]) + 1
                for cell, keeps_below in ((first, False), (last, True)):
                    if not int(node.lower[c]) < cell < int(node.upper[c]):
                        continue
                    below, beyond = node.upper.copy(), node.lower.copy()
                    below[c] = beyond[c] = cell
                    parts = _Node(node.lower, below), _Node(beyond, node.upper)
                    node.cut, node.parts = Split(c, cell), parts
                    shut, left = parts[::-1] if keeps_below else parts
                    shut.closed, shut.bound = multipliers, self.target
                    left.bound, node = node.bound, left
                removed += high - low - (last - first)
            if removed < _WORTH:
                return node, orders

    def bound(
        self, node: _Node, multipliers: Multipliers
    ) -> tuple[float, list[npt.NDArray[np.float64]]]:
        """Return the Lagrangian bound of a box and the price of each cell, in float64."""
        boxes = self.boxes
        total = 0.0
        gains = np.zeros(boxes.n_leaves)
        for row, least, factor in zip(self.goal, self.least, multipliers.scores, strict=True):
            gains -= factor * row.gains
            total += factor * least
        prices = [cost.copy() for cost in self.places.costs]
        starts = boxes.starts
        ends = np.append(starts[1:], boxes.n_leaves)
        for tree, c, k, beyond, value in multipliers.ties:
            leaves = slice(int(starts[tree]), int(ends[tree]))
            if beyond:
                gains[leaves] += value * (boxes.lower[leaves, c] >= k)
                prices[c][k:] -= value
            else:
                gains[leaves] += value * (boxes.upper[leaves, c] <= k)
                prices[c][:k] -= value
        inside = np.all((boxes.lower < node.upper) & (boxes.upper > node.lower), axis=1)
        chosen = np.where(inside, gains, np.inf)
        if len(starts):
            total += float(np.minimum.reduceat(chosen, starts).sum())
        for c, price in enumerate(prices):
            total += float(price[int(node.lower[c]) : int(node.upper[c])].min(initial=math.inf))
        return total, prices

    def _cut(self, node: _Node, orders: npt.NDArray[np.float64] | None) -> Split | None:
        """Return the boundary that is most undecided; any, if the relaxation decides all."""
        best, found = 1e-6, None
        for c in range(len(self.boxes.columns)):
            for k in range(int(node.lower[c]) + 1, int(node.upper[c])):
                at = 0.5 if orders is None else float(orders[int(self.first[c]) + k - 1])
                doubt = min(at, 1 - at)
                if doubt > best:
                    best, found = doubt, Split(c, k)
        return found


class _Relaxation:
    """The linear relaxation, solved again from box to box."""

    def __init__(
        self,
        program: CellProgram,
        places: Places,
        goal: Alternative,
        least: Sequence[float],
        size: float,
    ) -> None:
        self._boxes, self._size, self._goal = program.boxes, size, goal
        self._first, self._n = program.first, program.n_orders
        model = program.relaxation(places, goal, least, size)
        self._low = np.array(model.col_lower_)
        self._high = np.array(model.col_upper_)
        self._ties = program.ties
        self._n_rows = model.num_row_
        self._highs: Any = highspy.Highs()  # its stubs lack the rays
        self._highs.setOptionValue("output_flag", False)
        self._highs.setOptionValue("threads", 1)
        self._highs.setOptionValue("presolve", "off")
        self._highs.passModel(model)

    def solve(
        self, lower: Cells, upper: Cells
    ) -> tuple[Multipliers, npt.NDArray[np.float64] | None]:
        """Solve a box; return dual values, and the order variables if it is feasible."""
        n = self._n
        low, high = self._low[:n].copy(), self._high[:n].copy()
        for c, (a, b) in enumerate(itertools.pairwise(self._first.tolist())):
            low[a : a + int(lower[c])] = 1.0
            high[a + int(upper[c]) - 1 : b] = 0.0
        # A box in closed cells: any multipliers will do, its cells have no price.
        if bool((low > high).any()):
            return Multipliers(tuple(0.0 for _ in self._goal), ()), None
        highs = self._highs
        highs.changeColsBounds(n, np.arange(n, dtype=np.int32), low, high)
        highs.run()
        if highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
            _, has, ray = highs.getDualRay()
            if has:
                # A ray proves infeasibility; scaled, it exceeds any target.
                return self._read(np.array(ray), 1e3), None
        solution = highs.getSolution()
        return self._read(np.array(solution.row_dual), 1.0), np.array(solution.col_value[:n])

    def _read(self, duals: npt.NDArray[np.float64], scale: float) -> Multipliers:
        size = self._size * scale
        first = self._n_rows - len(self._goal)
        scores = tuple(
            max(float(duals[first + i]), 0.0) * size / row.scale for i, row in enumerate(self._goal)
        )
        ties = tuple(
            (tree, c, k, beyond, -float(duals[row]) * size)
            for row, tree, c, k, beyond in self._ties
            if duals[row] < -_LEAST
        )
        return Multipliers(scores, ties)


def _listed(root: _Node) -> list[Split | Multipliers]:
    steps: list[Split | Multipliers] = []
    stack = [root]
    while stack:
        node = stack.pop()
        if node.closed is not None:
            steps.append(node.closed)
        elif node.cut is not None and node.parts is not None:
            steps.append(node.cut)
            stack += [node.parts[1], node.parts[0]]
    return steps


def _least_bound(root: _Node) -> float:
    stack, least = [root], math.inf
    while stack:
        node = stack.pop()
        if node.parts is not None:
            stack += node.parts
        else:
            least = min(least, node.bound)
    return least

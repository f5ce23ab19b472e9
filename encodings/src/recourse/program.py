"""The nearest point of an ensemble as one mixed-integer program over cells.

Order encoding: a binary per column and cell boundary, descending along the column, so that
the cost of a column is linear in its binaries; a continuous variable per leaf, one leaf per
tree; and for every boundary that a tree tests, *all* its leaves on one side in one row (as in
`whyproof.encodings.trees.milp`, where a score is maximised; here the score is a row and the
distance the objective).  Published programs (Parmentier and Vidal, Optimal Counterfactual
Explanations in Tree Ensembles, ICML 2021) branch along the paths of each tree; rows of whole
trees make the relaxation tight, and most programs are solved at the root.

The matrix of the trees is assembled once for a model; bounds, costs and score rows change
from person to person.  An incumbent closes every cell that alone costs more.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import highspy
import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.boxes import Cells, LeafBoxes
from whyproof.engine.region import Norm

from .goal import ScoreRow
from .places import Places
from .posed import CauseRows, Extra, KnowledgeRows, MatrixRows, Posed, PosedRows, order_starts
from .solvers import Solver, solve

__all__ = ["CellProgram", "CellTable", "Solved"]


@dataclass(frozen=True, eq=False)
class CellTable:
    """Boxes of cells of which a point has to lie in at least one.

    Parameters
    ----------
    name
        What it stands for.
    lower, upper
        Cells ``lower <= cell < upper``, shape ``(boxes, columns)`` each.
    """

    name: str
    lower: Cells
    upper: Cells


@dataclass(frozen=True, slots=True)
class Solved:
    """What the solver found.

    Parameters
    ----------
    cells
        Best point, `None` if none was found.
    bound
        No admissible point costs less, up to the solver's tolerances; infinite if there
        is no admissible point.
    finished
        Whether the solver ended by itself.
    nodes
        Branch-and-bound nodes.
    values
        Values of columns that stand in linear relations.
    """

    cells: Cells | None
    bound: float
    finished: bool
    nodes: int
    values: Mapping[int, float] = field(default_factory=dict[int, float])


class CellProgram:
    """The program of one joint ensemble, posed again for person after person.

    Parameters
    ----------
    boxes
        The joint ensemble in cells.
    tables
        Boxes of which one has to hold the point.
    """

    def __init__(self, boxes: LeafBoxes, tables: Sequence[CellTable] = ()) -> None:
        self.boxes, self.tables = boxes, tuple(tables)
        self.first = order_starts(boxes)
        self.n_orders = int(self.first[-1])
        self.n_fixed = self.n_orders + boxes.n_leaves + sum(len(t.lower) for t in tables)
        self.ties: list[tuple[int, int, int, int, bool]] = []
        """Row, tree, column, cell, and side of the rows that tie leaves to cells."""
        self.base = self._assemble()

    def solve(
        self,
        places: Places,
        norm: Norm,
        scores: Sequence[tuple[ScoreRow, float, float]],
        *,
        extras: Sequence[Extra] = (),
        knowledge: KnowledgeRows | None = None,
        ceiling: float = math.inf,
        start: Cells | None = None,
        seconds: float = math.inf,
        solver: Solver = "highs",
        causes: CauseRows | None = None,
    ) -> Solved:
        """Find the cheapest point that meets all rows.

        Parameters
        ----------
        places
            Where columns may go, and what it costs.
        norm
            How costs of columns make the cost of a point.
        scores
            Score rows, each with the least and the largest sum of gains allowed.
        extras
            More rows over cells.
        knowledge
            Constraints over columns.
        ceiling
            Points that cost more are of no interest.
        start
            A point to start from.
        seconds
            Time limit.
        solver
            Who solves it.
        causes
            Effects, which are not paid for.
        """
        posed = Posed(self.boxes, self.base, self.n_fixed, places, ceiling, knowledge, causes)
        posed.prices(norm)
        if not (posed.scores(scores) and all(posed.extra(extra) for extra in extras)):
            return Solved(None, math.inf, True, 0)
        if not len(posed.price):
            return Solved(places.home, 0.0, True, 0)
        found = solve(
            posed.model(),
            solver,
            start=None if start is None else self._start(start),
            seconds=seconds,
            exact_rows=bool(posed.values),
            whole=self.n_fixed,
        )
        if found.finished and found.values is None:
            return Solved(None, math.inf, True, found.nodes)
        bound = max(found.bound, 0.0) * posed.size if math.isfinite(found.bound) else 0.0
        if found.values is None:
            return Solved(None, bound, False, found.nodes)
        orders = found.values[: self.n_orders] > 0.5
        cells = np.array(
            [int(orders[a:b].sum()) for a, b in itertools.pairwise(self.first.tolist())],
            dtype=np.int32,
        )
        values = {c: float(found.values[v]) * unit for c, (v, unit) in posed.values.items()}
        return Solved(cells, bound, found.finished, found.nodes, values)

    def relaxation(
        self, places: Places, goal: Sequence[ScoreRow], least: Sequence[float], size: float
    ) -> highspy.HighsLp:
        """Return the linear relaxation with score rows at the end, prices in units of `size`."""
        posed = Posed(self.boxes, self.base, self.n_fixed, places, math.inf)
        posed.size = size
        posed.along = [cost * (posed.unit / size) for cost in posed.along]
        posed.prices("l1")
        n = self.n_orders
        for row, bound in zip(goal, least, strict=True):
            terms = [(n + j, float(g) / row.scale) for j, g in enumerate(row.gains.tolist()) if g]
            posed.rows.add(terms, bound / row.scale, math.inf)
        model = posed.model()
        model.integrality_ = []
        return model

    def _start(self, cells: Cells) -> npt.NDArray[np.float64]:
        """Return a point as values of the first variables."""
        orders = np.zeros(self.n_orders)
        for c, k in enumerate(cells.tolist()):
            orders[self.first[c] : self.first[c] + k] = 1.0
        reached = (self.boxes.lower <= cells) & (cells < self.boxes.upper)
        return np.concatenate([orders, reached.all(axis=1).astype(np.float64)])

    def _assemble(self) -> MatrixRows:
        """Write the rows that hold for everybody: chains, trees, tables."""
        boxes, n = self.boxes, self.n_orders
        rows = PosedRows()
        for a, b in itertools.pairwise(self.first.tolist()):
            for at in range(a, b - 1):
                rows.add([(at, 1.0), (at + 1, -1.0)], 0.0, math.inf)
        ends = [*boxes.starts.tolist(), boxes.n_leaves] if boxes.trees else [0]
        for tree, (a, b) in enumerate(itertools.pairwise(ends)):
            self._boxes_rows(n + a, boxes.lower[a:b], boxes.upper[a:b], rows, tree)
        at = n + boxes.n_leaves
        for table in self.tables:
            self._boxes_rows(at, table.lower, table.upper, rows, None)
            at += len(table.lower)
        return rows.arrays()

    def _boxes_rows(
        self, first: int, lower: Cells, upper: Cells, rows: PosedRows, tree: int | None
    ) -> None:
        """One of some boxes holds the point: all boxes beyond a boundary in one row."""
        rows.add([(first + i, 1.0) for i in range(len(lower))], 1.0, 1.0)
        for c, n_cells in enumerate(self.boxes.n_cells.tolist()):
            bounds = set(lower[:, c].tolist()) | set(upper[:, c].tolist())
            for k in sorted(bounds - {0, n_cells}):
                order = int(self.first[c]) + k - 1
                left = np.flatnonzero(upper[:, c] <= k).tolist()
                right = np.flatnonzero(lower[:, c] >= k).tolist()
                if left and tree is not None:
                    self.ties.append((len(rows.low), tree, c, k, False))
                if left:
                    rows.add([*((first + i, 1.0) for i in left), (order, 1.0)], -math.inf, 1.0)
                if right and tree is not None:
                    self.ties.append((len(rows.low), tree, c, k, True))
                if right:
                    rows.add([*((first + i, 1.0) for i in right), (order, -1.0)], -math.inf, 0.0)

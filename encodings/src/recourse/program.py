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
from collections.abc import Sequence
from dataclasses import dataclass, field

import highspy
import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.boxes import Cells, LeafBoxes
from whyproof.engine.region import Norm

from .goal import ScoreRow
from .places import Places

__all__ = ["CellProgram", "CellTable", "Extra", "Solved", "Term"]

_GAP = 1e-9
"""Absolute gap at which the solver stops, in shares of the objective's size."""

Term = tuple[int, float]
"""A variable and its factor."""


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
class Extra:
    """A linear row over whether columns are at or beyond cells.

    Parameters
    ----------
    terms
        ``(column, cell, factor)``: factor times "the column is at or beyond the cell".
    lower, upper
        What the sum lies between.
    """

    terms: tuple[tuple[int, int, float], ...]
    lower: float
    upper: float


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
    """

    cells: Cells | None
    bound: float
    finished: bool
    nodes: int


@dataclass
class _Rows:
    starts: list[int] = field(default_factory=list[int])
    index: list[int] = field(default_factory=list[int])
    value: list[float] = field(default_factory=list[float])
    low: list[float] = field(default_factory=list[float])
    high: list[float] = field(default_factory=list[float])

    def add(self, terms: Sequence[Term], low: float, high: float) -> None:
        self.starts.append(len(self.index))
        for variable, factor in terms:
            self.index.append(variable)
            self.value.append(factor)
        self.low.append(low)
        self.high.append(high)


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
        self.first = np.concatenate([[0], np.cumsum(boxes.n_cells - 1)]).astype(np.int64)
        self.n_orders = int(self.first[-1])
        self._n_fixed = self.n_orders + boxes.n_leaves + sum(len(t.lower) for t in tables)
        self._base = self._assemble()

    def solve(
        self,
        places: Places,
        norm: Norm,
        scores: Sequence[tuple[ScoreRow, float, float]],
        *,
        extras: Sequence[Extra] = (),
        ceiling: float = math.inf,
        start: Cells | None = None,
        seconds: float = math.inf,
    ) -> Solved:
        """Find the cheapest point that meets all rows.

        Parameters
        ----------
        places
            Where columns may go, and what it costs.
        norm
            How costs of columns make the cost of a point.
        scores
            Score rows, each with the least and the largest lead allowed.
        extras
            More rows over cells.
        ceiling
            Points that cost more are of no interest.
        start
            A point to start from.
        seconds
            Time limit.
        """
        posed = self._pose(places, norm, scores, extras, ceiling)
        if posed is None:
            return Solved(None, math.inf, True, 0)
        model, size = posed
        if not model.num_col_:
            return Solved(places.home, 0.0, True, 0)
        highs = highspy.Highs()
        for option, value in {
            "output_flag": False,
            "threads": 1,
            "mip_rel_gap": 0.0,
            "mip_abs_gap": _GAP,
        }.items():
            highs.setOptionValue(option, value)
        if math.isfinite(seconds):
            highs.setOptionValue("time_limit", max(seconds, 0.01))
        highs.passModel(model)
        if start is not None:
            self._start(highs, start)
        highs.run()
        return self._read(highs, size)

    def _start(self, highs: highspy.Highs, cells: Cells) -> None:
        """Hand over a point; the solver completes what depends on it."""
        orders = np.zeros(self.n_orders)
        for c, k in enumerate(cells.tolist()):
            orders[self.first[c] : self.first[c] + k] = 1.0
        reached = (self.boxes.lower <= cells) & (cells < self.boxes.upper)
        values = np.concatenate([orders, reached.all(axis=1).astype(np.float64)])
        highs.setSolution(len(values), np.arange(len(values), dtype=np.int32), values)

    def _read(self, highs: highspy.Highs, size: float) -> Solved:
        info, status = highs.getInfo(), highs.getModelStatus()
        nodes = max(int(info.mip_node_count), 0)
        if status == highspy.HighsModelStatus.kInfeasible:
            return Solved(None, math.inf, True, nodes)
        finished = status == highspy.HighsModelStatus.kOptimal
        bound = float(info.mip_dual_bound)
        if not self.n_orders and finished:
            bound = float(info.objective_function_value)
        bound = max(bound, 0.0) * size if math.isfinite(bound) else 0.0
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return Solved(None, bound, False, nodes)
        orders = np.array(highs.getSolution().col_value[: self.n_orders]) > 0.5
        cells = np.array(
            [int(orders[a:b].sum()) for a, b in zip(self.first[:-1], self.first[1:], strict=True)],
            dtype=np.int32,
        )
        return Solved(cells, bound, finished, nodes)

    def _pose(
        self,
        places: Places,
        norm: Norm,
        scores: Sequence[tuple[ScoreRow, float, float]],
        extras: Sequence[Extra],
        ceiling: float,
    ) -> tuple[highspy.HighsLp, float] | None:
        """Assemble the program; `None` if it is plainly infeasible."""
        n = self.n_orders
        finite = [cost[np.isfinite(cost)] for cost in places.costs]
        size = ceiling if 0 < ceiling < math.inf else max(float(c.max()) for c in finite)
        size = size or 1.0
        lower, upper = np.zeros(self._n_fixed), np.ones(self._n_fixed)
        prices = np.zeros(self._n_fixed)
        added, offset = _Rows(), 0.0
        along: list[npt.NDArray[np.float64]] = []
        for c, cost in enumerate(places.costs):
            at, end = int(self.first[c]), int(self.first[c + 1])
            # A little room: a cell at the ceiling itself is not closed by rounding.
            open_cells = np.flatnonzero(np.isfinite(cost) & (cost <= ceiling * (1 + 1e-9)))
            lower[at : at + int(open_cells[0])] = 1.0
            upper[at + int(open_cells[-1]) : end] = 0.0
            for one, other in zip(open_cells[:-1].tolist(), open_cells[1:].tolist(), strict=True):
                for k in range(one + 1, other):
                    added.add([(at + k - 1, 1.0), (at + k, -1.0)], 0.0, 0.0)
            smooth = cost[
                open_cells[np.searchsorted(open_cells, np.arange(len(cost)), "right") - 1]
            ]
            along.append(smooth / size)
        extra_prices: list[float] = []
        if norm == "linf":
            extra_prices.append(1.0)
            for c, cost in enumerate(along):
                terms = self._telescope(c, cost)
                if terms:
                    top = [(self._n_fixed, -1.0)]
                    added.add([*terms, *top], -math.inf, -float(cost[0]))
        else:
            grouped: dict[int, list[int]] = {}
            for c in range(len(along)):
                grouped.setdefault(int(self.boxes.space.owner[c]), []).append(c)
            for columns in grouped.values():
                if norm == "l0" and len(columns) > 1:
                    variable = self._n_fixed + len(extra_prices)
                    extra_prices.append(max(float(along[c].max()) for c in columns))
                    for c in columns:
                        moved = np.where(along[c] > 0, 1.0, 0.0)
                        terms = [*self._telescope(c, moved), (variable, -1.0)]
                        added.add(terms, -math.inf, -float(moved[0]))
                    continue
                for c in columns:
                    offset += float(along[c][0])
                    prices[int(self.first[c]) : int(self.first[c + 1])] = np.diff(along[c])
        for row, least, most in scores:
            terms = [
                (n + leaf, float(row.gains[leaf]) / row.scale)
                for leaf in np.flatnonzero(row.gains).tolist()
            ]
            if not terms:
                if not least <= 0 <= most:
                    return None
                continue
            added.add(terms, least / row.scale, most / row.scale)
        for extra in extras:
            if not self._add_extra(extra, added):
                return None
        return self._model(
            np.concatenate([prices, extra_prices]),
            np.concatenate([lower, np.zeros(len(extra_prices))]),
            np.concatenate(
                [upper, np.ones(len(extra_prices)) * (math.inf if norm == "linf" else 1)]
            ),
            added,
            offset,
        ), size

    def _telescope(self, column: int, cost: npt.NDArray[np.float64]) -> list[Term]:
        """Write a function of a column's cell, less its value at the first one."""
        at = int(self.first[column])
        return [(at + k, float(d)) for k, d in enumerate(np.diff(cost)) if d]

    def _add_extra(self, extra: Extra, added: _Rows) -> bool:
        """Add a row over cells; tell whether it can be met at all."""
        terms: dict[int, float] = {}
        constant = 0.0
        for column, cell, factor in extra.terms:
            if cell <= 0:
                constant += factor
            elif cell < int(self.boxes.n_cells[column]):
                at = int(self.first[column]) + cell - 1
                terms[at] = terms.get(at, 0.0) + factor
        if not terms:
            return extra.lower <= constant <= extra.upper
        added.add(list(terms.items()), extra.lower - constant, extra.upper - constant)
        return True

    def _model(
        self,
        prices: npt.NDArray[np.float64],
        lower: npt.NDArray[np.float64],
        upper: npt.NDArray[np.float64],
        added: _Rows,
        offset: float,
    ) -> highspy.HighsLp:
        starts, index, value, low, high = self._base
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = len(prices), len(low) + len(added.low)
        model.col_cost_, model.col_lower_, model.col_upper_ = prices, lower, upper
        model.offset_ = offset
        model.row_lower_ = np.concatenate([low, added.low])
        model.row_upper_ = np.concatenate([high, added.high])
        matrix = model.a_matrix_
        matrix.format_ = highspy.MatrixFormat.kRowwise
        matrix.num_col_, matrix.num_row_ = model.num_col_, model.num_row_
        ends = np.array([*added.starts, len(added.index)], dtype=np.int64) + len(index)
        matrix.start_ = np.concatenate([starts, ends]).astype(np.int32)
        matrix.index_ = np.concatenate([index, np.array(added.index, dtype=np.int32)])
        matrix.value_ = np.concatenate([value, np.array(added.value, dtype=np.float64)])
        kinds = highspy.HighsVarType
        rest = len(prices) - self.n_orders
        model.integrality_ = [kinds.kInteger] * self.n_orders + [kinds.kContinuous] * rest
        return model

    def _assemble(
        self,
    ) -> tuple[
        npt.NDArray[np.int64],
        npt.NDArray[np.int32],
        npt.NDArray[np.float64],
        npt.NDArray[np.float64],
        npt.NDArray[np.float64],
    ]:
        """Write the rows that hold for everybody: chains, trees, tables."""
        boxes, n = self.boxes, self.n_orders
        rows = _Rows()
        for a, b in zip(self.first[:-1].tolist(), self.first[1:].tolist(), strict=True):
            for at in range(a, b - 1):
                rows.add([(at, 1.0), (at + 1, -1.0)], 0.0, math.inf)
        ends = [*boxes.starts.tolist(), boxes.n_leaves] if boxes.trees else [0]
        for a, b in itertools.pairwise(ends):
            self._boxes_rows(n + a, boxes.lower[a:b], boxes.upper[a:b], rows, 1.0)
        at = n + boxes.n_leaves
        for table in self.tables:
            self._boxes_rows(at, table.lower, table.upper, rows, 1.0)
            at += len(table.lower)
        return (
            np.array(rows.starts, dtype=np.int64),
            np.array(rows.index, dtype=np.int32),
            np.array(rows.value),
            np.array(rows.low),
            np.array(rows.high),
        )

    def _boxes_rows(
        self, first: int, lower: Cells, upper: Cells, rows: _Rows, total: float
    ) -> None:
        """One of some boxes holds the point: all boxes beyond a boundary in one row."""
        rows.add([(first + i, 1.0) for i in range(len(lower))], total, total)
        for c, n_cells in enumerate(self.boxes.n_cells.tolist()):
            bounds = set(lower[:, c].tolist()) | set(upper[:, c].tolist())
            for k in sorted(bounds - {0, n_cells}):
                order = int(self.first[c]) + k - 1
                left = np.flatnonzero(upper[:, c] <= k).tolist()
                right = np.flatnonzero(lower[:, c] >= k).tolist()
                if left:
                    rows.add([*((first + i, 1.0) for i in left), (order, 1.0)], -math.inf, 1.0)
                if right:
                    rows.add([*((first + i, 1.0) for i in right), (order, -1.0)], -math.inf, 0.0)

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
from typing import Protocol

import highspy
import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.boxes import Cells, LeafBoxes
from whyproof.engine.region import Norm

from .goal import ScoreRow
from .places import Places

__all__ = [
    "CellProgram",
    "CellTable",
    "Extra",
    "KnowledgeRows",
    "PosedProgram",
    "PosedRows",
    "Solved",
    "Term",
]

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
    values
        Values of columns that stand in linear relations.
    """

    cells: Cells | None
    bound: float
    finished: bool
    nodes: int
    values: Mapping[int, float] = field(default_factory=dict[int, float])


class KnowledgeRows(Protocol):
    """Constraints over columns that know how to pose themselves."""

    @property
    def valued(self) -> Mapping[int, tuple[float, float]]:
        """Columns whose value is a variable, with its limits."""
        ...

    def pose(self, posed: PosedProgram, norm: Norm) -> None:
        """Add variables and rows, and the prices of valued columns."""
        ...


class PosedProgram(Protocol):
    """A program to which constraints add variables and rows."""

    @property
    def first(self) -> npt.NDArray[np.int64]:
        """First order variable of each column."""
        ...

    @property
    def size(self) -> float:
        """Unit of prices."""
        ...

    @property
    def rows(self) -> PosedRows:
        """Rows so far."""
        ...

    @property
    def top(self) -> int | None:
        """Variable of the largest cost, of ``linf``."""
        ...

    @property
    def values(self) -> dict[int, tuple[int, float]]:
        """Variable and unit of the value of valued columns."""
        ...

    @property
    def places(self) -> Places:
        """Where the person may go."""
        ...

    def variable(self, price: float, low: float, high: float, *, whole: bool = False) -> int:
        """Add a variable and return its number."""
        ...

    def moved(self, feature: int) -> int:
        """Return the variable that says, of ``l0``, that a feature moved."""
        ...


@dataclass
class PosedRows:
    """Rows under construction, in the order in which the solver reads them."""

    starts: list[int] = field(default_factory=list[int])
    index: list[int] = field(default_factory=list[int])
    value: list[float] = field(default_factory=list[float])
    low: list[float] = field(default_factory=list[float])
    high: list[float] = field(default_factory=list[float])

    def add(self, terms: Sequence[Term], low: float, high: float) -> None:
        """Add ``low <= sum of factor * variable <= high``."""
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
        """
        posed = _Posed(self, places, ceiling)
        met = posed.scores(scores) and all(posed.extra(extra) for extra in extras)
        if not met:
            return Solved(None, math.inf, True, 0)
        posed.prices(norm, knowledge)
        if not len(posed.price):
            return Solved(places.home, 0.0, True, 0)
        highs = highspy.Highs()
        highs.HandleKeyboardInterrupt = True
        for option, value in {
            "output_flag": False,
            "threads": 1,
            "mip_rel_gap": 0.0,
            "mip_abs_gap": _GAP,
        }.items():
            highs.setOptionValue(option, value)
        if math.isfinite(seconds):
            highs.setOptionValue("time_limit", max(seconds, 0.01))
        highs.passModel(posed.model())
        if start is not None:
            self._start(highs, start)
        highs.run()
        return self._read(highs, posed)

    def relaxation(
        self, places: Places, goal: Sequence[ScoreRow], least: Sequence[float], size: float
    ) -> highspy.HighsLp:
        """Return the linear relaxation with score rows at the end, prices in units of `size`."""
        posed = _Posed(self, places, math.inf)
        posed.size = size
        posed.along = [cost * (posed.unit / size) for cost in posed.along]
        posed.prices("l1", None)
        n = self.n_orders
        for row, bound in zip(goal, least, strict=True):
            terms = [(n + j, float(g) / row.scale) for j, g in enumerate(row.gains.tolist()) if g]
            posed.rows.add(terms, bound / row.scale, math.inf)
        model = posed.model()
        model.integrality_ = []
        return model

    def _start(self, highs: highspy.Highs, cells: Cells) -> None:
        """Hand over a point; the solver completes what depends on it."""
        orders = np.zeros(self.n_orders)
        for c, k in enumerate(cells.tolist()):
            orders[self.first[c] : self.first[c] + k] = 1.0
        reached = (self.boxes.lower <= cells) & (cells < self.boxes.upper)
        values = np.concatenate([orders, reached.all(axis=1).astype(np.float64)])
        highs.setSolution(len(values), np.arange(len(values), dtype=np.int32), values)

    def _read(self, highs: highspy.Highs, posed: _Posed) -> Solved:
        info, status = highs.getInfo(), highs.getModelStatus()
        nodes = max(int(info.mip_node_count), 0)
        if status in (
            highspy.HighsModelStatus.kInfeasible,
            highspy.HighsModelStatus.kUnboundedOrInfeasible,
        ):
            return Solved(None, math.inf, True, nodes)
        finished = status == highspy.HighsModelStatus.kOptimal
        bound = float(info.mip_dual_bound)
        if not any(posed.whole) and not self.n_orders and finished:
            bound = float(info.objective_function_value)
        bound = max(bound, 0.0) * posed.size if math.isfinite(bound) else 0.0
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return Solved(None, bound, False, nodes)
        found = np.array(highs.getSolution().col_value)
        orders = found[: self.n_orders] > 0.5
        cells = np.array(
            [int(orders[a:b].sum()) for a, b in itertools.pairwise(self.first.tolist())],
            dtype=np.int32,
        )
        values = {c: float(found[v]) * unit for c, (v, unit) in posed.values.items()}
        return Solved(cells, bound, finished, nodes, values)

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
        return (
            np.array(rows.starts, dtype=np.int64),
            np.array(rows.index, dtype=np.int32),
            np.array(rows.value),
            np.array(rows.low),
            np.array(rows.high),
        )

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


class _Posed:
    """The program of one person under construction; implements `PosedProgram`."""

    def __init__(self, program: CellProgram, places: Places, ceiling: float) -> None:
        self._program, self.places = program, places
        self.first = program.first
        self.rows = PosedRows()
        self.values: dict[int, tuple[int, float]] = {}
        self.top: int | None = None
        self._moved: dict[int, int] = {}
        self._offset = 0.0
        n = program.n_fixed
        self.price, self.low, self.high = [0.0] * n, [0.0] * n, [1.0] * n
        self.whole = [True] * program.n_orders + [False] * (n - program.n_orders)
        largest = max(float(cost[np.isfinite(cost)].max()) for cost in places.costs)
        self.unit = self.size = (ceiling if 0 < ceiling < math.inf else largest) or 1.0
        self.along = [self._close(c, cost, ceiling) for c, cost in enumerate(places.costs)]

    def variable(self, price: float, low: float, high: float, *, whole: bool = False) -> int:
        """Add a variable and return its number."""
        self.price.append(price)
        self.low.append(low)
        self.high.append(high)
        self.whole.append(whole)
        return len(self.price) - 1

    def moved(self, feature: int) -> int:
        """Return the variable that says that a feature moved; it is paid for."""
        if feature not in self._moved:
            weight = max(float(self.along[c].max()) for c in self._columns(feature))
            self._moved[feature] = self.variable(weight, 0.0, 1.0, whole=True)
        return self._moved[feature]

    def _columns(self, feature: int) -> tuple[int, ...]:
        return self._program.boxes.space.features[feature].columns

    def _close(
        self, column: int, cost: npt.NDArray[np.float64], ceiling: float
    ) -> npt.NDArray[np.float64]:
        """Close cells that cannot be entered; return the costs in units of the objective."""
        at, end = int(self.first[column]), int(self.first[column + 1])
        # A little room: a cell at the ceiling itself is not closed by rounding.
        opened = np.flatnonzero(np.isfinite(cost) & (cost <= ceiling * (1 + 1e-9)))
        for k in range(int(opened[0])):
            self.low[at + k] = 1.0
        for k in range(at + int(opened[-1]), end):
            self.high[k] = 0.0
        for one, other in itertools.pairwise(opened.tolist()):
            for k in range(one + 1, other):
                self.rows.add([(at + k - 1, 1.0), (at + k, -1.0)], 0.0, 0.0)
        before = np.maximum(np.searchsorted(opened, np.arange(len(cost)), "right") - 1, 0)
        return np.asarray(cost[opened[before]] / self.size)

    def scores(self, scores: Sequence[tuple[ScoreRow, float, float]]) -> bool:
        """Add score rows; tell whether they can be met at all."""
        n = self._program.n_orders
        for row, least, most in scores:
            used = np.flatnonzero(row.gains)
            if not len(used):
                if not least <= 0 <= most:
                    return False
                continue
            terms = zip((n + used).tolist(), (row.gains[used] / row.scale).tolist(), strict=True)
            self.rows.add(list(terms), least / row.scale, most / row.scale)
        return True

    def extra(self, extra: Extra) -> bool:
        """Add a row over cells; tell whether it can be met at all."""
        terms: dict[int, float] = {}
        constant = 0.0
        for column, cell, factor in extra.terms:
            if cell <= 0:
                constant += factor
            elif cell < int(self._program.boxes.n_cells[column]):
                at = int(self.first[column]) + cell - 1
                terms[at] = terms.get(at, 0.0) + factor
        if not terms:
            return extra.lower <= constant <= extra.upper
        self.rows.add(list(terms.items()), extra.lower - constant, extra.upper - constant)
        return True

    def prices(self, norm: Norm, knowledge: KnowledgeRows | None) -> None:
        """Set the objective."""
        valued = set[int]() if knowledge is None else set(knowledge.valued)
        if norm == "linf":
            self.top = self.variable(1.0, 0.0, math.inf)
        for f, feature in enumerate(self._program.boxes.space.features):
            grouped = len(feature.columns) > 1 or not valued.isdisjoint(feature.columns)
            for c in feature.columns:
                cost = self.along[c]
                if norm == "l0" and grouped:
                    if bool((cost > 0).any()):
                        self._bounded_by(c, np.where(cost > 0, 1.0, 0.0), self.moved(f))
                elif c in valued:
                    continue
                elif self.top is not None:
                    self._bounded_by(c, cost, self.top)
                else:
                    self._offset += float(cost[0])
                    at = int(self.first[c])
                    for k, change in enumerate(np.diff(cost).tolist()):
                        self.price[at + k] = change
        if knowledge is not None:
            knowledge.pose(self, norm)

    def _bounded_by(self, column: int, cost: npt.NDArray[np.float64], variable: int) -> None:
        """Let a variable be at least the cost of a column."""
        at = int(self.first[column])
        terms = [(at + k, change) for k, change in enumerate(np.diff(cost).tolist()) if change]
        if terms:
            self.rows.add([*terms, (variable, -1.0)], -math.inf, -float(cost[0]))

    def model(self) -> highspy.HighsLp:
        """Return the program."""
        starts, index, value, low, high = self._program.base
        rows = self.rows
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = len(self.price), len(low) + len(rows.low)
        model.col_cost_ = np.array(self.price)
        model.col_lower_, model.col_upper_ = np.array(self.low), np.array(self.high)
        model.offset_ = self._offset
        model.row_lower_ = np.concatenate([low, rows.low])
        model.row_upper_ = np.concatenate([high, rows.high])
        matrix = model.a_matrix_
        matrix.format_ = highspy.MatrixFormat.kRowwise
        matrix.num_col_, matrix.num_row_ = model.num_col_, model.num_row_
        ends = np.array([*rows.starts, len(rows.index)], dtype=np.int64) + len(index)
        matrix.start_ = np.concatenate([starts, ends]).astype(np.int32)
        matrix.index_ = np.concatenate([index, np.array(rows.index, dtype=np.int32)])
        matrix.value_ = np.concatenate([value, np.array(rows.value, dtype=np.float64)])
        kinds = highspy.HighsVarType
        model.integrality_ = [kinds.kInteger if w else kinds.kContinuous for w in self.whole]
        return model

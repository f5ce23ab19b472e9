"""A program of one person under construction: variables, rows, prices.

The columns come first (an order variable per boundary of cells), then the leaves of trees and
the boxes of tables; after them whatever constraints, models and distances add.  Prices are in
units of `Posed.size`, so that solvers' tolerances mean the same for everybody.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import highspy
import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.engine.region import Norm

from .places import Places

if TYPE_CHECKING:
    from .bodies import Body
    from .goal import ScoreRow

__all__ = [
    "Affine",
    "CauseRows",
    "Extra",
    "KnowledgeRows",
    "MatrixRows",
    "Posed",
    "PosedRows",
    "Term",
    "order_starts",
]

Term = tuple[int, float]
"""A variable and its factor."""

Affine = tuple[list[Term], float]
"""Terms and a constant."""

MatrixRows = tuple[
    npt.NDArray[np.int64],
    npt.NDArray[np.int32],
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
]
"""Starts, variables, factors, least and greatest sums of rows."""


@dataclass(frozen=True, slots=True)
class Extra:
    """A linear row over whether columns are at or beyond cells.

    Parameters
    ----------
    terms
        ``(column, cell, factor)``: factor times "the column is at or beyond the cell".
    lower, upper
        What the sum lies between.
    stay
        Features of which at least one stays as it is; empty for no such demand.
    """

    terms: tuple[tuple[int, int, float], ...]
    lower: float
    upper: float
    stay: frozenset[int] = frozenset()


class KnowledgeRows(Protocol):
    """Constraints over columns that know how to pose themselves."""

    @property
    def valued(self) -> Mapping[int, tuple[float, float]]:
        """Columns whose value is a variable, with its limits."""
        ...

    @property
    def farthest(self) -> float:
        """Cost of the farthest value of a valued column."""
        ...

    def weight(self, feature: int) -> float:
        """Return what it costs, of ``l0``, that a feature moves."""
        ...

    def pose(self, posed: Posed, norm: Norm) -> None:
        """Add variables and rows, and the prices of valued columns."""
        ...


class CauseRows(Protocol):
    """Effects that know how to pose themselves."""

    @property
    def columns(self) -> frozenset[int]:
        """Columns that effects can move."""
        ...

    def pose(self, posed: Posed) -> None:
        """Add variables and rows, and the relief of columns."""
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

    def arrays(self) -> MatrixRows:
        """Return the rows as arrays."""
        return (
            np.array(self.starts, dtype=np.int64),
            np.array(self.index, dtype=np.int32),
            np.array(self.value, dtype=np.float64),
            np.array(self.low, dtype=np.float64),
            np.array(self.high, dtype=np.float64),
        )


class Posed:
    """The program of one person under construction.

    Parameters
    ----------
    boxes
        The joint ensemble in cells.
    base
        Rows that hold for everybody: chains, trees, tables.
    n_fixed
        Number of variables that these speak about.
    places
        Where the person may go.
    ceiling
        Points that cost more are of no interest.
    knowledge
        Constraints over columns.
    causes
        Effects, which are not paid for.
    """

    def __init__(
        self,
        boxes: LeafBoxes,
        base: MatrixRows,
        n_fixed: int,
        places: Places,
        ceiling: float,
        knowledge: KnowledgeRows | None = None,
        causes: CauseRows | None = None,
    ) -> None:
        self.boxes, self.places, self._knowledge = boxes, places, knowledge
        self._causes = causes
        self.relief: dict[int, int] = {}
        """By column the variable that says that an effect moved it: it costs nothing then."""
        self._base = base
        self.first = order_starts(boxes)
        self.n_orders = int(self.first[-1])
        self.rows = PosedRows()
        self.values: dict[int, tuple[int, float]] = {}
        """Variable and unit of the value of valued columns."""
        self.top: int | None = None
        """Variable of the largest cost, of ``linf``."""
        self._outputs: dict[int, Sequence[Affine]] = {}
        self._moved: dict[int, int] = {}
        self._offset = 0.0
        self.price, self.low, self.high = [0.0] * n_fixed, [0.0] * n_fixed, [1.0] * n_fixed
        self.whole = [True] * self.n_orders + [False] * (n_fixed - self.n_orders)
        self.ceiling = ceiling
        largest = max(float(cost[np.isfinite(cost)].max()) for cost in places.costs)
        if knowledge is not None:
            largest = max(largest, knowledge.farthest)
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
        """Return the variable that says, of ``l0``, that a feature moved; it is paid for."""
        if feature not in self._moved:
            weight = max(float(self.along[c].max()) for c in self._columns(feature))
            if not weight and self._knowledge is not None:
                weight = self._knowledge.weight(feature) / self.size
            self._moved[feature] = self.variable(weight, 0.0, 1.0, whole=True)
        return self._moved[feature]

    def beyond(self, column: int, cell: int) -> Affine:
        """Return "the column is at or beyond a cell" as terms and a constant."""
        if cell <= 0:
            return [], 1.0
        if cell >= int(self.boxes.n_cells[column]):
            return [], 0.0
        return [(int(self.first[column]) + cell - 1, 1.0)], 0.0

    def outputs(self, body: Body) -> Sequence[Affine]:
        """Return what a model computes, one entry per output; its rows are added once."""
        if id(body) not in self._outputs:
            self._outputs[id(body)] = body.pose(self)
        return self._outputs[id(body)]

    def _columns(self, feature: int) -> tuple[int, ...]:
        return self.boxes.space.features[feature].columns

    def _close(
        self, column: int, cost: npt.NDArray[np.float64], ceiling: float
    ) -> npt.NDArray[np.float64]:
        """Close cells that cannot be entered; return the costs in units of the objective."""
        at, end = int(self.first[column]), int(self.first[column + 1])
        # A little room: a cell at the ceiling itself is not closed by rounding.
        near = cost <= ceiling * (1 + 1e-9)
        if self._causes is not None and column in self._causes.columns:
            near = np.ones_like(near)
        opened = np.flatnonzero(np.isfinite(cost) & near)
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
        for row, least, most in scores:
            terms, constant = row.posed(self)
            if not terms:
                if not least <= constant <= most:
                    return False
                continue
            scaled = [(v, factor / row.scale) for v, factor in terms]
            self.rows.add(scaled, (least - constant) / row.scale, (most - constant) / row.scale)
        return True

    def extra(self, extra: Extra) -> bool:
        """Add a row over cells; tell whether it can be met at all."""
        if extra.stay:
            self._stays(extra.stay)
        terms: dict[int, float] = {}
        constant = 0.0
        for column, cell, factor in extra.terms:
            beyond, offset = self.beyond(column, cell)
            constant += factor * offset
            for at, _ in beyond:
                terms[at] = terms.get(at, 0.0) + factor
        if not terms:
            return extra.lower <= constant <= extra.upper
        self.rows.add(list(terms.items()), extra.lower - constant, extra.upper - constant)
        return True

    def _stays(self, features: frozenset[int]) -> None:
        """Let one of some features stay: its values as they are, its columns at home."""
        staying: list[Term] = []
        for feature in sorted(features):
            stays = self.variable(0.0, 0.0, 1.0, whole=True)
            staying.append((stays, 1.0))
            for c in self._columns(feature):
                here = float(self.places.instance[c])
                if c in self.values:
                    variable, unit = self.values[c]
                    for sign, end in ((1.0, self.high[variable]), (-1.0, self.low[variable])):
                        room = sign * (end - here / unit)
                        terms = [(variable, sign), (stays, room)]
                        self.rows.add(terms, -math.inf, sign * here / unit + room)
                    continue
                home = int(self.places.home[c])
                for k, sign in ((home, 1.0), (home + 1, -1.0)):
                    for at, _ in self.beyond(c, k)[0]:
                        # At or beyond its home, and not beyond the next cell.
                        low = 0.0 if sign > 0 else -1.0
                        self.rows.add([(at, sign), (stays, -1.0)], low, math.inf)
        self.rows.add(staying, 1.0, math.inf)

    def prices(self, norm: Norm) -> None:
        """Set the objective, and pose the constraints."""
        knowledge = self._knowledge
        if self._causes is not None:
            self._causes.pose(self)
        valued = set[int]() if knowledge is None else set(knowledge.valued)
        if norm == "linf":
            self.top = self.variable(1.0, 0.0, math.inf if valued else 1.0 + 1e-9)
        for f, feature in enumerate(self.boxes.space.features):
            grouped = len(feature.columns) > 1 or not valued.isdisjoint(feature.columns)
            for c in feature.columns:
                cost = self.along[c]
                if norm == "l0" and (grouped or c in self.relief):
                    if bool((cost > 0).any()):
                        self._bounded_by(c, np.where(cost > 0, 1.0, 0.0), self.moved(f))
                elif c in valued:
                    continue
                elif self.top is not None:
                    self._bounded_by(c, cost, self.top)
                elif c in self.relief:
                    most = float(cost.max())
                    self._bounded_by(c, cost, self.variable(1.0, 0.0, most))
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
        if not terms:
            return
        if column in self.relief:
            terms.append((self.relief[column], -float(cost.max())))
        self.rows.add([*terms, (variable, -1.0)], -math.inf, -float(cost[0]))

    def model(self) -> highspy.HighsLp:
        """Return the program."""
        starts, index, value, low, high = self._base
        more = self.rows.arrays()
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = len(self.price), len(low) + len(more[3])
        model.col_cost_ = np.array(self.price)
        model.col_lower_, model.col_upper_ = np.array(self.low), np.array(self.high)
        model.offset_ = self._offset
        model.row_lower_ = np.concatenate([low, more[3]])
        model.row_upper_ = np.concatenate([high, more[4]])
        matrix = model.a_matrix_
        matrix.format_ = highspy.MatrixFormat.kRowwise
        matrix.num_col_, matrix.num_row_ = model.num_col_, model.num_row_
        ends = np.append(more[0], len(more[1])) + len(index)
        matrix.start_ = np.concatenate([starts, ends]).astype(np.int32)
        matrix.index_ = np.concatenate([index, more[1]])
        matrix.value_ = np.concatenate([value, more[2]])
        kinds = highspy.HighsVarType
        model.integrality_ = [kinds.kInteger if w else kinds.kContinuous for w in self.whole]
        return model


def order_starts(boxes: LeafBoxes) -> npt.NDArray[np.int64]:
    """Return the first order variable of each column, and one past the last."""
    return np.concatenate([[0], np.cumsum(boxes.n_cells - 1)]).astype(np.int64)

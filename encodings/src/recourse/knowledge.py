"""Constraints over columns, as rows over the cells of a person.

Columns are cut where constraints need it, whatever the trees test; a categorical column of a
constraint gets one cell per code.  Columns of linear relations get a variable for the value
itself, and cost what this value costs; of ``l2`` by tangents, added where the solution is.  A
solution is made exact afterwards: the values within its cells are chosen again in rationals
by `whyproof.encodings.constraints.background`.

A column of a constraint that is missing in the instance stays missing, and one that is
present does not become missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from whyproof.encodings.constraints.background import Background, Found
from whyproof.encodings.constraints.constraint import Constraint
from whyproof.encodings.constraints.formula import (
    FALSE,
    TRUE,
    AtMost,
    Every,
    Formula,
    In,
    Linear,
    Some,
    atoms,
    columns_of,
    holds,
)
from whyproof.encodings.constraints.rows import Rows, cuts, rows_of
from whyproof.encodings.constraints.values import Values
from whyproof.encodings.trees.boxes import Cells, LeafBoxes
from whyproof.encodings.trees.cells import Cell, ColumnCells
from whyproof.engine.budget import Meter
from whyproof.engine.domain import Domain
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.region import Norm
from whyproof.engine.space import FeatureSpace, Point

from .actions import Actions
from .distance import Distance
from .places import Places
from .posed import Posed, Term

_TANGENTS = 24

__all__ = ["Knowledge", "as_constraints", "cut_for", "knowledge_of", "put_to"]


@dataclass(frozen=True, eq=False)
class Knowledge:
    """Constraints of one person, ready for a program.

    Parameters
    ----------
    constraints
        Put to the person.
    rows
        As rows over cells; cell ``k`` there is cell ``k + shifts[column]`` of the boxes.
    shifts
        By column of a constraint: whether the missing value's cell stands in front.
    valued
        Columns whose value is a variable, with the limits that actions and region set.
    steps
        Step of valued columns that move in steps.
    pinned
        Columns that are missing and stay so.
    background
        Decides the constraints exactly.
    distance
        What values cost.
    home
        The person as they are.
    ends
        By valued column that has to end between two values and is not there: these values.
    touches
        Values at which tangents of ``l2`` were added.
    """

    constraints: tuple[Constraint, ...]
    rows: Rows
    shifts: Mapping[int, int]
    valued: Mapping[int, tuple[float, float]]
    steps: Mapping[int, float]
    pinned: frozenset[int]
    background: Background
    distance: Distance
    home: Point
    ends: Mapping[int, tuple[float, float]] = field(default_factory=dict[int, tuple[float, float]])
    touches: Mapping[int, tuple[float, ...]] = field(default_factory=dict[int, tuple[float, ...]])

    @property
    def farthest(self) -> float:
        """Cost of the farthest value of a valued column."""
        return max((self._cost(c, max(self._room(c))) for c in self.valued), default=0.0)

    def weight(self, feature: int) -> float:
        """Return what it costs, of ``l0``, that a feature moves."""
        return float(self.distance.weights[feature])

    def _room(self, column: int) -> tuple[float, float]:
        """Return how far a valued column can rise and fall."""
        low, high = self.valued[column]
        here = float(self.home[column])
        return max(high - here, 0.0), max(here - low, 0.0)

    def _cost(self, column: int, step: float) -> float:
        if self.distance.norm == "l0":
            return float(self.distance.weights[self.distance.space.owner[column]])
        cost = float(self.distance.factors[column]) * step
        return cost * cost if self.distance.norm == "l2" else cost

    def settle(
        self,
        boxes: LeafBoxes,
        places: Places,
        cells: Cells,
        wanted: Mapping[int, float],
        extra: Sequence[Formula] = (),
    ) -> Point | None:
        """Return a point of some cells that satisfies all constraints, near wanted values.

        Parameters
        ----------
        boxes, places
            The models in cells, and where the person may go.
        cells
            The cells to be in.
        wanted
            Values of valued columns.
        extra
            Formulas that have to hold as well.
        """
        point = places.point(cells)
        box: dict[int, Values] = {}
        for c in sorted(self.background.columns | set(self.valued)):
            cell = boxes.columns[c].cells[int(cells[c])]
            if c not in self.valued:
                box[c] = Values.of([float(point[c])])
                continue
            low, high = self.valued[c]
            point[c] = wanted.get(c, point[c])
            low, high = max(low, cell.lower), min(high, cell.upper)
            point[c] = min(max(float(point[c]), low), high)
            box[c] = Values.between(low, high)
            if c in self.ends:
                box[c] &= Values.of([float(self.home[c])]) | Values.between(*self.ends[c])
            step = self.steps.get(c)
            if step is not None:
                here = float(places.instance[c])
                point[c] = here + round((float(point[c]) - here) / step) * step
                box[c] = box[c] & Values.of([float(point[c])])
            else:
                box[c], point[c] = _keep_home(box[c], point, places, c)
        if not self.constraints and all(bool(holds(one, point[None])[0]) for one in extra):
            return point
        found = self.background.solve(box, point, Meter(), extra=extra, shrink=False)
        return found.put(point) if isinstance(found, Found) else None

    def on_grid(self, column: int, wanted: float) -> float:
        """Return the value of a valued column that is near a wanted one and may be taken."""
        low, high = self.valued[column]
        here, step = float(self.home[column]), self.steps.get(column)
        if column in self.ends:
            if wanted == here:
                return here
            low, high = self.ends[column]
        if step is not None:
            least, most = math.ceil((low - here) / step), math.floor((high - here) / step)
            return here + min(max(round((wanted - here) / step), least), most) * step
        if column in self.whole:
            wanted, low, high = round(wanted), math.ceil(low), math.floor(high)
        return float(min(max(wanted, low), high))

    def pose(self, posed: Posed, norm: Norm) -> None:
        """Add variables, rows, and the prices of valued columns to a program."""
        truths = [posed.variable(0.0, 0.0, 1.0, whole=True) for _ in range(self.rows.truths)]
        for c in self.rows.values:
            low, high = self._within(posed, norm, c)
            whole = c in self.whole
            unit = 1.0 if whole else max(abs(low), abs(high)) or 1.0
            value = posed.variable(0.0, low / unit, high / unit, whole=whole)
            posed.values[c] = (value, unit)
            self._end(posed, c)
            self._price(posed, norm, c)
        for row in self.rows.rows:
            terms: list[Term] = []
            for variable, factor in row.terms.items():
                if variable[0] == "truth":
                    terms.append((truths[variable[1]], factor))
                elif variable[0] == "value":
                    number, unit = posed.values[variable[1]]
                    terms.append((number, factor * unit))
                else:
                    c, cell = variable[1], variable[-1] + self.shifts[variable[1]]
                    terms.append((int(posed.first[c]) + cell - 1, factor))
            largest = max((abs(factor) for _, factor in terms), default=1.0) or 1.0
            scaled = [(v, factor / largest) for v, factor in terms]
            posed.rows.add(scaled, row.lower / largest, row.upper / largest)

    def _end(self, posed: Posed, column: int) -> None:
        """Let a column that has to end elsewhere stay where it is or go there, not between."""
        if column not in self.ends:
            return
        (low, high), here = self.ends[column], float(self.home[column])
        value, unit = posed.values[column]
        moved = posed.variable(0.0, 0.0, 1.0, whole=True)
        width = max(abs(low - here), abs(high - here)) or 1.0
        for sign, end in ((1.0, low), (-1.0, high)):
            # value >= here + (low - here) * moved, and value <= here + (high - here) * moved
            terms = [(value, sign * unit / width), (moved, -sign * (end - here) / width)]
            posed.rows.add(terms, sign * here / width, math.inf)

    def _within(self, posed: Posed, norm: Norm, column: int) -> tuple[float, float]:
        """Return the limits of a valued column that a point below the ceiling keeps."""
        low, high = self.valued[column]
        here = float(self.home[column])
        if norm == "l0" or not math.isfinite(posed.ceiling) or column in self.pinned:
            return low, high
        ceiling = math.sqrt(posed.ceiling) if norm == "l2" else posed.ceiling
        reach = ceiling * (1 + 1e-9) / float(self.distance.factors[column])
        low, high = max(low, here - reach), min(high, here + reach)
        return (math.ceil(low), math.floor(high)) if column in self.whole else (low, high)

    def _price(self, posed: Posed, norm: Norm, column: int) -> None:
        """Let a valued column cost what its value costs, and move in its steps."""
        here = float(posed.places.instance[column])
        low, high = self.valued[column]
        value, unit = posed.values[column]
        if low == high:
            return
        step = self.steps.get(column)
        if step is not None:
            least, most = math.ceil((low - here) / step), math.floor((high - here) / step)
            count = posed.variable(0.0, least, most, whole=True)
            posed.rows.add([(value, unit / step), (count, -1.0)], here / step, here / step)
        relief = posed.relief.get(column)
        if norm == "l0":
            moved = posed.moved(int(self.distance.space.owner[column]))
            width = max(high - here, here - low)
            for sign, room in ((1.0, high - here), (-1.0, here - low)):
                terms = [(value, sign * unit / width), (moved, -room / width)]
                if relief is not None:
                    terms.append((relief, -room / width))
                posed.rows.add(terms, -math.inf, sign * here / width)
            return
        factor = float(self.distance.factors[column])
        steepest = math.sqrt(posed.size) if norm == "l2" else posed.size
        slope, start = factor * unit / steepest, factor * here / steepest
        width = max(high - here, here - low) * factor / steepest
        touches = {0.5}
        if norm == "l2":
            # The parabola is above each of its tangents; of other norms the line itself is one.
            touches = {width * k / _TANGENTS for k in range(1, _TANGENTS + 1)}
            touches |= {width / _TANGENTS * 2.0**-k for k in range(1, _TANGENTS)}
            touches |= {abs(w - here) * factor / steepest for w in self.touches.get(column, ())}
        price = posed.top
        if norm != "linf" or price is None:
            price = posed.variable(1.0, 0.0, width * width if norm == "l2" else width)
        for touch in sorted(touches - {0.0}):
            below = touch * touch if norm == "l2" else 0.0
            for sign in (1.0, -1.0):
                terms = [(value, sign * 2 * touch * slope), (price, -1.0)]
                if relief is not None:
                    terms.append((relief, -2 * touch * width))
                posed.rows.add(terms, -math.inf, sign * 2 * touch * start + below)

    @property
    def whole(self) -> frozenset[int]:
        """Valued columns of whole numbers."""
        columns = self.distance.space.columns
        return frozenset(c for c in self.valued if columns[c].domain.is_discrete)

    def pin(self, places: Places) -> Places:
        """Return the places without those that constraints cannot speak about."""
        allowed = [np.ones(len(cost), dtype=np.bool_) for cost in places.costs]
        for c, shift in self.shifts.items():
            if c in self.pinned:
                allowed[c][:] = False
            elif shift:
                allowed[c][0] = False
        return places.only(allowed)

    def touching(self, values: Mapping[int, float]) -> Knowledge:
        """Return the knowledge with tangents at some more values."""
        touches = {c: (*self.touches.get(c, ()), value) for c, value in values.items()}
        return replace(self, touches={**self.touches, **touches})

    def holds(self, point: Point) -> bool:
        """Tell whether a point satisfies all constraints."""
        return all(bool(c.holds(point[None])[0]) for c in self.constraints)


def _keep_home(values: Values, point: Point, places: Places, column: int) -> tuple[Values, float]:
    """Let a value that a solver moved by its tolerance only stay where it was."""
    here, wanted = float(places.instance[column]), float(point[column])
    if here in values and abs(wanted - here) <= 1e-7 * max(1.0, abs(here)):
        return values, here
    return values, wanted


def put_to(constraints: Sequence[Constraint], instance: Point) -> tuple[Constraint, ...]:
    """Return what constraints demand of points that an instance changes into.

    Statements about values that the instance lacks are decided here: the values stay missing.
    """
    made: list[Constraint] = []
    for constraint in constraints:
        there = constraint.at(instance)
        made.append(
            Constraint(there.name, _without_missing(there.formula, instance), there.position)
        )
    return tuple(made)


def _without_missing(formula: Formula, instance: Point) -> Formula:
    match formula:
        case In(column, values) if math.isnan(instance[column]):
            return TRUE if values.missing else FALSE
        case Linear() if any(math.isnan(instance[c]) for c, _ in formula.terms):
            return TRUE
        case Every(parts):
            return Every(tuple(_without_missing(part, instance) for part in parts))
        case Some(parts):
            return Some(tuple(_without_missing(part, instance) for part in parts))
        case AtMost(parts, count):
            return AtMost(tuple(_without_missing(part, instance) for part in parts), count)
        case _:
            return formula


def cut_for(
    columns: Sequence[ColumnCells], constraints: Sequence[Constraint]
) -> tuple[ColumnCells, ...]:
    """Cut the columns of constraints so that every cell lies inside or outside of each set.

    Parameters
    ----------
    columns
        Cells of each column as the trees need them.
    constraints
        Put to an instance.
    """
    wanted = cuts(constraints)
    concerned = columns_of(c.formula for c in constraints)
    return tuple(
        _recut(column, wanted.get(c, [])) if c in concerned else column
        for c, column in enumerate(columns)
    )


def _recut(column: ColumnCells, at: Sequence[float]) -> ColumnCells:
    """Return a column with more cuts, the missing value in front, the rest ascending."""
    made: list[tuple[Cell, int]] = []
    for k, cell in enumerate(column.cells):
        if cell.is_missing:
            continue
        if cell.codes:
            made += [(Cell(float(code), float(code), (code,)), k) for code in cell.codes]
            continue
        inner = [x for x in at if cell.lower < x <= cell.upper]
        starts = [cell.lower, *inner]
        ends = [*(math.nextafter(x, -math.inf) for x in inner), cell.upper]
        for low, high in zip(starts, ends, strict=True):
            if column.domain.is_discrete:
                low = low if math.isinf(low) else float(math.ceil(low))
                high = high if math.isinf(high) else float(math.floor(high))
            if low <= high:
                made.append((Cell(low, high), k))
    made.sort(key=lambda entry: entry[0].lower)
    made = [(cell, k) for k, cell in enumerate(column.cells) if cell.is_missing] + made
    splits = {}
    for key, runs in column.splits.items():
        left = np.zeros(len(column.cells) + 2, dtype=np.bool_)
        for first, end in runs:
            left[first:end] = True
        splits[key] = _runs([bool(left[k]) for _, k in made])
    return ColumnCells(tuple(c for c, _ in made), column.domain, column.input_type, splits)


def _runs(left: Sequence[bool]) -> tuple[tuple[int, int], ...]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], np.array(left, dtype=np.int8), [0]))))
    return tuple(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def knowledge_of(
    boxes: LeafBoxes,
    space: FeatureSpace,
    constraints: Sequence[Constraint],
    places: Places,
    actions: Actions,
    distance: Distance,
    limits: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    needed: frozenset[int] = frozenset(),
) -> Knowledge:
    """Write the constraints of a person as rows.

    Parameters
    ----------
    boxes
        The models in cells, cut by `cut_for`.
    space
        The columns.
    constraints
        From `put_to`.
    places, actions, distance, limits
        Where the person may go, and what it costs; limits are those of the region.
    needed
        Columns whose value a model needs.

    Raises
    ------
    UnsupportedError
        If a column of a linear relation has no finite bounds.
    """
    # A missing value stays missing where a model needs a number.
    needed = frozenset(c for c in needed if not math.isnan(places.instance[c]))
    concerned = sorted(columns_of(c.formula for c in constraints) | needed)
    valued: dict[int, tuple[float, float]] = {}
    steps: dict[int, float] = {}
    ends: dict[int, tuple[float, float]] = {}
    related = {
        c
        for constraint in constraints
        for atom in atoms(constraint.formula)
        if isinstance(atom, Linear)
        for c, _ in atom.terms
    } | needed
    cells: list[list[tuple[float, float]]] = [[] for _ in boxes.columns]
    shifts: dict[int, int] = {}
    for c in concerned:
        column = boxes.columns[c]
        shifts[c] = int(column.cells[0].is_missing)
        pairs = [(cell.lower, cell.upper) for cell in column.cells if not cell.is_missing]
        here = float(places.instance[c])
        if c in related:
            action = actions.of_feature(int(space.owner[c]))
            first, last = action.limits(here)
            low = max(first, float(limits[0][c]))
            high = min(last, float(limits[1][c]))
            if low > high:
                low = high = here
            elif not low <= here <= high:
                ends[c] = (low, high)
            low, high = min(low, here), max(high, here)
            valued[c] = (low, high)
            if action.step is not None:
                steps[c] = action.step
            pairs = [(min(max(a, low), high), min(max(b, low), high)) for a, b in pairs]
            if not math.isfinite(low) or not math.isfinite(high):
                raise UnsupportedError(
                    f"column {space.columns[c].name!r} stands in a linear relation and has no "
                    "finite bounds; give it a lower and an upper bound (--ranges data, a space "
                    "file, or --within)"
                )
        cells[c] = pairs
    discrete = [c for c in concerned if space.columns[c].domain.is_discrete]
    domains: list[Domain] = [column.domain for column in space.columns]
    pinned = frozenset(c for c in range(space.n_columns) if math.isnan(places.instance[c]))
    return Knowledge(
        tuple(constraints),
        rows_of(constraints, cells, discrete, sorted(needed)),
        shifts,
        valued,
        steps,
        pinned,
        Background(domains, constraints),
        distance,
        places.instance,
        ends,
    )


def as_constraints(space: FeatureSpace) -> tuple[Constraint, ...]:
    """Return the constraints of a space, all of which must be formulas.

    Raises
    ------
    DataError
        Naming the one that is not.
    """
    for constraint in space.constraints:
        if not isinstance(constraint, Constraint):
            raise DataError(
                f"the constraint {constraint.name!r} is no formula over columns; write it with "
                "whyproof.encodings.constraints"
            )
    return tuple(c for c in space.constraints if isinstance(c, Constraint))

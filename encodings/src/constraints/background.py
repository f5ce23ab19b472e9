"""Background knowledge: a point of a box that satisfies all constraints, or why there is none.

A SAT solver chooses which comparisons and relations hold, an exact simplex looks for
values that satisfy the chosen relations, and what it refutes is learnt as a clause: DPLL(T)
(Nieuwenhuis, Oliveras, Tinelli, Solving SAT and SAT Modulo Theories, Journal of the ACM
2006), the lazy way.  Fractions of whole-numbered columns are split by a new cut.  Ours
reports conflicts as sides of the box and constraints by number, shrunk to an irreducible
set, because that is what cuts, cores and error messages are made of; and it prefers the
values of a wanted point, so that what it returns is a repair of this point.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

import numpy as np

from whyproof.engine.answers import Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.domain import Domain
from whyproof.engine.limited import solve_within
from whyproof.engine.space import Point

from .clauses import Clauses, ColumnCuts
from .constraint import Constraint
from .formula import Formula, Linear, columns_of, holds
from .simplex import Bound, Inequality, Limits, solve_inequalities
from .values import Values

__all__ = ["Background", "Clash", "Edge", "Found", "Side"]

Side: TypeAlias = Literal["lower", "upper", "set"]

Edge: TypeAlias = tuple[Side, int]
"""One side of a box in a column; ``set`` for missing values and sets with gaps."""

_MOST_ROUNDS = 20_000
_MOST_SPLITS = 500


@dataclass(frozen=True, slots=True)
class Found:
    """Values that satisfy all constraints, for every column that matters to them."""

    values: Mapping[int, float]

    def put(self, point: Point) -> Point:
        """Return a point with these values put in."""
        result = point.copy()
        for column, value in self.values.items():
            if column < len(result):
                result[column] = value
        return result


@dataclass(frozen=True, slots=True)
class Clash:
    """Why a box holds no admissible point.

    Parameters
    ----------
    edges
        The sides of the box that exclude all points.
    constraints
        Numbers of the constraints that do.
    extra
        Numbers of additional formulas that do.
    """

    edges: frozenset[Edge]
    constraints: frozenset[int]
    extra: frozenset[int] = frozenset()


class Background:
    """Decides boxes under constraints.

    Parameters
    ----------
    domains
        Of all columns.
    constraints
        Put to an instance already (`Constraint.at`).
    helpers
        Number of unbounded real columns that follow those of the space, for formulas that
        need variables of their own.

    Examples
    --------
    >>> from whyproof.engine.space import FeatureSpace
    >>> from .constraint import linear
    >>> space = FeatureSpace.of(["paid", "due"])
    >>> known = Background([c.domain for c in space.columns], [
    ...     linear(space, {"paid": 1, "due": -1}, "<=", 0)])
    >>> known.solve({1: Values.at_most(3.0)}, np.array([5.0, 9.0]), Meter())
    Found(values={0: 3.0, 1: 3.0})
    >>> known.solve({0: Values.at_least(4.0), 1: Values.at_most(3.0)}, np.zeros(2), Meter()) == (
    ...     Clash(frozenset({("lower", 0), ("upper", 1)}), frozenset({0})))
    True
    """

    def __init__(
        self, domains: Sequence[Domain], constraints: Sequence[Constraint], helpers: int = 0
    ) -> None:
        self.constraints = tuple(constraints)
        self.columns = columns_of(c.formula for c in constraints)
        values = [Values.admissible(domain) for domain in domains]
        discrete = [domain.is_discrete for domain in domains]
        self._clauses = Clauses(
            [*values, *[Values.numbers()] * helpers], [*discrete, *[False] * helpers]
        )
        self._switch = [self._activated(constraint.formula) for constraint in constraints]
        self._extra: dict[Formula, int] = {}

    def solve(
        self,
        box: Mapping[int, Values],
        near: Point,
        meter: Meter,
        *,
        extra: Sequence[Formula] = (),
        without: Iterable[int] = (),
        shrink: bool = True,
    ) -> Found | Clash | Unknown:
        """Find an admissible point of a box, or irreducible reasons why there is none.

        Parameters
        ----------
        box
            Values that columns may take; columns that it lacks may take any of their domain.
        near
            Where values should be near, shape ``(columns,)``.
        meter
            Budget of the run.
        extra
            Formulas that have to hold as well.
        without
            Numbers of constraints to leave out.
        shrink
            Whether to leave out of a clash what is not needed for it.
        """
        left_out = set(without)
        edges: dict[int, Edge] = {}
        switches: dict[int, int] = {}
        added: dict[int, int] = {}
        for number, switch in enumerate(self._switch):
            if number not in left_out:
                switches[switch] = number
        for number, formula in enumerate(extra):
            if formula not in self._extra:
                self._extra[formula] = self._activated(formula)
            added[self._extra[formula]] = number
        matter = self.columns | columns_of(extra)
        for column, values in box.items():
            if column in matter:
                for literal, side in self._edges(column, values):
                    edges[literal] = (side, column)
        self._prefer(near)
        # Formulas of earlier questions must not hold by chance.
        unused = [-switch for switch in self._extra.values() if switch not in added]
        answer = self._search([*switches, *added, *edges, *unused], near, meter)
        if not isinstance(answer, list):
            return answer
        core = answer
        if shrink and len(core) <= 40:
            core = self._irreducible(core, near, meter)
        return Clash(
            frozenset(edges[i] for i in core if i in edges),
            frozenset(switches[i] for i in core if i in switches),
            frozenset(added[i] for i in core if i in added),
        )

    def _activated(self, formula: Formula) -> int:
        """Return a variable of its own that implies a formula."""
        variable = self._clauses.variable()
        self._clauses.add(-variable, self._clauses.literal(formula))
        return variable

    def _edges(
        self, column: int, values: Values
    ) -> list[tuple[int, Literal["lower", "upper", "set"]]]:
        clauses = self._clauses
        known = clauses.column(column)
        values = values & known.domain
        if known.discrete:
            values = values.whole()
        if len(values.intervals) == 1 and not values.missing:
            low, high = values.intervals[0]
            literals = clauses.ends(column, low, high)
            first: Side = "set" if low == -math.inf else "lower"
            return list(zip(literals, (first, "upper"), strict=False))
        if values.missing and not values.intervals:
            return [(known.missing, "set")]
        return [(self._activated_set(column, values), "set")]

    def _activated_set(self, column: int, values: Values) -> int:
        variable = self._clauses.variable()
        self._clauses.add(-variable, self._clauses.inside(column, values))
        return variable

    def _prefer(self, near: Point) -> None:
        """Let the solver try the values of a wanted point first."""
        phases: list[int] = []
        for column, known in self._clauses.columns.items():
            value = float(near[column]) if column < len(near) else 0.0
            phases.append(known.missing if math.isnan(value) else -known.missing)
            for cut, variable in zip(known.starts, known.at_least, strict=True):
                phases.append(variable if value >= cut else -variable)
        self._clauses.solver.set_phases(phases)

    def _search(self, assumed: list[int], near: Point, meter: Meter) -> Found | Unknown | list[int]:
        """Return values, or assumptions that exclude each other."""
        solver, splits = self._clauses.solver, 0
        for _ in range(_MOST_ROUNDS):
            found = solve_within(solver, assumed, meter)
            if found is None:
                return Unknown(meter.exhausted() or UnknownReason.TIME)
            if not found:
                return list(solver.get_core() or [])
            true = {v for v in solver.get_model() if v > 0}
            values = self._values(true, near)
            if isinstance(values, Unknown):
                return values
            if values is not None:
                return Found(values)
            splits += 1
            if splits > _MOST_SPLITS and any(c.discrete for c in self._clauses.columns.values()):
                return Unknown(
                    UnknownReason.PRECISION, "the constraints have no small whole solution"
                )
        return Unknown(UnknownReason.INCOMPLETE, "the constraints were not decided")

    def _irreducible(self, core: list[int], near: Point, meter: Meter) -> list[int]:
        """Leave out what is not needed; sides of the box first, they are worth most."""
        needed = list(core)
        for literal in core:
            rest = [other for other in needed if other != literal]
            smaller = self._search(rest, near, meter)
            if isinstance(smaller, list):
                needed = [other for other in needed if other in smaller]
        return needed

    def _values(self, true: set[int], near: Point) -> dict[int, float] | Unknown | None:
        """Return values for an assignment; `None` after learning that there are none."""
        clauses = self._clauses
        active = {v: formula for v, formula in clauses.linear.items() if v in true}
        values: dict[int, float] = {}
        cells: dict[int, tuple[float, float]] = {}
        for column, known in clauses.columns.items():
            wanted = float(near[column]) if column < len(near) else 0.0
            if known.missing in true:
                values[column] = math.nan
                continue
            low, high = cells[column] = known.cell(true)
            values[column] = _nearest(low, high, wanted, known.discrete)
        if not active:
            return values
        exact = self._relations(active, cells, values)
        if exact is None:
            return None
        for column, solution in exact.items():
            known, (low, high) = clauses.columns[column], cells[column]
            if known.discrete and solution.denominator != 1:
                clauses.at_least(column, float(math.ceil(solution)))
                return None
            values[column] = min(max(_as_float(solution), low), high)
        point = np.zeros((1, max(clauses.columns) + 1))
        for column, value in values.items():
            point[0, column] = value
        if not all(bool(holds(formula, point)[0]) for formula in active.values()):
            return Unknown(UnknownReason.PRECISION, "no float64 numbers satisfy a relation")
        return values

    def _relations(
        self,
        active: Mapping[int, Linear],
        cells: Mapping[int, tuple[float, float]],
        wanted: Mapping[int, float],
    ) -> dict[int, Fraction] | None:
        """Solve the relations within cells, in exact arithmetic; learn a clause if impossible."""
        literals = list(active)
        columns = sorted({c for formula in active.values() for c, _ in formula.terms})
        limits: dict[int, Limits] = {c: (_exact(cells[c][0]), _exact(cells[c][1])) for c in columns}
        start = {c: Fraction(wanted[c]) for c in columns}
        # Away from the end of the tolerance, so that rounding cannot leave it; else up to its end.
        conflict: frozenset[Bound] = frozenset()
        for share in (1, 0):
            rows = [
                Inequality(
                    tuple((c, Fraction(f)) for c, f in active[v].terms),
                    active[v].limit - share * Fraction(active[v].tolerance),
                )
                for v in literals
            ]
            solved = solve_inequalities(limits, rows, start)
            if isinstance(solved, dict):
                return solved
            conflict = solved
        clause: list[int] = []
        for side, number in conflict:
            if side == "row":
                clause.append(-literals[number])
            else:
                clause += self._side(number, cells[number], side == "upper")
        self._clauses.add(*clause)
        return None

    def _side(self, column: int, cell: tuple[float, float], upper: bool) -> list[int]:
        """Return the negation of "the value is not beyond this end of its cell"."""
        known: ColumnCuts = self._clauses.columns[column]
        if upper:
            return [self._clauses.at_least(column, known.after(cell[1]))]
        return [-self._clauses.at_least(column, cell[0])]


def _nearest(low: float, high: float, wanted: float, discrete: bool) -> float:
    value = min(max(0.0 if math.isnan(wanted) else wanted, low), high)
    return float(min(max(round(value), low), high)) if discrete else value


def _exact(number: float) -> Fraction | None:
    return Fraction(number) if math.isfinite(number) else None


def _as_float(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf

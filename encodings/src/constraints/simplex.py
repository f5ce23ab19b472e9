"""Feasibility of linear inequalities over intervals, in exact rationals, with small conflicts.

The general simplex of Dutertre and de Moura, A Fast Linear-Arithmetic Solver for DPLL(T),
CAV 2006: every inequality is a variable with a bound of its own, a violated basic variable
is repaired by a pivot, and a row that cannot be repaired names the bounds that exclude each
other.  Bland's rule ends it.  Ours starts from a wanted point, so that the solution stays
near it where it can, and is built anew for each question: systems are small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

__all__ = [
    "Bound",
    "Inequality",
    "Limits",
    "Multipliers",
    "Side",
    "refute_inequalities",
    "solve_inequalities",
]

Side: TypeAlias = Literal["lower", "upper", "row"]

Bound: TypeAlias = tuple[Side, int]
"""A bound of a variable, or an inequality by its number."""

Limits: TypeAlias = tuple[Fraction | None, Fraction | None]
"""Smallest and largest value of a variable; `None` without limit."""


@dataclass(frozen=True, slots=True)
class Inequality:
    """``sum of factor * variable <= limit``."""

    terms: tuple[tuple[int, Fraction], ...]
    limit: Fraction


def solve_inequalities(
    limits: Mapping[int, Limits],
    inequalities: Sequence[Inequality],
    wanted: Mapping[int, Fraction],
) -> dict[int, Fraction] | frozenset[Bound]:
    """Find values within limits that satisfy all inequalities.

    Parameters
    ----------
    limits
        Of every variable.
    inequalities
        Over these variables.
    wanted
        Where to start, per variable; zero where none is given.

    Returns
    -------
    dict or frozenset
        Values, or bounds that no values satisfy together.

    Examples
    --------
    >>> one, two = Fraction(1), Fraction(2)
    >>> rows = [Inequality(((0, -one), (1, -one)), Fraction(-5))]
    >>> solve_inequalities({0: (None, two), 1: (None, two)}, rows, {}) == frozenset(
    ...     {("upper", 0), ("upper", 1), ("row", 0)})
    True
    >>> solve_inequalities({0: (None, two), 1: (None, None)}, rows, {})
    {0: Fraction(2, 1), 1: Fraction(3, 1)}
    """
    for variable, (low, high) in limits.items():
        if low is not None and high is not None and low > high:
            return frozenset({("lower", variable), ("upper", variable)})
    return _Tableau(limits, inequalities, wanted).solve()


@dataclass(frozen=True, slots=True)
class Multipliers:
    """Factors, none negative, with which inequalities add up to a contradiction within limits.

    Parameters
    ----------
    factors
        By the number of the inequality; those of factor zero are left out.
    """

    factors: Mapping[int, Fraction]


def refute_inequalities(
    limits: Mapping[int, Limits], inequalities: Sequence[Inequality]
) -> dict[int, Fraction] | Multipliers:
    """Find values as `solve_inequalities` does, or multipliers that show that there are none.

    Parameters
    ----------
    limits
        Of every variable, none of them empty.
    inequalities
        Over these variables.

    Examples
    --------
    >>> one, two = Fraction(1), Fraction(2)
    >>> rows = [Inequality(((0, -one), (1, -one)), Fraction(-5))]
    >>> refute_inequalities({0: (None, two), 1: (None, two)}, rows)
    Multipliers(factors={0: Fraction(1, 1)})
    """
    tableau = _Tableau(limits, inequalities, {})
    solved = tableau.solve()
    if isinstance(solved, dict):
        return solved
    return Multipliers({-1 - v: f for v, f in tableau.contradiction.items() if v < 0})


class _Tableau:
    """Basic variables as sums of the others; slack variables count down from -1."""

    def __init__(
        self,
        limits: Mapping[int, Limits],
        inequalities: Sequence[Inequality],
        wanted: Mapping[int, Fraction],
    ) -> None:
        self.limits: dict[int, Limits] = dict(limits)
        self.value: dict[int, Fraction] = {}
        for variable, (low, high) in limits.items():
            value = wanted.get(variable, Fraction(0))
            if low is not None and value < low:
                value = low
            if high is not None and value > high:
                value = high
            self.value[variable] = value
        self.rows: dict[int, dict[int, Fraction]] = {}
        self.contradiction: dict[int, Fraction] = {}
        for number, inequality in enumerate(inequalities):
            slack = -1 - number
            self.rows[slack] = {v: f for v, f in inequality.terms if f}
            self.limits[slack] = (None, inequality.limit)
            self.value[slack] = sum(
                (f * self.value[v] for v, f in inequality.terms), start=Fraction(0)
            )

    def solve(self) -> dict[int, Fraction] | frozenset[Bound]:
        while True:
            broken = min((v for v in self.rows if self._violation(v)), default=None)
            if broken is None:
                return {v: value for v, value in self.value.items() if v >= 0}
            up = self._violation(broken) > 0
            row = self.rows[broken]
            entering = min(
                (v for v, f in row.items() if self._can_move(v, (f > 0) == up)), default=None
            )
            if entering is None:
                return self._conflict(broken, up)
            low, high = self.limits[broken]
            goal = low if up else high
            if goal is not None:
                self._pivot(broken, entering, goal)

    def _violation(self, variable: int) -> int:
        """Return 1 if a variable has to grow, -1 if it has to shrink, else 0."""
        (low, high), value = self.limits[variable], self.value[variable]
        if low is not None and value < low:
            return 1
        return -1 if high is not None and value > high else 0

    def _can_move(self, variable: int, up: bool) -> bool:
        limit = self.limits[variable][1 if up else 0]
        return limit is None or self.value[variable] != limit

    def _conflict(self, broken: int, up: bool) -> frozenset[Bound]:
        # The row says: broken variable = sum of the others, which are all at their bounds.
        self.contradiction = {broken: Fraction(1)}
        self.contradiction.update({v: abs(f) for v, f in self.rows[broken].items()})
        found = {_bound(broken, not up)}
        found.update(_bound(v, (f > 0) == up) for v, f in self.rows[broken].items())
        return frozenset(found)

    def _pivot(self, leaving: int, entering: int, goal: Fraction) -> None:
        """Exchange two variables and set the leaving one to its bound."""
        row = self.rows.pop(leaving)
        factor = row.pop(entering)
        step = (goal - self.value[leaving]) / factor
        self.value[leaving] = goal
        self.value[entering] += step
        expressed = {v: -f / factor for v, f in row.items()}
        expressed[leaving] = 1 / factor
        for basic, other in self.rows.items():
            share = other.pop(entering, None)
            if share is None:
                continue
            self.value[basic] += share * step
            for v, f in expressed.items():
                total = other.get(v, Fraction(0)) + share * f
                if total:
                    other[v] = total
                else:
                    other.pop(v, None)
        self.rows[entering] = expressed


def _bound(variable: int, upper: bool) -> Bound:
    """Name the bound that stops a variable."""
    if variable < 0:
        return "row", -1 - variable
    return ("upper" if upper else "lower"), variable

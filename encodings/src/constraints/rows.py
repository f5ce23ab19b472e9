"""Constraints as linear rows over cells: what mixed-integer programs read.

Each column is cut into cells, ascending intervals of its values that the caller chooses;
`cuts` says where constraints need a boundary.  The variables are

``("order", column, k)``
    binary, "the value lies in cell k or a later one", for ``k = 1 .. cells - 1``;
    descending: ``order k + 1 <= order k``, row by row in `Rows`;
``("value", column)``
    the value itself, continuous, or integer where the domain is discrete; only for columns
    of linear relations.  Tied to the cells by
    ``value >= low[0] + sum (low[k] - low[k-1]) * order k`` and
    ``value <= high[0] + sum (high[k] - high[k-1]) * order k``;
``("truth", n)``
    binary, implies that a part of a formula holds.

A set of values (`In`) is a union of runs of cells: being in the run ``a .. b`` is
``order a - order (b + 1)``, with ``order 0 = 1`` and ``order cells = 0``; a run that touches an
end is a single variable or its complement.  `Every` is a row per part, `Some` is "the sum of
the parts is at least one", `AtMost` "at most count", each under the truth variable of the
formula around it.  A linear relation is one row over values, switched on by its truth
variable with the smallest constant that the columns' bounds allow; so columns of linear
relations need finite bounds.

Missing values are not expressed: the caller pins columns that are missing, and others stay
present.  Strictness is closed over; the tolerance of a linear relation is part of its row.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from whyproof.engine.errors import UnsupportedError

from .constraint import Constraint
from .formula import AtMost, Every, Formula, In, Linear, Some, atoms

__all__ = ["Row", "Rows", "Variable", "cuts", "rows_of"]

Variable: TypeAlias = tuple[str, int, int] | tuple[str, int]
"""``("order", column, cell)``, ``("value", column)`` or ``("truth", number)``."""

Interval: TypeAlias = tuple[float, float]
"""Smallest and largest value of a cell, both included."""

_Affine: TypeAlias = tuple[dict[Variable, float], float]
"""A sum of variables and a constant."""


@dataclass(frozen=True, slots=True)
class Row:
    """``lower <= sum of factor * variable <= upper``."""

    terms: Mapping[Variable, float]
    lower: float
    upper: float


@dataclass
class Rows:
    """Rows and the variables that they add to those of the cells.

    Parameters
    ----------
    rows
        All of them have to hold.
    truths
        Number of truth variables, counted from 0.
    values
        Columns that need a value variable, with its bounds.
    """

    rows: list[Row] = field(default_factory=list[Row])
    truths: int = 0
    values: dict[int, Interval] = field(default_factory=dict[int, Interval])


def cuts(constraints: Iterable[Constraint]) -> dict[int, list[float]]:
    """Return by column the first values of cells that constraints need, ascending.

    Examples
    --------
    >>> from whyproof.engine.space import FeatureSpace
    >>> from .constraint import implies
    >>> cuts([implies(FeatureSpace.of("ab"), {"a": 1}, {"b": 2})])[1]
    [2.0, 2.0000000000000004]
    """
    found: dict[int, set[float]] = {}
    for constraint in constraints:
        for atom in atoms(constraint.formula):
            if not isinstance(atom, In):
                continue
            kept = found.setdefault(atom.column, set())
            for low, high in atom.values.intervals:
                if low > -math.inf:
                    kept.add(low)
                if high < math.inf:
                    kept.add(math.nextafter(high, math.inf))
    return {column: sorted(kept) for column, kept in found.items()}


def rows_of(
    constraints: Sequence[Constraint],
    cells: Sequence[Sequence[Interval]],
    discrete: Iterable[int] = (),
    valued: Iterable[int] = (),
) -> Rows:
    """Write constraints as rows.

    Parameters
    ----------
    constraints
        Put to an instance already (`Constraint.at`).
    cells
        For each column its cells, ascending.
    discrete
        Columns of whole numbers.
    valued
        Columns whose value is needed although no linear relation names them.

    Raises
    ------
    UnsupportedError
        If a cell lies partly inside a set of values, or a column of a linear relation has
        no finite bounds.

    Examples
    --------
    >>> from whyproof.engine.space import FeatureSpace
    >>> from .constraint import linear
    >>> rule = linear(FeatureSpace.of("ab"), {"a": 1, "b": 1}, "<=", 3)
    >>> made = rows_of([rule], [[(0.0, 1.0), (2.0, 4.0)], [(0.0, 9.0)]], discrete=[0, 1])
    >>> made.values
    {0: (0.0, 4.0), 1: (0.0, 9.0)}
    """
    writer = _Writer(cells, frozenset(discrete))
    for constraint in constraints:
        writer.require(constraint.formula)
    for column in valued:
        writer.require_value(column)
    return writer.finish()


class _Writer:
    def __init__(self, cells: Sequence[Sequence[Interval]], discrete: frozenset[int]) -> None:
        self.cells = cells
        self.discrete = discrete
        self.made = Rows()
        self.used: set[int] = set()

    def finish(self) -> Rows:
        for column in sorted(self.used):
            for k in range(1, len(self.cells[column]) - 1):
                self._row({("order", column, k): 1.0, ("order", column, k + 1): -1.0}, 0.0)
        return self.made

    def require(self, formula: Formula) -> None:
        """Demand a formula without condition."""
        if isinstance(formula, Every):
            for part in formula.parts:
                self.require(part)
        else:
            self._imply(None, formula)

    def require_value(self, column: int) -> None:
        """Give a column a variable for its value."""
        self._value(column)

    def _imply(self, when: Variable | None, formula: Formula) -> None:
        """Demand a formula where a truth variable is one."""
        match formula:
            case Every():
                for part in formula.parts:
                    self._imply(when, part)
            case Linear() if not formula.before:
                self._relation(when, formula)
            case In():
                terms, constant = self._inside(formula)
                self._at_least(when, terms, 1.0 - constant, 1.0)
            case Some():
                terms, constant = self._sum(formula.parts)
                self._at_least(when, terms, 1.0 - constant, 1.0)
            case AtMost():
                # "At most" counts parts that hold, so that truths have to be equivalences;
                # parts are memberships here, which are sums of order variables.
                if not all(isinstance(part, In) for part in formula.parts):
                    raise UnsupportedError("rows count memberships only, not other formulas")
                terms, constant = self._sum(formula.parts)
                limit = formula.count - constant
                flipped = {v: -f for v, f in terms.items()}
                self._at_least(when, flipped, -limit, len(formula.parts) - formula.count)
            case _:
                raise UnsupportedError("put a constraint about changes to the instance first")

    def _sum(self, parts: Sequence[Formula]) -> _Affine:
        total: dict[Variable, float] = {}
        constant = 0.0
        for part in parts:
            terms, offset = self._truth(part)
            constant += offset
            for variable, factor in terms.items():
                total[variable] = total.get(variable, 0.0) + factor
        return total, constant

    def _truth(self, formula: Formula) -> _Affine:
        """Return what is one only if a formula holds, else zero."""
        if isinstance(formula, In):
            if not formula.values.intervals:
                return {}, 0.0
            return self._inside(formula)
        if not isinstance(formula, Linear) and not formula_parts(formula):
            return {}, float(isinstance(formula, Every | AtMost))
        truth: Variable = ("truth", self.made.truths)
        self.made.truths += 1
        self._imply(truth, formula)
        return {truth: 1.0}, 0.0

    def _inside(self, formula: In) -> _Affine:
        column = formula.column
        terms: dict[Variable, float] = {}
        constant = 0.0
        for first, last in self._runs(formula):
            for k, sign in ((first, 1.0), (last + 1, -1.0)):
                if k == 0:
                    constant += sign
                elif k < len(self.cells[column]):
                    self.used.add(column)
                    variable: Variable = ("order", column, k)
                    terms[variable] = terms.get(variable, 0.0) + sign
        return terms, constant

    def _runs(self, formula: In) -> list[tuple[int, int]]:
        cells, runs = self.cells[formula.column], list[tuple[int, int]]()
        for k, (low, high) in enumerate(cells):
            at = bisect.bisect_right(formula.values.intervals, (low, math.inf)) - 1
            meets = [i for i in formula.values.intervals if i[0] <= high and low <= i[1]]
            if not meets:
                continue
            whole = at >= 0 and high <= formula.values.intervals[at][1]
            if not whole and not self._filled(formula, low, high):
                raise UnsupportedError(
                    f"cell {k} of column {formula.column} lies partly inside a set of values; "
                    "cut it at the boundaries that cuts() names"
                )
            if runs and runs[-1][1] == k - 1:
                runs[-1] = (runs[-1][0], k)
            else:
                runs.append((k, k))
        return runs

    def _filled(self, formula: In, low: float, high: float) -> bool:
        """Tell whether all whole numbers of a cell belong to the set."""
        if formula.column not in self.discrete or not math.isfinite(high - low):
            return False
        whole = range(math.ceil(low), math.floor(high) + 1)
        return len(whole) <= 1000 and all(float(code) in formula.values for code in whole)

    def _relation(self, when: Variable | None, formula: Linear) -> None:
        least = 0.0
        terms: dict[Variable, float] = {}
        for column, factor in formula.terms:
            low, high = self._value(column)
            terms["value", column] = -factor
            least += min(-factor * low, -factor * high)
        bound = -self._limit(formula)
        self._at_least(when, terms, bound, bound - least)

    def _limit(self, formula: Linear) -> float:
        """Return the bound; between two attainable sums where columns are whole numbers."""
        factors = [Fraction(factor) for _, factor in formula.terms]
        scale = math.lcm(*(factor.denominator for factor in factors))
        if not all(c in self.discrete for c, _ in formula.terms) or scale > 1000:
            return float(formula.limit)
        return float((math.floor(formula.limit * scale) + Fraction(1, 2)) / scale)

    def _value(self, column: int) -> Interval:
        if column not in self.made.values:
            cells = self.cells[column]
            low, high = cells[0][0], cells[-1][1]
            if not math.isfinite(low) or not math.isfinite(high):
                raise UnsupportedError(
                    f"column {column} stands in a linear relation and has no finite bounds; "
                    "give its domain a lower and an upper bound"
                )
            self.made.values[column] = (low, high)
            for side in (0, 1):
                terms: dict[Variable, float] = {("value", column): 1.0}
                for k in range(1, len(cells)):
                    terms["order", column, k] = cells[k - 1][side] - cells[k][side]
                start = cells[0][side]
                low_end, high_end = (start, math.inf) if side == 0 else (-math.inf, start)
                self.made.rows.append(Row(terms, low_end, high_end))
            self.used.add(column)
        return self.made.values[column]

    def _at_least(
        self, when: Variable | None, terms: Mapping[Variable, float], bound: float, off: float
    ) -> None:
        """Demand ``sum >= bound``; with a condition, that much less where it is zero."""
        if when is None:
            self._row(terms, bound)
        elif off > 0:
            self._row({**terms, when: -off}, bound - off)

    def _row(self, terms: Mapping[Variable, float], lower: float) -> None:
        self.made.rows.append(Row(dict(terms), lower, math.inf))


def formula_parts(formula: Formula) -> tuple[Formula, ...]:
    """Return the parts of a formula, none of a leaf."""
    return formula.parts if isinstance(formula, Every | Some | AtMost) else ()

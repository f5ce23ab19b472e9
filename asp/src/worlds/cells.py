"""Cells: sets of values that no rule can tell apart.

A numeric feature is cut at every threshold that a rule tests, with its strictness, and
around the person's own value, so that "unchanged" and "not below today's value" are exact.
Between two cuts all rules have one truth value: planning over cells is exact, not an
approximation (section 4.2 of the design of causal worlds; the idea is that of region
automata).  A value with a name is a cell of its own.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from whyproof.asp.rules.literal import Literal, Operator
from whyproof.asp.rules.values import Value, is_missing, number_of, text_of
from whyproof.engine.errors import DataError

from .feature import WorldFeature

__all__ = ["MAX_CELLS", "Cell", "Cut", "cells_of", "cuts_of"]

MAX_CELLS = 100_000
"""Most cells of one feature."""

Cut = tuple[float, int]
"""A place on the number line: just before (0) or just after (1) a value."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Values that rules cannot tell apart: one value, or an interval of numbers.

    Parameters
    ----------
    lower, upper
        Ends of an interval; NaN for a value that is no number.
    lower_open, upper_open
        Whether the ends are left out.
    value
        The value itself when the cell holds just one.
    single
        Whether it holds just one value.
    grid
        Distance of neighbouring values, `None` if continuous.
    """

    lower: float = math.nan
    upper: float = math.nan
    lower_open: bool = False
    upper_open: bool = False
    value: Value = None
    single: bool = True
    grid: float | None = None

    @classmethod
    def of(cls, value: Value) -> Cell:
        """Return the cell of one value."""
        number = number_of(value)
        return cls(number, number, value=value)

    @property
    def is_missing(self) -> bool:
        """Whether it is the cell of the missing value."""
        return self.single and is_missing(self.value)

    def contains(self, value: Value) -> bool:
        """Tell whether a value lies in the cell."""
        if self.single:
            return text_of(value) == text_of(self.value)
        number = number_of(value)
        above = number > self.lower if self.lower_open else number >= self.lower
        below = number < self.upper if self.upper_open else number <= self.upper
        return above and below

    def nearest(self, value: Value) -> Value:
        """Return the value of the cell that is nearest to another one.

        A continuous interval without its end has no nearest value: the one returned lies
        a readable bit inside (a power of ten, at most a thousandth of the end's size).

        Examples
        --------
        >>> Cell(5013, 6849, lower_open=True, single=False).nearest(100)
        5014.0
        """
        if self.single:
            return self.value
        number = number_of(value)
        if math.isnan(number):
            number = 0.0
        if self.contains(number):
            return self._shown(number)
        return self.first if number <= self.lower else self.last

    @property
    def first(self) -> Value:
        """Smallest value of the cell, or one a readable bit above its open end."""
        if self.single:
            return self.value
        if math.isinf(self.lower):
            if math.isinf(self.upper):
                return self._shown(0.0)
            return self._shown(self.upper - 1.0 if self.upper_open else self.upper)
        return self._shown(self._inside(self.lower, 1) if self.lower_open else self.lower)

    @property
    def last(self) -> Value:
        """Largest value of the cell, or one a readable bit below its open end."""
        if self.single:
            return self.value
        if math.isinf(self.upper):
            return self.first
        return self._shown(self._inside(self.upper, -1) if self.upper_open else self.upper)

    def _inside(self, end: float, sign: int) -> float:
        """Return a readable number close to an open end."""
        width = self.upper - self.lower
        bit = 10.0 ** math.floor(math.log10(max(abs(end), 1.0) * 1e-3))
        while bit > 0:
            found = float(Fraction(repr(end)) + sign * Fraction(repr(bit)))
            if bit < width and self.contains(found):
                return found
            bit /= 10
        return math.nextafter(end, sign * math.inf)

    def _shown(self, number: float) -> Value:
        if self.grid is not None and number == math.floor(number) and self.grid >= 1:
            return int(number)
        return number

    def describe(self) -> str:
        """Write the cell as a condition behind a feature's name.

        Examples
        --------
        >>> Cell(620, 850, single=False).describe(), Cell.of("red").describe()
        ('620 .. 850', 'red')
        >>> Cell(6849, math.inf, lower_open=True, single=False).describe()
        '> 6849'
        """
        if self.single:
            return "missing" if is_missing(self.value) else text_of(self.value)
        low, high = text_of(self.lower), text_of(self.upper)
        if math.isinf(self.lower) and math.isinf(self.upper):
            return "any number"
        if math.isinf(self.upper):
            return f"{'>' if self.lower_open else '>='} {low}"
        if math.isinf(self.lower):
            return f"{'<' if self.upper_open else '<='} {high}"
        if self.lower_open or self.upper_open:
            above, below = ">" if self.lower_open else ">=", "<" if self.upper_open else "<="
            return f"{above} {low} and {below} {high}"
        return f"{low} .. {high}"


def cuts_of(literals: Iterable[Literal]) -> set[Cut]:
    """Return where literals cut the number line.

    Examples
    --------
    >>> sorted(cuts_of([Literal("age", Operator.LE, 29)]))
    [(29.0, 1)]
    """
    cuts: set[Cut] = set()
    for literal in literals:
        for value in literal.values:
            number = _numeric_text(value)
            if math.isnan(number):
                continue
            if literal.operator in (Operator.LE, Operator.GT):
                cuts.add((number, 1))
            elif literal.operator in (Operator.LT, Operator.GE):
                cuts.add((number, 0))
            else:
                cuts |= {(number, 0), (number, 1)}
    return cuts


def cells_of(
    feature: WorldFeature, literals: Iterable[Literal] = (), own: Value | None = None
) -> tuple[Cell, ...]:
    """Cut a feature's domain into cells, in ascending order, the missing value last.

    Parameters
    ----------
    feature
        The feature; its domain bounds the cells.
    literals
        All tests of this feature.
    own
        The person's own value, which becomes a cell of its own.

    Raises
    ------
    DataError
        If there were more than `MAX_CELLS`.

    Examples
    --------
    >>> from whyproof.engine.domain import Integers
    >>> age = WorldFeature("age", Integers(lower=17, upper=90))
    >>> [c.describe() for c in cells_of(age, [Literal("age", Operator.LE, 29)], own=28)]
    ['17 .. 27', '28', '29', '30 .. 90']
    """
    if feature.is_numeric:
        found = _numeric(feature, literals, own)
    else:
        found = [Cell.of(value) for value in feature.names]
    if feature.domain.nullable:
        found.append(Cell.of(None))
    if len(found) > MAX_CELLS:
        raise DataError(
            f"feature {feature.name!r} has {len(found)} cells, more than {MAX_CELLS}; "
            "give it narrower bounds, a larger step or no max_change"
        )
    return tuple(found)


def _numeric(feature: WorldFeature, literals: Iterable[Literal], own: Value | None) -> list[Cell]:
    lower, upper = feature.domain.bounds
    cuts = {c for c in cuts_of(literals) if (lower, 0) < c < (upper, 1)}
    number = number_of(own)
    if not math.isnan(number):
        cuts |= {(number, 0), (number, 1)}
    places = sorted({(lower, 0), *cuts, (upper, 1)})
    if feature.grid is None:
        return [_span(a, b, None) for a, b in pairwise(places) if _holds(a, b)]
    found = _gridded(feature, places)
    if not math.isnan(number) and not any(cell.contains(own) for cell in found):
        keys = [float(cell.lower) for cell in found]
        found.insert(bisect_right(keys, number), Cell.of(own))
    return found


def _gridded(feature: WorldFeature, places: list[Cut]) -> list[Cell]:
    """Cells of multiples of the step; the bounds of each cell are values themselves."""
    grid = feature.grid or 1.0
    step = Fraction(repr(float(grid)))
    every = feature.max_change is not None
    found: list[Cell] = []
    for a, b in pairwise(places):
        low, high = _first_multiple(a, step), _first_multiple(b, step)
        if low is None or high is None:
            start = -math.inf if low is None else float(low * step)
            end = math.inf if high is None else float((high - 1) * step)
            found.append(Cell(start, end, single=False, grid=grid))
            continue
        if high - low > (MAX_CELLS if every else math.inf):
            raise DataError(
                f"feature {feature.name!r}: max_change makes {high - low} single values, more "
                f"than {MAX_CELLS}; give it narrower bounds or a larger step"
            )
        if every:
            found += [_grid_cell(k, k, step, grid) for k in range(low, high)]
        elif low < high:
            found.append(_grid_cell(low, high - 1, step, grid))
    return found


def _grid_cell(low: int, high: int, step: Fraction, grid: float) -> Cell:
    if low == high:
        value = low * step
        return Cell.of(int(value) if value.denominator == 1 and grid >= 1 else float(value))
    return Cell(float(low * step), float(high * step), single=False, grid=grid)


def _first_multiple(place: Cut, step: Fraction) -> int | None:
    """Return the number of the first multiple at or behind a place; `None` if infinite."""
    number, side = place
    if math.isinf(number):
        return None
    quotient = Fraction(repr(number)) / step
    return math.floor(quotient) + 1 if side else math.ceil(quotient)


def _holds(a: Cut, b: Cut) -> bool:
    """Tell whether any double lies between two places."""
    low = math.nextafter(a[0], math.inf) if a[1] else a[0]
    high = math.nextafter(b[0], -math.inf) if not b[1] else b[0]
    return low <= high


def _span(a: Cut, b: Cut, grid: float | None) -> Cell:
    if a[0] == b[0]:
        return Cell.of(a[0])
    return Cell(a[0], b[0], lower_open=a[1] == 1, upper_open=b[1] == 0, single=False, grid=grid)


def _numeric_text(value: Value) -> float:
    """Return the number that equality compares with: 3 for the number 3 and the text ``3``."""
    number = number_of(value)
    if not math.isnan(number) or not isinstance(value, str):
        return number
    try:
        number = float(value)
    except ValueError:
        return math.nan
    return number if text_of(number) == value else math.nan

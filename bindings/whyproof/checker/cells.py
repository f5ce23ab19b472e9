"""Cells: the values of a column that no test of the model separates, one value for each.

The cells of a free column together hold every value that its domain and the region allow.
A set of cells is an integer, one bit for each.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

from .model import ZERO, Precision, Test, next_above, round_to
from .refusal import Refused

__all__ = ["Column", "column_cells", "passing", "passing_rounded"]

_MOST_CODES = 1_000_000


@dataclass(frozen=True, slots=True)
class Column:
    """A column's domain: which values exist.

    Parameters
    ----------
    name
        For people.
    kind
        ``real``, ``integers`` or ``codes`` (whole numbers from a list of categories).
    lower, upper
        Both included, may be infinite.
    nullable
        Whether the missing value exists.
    """

    name: str
    kind: str
    lower: float
    upper: float
    nullable: bool

    def holds(self, value: float) -> bool:
        """Tell whether a value exists."""
        if math.isnan(value):
            return self.nullable
        whole = self.kind == "real" or (math.isfinite(value) and value == math.floor(value))
        return whole and self.lower <= value <= self.upper


def passing(test: Test, cells: Sequence[float], precision: Precision) -> int:
    """Return the set of cells that pass a test of the model."""
    rounded = [round_to(value, precision) for value in cells]
    return passing_rounded(test, rounded)


def passing_rounded(test: Test, rounded: Sequence[float]) -> int:
    """Return the set of cells, rounded and ascending with the missing value last, that pass."""
    if test.codes is None and not test.zero_missing and rounded:
        present = len(rounded) - math.isnan(rounded[-1])
        found = (1 << bisect.bisect_left(rounded, test.below, 0, present)) - 1
        return found | (1 << present if present < len(rounded) and test.missing else 0)
    found = 0
    for i, value in enumerate(rounded):
        if test.passes(value):
            found |= 1 << i
    return found


def column_cells(
    column: Column,
    tests: Sequence[Test],
    limits: tuple[float, float],
    precision: Precision,
    *,
    missing: bool,
) -> list[float]:
    """Return one value of every cell of a free column.

    Parameters
    ----------
    column
        Its domain.
    tests
        All tests of the model on it.
    limits
        What the region leaves, both included.
    precision
        Type to which the model rounds inputs.
    missing
        Whether the column may become missing.
    """
    low, high = max(column.lower, limits[0]), min(column.upper, limits[1])
    coded = [test for test in tests if test.codes is not None]
    if column.kind == "codes" or coded:
        cells = _codes(column, tests, low, high)
    else:
        cuts = {test.below for test in tests}
        if any(test.zero_missing for test in tests):
            cuts |= {-ZERO, next_above(ZERO, precision)}
        cells = _intervals(sorted(cuts), low, high, precision, whole=column.kind != "real")
    if missing and column.nullable:
        cells.append(math.nan)
    return cells


def _codes(column: Column, tests: Sequence[Test], low: float, high: float) -> list[float]:
    if column.kind == "real":
        raise Refused(f"column {column.name!r} has tests for codes but any number as domain")
    if math.isfinite(column.lower) and math.isfinite(column.upper):
        if column.upper - column.lower >= _MOST_CODES:
            raise Refused(f"column {column.name!r} has too many codes")
        every = list(range(int(column.lower), int(column.upper) + 1))
    else:
        if any(test.codes is None for test in tests):
            raise Refused(f"column {column.name!r} is tested for codes and for order, unbounded")
        named = {code for test in tests for code in test.codes or ()}
        # All codes that no test names behave alike: one stands for them.
        every = [*sorted(named), max(named, default=-1) + 1]
    return [float(code) for code in every if low <= code <= high]


def _intervals(
    cuts: list[float], low: float, high: float, precision: Precision, *, whole: bool
) -> list[float]:
    """Return a value of ``low .. high`` in each interval between cuts, where there is one."""
    cells: list[float] = []
    edges = [-math.inf, *(cut for cut in cuts if cut > -math.inf), math.inf]
    for i, start in enumerate(edges[:-1]):
        stop = edges[i + 1]
        last = i == len(edges) - 2
        first = max(low, _first(start, precision))
        if whole and math.isfinite(first):
            first = float(math.ceil(first))
        end = high if last else min(high, math.nextafter(_first(stop, precision), -math.inf))
        if whole and math.isfinite(end):
            end = float(math.floor(end))
        if first > end:
            continue
        value = first if math.isfinite(first) else end
        if not math.isfinite(value):
            value = 0.0 if first < 0.0 < end else first
        cells.append(value)
    return cells


def _first(cut: float, precision: Precision) -> float:
    """Return the smallest float64 that rounds to at least `cut`, a number of the grid."""
    before = -next_above(-cut, precision)
    if precision == "float64" or math.isinf(cut) or math.isinf(before):
        return cut
    # Rounding is monotone: the half-way point to the number before decides.
    middle = (before + cut) / 2
    return middle if round_to(middle, precision) >= cut else math.nextafter(middle, math.inf)

"""Sets of values of one column: closed intervals of float64, and maybe the missing value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from .cells import Column
from .document import fields, number
from .refusal import Refused

__all__ = ["Span", "spans_of"]


@dataclass(frozen=True, slots=True)
class Span:
    """Values that a column may have.

    Parameters
    ----------
    intervals
        Ends included, ascending and apart from each other.
    missing
        Whether the missing value is among them.

    Examples
    --------
    >>> Span(((0.0, 2.0), (5.0, 9.0))).both(Span(((1.0, 6.0),))).intervals
    ((1.0, 2.0), (5.0, 6.0))
    """

    intervals: tuple[tuple[float, float], ...] = ()
    missing: bool = False

    @classmethod
    def of(cls, value: float) -> Span:
        """Return the set of one value."""
        return cls((), True) if math.isnan(value) else cls(((value, value),))

    @classmethod
    def read(cls, entry: object, what: str) -> Span:
        """Read ``{"intervals": [[a, b], ...], "missing": false}``."""
        given = fields(entry, what, ("intervals", "missing"))
        return cls.listed(given["intervals"], given["missing"], what)

    @classmethod
    def listed(cls, intervals: object, missing: object, what: str) -> Span:
        """Read intervals that have to be in order."""
        if not isinstance(intervals, list) or not isinstance(missing, bool):
            raise Refused(f"the values of {what} are not understood")
        read: list[tuple[float, float]] = []
        for pair in intervals:
            if not isinstance(pair, list) or len(pair) != 2:
                raise Refused(f"an interval of {what} is {pair!r}")
            low, high = number(pair[0]), number(pair[1])
            if not low <= high or (read and not read[-1][1] < low):
                raise Refused(f"the intervals of {what} are out of order")
            read.append((low, high))
        return cls(tuple(read), missing)

    @property
    def is_empty(self) -> bool:
        """Whether no value is left."""
        return not self.intervals and not self.missing

    @property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest number of a set that holds numbers."""
        return self.intervals[0][0], self.intervals[-1][1]

    def holds(self, value: float) -> bool:
        """Tell whether a value belongs to the set."""
        if math.isnan(value):
            return self.missing
        return any(low <= value <= high for low, high in self.intervals)

    def both(self, other: Span) -> Span:
        """Return the values of both sets."""
        kept = [
            (max(a, c), min(b, d))
            for a, b in self.intervals
            for c, d in other.intervals
            if max(a, c) <= min(b, d)
        ]
        return Span(tuple(kept), self.missing and other.missing)

    def within(self, other: Span) -> bool:
        """Tell whether each value belongs to another set."""
        return (other.missing or not self.missing) and all(
            any(a <= low and high <= b for a, b in other.intervals) for low, high in self.intervals
        )

    def apart(self, other: Span) -> bool:
        """Tell whether no value belongs to another set."""
        return self.both(other).is_empty

    def numbers(self) -> Span:
        """Return the set without the missing value."""
        return Span(self.intervals)

    def others(self) -> Span:
        """Return the values that do not belong to the set."""
        kept: list[tuple[float, float]] = []
        at: float | None = -math.inf
        for low, high in self.intervals:
            if at is not None and at < low:
                kept.append((at, math.nextafter(low, -math.inf)))
            at = None if high == math.inf else math.nextafter(high, math.inf)
        if at is not None:
            kept.append((at, math.inf))
        return Span(tuple(kept), not self.missing)

    def whole(self) -> Span:
        """Return the set with the ends of its intervals moved to whole numbers."""
        kept: list[tuple[float, float]] = []
        for low, high in self.intervals:
            first = low if math.isinf(low) else float(math.ceil(low))
            last = high if math.isinf(high) else float(math.floor(high))
            if first <= last:
                kept.append((first, last))
        return Span(tuple(kept), self.missing)

    def least(self, factor: Fraction) -> Fraction | None:
        """Return the least product of a factor and a number of the set; `None` without any."""
        low, high = self.ends
        end = low if factor > 0 else high
        return factor * Fraction(end) if math.isfinite(end) else None

    def text(self, name: str) -> str:
        """Say in words that a column has such a value."""
        parts = [
            f"{name} = {low:.12g}"
            if low == high
            else f"{name} <= {high:.12g}"
            if math.isinf(low) and math.isfinite(high)
            else f"{name} >= {low:.12g}"
            if math.isinf(high) and math.isfinite(low)
            else f"{name} known"
            if math.isinf(low)
            else f"{low:.12g} <= {name} <= {high:.12g}"
            for low, high in self.intervals
        ]
        parts += [f"{name} missing"] if self.missing else []
        return " or ".join(parts) or f"{name} impossible"


def spans_of(
    column: Column, cells: Sequence[float], limits: tuple[float, float], *, coded: bool
) -> list[Span]:
    """Return the values that each cell of a free column stands for.

    Parameters
    ----------
    column
        Its domain.
    cells
        One value of each, ascending, the missing value last.
    limits
        What the region leaves, both included.
    coded
        Whether the model tests it for codes.
    """
    bounded = math.isfinite(column.lower) and math.isfinite(column.upper)
    if (column.kind == "codes" or coded) and not bounded:
        # The last cell stands for all codes that no test names: nothing narrower is known.
        everything = Span(((-math.inf, math.inf),))
        return [Span((), True) if math.isnan(value) else everything for value in cells]
    low, high = max(column.lower, limits[0]), min(column.upper, limits[1])
    found: list[Span] = []
    for i, value in enumerate(cells):
        if math.isnan(value):
            found.append(Span((), True))
            continue
        end = high
        if i + 1 < len(cells) and not math.isnan(cells[i + 1]):
            after = cells[i + 1]
            end = math.nextafter(after, -math.inf) if column.kind == "real" else after - 1
        found.append(Span(((low if i == 0 else value, end),)))
    return found

"""Sets of codes of one column: closed intervals of float64, and maybe the missing value.

Points hold float64 numbers, so that ``x < t`` is ``x <= nextafter(t)`` and every set that
comparisons can describe is a union of closed intervals, exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whyproof.engine.domain import Domain

__all__ = ["Values"]

_FIRST, _LAST = -math.inf, math.inf


@dataclass(frozen=True, slots=True)
class Values:
    """A set of codes.

    Parameters
    ----------
    intervals
        Closed, ascending, disjoint; ends may be infinite.
    missing
        Whether the missing value belongs to it.

    Examples
    --------
    >>> below = Values.at_most(3.0)
    >>> (below & Values.at_least(1.0)).intervals
    ((1.0, 3.0),)
    >>> below.holds(np.array([3.0, 3.5, np.nan])).tolist()
    [True, False, False]
    >>> (~below).holds(np.array([3.0, 3.5, np.nan])).tolist()
    [False, True, True]
    """

    intervals: tuple[tuple[float, float], ...] = ()
    missing: bool = False

    @classmethod
    def of(cls, codes: Iterable[float]) -> Values:
        """Return the set of some codes; NaN stands for the missing value."""
        listed = [float(code) for code in codes]
        kept = sorted({code for code in listed if not math.isnan(code)})
        return cls(tuple((code, code) for code in kept), any(math.isnan(code) for code in listed))

    @classmethod
    def at_least(cls, lower: float) -> Values:
        """Return all numbers from `lower` on."""
        return cls(((lower, _LAST),))

    @classmethod
    def at_most(cls, upper: float) -> Values:
        """Return all numbers up to `upper`."""
        return cls(((_FIRST, upper),))

    @classmethod
    def between(cls, lower: float, upper: float) -> Values:
        """Return all numbers from `lower` to `upper`, nothing if these are out of order."""
        return cls(((lower, upper),) if lower <= upper else ())

    @classmethod
    def above(cls, bound: float) -> Values:
        """Return all numbers greater than `bound`."""
        return cls.at_least(math.nextafter(bound, math.inf))

    @classmethod
    def below(cls, bound: float) -> Values:
        """Return all numbers less than `bound`."""
        return cls.at_most(math.nextafter(bound, -math.inf))

    @classmethod
    def numbers(cls) -> Values:
        """Return all numbers, without the missing value."""
        return cls(((_FIRST, _LAST),))

    @classmethod
    def everything(cls) -> Values:
        """Return all numbers and the missing value."""
        return cls(((_FIRST, _LAST),), True)

    @classmethod
    def nothing(cls) -> Values:
        """Return the empty set."""
        return cls()

    @classmethod
    def only_missing(cls) -> Values:
        """Return the missing value alone."""
        return cls((), True)

    @classmethod
    def admissible(cls, domain: Domain) -> Values:
        """Return the smallest interval around a domain, with its missing value."""
        return cls((domain.bounds,), domain.nullable)

    @property
    def is_empty(self) -> bool:
        """Whether nothing belongs to it."""
        return not self.intervals and not self.missing

    def whole(self) -> Values:
        """Return the set with the ends of its intervals moved to whole numbers."""
        kept: list[tuple[float, float]] = []
        for low, high in self.intervals:
            first = low if math.isinf(low) else float(math.ceil(low))
            last = high if math.isinf(high) else float(math.floor(high))
            if first <= last:
                kept.append((first, last))
        return Values(tuple(kept), self.missing)

    def holds(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Tell for each value whether it belongs to the set, shape as `values`."""
        inside = np.isnan(values) & self.missing
        for low, high in self.intervals:
            inside |= (low <= values) & (values <= high)
        return inside

    def __contains__(self, value: float) -> bool:
        return bool(self.holds(np.array([value]))[0])

    def __and__(self, other: Values) -> Values:
        kept: list[tuple[float, float]] = []
        for low, high in self.intervals:
            for first, last in other.intervals:
                if max(low, first) <= min(high, last):
                    kept.append((max(low, first), min(high, last)))
        return Values(tuple(kept), self.missing and other.missing)

    def __or__(self, other: Values) -> Values:
        kept: list[tuple[float, float]] = []
        for low, high in sorted(self.intervals + other.intervals):
            if kept and low <= kept[-1][1]:
                kept[-1] = (kept[-1][0], max(kept[-1][1], high))
            else:
                kept.append((low, high))
        return Values(tuple(kept), self.missing or other.missing)

    def __invert__(self) -> Values:
        kept: list[tuple[float, float]] = []
        at = _FIRST
        for low, high in self.intervals:
            if at < low:
                kept.append((at, math.nextafter(low, -math.inf)))
            if high == _LAST:
                return Values(tuple(kept), not self.missing)
            at = math.nextafter(high, math.inf)
        return Values((*kept, (at, _LAST)), not self.missing)

    def __le__(self, other: Values) -> bool:
        return (self & ~other).is_empty

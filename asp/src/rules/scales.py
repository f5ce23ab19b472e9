"""Exact integers for numbers, because answer-set solvers have no fractions.

Rules only compare a feature's numbers with thresholds.  If all of them are decimals of
few digits, multiplying by a power of ten is exact and readable.  Otherwise a number is
replaced by its place among the thresholds: below the first, equal to it, between it and
the second, and so on, which keeps every comparison.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

__all__ = ["Scale", "scale_for"]

_LARGEST = 2**31 - 1
"""clingo computes with 32-bit integers."""

_MOST_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Scale:
    """How one feature's numbers become integers.

    Parameters
    ----------
    digits
        Numbers are multiplied by ten to this power; `None` for places among thresholds.
    thresholds
        Ascending; used for places only.

    Examples
    --------
    >>> Scale(1).integer(2.5), Scale(None, (2.5,)).integer(2.5), Scale(None, (2.5,)).integer(9)
    (25, 1, 2)
    """

    digits: int | None
    thresholds: tuple[float, ...] = ()

    def integer(self, number: float) -> int:
        """Return the integer that stands for a number.

        Raises
        ------
        ValueError
            If a scaled number is no integer of 32 bits.
        """
        if self.digits is None:
            before = int(np.searchsorted(self.thresholds, number, side="left"))
            equal = before < len(self.thresholds) and self.thresholds[before] == number
            return 2 * before + int(equal)
        scaled = _decimal(number) * 10**self.digits
        if scaled.denominator != 1 or abs(scaled) > _LARGEST:
            raise ValueError(f"{number!r} times 10^{self.digits} is no 32-bit integer")
        return int(scaled)

    def describe(self) -> str:
        """Say in words what the integers mean; empty if they are the numbers themselves."""
        if self.digits is None:
            shown = ", ".join(f"{2 * k + 1} is {t!r}" for k, t in enumerate(self.thresholds))
            return f"place among thresholds: {shown}; even numbers lie between them"
        return f"times {10**self.digits}" if self.digits else ""


def scale_for(thresholds: Iterable[float], numbers: Iterable[float] = ()) -> Scale:
    """Return the simplest exact scale.

    Parameters
    ----------
    thresholds
        What rules compare with.
    numbers
        Values that must be expressible as well.
    """
    listed = sorted(set(thresholds))
    needed = 0
    for number in {*listed, *numbers}:
        decimal = _decimal(number)
        digits = 0
        while (decimal * 10**digits).denominator != 1 and digits <= _MOST_DIGITS:
            digits += 1
        needed = max(needed, digits)
        if needed > _MOST_DIGITS or abs(decimal) * 10**needed > _LARGEST:
            return Scale(None, tuple(listed))
    if any(abs(_decimal(number)) * 10**needed > _LARGEST for number in {*listed, *numbers}):
        return Scale(None, tuple(listed))
    return Scale(needed)


def _decimal(number: float) -> Fraction:
    """Return the decimal that a float is written as."""
    return Fraction(repr(float(number)))

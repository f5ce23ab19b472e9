"""Values that literals compare with: numbers, names, truth values and the missing value.

A value's type decides how it compares, never its spelling: the string ``"3"`` is a name
and is neither below nor above anything.  Equality goes by the canonical text, so that
the name ``"3"`` and the number 3 are one category, as published rules expect.
"""

from __future__ import annotations

import math

__all__ = ["Value", "is_missing", "number_of", "text_of"]

Value = str | int | float | bool | None
"""A category's name, a number, a truth value, or `None` for the missing value."""


def is_missing(value: object) -> bool:
    """Tell whether a value is the missing one: `None`, NaN or the empty string."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def number_of(value: object) -> float:
    """Return the number that a value is, or NaN if it is none (truth values are none).

    Examples
    --------
    >>> number_of(3), number_of("3")
    (3.0, nan)
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return math.nan


def text_of(value: object) -> str:
    """Return the canonical text of a value; values with one text are equal.

    Examples
    --------
    >>> text_of(3.0), text_of(3), text_of("3"), text_of(2.5), text_of(True), text_of(None)
    ('3', '3', '3', '2.5', 'true', '')
    """
    if is_missing(value):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        number = float(value)
        if abs(number) < 1e15 and number == math.floor(number):
            return str(int(number))
        return str(value) if isinstance(value, int) else repr(number)
    return str(value)

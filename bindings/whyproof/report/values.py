"""Values and features as people write them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from typing import cast

__all__ = ["Setting", "at_least", "few", "listed", "number", "settings", "shown", "transition"]

Setting = tuple[str, str]
"""A name and a value in words: ``("age", "39")``."""

_DIGITS = 6
_MANY, _FIRST = 40, 12


def number(value: float | str, digits: int = _DIGITS) -> str:
    """Write a number with at most so many significant digits, as plain as possible.

    Records write infinities as text; both forms are understood.

    Examples
    --------
    >>> number(39.0), number(0.1423499956727028), number(5178), number(1.5e-09)
    ('39', '0.14235', '5178', '1.5e-09')
    """
    value = float(value)
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(value) if digits > 16 else f"{value:.{digits}g}"


def at_least(bound: float, digits: int = 3) -> str:
    """Write a lower bound with few digits, rounded down so that it stays one.

    Examples
    --------
    >>> at_least(0.0097999), at_least(12.0), at_least(1.9999)
    ('0.00979', '12', '1.99')
    """
    exact = Decimal(bound)
    place = Decimal(1).scaleb(exact.adjusted() - digits + 1)
    return number(float(exact.quantize(place, ROUND_FLOOR)) if exact else 0.0)


def shown(value: object, unit: str = "", digits: int = _DIGITS) -> str:
    """Write a value of a column; the missing value is written ``missing``.

    Examples
    --------
    >>> shown(None), shown(True), shown(39.5, "years"), shown("red")
    ('missing', 'true', '39.5 years', 'red')
    """
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = number(value, digits) if isinstance(value, int | float) else str(value)
    return f"{text} {unit}" if unit else text


def transition(old: object, new: object, unit: str = "") -> tuple[str, str]:
    """Write two values of a column with as many digits as it takes to tell them apart.

    Examples
    --------
    >>> transition(16.795, 16.795000000000005)
    ('16.795', '16.795000000000005')
    >>> transition(39, 28)
    ('39', '28')
    """
    for digits in (_DIGITS, 9, 12):
        texts = shown(old, unit, digits), shown(new, unit, digits)
        if texts[0] != texts[1]:
            return texts
    return shown(old, unit, 17), shown(new, unit, 17)


def listed(words: Sequence[str], last: str = "and") -> str:
    """Join words as in a sentence.

    Examples
    --------
    >>> listed(["age", "job", "owner"])
    'age, job and owner'
    """
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def few(words: Sequence[str], last: str = "and") -> str:
    """Join words as in a sentence; of more than 40, the first 12 and how many more.

    Examples
    --------
    >>> few([f"pixel {i}" for i in range(50)], "or")[-28:]
    'ixel 10, pixel 11 or 38 more'
    """
    if len(words) <= _MANY:
        return listed(words, last)
    return listed([*words[:_FIRST], f"{len(words) - _FIRST} more"], last)


def settings(feature: Mapping[str, object], row: Mapping[str, object]) -> list[Setting]:
    """Write the values of a feature's columns in a row; a one-hot block as one value.

    Parameters
    ----------
    feature
        ``name``, ``columns`` and ``units`` (by column).
    row
        Values by column.

    Examples
    --------
    >>> block = {"name": "colour", "columns": ["colour_red", "colour_blue"], "units": {}}
    >>> settings(block, {"colour_red": 0.0, "colour_blue": 1.0})
    [('colour', 'blue')]
    """
    name, columns = str(feature["name"]), cast("Sequence[str]", feature["columns"])
    units = cast("Mapping[str, str]", feature.get("units") or {})
    chosen = _one_hot(name, columns, row)
    if chosen is not None:
        return [(name, chosen)]
    return [(column, shown(row.get(column), units.get(column, ""))) for column in columns]


def _one_hot(name: str, columns: Sequence[str], row: Mapping[str, object]) -> str | None:
    """Return the value that a block of indicator columns stands for, if it is one."""
    if len(columns) < 2 or any(row.get(column) not in (0, 1) for column in columns):
        return None
    ends = [column[len(name) :] for column in columns if column.startswith(name)]
    if len(ends) != len(columns) or any(not end[:1] or end[0] not in "_=:. -" for end in ends):
        return None
    ones = [end[1:] for end, column in zip(ends, columns, strict=True) if row[column] == 1]
    if len(ones) > 1:
        return None
    return ones[0] if ones else "none of its values"

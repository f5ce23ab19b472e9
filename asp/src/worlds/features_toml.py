"""One feature of a world file: its domain, from the file or from data, and its settings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from whyproof.asp.rules import Table, Value
from whyproof.asp.rules.values import is_missing, number_of, text_of
from whyproof.engine.domain import Boolean, Categories, Domain, Integers, Real
from whyproof.engine.errors import DataError
from whyproof.engine.names import did_you_mean

from .entries import Entry
from .feature import Change, WorldFeature

__all__ = ["domain_of_data", "feature_of_entry"]

_KEYS = (
    "type",
    "lower",
    "upper",
    "values",
    "nullable",
    "change",
    "step",
    "max_change",
    "transitions",
    "may_become_missing",
    "cost",
    "cost_per_unit",
    "unit",
)
_TYPES = ("real", "integers", "boolean", "categories")


def feature_of_entry(name: str, entry: Entry, data: Table | None = None) -> WorldFeature:
    """Return the feature that a table ``[features.NAME]`` describes.

    Raises
    ------
    DataError
        With the line of what is wrong.
    """
    entry.keys(_KEYS)
    change = entry.text("change", "any")
    if change not in list(Change):
        known = [kind.value for kind in Change]
        raise entry.fail(f"no change {change!r}{did_you_mean(change, known)}", "change")
    try:
        return WorldFeature(
            name,
            _domain(name, entry, data),
            Change(change),
            entry.number_of("step"),
            entry.number_of("max_change"),
            _transitions(entry),
            entry.flag("may_become_missing"),
            entry.number_of("cost", 1.0) or 0.0,
            entry.number_of("cost_per_unit", 0.0) or 0.0,
            entry.text("unit"),
            entry.position(),
        )
    except DataError as error:
        if str(error).startswith(entry.source.name):
            raise
        raise entry.fail(str(error)) from None


def domain_of_data(name: str, data: Table) -> Domain:
    """Return the smallest domain that holds a column of a table.

    Whole numbers become `Integers` and other numbers `Real`, both within the smallest and
    the largest; names become `Categories` in order of first appearance.

    Raises
    ------
    DataError
        If there is no such column, or it is empty.

    Examples
    --------
    >>> domain_of_data("age", Table.of({"age": [31, 40]})).describe()
    'whole numbers 31 .. 40'
    """
    column = data.column(name)
    values = [column.value(row) for row in range(len(column))]
    present = [value for value in values if not is_missing(value)]
    nullable = len(present) < len(values)
    if not present:
        raise DataError(f"column {name!r} of the data is empty; describe the feature's values")
    numbers = np.array([number_of(value) for value in present])
    if not np.isnan(numbers).any():
        lower, upper = float(numbers.min()), float(numbers.max())
        whole = bool((numbers == np.floor(numbers)).all())
        return (Integers if whole else Real)(nullable, lower, upper)
    if all(text_of(value).lower() in ("true", "false") for value in present):
        return Boolean(nullable)
    return Categories(nullable, tuple(dict.fromkeys(present)))


def _domain(name: str, entry: Entry, data: Table | None) -> Domain:
    said = {"type", "values"} & set(entry.content)
    if not said and data is not None:
        inferred = domain_of_data(name, data)
        lower, upper = entry.number_of("lower"), entry.number_of("upper")
        if isinstance(inferred, Real | Integers) and (lower is not None or upper is not None):
            a, b = inferred.bounds
            return type(inferred)(
                inferred.nullable, a if lower is None else lower, b if upper is None else upper
            )
        return inferred
    kind = entry.text("type", "categories" if "values" in entry.content else "")
    kind = {"integer": "integers", "categorical": "categories"}.get(kind, kind)
    if not kind:
        raise entry.fail(
            f"feature {name!r} needs a type, a list of values, or data to learn it from"
        )
    if kind not in _TYPES:
        raise entry.fail(f"no type {kind!r}{did_you_mean(kind, _TYPES)}", "type")
    bounded = kind in ("real", "integers")
    for key in ("lower", "upper") if not bounded else ("values",):
        if key in entry.content and not (kind == "categories" and key == "values"):
            raise entry.fail(f"a feature of type {kind!r} has no {key!r}", key)
    nullable = entry.flag("nullable")
    if kind == "boolean":
        return Boolean(nullable)
    if kind == "categories":
        values: tuple[Any, ...] = entry.values("values")
        return Categories(nullable, values)
    lower, upper = entry.number_of("lower"), entry.number_of("upper")
    made = Real if kind == "real" else Integers
    return made(
        nullable, -math.inf if lower is None else lower, math.inf if upper is None else upper
    )


def _transitions(entry: Entry) -> tuple[tuple[Value, Value], ...] | None:
    """Read ``[["a", "b"], ...]`` or ``{a = ["b", "c"]}``."""
    given = entry.content.get("transitions")
    if given is None:
        return None
    if isinstance(given, dict):
        inner = entry.table("transitions")
        return tuple((old, new) for old in inner.content for new in inner.values(old))
    if not isinstance(given, list) or not all(
        isinstance(pair, list) and len(pair) == 2 for pair in given
    ):
        raise entry.fail(
            'transitions must be pairs, [["old", "new"], ...], or a table of lists', "transitions"
        )
    return tuple((old, new) for old, new in given)

"""Tables of people's data as tables of rules."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from whyproof.asp.rules import Column
from whyproof.asp.rules import Table as RuleTable
from whyproof.asp.rules.values import Value
from whyproof.engine.errors import DataError
from whyproof.engine.names import did_you_mean

from .tables import Table, TableColumn

__all__ = ["rule_table"]

_MANY_NUMBERS = 20
"""A column of words with more distinct numbers than that is a column of numbers with
words among them; with fewer, the numbers are names of categories."""


def rule_table(table: Table, categories: Collection[str] = ()) -> RuleTable:
    """Return the columns of a table as rules see them, without the label.

    Parameters
    ----------
    table
        As read from a file or a frame.
    categories
        Columns of numbers that are names, such as codes, and have no order.

    Raises
    ------
    DataError
        If `categories` names a column that does not exist.

    Examples
    --------
    >>> table = Table.of({"age": [30.0, None], "doors": ["2", "5more"]})
    >>> rule_table(table).row(0), rule_table(table, ["age"]).row(0)
    ({'age': 30.0, 'doors': '2'}, {'age': '30', 'doors': '2'})
    """
    for name in categories:
        if name not in table.names:
            raise DataError(
                f"{table.source} has no column {name!r}{did_you_mean(name, table.names)}"
            )
    return RuleTable({column.name: _column(column, categories) for column in table.columns})


def _column(column: TableColumn, categories: Collection[str]) -> Column:
    if column.name in categories:
        return Column.of([None if v is None else str(v) for v in column.values])
    if column.numbers is not None:
        return Column.numeric(column.numbers)
    index: dict[object, int] = {}
    codes = np.array([index.setdefault(word, len(index)) for word in column.words], dtype=np.int64)
    words = [_plain(word) for word in index]
    numbers = [_number(word) for word in words]
    if sum(number is not None for number in numbers) > _MANY_NUMBERS:
        words = [
            word if number is None else number for word, number in zip(words, numbers, strict=True)
        ]
    return Column.coded(codes, words)


def _plain(word: object) -> Value:
    return word if word is None or isinstance(word, str | int | float) else str(word)


def _number(word: Value) -> float | None:
    if not isinstance(word, str):
        return None
    try:
        number = float(word)
    except ValueError:
        return None
    return number if np.isfinite(number) else None

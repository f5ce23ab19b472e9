"""Constraints: named formulas over the columns of a space, and the usual ways to write one.

Each function below takes names and values as people write them and looks them up in a
space, so that a misspelt column is refused with the nearest name.  The same statements in
text are read by `whyproof.asp.background`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import DataError
from whyproof.engine.names import did_you_mean
from whyproof.engine.space import FeatureSpace, Point, Points

from .formula import (
    AtMost,
    Every,
    Formula,
    In,
    Linear,
    Some,
    Was,
    atoms,
    columns_of,
    compared,
    fixed_at,
    holds,
    negated,
)
from .values import Values

__all__ = [
    "Condition",
    "Constraint",
    "allowed",
    "at_most_one",
    "column_index",
    "condition",
    "forbidden",
    "forbidden_transition",
    "implies",
    "linear",
    "one_hot",
    "values_of",
]

Condition = Mapping[str, object]
"""Column names with what they shall be: a value, or a set or list of values."""


@dataclass(frozen=True)
class Constraint:
    """A statement that every admissible point satisfies.

    Parameters
    ----------
    name
        How reports and errors refer to it.
    formula
        What it says.
    position
        Where it was read, such as ``rules.lp:3``; empty if it was not read.
    text
        The statement as it was read, so that it can be written again.

    Examples
    --------
    >>> space = FeatureSpace.of(["paid", "due"])
    >>> rule = linear(space, {"paid": 1, "due": -1}, "<=", 0)
    >>> rule.name, rule.holds(np.array([[1.0, 2.0], [3.0, 2.0]])).tolist()
    ('paid - due <= 0', [True, False])
    """

    name: str
    formula: Formula
    position: str = ""
    text: str = field(default="", compare=False, repr=False)

    @cached_property
    def is_transition(self) -> bool:
        """Whether it speaks about the values that the instance had."""
        leaves = atoms(self.formula)
        return any(isinstance(a, Was) or (isinstance(a, Linear) and bool(a.before)) for a in leaves)

    @cached_property
    def columns(self) -> frozenset[int]:
        """Columns whose values matter to it."""
        return columns_of([self.formula])

    def __str__(self) -> str:
        return f"{self.name!r} ({self.position})" if self.position else repr(self.name)

    def as_json(self) -> dict[str, object]:
        """Return name, text and meaning, wherever it was read: what a store is about."""
        return {"name": self.name, "text": self.text, "formula": repr(self.formula)}

    def holds(self, points: Points) -> npt.NDArray[np.bool_]:
        """Tell for each point whether it is admissible, shape ``(rows,)``.

        A statement about changes excludes no point by itself; see `at`.
        """
        if self.is_transition:
            return np.ones(len(points), dtype=np.bool_)
        return holds(self.formula, points)

    def at(self, instance: Point) -> Constraint:
        """Return what the constraint demands of points that an instance changes into."""
        if not self.is_transition:
            return self
        return replace(self, formula=fixed_at(self.formula, instance))


def linear(
    space: FeatureSpace,
    terms: Mapping[str, float],
    operator: str,
    bound: float,
    *,
    name: str = "",
) -> Constraint:
    """Demand a linear relation of columns; a row where one is missing does not violate it.

    Parameters
    ----------
    space
        Where the columns are.
    terms
        Factor by column name.
    operator
        ``<=``, ``<``, ``>=``, ``>``, ``=`` or ``!=``.
    bound
        Finite.
    name
        How to refer to it; the relation itself by default.

    Raises
    ------
    DataError
        For columns that do not exist and factors that are not finite.
    """
    if operator not in ("<=", "<", ">=", ">", "=", "!="):
        raise DataError(f"no relation {operator!r}; use one of <=, <, >=, >, = and !=")
    by_column: dict[int, float] = {}
    for column, factor in terms.items():
        by_column[column_index(space, column)] = float(factor)
    relation = compared(by_column, operator, float(bound))
    absent = tuple(In(column, Values.only_missing()) for column in by_column)
    said = name or f"{_sum_in_words(terms)} {operator} {bound:g}"
    return Constraint(said, Some((relation, *absent)))


def implies(space: FeatureSpace, premise: Condition, then: Condition, name: str = "") -> Constraint:
    """Demand that a condition holds wherever another one does.

    Examples
    --------
    >>> space = FeatureSpace.of(["age", "married"])
    >>> implies(space, {"age": 17}, {"married": [0]}).name
    'married = 0 if age = 17'
    """
    said = name or f"{_in_words(then)} if {_in_words(premise)}"
    formula = Some((negated(condition(space, premise)), condition(space, then)))
    return Constraint(said, formula)


def forbidden(space: FeatureSpace, what: Condition, name: str = "") -> Constraint:
    """Demand that a condition never holds."""
    return Constraint(name or f"never {_in_words(what)}", negated(condition(space, what)))


def one_hot(space: FeatureSpace, columns: Sequence[str], name: str = "") -> Constraint:
    """Demand that exactly one of some columns is 1 and all others are 0.

    Examples
    --------
    >>> rule = one_hot(FeatureSpace.of("ab"), "ab")
    >>> rule.holds(np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.5, 1.0]])).tolist()
    [True, False, False, False]
    """
    switches, on = _switches(space, columns)
    formula = Every((*switches, AtMost(on, 1), Some(on)))
    return Constraint(name or f"exactly one of {', '.join(columns)}", formula)


def at_most_one(space: FeatureSpace, columns: Sequence[str], name: str = "") -> Constraint:
    """Demand that at most one of some columns is 1 and all others are 0."""
    switches, on = _switches(space, columns)
    said = name or f"at most one of {', '.join(columns)}"
    return Constraint(said, Every((*switches, AtMost(on, 1))))


def allowed(
    space: FeatureSpace,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    name: str = "",
) -> Constraint:
    """Demand that some columns together hold one of the listed combinations.

    Parameters
    ----------
    space
        Where the columns are.
    columns
        Names.
    rows
        Combinations, one value per column.
    name
        How to refer to it.

    Raises
    ------
    DataError
        For columns and values that do not exist, and rows of another length.
    """
    listed = [tuple(row) for row in rows]
    for row in listed:
        if len(row) != len(columns):
            raise DataError(f"the combination {row!r} has {len(row)} values, not {len(columns)}")
    options = [condition(space, dict(zip(columns, row, strict=True))) for row in listed]
    said = name or f"{', '.join(columns)}: one of {len(listed)} combinations"
    return Constraint(said, Some(tuple(options)))


def forbidden_transition(
    space: FeatureSpace, column: str, start: object, end: object, name: str = ""
) -> Constraint:
    """Demand that a column does not change from some values of the instance to others.

    Parameters
    ----------
    space
        Where the column is.
    column
        Its name.
    start, end
        A value, or a set or list of values.
    name
        How to refer to it.
    """
    index = column_index(space, column)
    before = Was(index, values_of(space, index, start))
    after = In(index, values_of(space, index, end))
    said = name or f"{column} never from {_listed(start)} to {_listed(end)}"
    return Constraint(said, negated(Every((before, after))))


def condition(space: FeatureSpace, what: Condition) -> Formula:
    """Return the formula that all named columns have the values that are given."""
    parts: list[Formula] = []
    for column, value in what.items():
        index = column_index(space, column)
        parts.append(In(index, values_of(space, index, value)))
    return Every(tuple(parts))


def values_of(space: FeatureSpace, column: int, value: object) -> Values:
    """Return a value, or a set or list of them, as codes of a column.

    Raises
    ------
    DataError
        If the column's domain does not hold one of them.
    """
    several = value if isinstance(value, list | tuple | set | frozenset) else [value]
    described = space.columns[column]
    try:
        return Values.of(described.domain.encode(item) for item in several)
    except DataError as error:
        raise DataError(f"column {described.name!r}: {error}") from None


def column_index(space: FeatureSpace, name: str) -> int:
    """Return the position of a column.

    Raises
    ------
    DataError
        If there is none of this name; the message offers the nearest.
    """
    names = [column.name for column in space.columns]
    if name not in names:
        raise DataError(f"a constraint names no column {name!r}{did_you_mean(name, names)}")
    return names.index(name)


def _switches(
    space: FeatureSpace, columns: Sequence[str]
) -> tuple[tuple[Formula, ...], tuple[Formula, ...]]:
    if len(set(columns)) != len(columns) or not columns:
        raise DataError("a choice needs at least one column, each once")
    found = [column_index(space, column) for column in columns]
    binary, one = Values.of([0.0, 1.0]), Values.of([1.0])
    return tuple(In(c, binary) for c in found), tuple(In(c, one) for c in found)


def _sum_in_words(terms: Mapping[str, float]) -> str:
    words = ""
    for column, factor in terms.items():
        sign = " - " if factor < 0 else " + "
        size = "" if abs(factor) == 1 else f"{abs(factor):g} * "
        words += (sign if words else sign.strip().replace("+", "")) + size + column
    return words or "0"


def _in_words(what: Condition) -> str:
    return ", ".join(f"{column} = {_listed(value)}" for column, value in what.items()) or "always"


def _listed(value: object) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        shown = [str(item) for item in value]
        return shown[0] if len(shown) == 1 else "{" + ", ".join(shown) + "}"
    return str(value)

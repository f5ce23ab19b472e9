"""Statements about columns: the constraints of a certificate, read and evaluated exactly.

==================================================================  =========================
``{"in": c, "intervals": [[a, b], ...], "missing": false}``          the value is in a set
``{"was": c, "intervals": ..., "missing": ...}``                     the instance's value is
``{"sum": [[c, f], ...], "bound": b, "strict": s, "before": [...]}`` a weighted sum is at most b
``{"all": [...]}``, ``{"some": [...]}``, ``{"most": n, "of": [...]}`` so many statements hold
==================================================================  =========================

A sum counts up to a tolerance that is part of its meaning: 1e-9 times the largest of one, the
bound and the factors, added where the bound is included and taken away where it is not.  With a
missing value it is false.  What the instance had (``before``) is put into the bound in float64;
a single column that is left is compared without tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from .cells import Column
from .document import fields, number
from .refusal import Refused
from .span import Span

__all__ = [
    "Always",
    "Among",
    "Counted",
    "Either",
    "Had",
    "Statement",
    "Total",
    "about_changes",
    "at_instance",
    "in_words",
    "is_true",
    "negated",
    "read_statement",
    "read_statements",
]

_RELATIVE = 1e-9
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Among:
    """The value of a column belongs to a set."""

    column: int
    span: Span


@dataclass(frozen=True, slots=True)
class Had:
    """The instance's value of a column belongs to a set."""

    column: int
    span: Span


@dataclass(frozen=True, slots=True)
class Total:
    """A weighted sum of columns, and of values that the instance had, is at most a bound."""

    terms: tuple[tuple[int, float], ...]
    bound: float
    strict: bool
    before: tuple[tuple[int, float], ...] = ()
    exact: bool = False

    @property
    def limit(self) -> Fraction:
        """The bound with its tolerance."""
        if self.exact:
            return Fraction(self.bound)
        sizes = (abs(factor) for _, factor in self.terms)
        tolerance = Fraction(_RELATIVE * max(1.0, abs(self.bound), *sizes))
        return Fraction(self.bound) + (-tolerance if self.strict else tolerance)


@dataclass(frozen=True, slots=True)
class Always:
    """All parts hold."""

    parts: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of the parts holds."""

    parts: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """At most `most` of the parts hold."""

    parts: tuple[Statement, ...]
    most: int


Statement: TypeAlias = Among | Had | Total | Always | Either | Counted


def read_statements(entries: Sequence[object], n_columns: int) -> tuple[tuple[str, Statement], ...]:
    """Read constraints, ``{"name": text, "says": statement}``, as pairs of name and statement."""
    read: list[tuple[str, Statement]] = []
    for entry in entries:
        given = fields(entry, "a constraint", ("name", "says"))
        if not isinstance(given["name"], str):
            raise Refused("a constraint has no name")
        read.append((given["name"], read_statement(given["says"], n_columns)))
    return tuple(read)


def read_statement(entry: object, n_columns: int, depth: int = 0) -> Statement:
    """Read a statement strictly.

    Parameters
    ----------
    entry
        As in JSON.
    n_columns
        Number of columns.
    depth
        How deep it stands inside another.
    """
    if not isinstance(entry, dict) or depth > _DEEPEST:
        raise Refused("a constraint is not understood")

    def parts(key: str) -> tuple[Statement, ...]:
        if not isinstance(entry[key], list):
            raise Refused("the parts of a constraint are no list")
        return tuple(read_statement(part, n_columns, depth + 1) for part in entry[key])

    for key, made in (("in", Among), ("was", Had)):
        if key in entry:
            given = fields(entry, "a constraint", (key, "intervals", "missing"))
            column = _column(given[key], n_columns)
            span = Span.listed(given["intervals"], given["missing"], "a constraint")
            return made(column, span)
    if "sum" in entry:
        given = fields(entry, "a constraint", ("sum", "bound", "strict", "before"))
        bound = number(given["bound"])
        if not math.isfinite(bound) or not isinstance(given["strict"], bool):
            raise Refused("the bound of a constraint is not understood")
        terms, before = (_terms(given[key], n_columns) for key in ("sum", "before"))
        return Total(terms, bound, given["strict"], before)
    if "most" in entry:
        given = fields(entry, "a constraint", ("most", "of"))
        if type(given["most"]) is not int:
            raise Refused("a constraint counts to no number")
        return Counted(parts("of"), given["most"])
    if set(entry) == {"all"}:
        return Always(parts("all"))
    if set(entry) == {"some"}:
        return Either(parts("some"))
    raise Refused("a constraint is not understood")


def about_changes(statement: Statement) -> bool:
    """Tell whether a statement speaks about values that the instance had."""
    match statement:
        case Had():
            return True
        case Total():
            return bool(statement.before)
        case Among():
            return False
        case _:
            return any(about_changes(part) for part in statement.parts)


def at_instance(statement: Statement, instance: Sequence[float]) -> Statement:
    """Return a statement with the values put in that the instance had."""
    match statement:
        case Had():
            return Always(()) if statement.span.holds(instance[statement.column]) else Either(())
        case Total() if statement.before:
            values = [factor * instance[column] for column, factor in statement.before]
            if not all(math.isfinite(value) for value in values):
                return Either(())
            bound = statement.bound - math.fsum(values)
            if statement.terms:
                exact = len(statement.terms) == 1
                return Total(statement.terms, bound, statement.strict, exact=exact)
            return Always(()) if 0 < bound or (bound == 0 and not statement.strict) else Either(())
        case Always():
            return Always(tuple(at_instance(part, instance) for part in statement.parts))
        case Either():
            return Either(tuple(at_instance(part, instance) for part in statement.parts))
        case Counted():
            parts = tuple(at_instance(part, instance) for part in statement.parts)
            return Counted(parts, statement.most)
        case _:
            return statement


def negated(statement: Statement) -> Statement:
    """Return the statement that holds exactly where another, about no change, does not."""
    match statement:
        case Among():
            return Among(statement.column, statement.span.others())
        case Total():
            flipped = Total(
                tuple((column, -factor) for column, factor in statement.terms),
                -statement.bound,
                not statement.strict,
                exact=statement.exact,
            )
            absent = [Among(column, Span((), True)) for column, _ in statement.terms]
            return Either((flipped, *absent))
        case Always():
            return Either(tuple(negated(part) for part in statement.parts))
        case Either():
            return Always(tuple(negated(part) for part in statement.parts))
        case Counted():
            parts = tuple(negated(part) for part in statement.parts)
            return Counted(parts, len(parts) - statement.most - 1)
        case Had():
            raise Refused("a constraint about changes was not put to the instance")


def is_true(statement: Statement, point: Sequence[float]) -> bool:
    """Tell whether a statement that is about no change holds at a point, in exact rationals."""
    match statement:
        case Among():
            return statement.span.holds(point[statement.column])
        case Total():
            values = [(factor, point[column]) for column, factor in statement.terms]
            if not all(math.isfinite(value) for _, value in values):
                return False
            total = sum((Fraction(f) * Fraction(v) for f, v in values), Fraction(0))
            return total < statement.limit if statement.strict else total <= statement.limit
        case Always():
            return all(is_true(part, point) for part in statement.parts)
        case Either():
            return any(is_true(part, point) for part in statement.parts)
        case Counted():
            return sum(is_true(part, point) for part in statement.parts) <= statement.most
        case Had():
            raise Refused("a constraint about changes was not put to the instance")


def in_words(statement: Statement, columns: Sequence[Column]) -> str:
    """Say what a statement says, in the checker's own words."""
    match statement:
        case Among():
            return _span_in_words(statement.span, columns[statement.column], "{}")
        case Had():
            return _span_in_words(statement.span, columns[statement.column], "was({})")
        case Total():
            parts = [f"{factor:.12g}*{columns[c].name}" for c, factor in statement.terms]
            parts += [f"{factor:.12g}*was({columns[c].name})" for c, factor in statement.before]
            compared = "<" if statement.strict else "<="
            return f"{' + '.join(parts) or '0'} {compared} {statement.bound:.12g}"
        case Always():
            return _joined([in_words(part, columns) for part in statement.parts], "and", "true")
        case Either():
            possible = [
                part
                for part in statement.parts
                if not isinstance(part, Among)
                or part.span.intervals
                or (part.span.missing and columns[part.column].nullable)
            ]
            return _joined([in_words(part, columns) for part in possible], "or", "false")
        case Counted():
            listed = [in_words(part, columns) for part in statement.parts]
            return f"at most {statement.most} of: " + "; ".join(listed)


def _joined(parts: Sequence[str], word: str, nothing: str) -> str:
    if len(parts) < 2:
        return parts[0] if parts else nothing
    return f" {word} ".join(f"({part})" for part in parts)


def _span_in_words(span: Span, column: Column, name: str) -> str:
    kept = span if column.nullable else span.numbers()
    return kept.text(name.format(column.name))


def _terms(entry: object, n_columns: int) -> tuple[tuple[int, float], ...]:
    if not isinstance(entry, list):
        raise Refused("the terms of a constraint are no list")
    read: list[tuple[int, float]] = []
    for pair in entry:
        if not isinstance(pair, list) or len(pair) != 2:
            raise Refused("a term of a constraint is not understood")
        factor = number(pair[1])
        if not math.isfinite(factor) or factor == 0:
            raise Refused("a factor of a constraint is not understood")
        read.append((_column(pair[0], n_columns), factor))
    if len({column for column, _ in read}) != len(read):
        raise Refused("a constraint names a column twice")
    return tuple(read)


def _column(entry: object, n_columns: int) -> int:
    if type(entry) is not int or not 0 <= entry < n_columns:
        raise Refused(f"a constraint is about column {entry!r}, which does not exist")
    return entry

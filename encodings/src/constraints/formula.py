"""Formulas over columns: what every constraint, whoever wrote it, is in the end.

========  ===================================================================
`In`      the value of a column belongs to a set
`Linear`  a weighted sum of columns is at most, or less than, a bound
`AtMost`  at most so many of some formulas hold
`Every`   all of some formulas hold
`Some`    one of some formulas holds
========  ===================================================================

There is no negation: `negated` pushes it down to the leaves.  A comparison with a missing
value is false, and so is its opposite; what is demanded "unless it is known to be violated"
is written as the negation of the violation.

A sum of float64 numbers hardly ever meets an equation exactly.  Sums of several columns
therefore count up to a tolerance, which is part of the meaning of the formula and not of a
solver: ``sum <= bound`` holds up to ``bound + tolerance``, ``sum < bound`` holds below
``bound - tolerance``, in exact arithmetic.  Comparisons of a single column have none.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import DataError
from whyproof.engine.space import Point, Points

from .values import Values

__all__ = [
    "FALSE",
    "TRUE",
    "AtMost",
    "Every",
    "Formula",
    "In",
    "Linear",
    "Some",
    "Was",
    "atoms",
    "columns_of",
    "compared",
    "fixed_at",
    "holds",
    "negated",
]

_RELATIVE = 1e-9

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class In:
    """The value of a column belongs to a set."""

    column: int
    values: Values


@dataclass(frozen=True, slots=True)
class Was:
    """The value that a column had in the instance belongs to a set."""

    column: int
    values: Values


@dataclass(frozen=True, slots=True)
class Linear:
    """A weighted sum of columns is at most a bound, or less than it if `strict`.

    Parameters
    ----------
    terms
        Pairs of column and factor, one per column, no factor zero.
    bound
        Finite.
    strict
        Whether the bound itself is excluded.
    before
        Pairs of column and factor for values that the instance had; they add to the sum.
    """

    terms: tuple[tuple[int, float], ...]
    bound: float
    strict: bool = False
    before: tuple[tuple[int, float], ...] = ()

    @property
    def tolerance(self) -> float:
        """How far the sum may be off."""
        return _RELATIVE * max(1.0, abs(self.bound), *(abs(factor) for _, factor in self.terms))

    @property
    def limit(self) -> Fraction:
        """The bound with its tolerance, exactly."""
        tolerance = Fraction(self.tolerance)
        return Fraction(self.bound) + (-tolerance if self.strict else tolerance)


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One of the parts holds."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class AtMost:
    """At most `count` of the parts hold."""

    parts: tuple[Formula, ...]
    count: int


Formula: TypeAlias = In | Was | Linear | Every | Some | AtMost
TRUE, FALSE = Every(()), Some(())


def compared(terms: Mapping[int, float], operator: str, bound: float) -> Formula:
    """Compare a weighted sum of columns with a number, exactly if it is a single column.

    Parameters
    ----------
    terms
        Factor by column.
    operator
        ``<=``, ``<``, ``>=``, ``>``, ``=`` or ``!=``.
    bound
        Finite.

    Examples
    --------
    >>> compared({0: 2.0}, "<=", 5.0)
    In(column=0, values=Values(intervals=((-inf, 2.5),), missing=False))
    >>> compared({0: 1.0, 1: -1.0}, "<", 0.0)
    Linear(terms=((0, 1.0), (1, -1.0)), bound=0.0, strict=True, before=())
    """
    if not all(math.isfinite(number) for number in (bound, *terms.values())):
        raise DataError("a linear relation needs finite numbers")
    kept = {column: factor for column, factor in terms.items() if factor}
    if operator == "=":
        return Every((compared(kept, "<=", bound), compared(kept, ">=", bound)))
    if operator == "!=":
        return Some((compared(kept, "<", bound), compared(kept, ">", bound)))
    if operator in (">=", ">"):
        kept, bound = {column: -factor for column, factor in kept.items()}, -bound
    strict = operator in ("<", ">")
    if not kept:
        return TRUE if (bound > 0 if strict else bound >= 0) else FALSE
    if len(kept) == 1:
        ((column, factor),) = kept.items()
        return In(column, _single(factor, bound, strict))
    return Linear(tuple(sorted(kept.items())), bound, strict)


def negated(formula: Formula) -> Formula:
    """Return the formula that holds exactly where another does not.

    Examples
    --------
    >>> negated(Every((In(0, Values.at_most(1.0)),))).parts[0].values.missing
    True
    """
    match formula:
        case In():
            return In(formula.column, ~formula.values)
        case Was():
            return Was(formula.column, ~formula.values)
        case Linear():
            flipped = Linear(
                tuple((column, -factor) for column, factor in formula.terms),
                -formula.bound,
                not formula.strict,
                tuple((column, -factor) for column, factor in formula.before),
            )
            absent: list[Formula] = [In(c, Values.only_missing()) for c, _ in formula.terms]
            absent += [Was(c, Values.only_missing()) for c, _ in formula.before]
            return Some((flipped, *absent))
        case Every():
            return Some(tuple(negated(part) for part in formula.parts))
        case Some():
            return Every(tuple(negated(part) for part in formula.parts))
        case AtMost():
            parts = tuple(negated(part) for part in formula.parts)
            return AtMost(parts, len(parts) - formula.count - 1)


def fixed_at(formula: Formula, instance: Point) -> Formula:
    """Return a formula with the values that the instance had put in.

    Examples
    --------
    >>> fixed_at(Linear(((0, -1.0),), 0.0, False, ((0, 1.0),)), np.array([4.0]))
    In(column=0, values=Values(intervals=((4.0, inf),), missing=False))
    """
    match formula:
        case Was():
            return TRUE if float(instance[formula.column]) in formula.values else FALSE
        case Linear() if formula.before:
            if any(math.isnan(instance[column]) for column, _ in formula.before):
                return FALSE
            bound = formula.bound - math.fsum(
                factor * float(instance[column]) for column, factor in formula.before
            )
            return compared(dict(formula.terms), "<" if formula.strict else "<=", bound)
        case Every():
            return Every(tuple(fixed_at(part, instance) for part in formula.parts))
        case Some():
            return Some(tuple(fixed_at(part, instance) for part in formula.parts))
        case AtMost():
            parts = tuple(fixed_at(part, instance) for part in formula.parts)
            return AtMost(parts, formula.count)
        case _:
            return formula


def holds(formula: Formula, points: Points) -> Mask:
    """Tell for each point whether a formula holds there, shape ``(rows,)``.

    What was asked about the instance (`Was`) is not known here; use `fixed_at` first.
    """
    match formula:
        case In():
            return formula.values.holds(points[:, formula.column])
        case Linear() if not formula.before:
            return _sums_hold(formula, points)
        case Every():
            mask = np.ones(len(points), dtype=np.bool_)
            for part in formula.parts:
                mask &= holds(part, points)
            return mask
        case Some():
            mask = np.zeros(len(points), dtype=np.bool_)
            for part in formula.parts:
                mask |= holds(part, points)
            return mask
        case AtMost():
            counts = np.zeros(len(points), dtype=np.intp)
            for part in formula.parts:
                counts += holds(part, points)
            return np.asarray(counts <= formula.count, dtype=np.bool_)
        case _:
            raise DataError("a formula about changes needs the instance; use fixed_at first")


def atoms(formula: Formula) -> Iterator[In | Was | Linear]:
    """Yield the leaves of a formula."""
    match formula:
        case In() | Was() | Linear():
            yield formula
        case _:
            for part in formula.parts:
                yield from atoms(part)


def columns_of(formulas: Iterable[Formula]) -> frozenset[int]:
    """Return the columns whose values matter to some formulas."""
    found: set[int] = set()
    for formula in formulas:
        for atom in atoms(formula):
            if isinstance(atom, Linear):
                found.update(column for column, _ in atom.terms)
            elif isinstance(atom, In):
                found.add(atom.column)
    return frozenset(found)


def _single(factor: float, bound: float, strict: bool) -> Values:
    """Return the numbers ``x`` with ``factor * x <= bound`` (or ``<``) in exact arithmetic."""
    quotient = Fraction(bound) / Fraction(factor)
    largest = Fraction(sys.float_info.max)
    number = float(min(max(quotient, -largest), largest))
    if factor > 0:
        while Fraction(number) > quotient or (strict and Fraction(number) == quotient):
            number = math.nextafter(number, -math.inf)
        return Values.at_most(number)
    while Fraction(number) < quotient or (strict and Fraction(number) == quotient):
        number = math.nextafter(number, math.inf)
    return Values.at_least(number)


def _sums_hold(formula: Linear, points: Points) -> Mask:
    columns = [column for column, _ in formula.terms]
    factors = np.array([factor for _, factor in formula.terms])
    values = points[:, columns]
    with np.errstate(invalid="ignore", over="ignore"):
        products = values * factors
        sums, sizes = products.sum(axis=1), np.abs(products).sum(axis=1)
    limit = formula.limit
    near = float(limit)
    doubt = (len(columns) + 2) * 2.0**-52 * (sizes + abs(near)) + 1e-300
    with np.errstate(invalid="ignore"):
        mask = np.asarray(sums < near, dtype=np.bool_)
        close = np.flatnonzero(np.abs(sums - near) <= doubt)
    for row in close.tolist():
        if not np.isfinite(values[row]).all():
            continue
        exact = sum(
            (
                Fraction(factor) * Fraction(value)
                for factor, value in zip(factors.tolist(), values[row].tolist(), strict=True)
            ),
            Fraction(0),
        )
        mask[row] = exact < limit if formula.strict else exact <= limit
    return mask

"""Why a box holds no admissible point: a small tree of cases, checked without any search.

What is known at a node are the values left to each column, sums that have to hold, and
alternatives of which one holds.  A step is

===================  =========================================================================
``["cut", c, t]``    two cases: the column is below t; all else, the missing value included
``["any", j]``       one case for each part of the j-th alternative, which then holds
``["part", j, i]``   two cases of the j-th count: its i-th part holds, and one less of the
                     others may; it does not hold
``["sum", [[j, m]]]``  an end: sums, each times a whole number m > 0, add up to a contradiction
``0``                an end: a column has no value left, or a statement is false all over the box
===================  =========================================================================

Cases always cover what they are cases of, and adding inequalities needs nothing but
rationals (Farkas): what is proved does not depend on how the tree was found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .cells import Column
from .document import fields
from .refusal import Refused
from .span import Span
from .statement import Always, Among, Counted, Either, Statement, Total, negated

__all__ = ["Clash", "check_clash"]


@dataclass(frozen=True)
class Clash:
    """A box without admissible points, and the numbers of the constraints that empty it."""

    box: Mapping[int, Span]
    constraints: frozenset[int]

    def covers(self, column: int, span: Span) -> bool:
        """Tell whether some values of a column lie in the box."""
        return column not in self.box or span.within(self.box[column])


class _Case:
    """What is known at a node."""

    def __init__(
        self, spans: dict[int, Span], sums: tuple[Total, ...], choices: tuple[Statement, ...]
    ) -> None:
        self.spans, self.sums, self.choices = spans, sums, choices

    def narrowed(self, column: int, kept: Span, whole: Sequence[bool]) -> _Case:
        left = self.spans[column].both(kept)
        spans = {**self.spans, column: left.whole() if whole[column] else left}
        return _Case(spans, self.sums, self.choices)

    def given(self, statement: Statement, whole: Sequence[bool]) -> _Case:
        """Return what is known if a statement holds as well."""
        match statement:
            case Among():
                return self.narrowed(statement.column, statement.span, whole)
            case Total():
                case = _Case(self.spans, (*self.sums, statement), self.choices)
                for column, _ in statement.terms:
                    case = case.narrowed(column, self.spans[column].numbers(), whole)
                return case
            case Always():
                case = self
                for part in statement.parts:
                    case = case.given(part, whole)
                return case
            case _:
                return _Case(self.spans, self.sums, (*self.choices, statement))

    def is_false(self) -> bool:
        """Tell whether it is plain that no point is left."""
        if any(span.is_empty for span in self.spans.values()):
            return True
        return any(self.truth(s) is False for s in (*self.sums, *self.choices))

    def truth(self, statement: Statement) -> bool | None:
        """Tell whether a statement is true, or false, all over the box; `None` if neither."""
        match statement:
            case Among():
                span = self.spans[statement.column]
                if span.within(statement.span):
                    return True
                return False if span.apart(statement.span) else None
            case Total():
                return False if self.contradict([(1, statement)]) else None
            case Always():
                found = [self.truth(part) for part in statement.parts]
                return False if False in found else None if None in found else True
            case Either():
                found = [self.truth(part) for part in statement.parts]
                return True if True in found else None if None in found else False
            case Counted():
                found = [self.truth(part) for part in statement.parts]
                if sum(part is True for part in found) > statement.most:
                    return False
                return True if sum(part is not False for part in found) <= statement.most else None
            case _:
                raise Refused("a constraint about changes was not put to the instance")

    def contradict(self, chosen: Sequence[tuple[int, Total]]) -> bool:
        """Tell whether sums, each times its number, cannot hold together in the box."""
        total: dict[int, Fraction] = {}
        limit, strict = Fraction(0), False
        for times, inequality in chosen:
            for column, factor in inequality.terms:
                total[column] = total.get(column, Fraction(0)) + times * Fraction(factor)
            limit += times * inequality.limit
            strict = strict or inequality.strict
        least = Fraction(0)
        for column, share in total.items():
            if not share:
                continue
            span = self.spans[column].numbers()
            if span.is_empty:
                return True  # a sum with a missing value is false
            part = span.least(share)
            if part is None:
                return False
            least += part
        return least > limit or (strict and least == limit)


def check_clash(
    entry: object, columns: Sequence[Column], constraints: Sequence[Statement]
) -> Clash:
    """Check that a box holds no point that satisfies some constraints.

    Parameters
    ----------
    entry
        ``{"constraints": [numbers], "box": {name: values}, "steps": [...]}``.
    columns
        All columns with their domains.
    constraints
        Put to the instance already.

    Raises
    ------
    Refused
        If it is not proved.
    """
    given = fields(entry, "a clash", ("constraints", "box", "steps"))
    numbers, steps = given["constraints"], given["steps"]
    if not isinstance(numbers, list) or not isinstance(steps, list):
        raise Refused("a clash is not understood")
    if not all(type(n) is int and 0 <= n < len(constraints) for n in numbers):
        raise Refused("a clash names a constraint that does not exist")
    position = {column.name: i for i, column in enumerate(columns)}
    if not isinstance(given["box"], dict) or not set(given["box"]) <= set(position):
        raise Refused("the box of a clash names columns that do not exist")
    box = {position[n]: Span.read(v, "the box of a clash") for n, v in given["box"].items()}
    whole = [column.kind != "real" for column in columns]
    spans = {
        i: Span(((column.lower, column.upper),), column.nullable)
        for i, column in enumerate(columns)
    }
    case = _Case(spans, (), ())
    for column, span in box.items():
        case = case.narrowed(column, span, whole)
    for n in numbers:
        case = case.given(constraints[n], whole)
    _follow(case, steps, whole)
    return Clash(box, frozenset(numbers))


def _follow(start: _Case, steps: Sequence[Any], whole: Sequence[bool]) -> None:
    stack = [start]
    for step in steps:
        if not stack:
            raise Refused("a clash goes on after its last case")
        case = stack.pop()
        if type(step) is int and step == 0:
            if not case.is_false():
                raise Refused("a case of a clash is not refuted")
            continue
        if not isinstance(step, list) or len(step) not in (2, 3):
            raise Refused(f"a step of a clash is {step!r}")
        if step[0] == "sum" and len(step) == 2:
            if not case.contradict(_multiplied(step[1], case.sums)):
                raise Refused("the sums of a clash do not contradict each other")
            continue
        stack += _cases(case, step, whole)[::-1]
    if stack:
        raise Refused("a clash ends before all its cases are refuted")


def _cases(case: _Case, step: Sequence[Any], whole: Sequence[bool]) -> list[_Case]:
    kind, at = step[0], step[1]
    if type(at) is not int or at < 0:
        raise Refused(f"a step of a clash is {step!r}")
    if kind == "any" and len(step) == 2 and at < len(case.choices):
        choice = case.choices[at]
        if not isinstance(choice, Either):
            raise Refused("a step of a clash takes a case of what has none")
        return [case.given(part, whole) for part in choice.parts]
    if kind == "part" and len(step) == 3 and at < len(case.choices):
        return _counted(case, at, step[2], whole)
    if at not in case.spans:
        raise Refused(f"a step of a clash is {step!r}")
    if kind == "cut" and len(step) == 3 and isinstance(step[2], int | float):
        cut = float(step[2])
        if math.isfinite(cut) and not isinstance(step[2], bool):
            below = Span(((-math.inf, math.nextafter(cut, -math.inf)),))
            rest = Span(((cut, math.inf),), True)
            return [case.narrowed(at, kept, whole) for kept in (below, rest)]
    raise Refused(f"a step of a clash is {step!r}")


def _counted(case: _Case, at: int, number: object, whole: Sequence[bool]) -> list[_Case]:
    choice = case.choices[at]
    if not isinstance(choice, Counted) or type(number) is not int:
        raise Refused("a step of a clash counts parts of what is no count")
    if not 0 <= number < len(choice.parts):
        raise Refused("a step of a clash names a part that does not exist")
    part, rest = choice.parts[number], choice.parts[:number] + choice.parts[number + 1 :]
    made: list[_Case] = []
    for known, most in ((part, choice.most - 1), (negated(part), choice.most)):
        choices = (*case.choices[:at], Counted(rest, most), *case.choices[at + 1 :])
        made.append(_Case(case.spans, case.sums, choices).given(known, whole))
    return made


def _multiplied(entry: object, sums: Sequence[Total]) -> list[tuple[int, Total]]:
    if not isinstance(entry, list) or not entry:
        raise Refused("the sums of a clash are no list")
    chosen: list[tuple[int, Total]] = []
    for pair in entry:
        if not isinstance(pair, list) or len(pair) != 2:
            raise Refused("a sum of a clash is not understood")
        at, times = pair
        if type(at) is not int or not 0 <= at < len(sums) or type(times) is not int or times <= 0:
            raise Refused("a sum of a clash is not understood")
        chosen.append((times, sums[at]))
    return chosen

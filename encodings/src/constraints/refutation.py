"""Refutations: why a box holds no admissible point, as cases that a checker can follow.

`Background` finds out that a box is empty by a SAT solver and a simplex; here the same is shown
again as a tree of cases, after the fact, when it is known to succeed.  Cases are taken as in
analytic tableaux (Smullyan, First-Order Logic, 1968), fewest open parts first, which makes unit
propagation of single ones; sums that contradict each other end a case with the multipliers
of Farkas' lemma, read off the row of the simplex that cannot be repaired.

Steps in preorder: ``["cut", column, t]`` (below t; all else), ``["any", j]`` (each part of the j-th
alternative), ``["part", j, i]`` (the i-th part of a count holds, and one less may; it does not
hold); ``["sum", [[j, m], ...]]`` and ``0`` end a case; alternatives and sums are numbered as they
come to be known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from whyproof.engine.domain import Domain

from .constraint import Constraint
from .formula import AtMost, Every, Formula, In, Linear, Some, negated
from .simplex import Inequality, Limits, Multipliers, refute_inequalities
from .values import Values

__all__ = ["Refutation", "refute"]

_MOST_STEPS = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class Refutation:
    """A box without admissible points, and the cases that show it.

    Parameters
    ----------
    box
        Values by column; columns that it lacks may have any of their domain.
    constraints
        Numbers of the constraints that empty it.
    steps
        In preorder, ready for JSON.
    """

    box: Mapping[int, Values]
    constraints: tuple[int, ...]
    steps: tuple[object, ...]

    def covers(self, box: Mapping[int, Values]) -> bool:
        """Tell whether another box, with all columns of this one, lies inside it."""
        return all(box[column] <= values for column, values in self.box.items())


class _NotRefuted(Exception):
    """A case is left open."""


def refute(
    domains: Sequence[Domain],
    constraints: Sequence[Constraint],
    numbers: Iterable[int],
    box: Mapping[int, Values],
) -> Refutation | None:
    """Show that a box holds no point that satisfies some constraints.

    Parameters
    ----------
    domains
        Of all columns.
    constraints
        Put to an instance already (`Constraint.at`).
    numbers
        Which of them empty the box.
    box
        Values by column.

    Returns
    -------
    Refutation or None
        `None` if no proof was found; that does not say that there is a point.

    Examples
    --------
    >>> from whyproof.engine.space import FeatureSpace
    >>> from .constraint import linear
    >>> space = FeatureSpace.of(["paid", "due"])
    >>> rules = [linear(space, {"paid": 1, "due": -1}, "<=", 0),
    ...          linear(space, {"due": 1, "paid": -1}, "<=", -1)]
    >>> refutation = refute([c.domain for c in space.columns], rules, [0, 1], {})
    >>> ["sum", [[0, 1], [1, 1]]] in refutation.steps  # the two rules, added up
    True
    """
    chosen = tuple(sorted(numbers))
    whole = [domain.is_discrete for domain in domains]
    start = _Case({c: Values.admissible(d) for c, d in enumerate(domains)}, (), (), whole)
    for column, values in box.items():
        start = start.given(In(column, values))
    for number in chosen:
        start = start.given(constraints[number].formula)
    steps: list[object] = []
    try:
        _close(start, steps)
    except (_NotRefuted, RecursionError):
        return None
    return Refutation(dict(box), chosen, tuple(steps))


@dataclass(frozen=True, slots=True)
class _Case:
    """What is known: values of each column, sums, alternatives."""

    values: Mapping[int, Values]
    sums: tuple[Linear, ...]
    choices: tuple[Some | AtMost, ...]
    whole: Sequence[bool]

    def given(self, formula: Formula) -> _Case:
        """Return what is known if a formula holds as well."""
        match formula:
            case In():
                return self._narrowed(formula.column, formula.values)
            case Linear():
                case = _Case(self.values, (*self.sums, formula), self.choices, self.whole)
                for column, _ in formula.terms:
                    case = case._narrowed(column, Values.numbers())
                return case
            case Every():
                case = self
                for part in formula.parts:
                    case = case.given(part)
                return case
            case Some() | AtMost():
                return _Case(self.values, self.sums, (*self.choices, formula), self.whole)
            case _:
                raise _NotRefuted

    def counted(self, number: int, part: int, *, holds: bool) -> _Case:
        """Return the case that a part of a count holds, or that it does not."""
        choice = self.choices[number]
        if not isinstance(choice, AtMost):
            raise _NotRefuted
        rest = choice.parts[:part] + choice.parts[part + 1 :]
        left = AtMost(rest, choice.count - holds)
        choices = (*self.choices[:number], left, *self.choices[number + 1 :])
        found = choice.parts[part]
        case = _Case(self.values, self.sums, choices, self.whole)
        return case.given(found if holds else negated(found))

    def cut(self, column: int, at: float) -> tuple[_Case, _Case]:
        """Return the case that a column is below a number, and the rest."""
        rest = Values.at_least(at) | Values.only_missing()
        return self._narrowed(column, Values.below(at)), self._narrowed(column, rest)

    def _narrowed(self, column: int, kept: Values) -> _Case:
        left = self.values[column] & kept
        left = left.whole() if self.whole[column] else left
        return _Case({**self.values, column: left}, self.sums, self.choices, self.whole)

    def is_false(self) -> bool:
        """Tell whether it is plain that no point is left."""
        if any(values.is_empty for values in self.values.values()):
            return True
        return any(self.truth(formula) is False for formula in (*self.sums, *self.choices))

    def truth(self, formula: Formula) -> bool | None:
        """Tell whether a formula is true, or false, all over the box; `None` if neither."""
        match formula:
            case In():
                values = self.values[formula.column]
                if values <= formula.values:
                    return True
                return False if (values & formula.values).is_empty else None
            case Linear():
                return self._truth_of_sum(formula)
            case Every():
                found = [self.truth(part) for part in formula.parts]
                return False if False in found else None if None in found else True
            case Some():
                found = [self.truth(part) for part in formula.parts]
                return True if True in found else None if None in found else False
            case AtMost():
                found = [self.truth(part) for part in formula.parts]
                if sum(part is True for part in found) > formula.count:
                    return False
                possible = sum(part is not False for part in found)
                return True if possible <= formula.count else None
            case _:
                raise _NotRefuted

    def _truth_of_sum(self, formula: Linear) -> bool | None:
        least = Fraction(0)
        for column, factor in formula.terms:
            intervals = self.values[column].intervals
            if not intervals:
                return False  # a sum with a missing value is false
            end = intervals[0][0] if factor > 0 else intervals[-1][1]
            if math.isinf(end):
                return None
            least += Fraction(factor) * Fraction(end)
        beyond = least > formula.limit or (formula.strict and least == formula.limit)
        return False if beyond else None


def _close(case: _Case, steps: list[object]) -> None:
    """Write the steps that close a case."""
    if len(steps) > _MOST_STEPS:
        raise _NotRefuted
    if case.is_false():
        steps.append(0)
        return
    undecided = [(j, c) for j, c in enumerate(case.choices) if case.truth(c) is None]
    few = sorted(
        (sum(case.truth(part) is not False for part in choice.parts), j)
        for j, choice in undecided
        if isinstance(choice, Some)
    )
    if few and few[0][0] <= 1:
        _each_part(case, few[0][1], steps)
        return
    solution = _solved(case)
    if isinstance(solution, Multipliers):
        scale = math.lcm(*(f.denominator for f in solution.factors.values()))
        steps.append(["sum", [[j, int(f * scale)] for j, f in sorted(solution.factors.items())]])
        return
    if few:
        _each_part(case, few[0][1], steps)
        return
    for number, choice in undecided:
        # All alternatives were taken above: what is undecided is a count.
        for i, part in enumerate(choice.parts):
            if case.truth(part) is None:
                _count(case, number, i, steps)
                return
    for column, value in solution.items():
        intervals = case.values[column].intervals
        after = [low for low, _ in intervals if value < low]
        if any(low <= value <= high for low, high in intervals):
            if not case.whole[column] or value.denominator == 1:
                continue
            after = [float(math.ceil(value))]
        if after:
            _two(case, ["cut", column, after[0]], case.cut(column, after[0]), steps)
            return
    raise _NotRefuted


def _each_part(case: _Case, number: int, steps: list[object]) -> None:
    steps.append(["any", number])
    chosen = case.choices[number]
    # Nothing more is to be had from a choice that was made; its number stays.
    settled = (*case.choices[:number], AtMost((), 0), *case.choices[number + 1 :])
    rest = _Case(case.values, case.sums, settled, case.whole)
    for part in chosen.parts:
        _close(rest.given(part), steps)


def _count(case: _Case, number: int, part: int, steps: list[object]) -> None:
    """Take the cases that a part of a count holds, and that it does not."""
    steps.append(["part", number, part])
    for holds in (True, False):
        _close(case.counted(number, part, holds=holds), steps)


def _two(case: _Case, step: list[object], parts: tuple[_Case, _Case], steps: list[object]) -> None:
    if any(part.values == case.values for part in parts):
        raise _NotRefuted  # no progress
    steps.append(step)
    for part in parts:
        _close(part, steps)


def _solved(case: _Case) -> dict[int, Fraction] | Multipliers:
    """Look for values that satisfy all sums, or what shows that there are none."""
    columns = sorted({column for formula in case.sums for column, _ in formula.terms})
    limits: dict[int, Limits] = {}
    for column in columns:
        intervals = case.values[column].intervals
        low, high = intervals[0][0], intervals[-1][1]
        limits[column] = (
            Fraction(low) if math.isfinite(low) else None,
            Fraction(high) if math.isfinite(high) else None,
        )
    rows = [
        Inequality(tuple((c, Fraction(f)) for c, f in formula.terms), formula.limit)
        for formula in case.sums
    ]
    return refute_inequalities(limits, rows)

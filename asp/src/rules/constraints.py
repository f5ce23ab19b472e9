"""Background knowledge as rule text: what every admissible row satisfies.

::

    :- age < 18, married = yes.              % never
    married = no :- age < 18.                % the same, said the other way round
    paid + fees <= due.                      % a relation that always holds
    exactly_one(red, green, blue).           % one of the columns is 1, all others are 0
    at_most_one(car, bike).
    fits :- make = vw, model = golf.         % a helper predicate,
    fits :- make = fiat, model = panda.
    :- not fits.                             % and what it is for: allowed combinations
    :- was(degree) = phd, degree = none.     % a forbidden change
    income >= was(income) - 100.             % a limit on a change

Names are those of the columns, ``was(COLUMN)`` is the value in the instance.  A comparison
with a missing value is false, so a denial is not violated by what is not known, and neither
is a relation; an equation with a value is.  The text of FOLD and CoGS programs,
``age(X,N), N < 18``, is understood as well.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from whyproof.encodings.constraints.constraint import Constraint, values_of
from whyproof.encodings.constraints.formula import (
    FALSE,
    TRUE,
    AtMost,
    Every,
    Formula,
    In,
    Linear,
    Some,
    Was,
    compared,
    negated,
)
from whyproof.encodings.constraints.values import Values
from whyproof.engine.domain import Categories
from whyproof.engine.errors import DataError
from whyproof.engine.names import did_you_mean
from whyproof.engine.space import FeatureSpace

from .literal import Operator
from .parse import parse_program
from .position import Position, RuleError
from .terms import (
    Call,
    Clause,
    Comparison,
    Constant,
    Goal,
    Membership,
    Not,
    Program,
    Term,
    Variable,
)

__all__ = ["load_constraints", "read_constraints"]

_MOST_BYTES = 16 * 1024**2
_DEEPEST = 100
_CHOICES = ("exactly_one", "at_most_one", "at_least_one")
_OPPOSITE = {"<=": ">", "<": ">=", ">=": "<", ">": "<="}

Environment = Mapping[str, Term]


def load_constraints(path: str | os.PathLike[str], space: FeatureSpace) -> tuple[Constraint, ...]:
    """Read constraints from a file of rules; see `read_constraints`.

    Raises
    ------
    DataError
        If the file cannot be read.
    RuleError
        For what it says, with file, line and column.
    """
    path = Path(os.fspath(path))
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path} is larger than {_MOST_BYTES} bytes; it is no file of rules")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; it is no file of rules") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    return read_constraints(text, space, file=path.name)


def read_constraints(
    text: str, space: FeatureSpace, *, file: str = "<text>"
) -> tuple[Constraint, ...]:
    """Read constraints over the columns of a space.

    Parameters
    ----------
    text
        The rules.
    space
        Whose columns they name.
    file
        Name for messages.

    Raises
    ------
    RuleError
        With file, line and column of what is wrong: an unknown column (with the nearest
        name), a value outside a domain, a product of columns, recursion.

    Examples
    --------
    >>> space = FeatureSpace.of(["paid", "due"])
    >>> [rule] = read_constraints("paid <= due + 1.", space, file="bank.lp")
    >>> str(rule), sorted(rule.columns)
    ("'paid <= due + 1' (bank.lp:1)", [0, 1])
    """
    program = parse_program(text, file)
    reader = _Reader(program, space)
    found: list[Constraint] = []
    starts = [clause.position for clause in program.clauses]
    for number, clause in enumerate(program.clauses):
        formula = reader.statement(clause)
        if formula is None:
            continue
        said = _source(text, starts, number)
        name = next((a[5:].strip() for a in clause.annotations if a.startswith("name ")), said)
        where = f"{file}:{clause.position.line}"
        found.append(Constraint(name, formula, where, said))
    reader.refuse_unused()
    return tuple(found)


@dataclass
class _Sum:
    """A weighted sum of columns, of their values in the instance, and a number."""

    terms: dict[int, float] = field(default_factory=dict[int, float])
    before: dict[int, float] = field(default_factory=dict[int, float])
    constant: float = 0.0

    @property
    def is_number(self) -> bool:
        return not self.terms and not self.before

    def plus(self, other: _Sum, factor: float) -> _Sum:
        made = _Sum(dict(self.terms), dict(self.before), self.constant)
        for mine, theirs in ((made.terms, other.terms), (made.before, other.before)):
            for column, share in theirs.items():
                mine[column] = mine.get(column, 0.0) + factor * share
        made.constant += factor * other.constant
        return made

    def times(self, factor: float) -> _Sum:
        return _Sum().plus(self, factor)


class _Reader:
    """Translates the clauses of one program."""

    def __init__(self, program: Program, space: FeatureSpace) -> None:
        self.space = space
        self.columns = {column.name: i for i, column in enumerate(space.columns)}
        self.definitions: dict[tuple[str, int], list[Clause]] = {}
        self.used: set[tuple[str, int]] = set()
        self.open: list[tuple[str, int]] = []
        for clause in program.clauses:
            head = self._defined(clause.head)
            if head is not None:
                self.definitions.setdefault(head, []).append(clause)

    def statement(self, clause: Clause) -> Formula | None:
        """Return what a clause demands; `None` for the definition of a helper."""
        if self._defined(clause.head) is not None:
            return None
        bound = self._bindings(clause.body, {})
        body = Every(tuple(self.goal(goal, bound) for goal in clause.body))
        if clause.head is None:
            return negated(body)
        demanded = self._demanded(clause.head, bound)
        if not clause.body:
            return demanded
        forward = Some((negated(body), demanded))
        if not clause.iff:
            return forward
        return Every((forward, Some((negated(self.goal(clause.head, bound)), body))))

    def refuse_unused(self) -> None:
        """Refuse helpers that no constraint uses: most likely misspelt columns."""
        for signature, clauses in self.definitions.items():
            if signature not in self.used:
                name = signature[0]
                hint = did_you_mean(name, [*self.columns, *_CHOICES])
                raise RuleError(
                    f"the rule concludes {name!r}, which is no column and which no constraint "
                    f"uses{hint}",
                    clauses[0].position,
                )

    def goal(self, goal: Goal, bound: Environment) -> Formula:
        """Translate a condition."""
        match goal:
            case Not():
                inner = self._bindings(goal.goals, bound)
                return negated(Every(tuple(self.goal(part, inner) for part in goal.goals)))
            case Comparison():
                return self._comparison(goal, bound)
            case Membership():
                return self._membership(goal, bound)
            case Constant():
                return self._name(goal, bound)
            case Call():
                return self._call(goal, bound)

    def _demanded(self, head: Goal, bound: Environment) -> Formula:
        """Translate a conclusion: a relation with a missing value is not violated."""
        if isinstance(head, Comparison) and str(head.operator) in _OPPOSITE:
            opposite = Operator(_OPPOSITE[str(head.operator)])
            return negated(
                self.goal(Comparison(head.left, opposite, head.right, head.position), bound)
            )
        return self.goal(head, bound)

    def _defined(self, head: Goal | None) -> tuple[str, int] | None:
        """Return the helper predicate that a head defines, if it is one."""
        match head:
            case Constant(value=str(name)) if name not in self.columns:
                return name, 0
            case Call(name=name) if name not in _CHOICES and name not in self.columns:
                return name, len(head.arguments)
            case _:
                return None

    def _bindings(self, goals: Sequence[Goal], bound: Environment) -> Environment:
        """Let variables stand for columns, as in ``age(X,N), N < 18``."""
        made = dict(bound)
        for goal in goals:
            if isinstance(goal, Call) and len(goal.arguments) == 2 and goal.name in self.columns:
                value = goal.arguments[1]
                if isinstance(value, Variable) and value.name not in made:
                    made[value.name] = Constant(goal.name, goal.position)
        return made

    def _name(self, goal: Constant, bound: Environment) -> Formula:
        if not goal.quoted and goal.value in ("true", "false", "fail"):
            return TRUE if goal.value == "true" else FALSE
        name = str(goal.value)
        if name in self.columns:
            return In(self.columns[name], Values.of([1.0]))
        return self._unfolded(goal, name, (), bound)

    def _call(self, goal: Call, bound: Environment) -> Formula:
        if goal.name in _CHOICES:
            return self._choice(goal)
        if len(goal.arguments) == 2 and goal.name in self.columns:
            value = goal.arguments[1]
            if isinstance(value, Variable):
                return TRUE
            name = Constant(goal.name, goal.position)
            return self._comparison(Comparison(name, Operator.EQ, value, goal.position), bound)
        return self._unfolded(goal, goal.name, goal.arguments, bound)

    def _choice(self, goal: Call) -> Formula:
        columns: list[int] = []
        for argument in goal.arguments:
            if not isinstance(argument, Constant):
                raise RuleError(f"{goal.name} lists columns", argument.position)
            columns.append(self._column(str(argument.value), argument.position))
        if len(set(columns)) < len(columns):
            raise RuleError(f"{goal.name} lists a column twice", goal.position)
        binary = [In(column, Values.of([0.0, 1.0])) for column in columns]
        on = tuple(In(column, Values.of([1.0])) for column in columns)
        parts: list[Formula] = [*binary]
        if goal.name != "at_least_one":
            parts.append(AtMost(on, 1))
        if goal.name != "at_most_one":
            parts.append(Some(on))
        return Every(tuple(parts))

    def _unfolded(
        self, goal: Goal, name: str, arguments: Sequence[Term], bound: Environment
    ) -> Formula:
        signature = (name, len(arguments))
        if signature not in self.definitions:
            hint = did_you_mean(name, [*self.columns, *(n for n, _ in self.definitions)])
            raise RuleError(f"no column {name!r}, and no rule defines it{hint}", goal.position)
        self.used.add(signature)
        if signature in self.open or len(self.open) > _DEEPEST:
            raise RuleError(f"{name!r} is defined by itself; break the cycle", goal.position)
        self.open.append(signature)
        options: list[Formula] = []
        for clause in self.definitions[signature]:
            formal = clause.head.arguments if isinstance(clause.head, Call) else ()
            inner: dict[str, Term] = {}
            parts: list[Formula] = []
            for parameter, argument in zip(formal, arguments, strict=True):
                # What nothing binds stands for the row, which every predicate may carry.
                row = isinstance(argument, Variable) and argument.name not in bound
                actual = argument if row else self._resolved(argument, bound)
                if isinstance(parameter, Variable):
                    if not row:
                        inner[parameter.name] = actual
                elif not row:
                    same = Comparison(actual, Operator.EQ, parameter, clause.position)
                    parts.append(self._comparison(same, {}))
            body = self._bindings(clause.body, inner)
            parts += [self.goal(part, body) for part in clause.body]
            options.append(Every(tuple(parts)))
        self.open.pop()
        return Some(tuple(options))

    def _resolved(self, term: Term, bound: Environment) -> Term:
        if isinstance(term, Variable):
            if term.name not in bound:
                raise RuleError(
                    f"{term.name} stands for nothing; write column(X,{term.name}) first",
                    term.position,
                )
            return bound[term.name]
        return term

    def _comparison(self, goal: Comparison, bound: Environment) -> Formula:
        left, right = self._resolved(goal.left, bound), self._resolved(goal.right, bound)
        operator = str(goal.operator)
        if operator in ("=", "!="):
            for one, other in ((left, right), (right, left)):
                known = self._equation(one, other, goal.position)
                if known is not None:
                    return known if operator == "=" else negated(known)
        sum_ = self._sum(left, bound).plus(self._sum(right, bound), -1.0)
        bound_ = -sum_.constant
        if not sum_.before:
            return self._relation(sum_.terms, operator, bound_)
        if operator == "=":
            low = self._with_before(sum_, "<=")
            return Every((low, self._with_before(sum_, ">=")))
        if operator == "!=":
            return Some((self._with_before(sum_, "<"), self._with_before(sum_, ">")))
        return self._with_before(sum_, operator)

    def _relation(self, terms: Mapping[int, float], operator: str, bound: float) -> Formula:
        if operator == "!=":  # what is missing is not equal to anything
            return negated(compared(terms, "=", bound))
        return compared(terms, operator, bound)

    def _with_before(self, sum_: _Sum, operator: str) -> Formula:
        sign = -1.0 if operator in (">=", ">") else 1.0
        kept = sum_.times(sign)
        terms = tuple(sorted((c, f) for c, f in kept.terms.items() if f))
        before = tuple(sorted((c, f) for c, f in kept.before.items() if f))
        return Linear(terms, -kept.constant + 0.0, operator in ("<", ">"), before)

    def _equation(self, one: Term, other: Term, position: Position) -> Formula | None:
        """Translate ``column = value`` and equality of two columns of names."""
        left = self._place(one)
        if left is None:
            return None
        column, was = left
        right = self._place(other)
        kind: type[In] | type[Was] = Was if was else In
        if right is None:
            if not isinstance(other, Constant):
                return None
            return kind(column, self._values(column, [other]))
        first, second = self.space.columns[column].domain, self.space.columns[right[0]].domain
        if not isinstance(first, Categories) or not isinstance(second, Categories):
            return None
        shared = [v for v in first.values if v in second.values]
        second_kind: type[In] | type[Was] = Was if right[1] else In
        return Some(
            tuple(
                Every(
                    (
                        kind(column, values_of(self.space, column, v)),
                        second_kind(right[0], values_of(self.space, right[0], v)),
                    )
                )
                for v in shared
            )
        )

    def _place(self, term: Term) -> tuple[int, bool] | None:
        """Return the column that a term is, and whether it is the instance's value."""
        match term:
            case Constant(value=str(name)) if name in self.columns:
                return self.columns[name], False
            case Call(name="was", arguments=(Constant(value=str(name)),)):
                return self._column(name, term.position), True
            case _:
                return None

    def _membership(self, goal: Membership, bound: Environment) -> Formula:
        term = self._resolved(goal.left, bound)
        place = self._place(term)
        if place is None:
            name = getattr(term, "value", getattr(term, "name", ""))
            raise RuleError(
                f"no column {str(name)!r}{did_you_mean(str(name), list(self.columns))}",
                goal.position,
            )
        members = [self._resolved(member, bound) for member in goal.members]
        column, was = place
        found = (Was if was else In)(column, self._values(column, members))
        return negated(found) if goal.negated else found

    def _values(self, column: int, members: Sequence[Term]) -> Values:
        described = self.space.columns[column]
        found = Values.nothing()
        for member in members:
            if not isinstance(member, Constant):
                raise RuleError("a set holds values only", member.position)
            value: object = member.value
            if value == "missing" and not member.quoted:
                found |= Values.only_missing()
                continue
            if value in ("true", "false") and not member.quoted:
                value = value == "true"
            try:
                found |= values_of(self.space, column, value)
            except DataError as error:
                known = [str(v) for v in getattr(described.domain, "values", ())]
                hint = did_you_mean(str(value), known) if known else ""
                raise RuleError(f"{error}{hint}", member.position) from None
        return found

    def _sum(self, term: Term, bound: Environment) -> _Sum:
        term = self._resolved(term, bound)
        match term:
            case Constant(value=bool() | None):
                raise RuleError("a truth value is no number", term.position)
            case Constant(value=int() | float()):
                return _Sum(constant=float(term.value or 0.0))
            case Constant():
                return _Sum({self._numeric(str(term.value), term.position): 1.0})
            case Call(name="was", arguments=(Constant(value=str(name)),)):
                return _Sum({}, {self._numeric(name, term.position): 1.0})
            case Call(name="+" | "-", arguments=(left, right)):
                sign = 1.0 if term.name == "+" else -1.0
                return self._sum(left, bound).plus(self._sum(right, bound), sign)
            case Call(name="-", arguments=(inner,)):
                return self._sum(inner, bound).times(-1.0)
            case Call(name="*" | "/", arguments=(left, right)):
                return self._product(term, self._sum(left, bound), self._sum(right, bound))
            case _:
                name = str(getattr(term, "name", term))
                raise RuleError(
                    f"{name!r} is no sum; write columns, numbers, + - * / and was(COLUMN)",
                    term.position,
                )

    def _product(self, term: Call, left: _Sum, right: _Sum) -> _Sum:
        if term.name == "/":
            if not right.is_number or right.constant == 0:
                raise RuleError("only a number other than zero divides", term.position)
            return left.times(1.0 / right.constant)
        if left.is_number:
            return right.times(left.constant)
        if right.is_number:
            return left.times(right.constant)
        raise RuleError("a relation is linear; columns are not multiplied", term.position)

    def _numeric(self, name: str, position: Position) -> int:
        column = self._column(name, position)
        if isinstance(self.space.columns[column].domain, Categories):
            raise RuleError(
                f"column {name!r} holds names, which have no order and no sum; use = or in",
                position,
            )
        return column

    def _column(self, name: str, position: Position) -> int:
        if name not in self.columns:
            raise RuleError(f"no column {name!r}{did_you_mean(name, list(self.columns))}", position)
        return self.columns[name]


def _source(text: str, starts: Sequence[Position], number: int) -> str:
    """Return the text of a clause in one line, without comments and the final stop."""
    lines = text.splitlines()
    first = starts[number]
    last = starts[number + 1] if number + 1 < len(starts) else None
    picked = lines[first.line - 1 : last.line if last is not None else None]
    if not picked:
        return ""
    if last is not None:
        picked[-1] = picked[-1][: last.column - 1]
    picked[0] = picked[0][first.column - 1 :]
    words = " ".join(line.split("%")[0] for line in picked).split()
    return " ".join(words).rstrip(". ")

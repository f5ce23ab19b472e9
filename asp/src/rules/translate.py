"""Clauses into rules: what each predicate of a program stands for.

A predicate without clauses and with two arguments is a feature of the row:
``odor(X,'n')``, ``cap(X,N1), N1=<3.0``.  A predicate with clauses is unfolded where it is
used: its clauses become alternatives under a positive use and exceptions under a negated
one.  Arguments are passed by unification, so that FOLD's ``ab1(X,'True')`` and the
positional predicates of CoGS, ``lite_reject(_,B,_,_) :- rule_2(B)``, are one case.
A bare name on the left of a comparison, ``debt = 0``, is a feature as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from whyproof.engine.names import did_you_mean

from .literal import Literal, Operator
from .position import Position, RuleError
from .rule import Body
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
from .values import Value, text_of

__all__ = ["Binding", "FeatureValue", "Row", "Signature", "Unfolder", "signature_of"]

Signature = tuple[str, int]
"""Name and number of arguments of a predicate."""

_MOST_ALTERNATIVES = 10_000
"""Most bodies that one clause may unfold to."""

_DEEPEST = 100
"""Deepest nesting of predicates, or of negations."""

_FLIPPED = {
    Operator.LT: Operator.GT,
    Operator.LE: Operator.GE,
    Operator.GT: Operator.LT,
    Operator.GE: Operator.LE,
}


@dataclass(frozen=True, slots=True)
class FeatureValue:
    """A variable that stands for the value of a feature."""

    name: str


@dataclass(frozen=True, slots=True)
class Row:
    """A variable that stands for the row (or the time point)."""


Binding = FeatureValue | Row | Constant
"""What a variable stands for."""

Environment = dict[str, Binding]
Alternative = Body | None


def signature_of(goal: Goal | None) -> Signature | None:
    """Return the predicate of a head or goal, if it has one."""
    match goal:
        case Call():
            return goal.name, len(goal.arguments)
        case Constant(value=str(name)):
            return name, 0
        case _:
            return None


class Unfolder:
    """Translates bodies of one program.

    Parameters
    ----------
    program
        The clauses.
    features
        The features that exist, for checks and suggestions; any name when `None`.
    """

    def __init__(self, program: Program, features: Collection[str] | None = None) -> None:
        self.definitions: dict[Signature, list[Clause]] = {}
        self._features = None if features is None else list(features)
        for clause in program.clauses:
            signature = signature_of(clause.head)
            if signature is not None:
                self.definitions.setdefault(signature, []).append(clause)
        self._open: list[Signature] = []
        self._negations = 0

    def bodies(self, clause: Clause, bound: Mapping[str, Binding]) -> list[Body]:
        """Return the bodies whose disjunction is the clause's body.

        Parameters
        ----------
        clause
            A clause whose head needs no unification any more.
        bound
            What the variables of its head stand for.

        Raises
        ------
        RuleError
            For anything that is no rule over features: with its position.
        """
        signature = signature_of(clause.head)
        if signature is not None:
            self._open.append(signature)
        try:
            return self._conjunction(clause.body, dict(bound))
        finally:
            if signature is not None:
                self._open.pop()

    def _conjunction(self, goals: Sequence[Goal], bound: Environment) -> list[Body]:
        self._bind(goals, bound)
        found: list[Body] = [Body()]
        for goal in goals:
            alternatives = self._goal(goal, bound)
            if len(found) * len(alternatives) > _MOST_ALTERNATIVES:
                raise RuleError(
                    f"the rule unfolds to more than {_MOST_ALTERNATIVES} rules; use fewer "
                    "alternatives or membership in a set",
                    goal.position,
                )
            found = [_joined(left, right) for left in found for right in alternatives]
        return found

    def _bind(self, goals: Sequence[Goal], bound: Environment) -> None:
        """Note which variables stand for values of features, and which for the row."""
        for goal in goals:
            if not isinstance(goal, Call) or not self._is_feature(goal):
                continue
            row, value = goal.arguments
            if isinstance(row, Variable) and row.name not in bound:
                bound[row.name] = Row()
            if isinstance(value, Variable) and value.name != "_":
                known = bound.get(value.name)
                if known is not None and known != FeatureValue(goal.name):
                    raise RuleError(
                        f"{value.name} already stands for {_described(known)}; features cannot "
                        "be compared with each other, use another variable",
                        value.position,
                    )
                bound[value.name] = FeatureValue(self._known_feature(goal.name, goal.position))

    def _is_feature(self, call: Call) -> bool:
        return len(call.arguments) == 2 and (call.name, 2) not in self.definitions

    def _goal(self, goal: Goal, bound: Environment) -> list[Body]:
        match goal:
            case Not():
                return self._negation(goal, bound)
            case Comparison():
                return self._comparison(goal, bound)
            case Membership():
                return self._membership(goal, bound)
            case Constant():
                if goal.value in ("true", "otherwise") and not goal.quoted:
                    return [Body()]
                if goal.value in ("fail", "false") and not goal.quoted:
                    return []
                return self._unfolded(goal, (str(goal.value), 0), (), bound)
            case Call():
                if self._is_feature(goal):
                    return self._feature(goal, bound)
                signature = (goal.name, len(goal.arguments))
                return self._unfolded(goal, signature, goal.arguments, bound)

    def _negation(self, goal: Not, bound: Environment) -> list[Body]:
        literals = list[Literal]()
        exceptions = list[Body]()
        self._negations += 1
        if self._negations > _DEEPEST:
            raise RuleError(f"negations are nested deeper than {_DEEPEST}", goal.position)
        bodies = self._conjunction(goal.goals, dict(bound))
        self._negations -= 1
        for body in bodies:
            if not body.exceptions and len(body.literals) == 1:
                literals.append(body.literals[0].complement)
            elif body.literals or body.exceptions:
                exceptions.append(body)
            else:
                return []
        return [Body(tuple(literals), tuple(exceptions))]

    def _feature(self, goal: Call, bound: Environment) -> list[Body]:
        value = self._resolved(goal.arguments[1], bound)
        if isinstance(value, FeatureValue):
            if value.name == goal.name:
                return [Body()]
        elif isinstance(value, Constant):
            name = self._known_feature(goal.name, goal.position)
            found = truth(value, bare_missing=False)
            return [Body((Literal(name, Operator.EQ, found, position=goal.position),))]
        elif value is None:
            return [Body()]
        raise RuleError(f"{goal.name!r} is not tested with a value", goal.position)

    def _comparison(self, goal: Comparison, bound: Environment) -> list[Body]:
        left, operator, right = self._side(goal.left, bound), goal.operator, goal.right
        other = self._side(right, bound)
        if isinstance(left, Constant) and isinstance(other, FeatureValue):
            left, other, operator = other, left, _FLIPPED.get(operator, operator)
        if isinstance(left, Constant) and isinstance(other, Constant):
            if not isinstance(goal.left, Variable):
                return self._by_name(left, operator, other, goal.position)
            # both sides are known: a head's constant met a constant of the call
            literal = Literal("_", operator, other.value, position=goal.position)
            return [Body()] if literal.accepts(left.value) else []
        if isinstance(left, FeatureValue) and isinstance(other, Constant):
            literal = Literal(left.name, operator, other.value, position=goal.position)
            return [Body((literal,))]
        raise RuleError(
            f"{_described(left)} is compared with {_described(other)}; a rule compares a feature "
            "with a value",
            goal.position,
        )

    def _by_name(
        self, left: Constant, operator: Operator, right: Constant, position: Position
    ) -> list[Body]:
        if not isinstance(left.value, str) and isinstance(right.value, str):
            left, right, operator = right, left, _FLIPPED.get(operator, operator)
        if not isinstance(left.value, str):
            raise RuleError(
                f"{text_of(left.value)} is compared with {text_of(right.value)}; a rule "
                "compares a feature with a value",
                position,
            )
        name = self._known_feature(left.value, left.position)
        value = truth(right)
        return [Body((Literal(name, operator, value, position=position),))]

    def _membership(self, goal: Membership, bound: Environment) -> list[Body]:
        left = self._side(goal.left, bound)
        if isinstance(left, Constant) and isinstance(left.value, str):
            left = FeatureValue(self._known_feature(left.value, left.position))
        if not isinstance(left, FeatureValue):
            raise RuleError("only a feature can be a member of a set of values", goal.position)
        members = list[Value]()
        for term in goal.members:
            member = self._side(term, bound)
            if not isinstance(member, Constant):
                raise RuleError("a set holds values only", term.position)
            members.append(truth(member))
        operator = Operator.NOT_IN if goal.negated else Operator.IN
        literal = Literal(left.name, operator, tuple(members), position=goal.position)
        return [Body((literal,))]

    def _unfolded(
        self, goal: Goal, signature: Signature, arguments: Sequence[Term], bound: Environment
    ) -> list[Body]:
        name, arity = signature
        if signature not in self.definitions:
            known = sorted({f"{n}" for n, _ in self.definitions} - {name})
            what = f"{name}/{arity}" if arity else repr(name)
            hint = did_you_mean(name, known) if known else ""
            raise RuleError(
                f"no rule defines {what}, and it compares no feature{hint}", goal.position
            )
        if len(self._open) > _DEEPEST:
            raise RuleError(
                f"predicates are nested deeper than {_DEEPEST}; use fewer levels", goal.position
            )
        if signature in self._open:
            cycle = " -> ".join([*(n for n, _ in self._open[self._open.index(signature) :]), name])
            raise RuleError(
                f"the rules are recursive ({cycle}), so they are not stratified; break the cycle",
                goal.position,
            )
        found = list[Body]()
        for clause in self.definitions[signature]:
            head = clause.head
            formal = head.arguments if isinstance(head, Call) else ()
            unified = self._unified(formal, arguments, bound)
            if unified is None:
                continue
            inner, conditions = unified
            found.extend(_joined(Body(conditions), body) for body in self.bodies(clause, inner))
        return found

    def _unified(
        self, formal: Sequence[Term], actual: Sequence[Term], bound: Environment
    ) -> tuple[Environment, tuple[Literal, ...]] | None:
        """Pass arguments to a clause; `None` when its head does not match."""
        inner: Environment = {}
        conditions = list[Literal]()
        for parameter, argument in zip(formal, actual, strict=True):
            value = self._resolved(argument, bound)
            if isinstance(parameter, Variable):
                if value is not None and parameter.name != "_":
                    inner[parameter.name] = value
            elif isinstance(parameter, Constant):
                if isinstance(value, Constant):
                    if text_of(value.value) != text_of(parameter.value):
                        return None
                elif isinstance(value, FeatureValue):
                    conditions.append(
                        Literal(
                            value.name, Operator.EQ, parameter.value, position=parameter.position
                        )
                    )
            else:
                raise RuleError(
                    f"{parameter.name!r} with arguments stands where a value is expected",
                    parameter.position,
                )
        return inner, tuple(conditions)

    def _resolved(self, term: Term, bound: Environment) -> Binding | None:
        """Return what a term stands for; `None` for a variable that nothing binds."""
        match term:
            case Constant():
                return term
            case Variable():
                return bound.get(term.name)
            case Call():
                raise RuleError(
                    f"{term.name!r} with arguments stands where a value is expected",
                    term.position,
                )

    def _side(self, term: Term, bound: Environment) -> Binding:
        found = self._resolved(term, bound)
        if found is None:
            raise RuleError(
                f"{getattr(term, 'name', term)} is not the value of any feature; write "
                "feature(X,N) first, or say which features the arguments of the predicate are",
                term.position,
            )
        return found

    def _known_feature(self, name: str, position: Position) -> str:
        if self._features is not None and name not in self._features:
            raise RuleError(f"no feature {name!r}{did_you_mean(name, self._features)}", position)
        return name


def truth(constant: Constant, *, bare_missing: bool = True) -> Value:
    """Return a constant's value, where a bare ``true`` or ``false`` is no string.

    Parameters
    ----------
    constant
        As written.
    bare_missing
        Whether a bare ``missing`` is the missing value, as in rules by name.
    """
    if constant.quoted or not isinstance(constant.value, str):
        return constant.value
    if constant.value == "missing" and bare_missing:
        return None
    return {"true": True, "false": False}.get(constant.value, constant.value)


def _joined(left: Body, right: Body) -> Body:
    literals = dict.fromkeys(itertools.chain(left.literals, right.literals))
    exceptions = dict.fromkeys(itertools.chain(left.exceptions, right.exceptions))
    return Body(tuple(literals), tuple(exceptions))


def _described(binding: Binding) -> str:
    match binding:
        case FeatureValue():
            return f"feature {binding.name!r}"
        case Row():
            return "the row"
        case Constant():
            return repr(text_of(binding.value))


def walk(goals: Sequence[Goal]) -> Iterator[tuple[Goal, bool]]:
    """Yield every goal with whether it stands under a negation."""
    for goal in goals:
        if isinstance(goal, Not):
            for inner, _ in walk(goal.goals):
                yield inner, True
        else:
            yield goal, False

"""Which features the arguments of a positional predicate stand for.

The programs of CoGS pass features by position: ``lite_le_50K(X,Y,Z)``.  Other clauses of
the same program say which feature each position holds, by ``f_domain(sex, A)``,
``pre_sex(A)``, ``post_sex(A)`` or ``sex(T, A)`` beside a use of the predicate.  A position
that nothing names must be named by the user; guessing by order is how the reference
programs came to test a car's maintenance for its safety.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .position import RuleError
from .terms import Call, Clause, Constant, Program, Variable
from .translate import Signature, signature_of, walk

__all__ = ["argument_names"]

_PREFIXES = ("pre_", "post_")

_DEEPEST = 100
"""Longest chain of predicates that is followed for a name."""


def argument_names(
    program: Program, head: Call, given: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """Return one feature name per argument of a predicate.

    Parameters
    ----------
    program
        Where uses of the predicate are looked for.
    head
        A head with the predicate.
    given
        Names by predicate; they go before what the program says.

    Raises
    ------
    RuleError
        If an argument has no name, or two different ones.
    """
    arity = len(head.arguments)
    if head.name in given:
        names = tuple(given[head.name])
        if len(names) != arity:
            raise RuleError(
                f"{head.name} has {arity} arguments but {len(names)} names were given",
                head.position,
            )
        return names
    found = _Names(program).of((head.name, arity))
    missing = [str(k + 1) for k in range(arity) if not found[k]]
    if missing:
        raise RuleError(
            f"nothing says which features the arguments of {head.name}/{arity} are (argument "
            f"{', '.join(missing)}); name them, as in {head.name}=age,income",
            head.position,
        )
    for k, candidates in enumerate(found):
        if len(candidates) > 1:
            both = " and also ".join(sorted(candidates))
            raise RuleError(
                f"argument {k + 1} of {head.name}/{arity} is {both}; name the arguments",
                head.position,
            )
    return tuple(next(iter(candidates)) for candidates in found)


class _Names:
    """Names of arguments by predicate, each predicate looked at once."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._found: dict[Signature, list[set[str]]] = {}
        self._depth = 0
        self._defined = {signature_of(clause.head) for clause in program.clauses}
        self._uses: dict[Signature, list[Clause]] = {}
        for clause in program.clauses:
            goals = [clause.head, *(goal for goal, _ in walk(clause.body))]
            for signature in {signature_of(goal) for goal in goals} - {None}:
                if signature is not None:
                    self._uses.setdefault(signature, []).append(clause)

    def of(self, signature: Signature) -> list[set[str]]:
        """Collect the names of each argument from uses and from the predicate's clauses."""
        if signature in self._found:
            return self._found[signature]
        if self._depth > _DEEPEST:
            return [set() for _ in range(signature[1])]
        self._depth += 1
        found = self._found[signature] = [set[str]() for _ in range(signature[1])]
        for clause in self._uses.get(signature, []):
            variables = self._variables(clause, signature)
            goals = [clause.head, *(goal for goal, _ in walk(clause.body))]
            for use in goals:
                if not isinstance(use, Call) or signature_of(use) != signature:
                    continue
                for k, argument in enumerate(use.arguments):
                    if isinstance(argument, Variable):
                        found[k] |= variables.get(argument.name, set())
        self._depth -= 1
        return found

    def _variables(self, clause: Clause, asked: Signature) -> dict[str, set[str]]:
        """Collect what the body of a clause calls its variables."""
        names: dict[str, set[str]] = {}
        for goal, _ in walk(clause.body):
            if not isinstance(goal, Call):
                continue
            signature = (goal.name, len(goal.arguments))
            hint = _hint(goal)
            if hint is not None:
                names.setdefault(hint[0], set()).add(hint[1])
            elif signature in self._defined:
                if signature != asked:
                    self._of_call(goal, names)
            elif signature[1] == 2 and isinstance(goal.arguments[1], Variable):
                names.setdefault(goal.arguments[1].name, set()).add(goal.name)
        return names

    def _of_call(self, goal: Call, names: dict[str, set[str]]) -> None:
        for argument, known in zip(
            goal.arguments, self.of((goal.name, len(goal.arguments))), strict=True
        ):
            if isinstance(argument, Variable) and known:
                names.setdefault(argument.name, set()).update(known)


def _hint(goal: Call) -> tuple[str, str] | None:
    """Return variable and feature for ``f_domain(sex, A)``, ``pre_sex(A)``, ``post_sex(A)``."""
    match goal.arguments:
        case (Constant(value=str(feature)), Variable(name=variable)) if goal.name == "f_domain":
            return variable, feature
        case (Variable(name=variable),):
            for prefix in _PREFIXES:
                if goal.name.startswith(prefix):
                    return variable, goal.name.removeprefix(prefix)
            return None
        case _:
            return None

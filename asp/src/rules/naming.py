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
    found = _names(program, (head.name, arity), set())
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


def _names(program: Program, signature: Signature, seen: set[Signature]) -> list[set[str]]:
    """Collect the names of each argument from uses and from the predicate's own clauses."""
    found: list[set[str]] = [set() for _ in range(signature[1])]
    if signature in seen:
        return found
    seen = seen | {signature}
    for clause in program.clauses:
        uses = [clause.head] if signature_of(clause.head) == signature else []
        uses += [goal for goal, _ in walk(clause.body) if signature_of(goal) == signature]
        if not uses:
            continue
        variables = _variables(program, clause, seen)
        for use in uses:
            arguments = use.arguments if isinstance(use, Call) else ()
            for k, argument in enumerate(arguments):
                if isinstance(argument, Variable):
                    found[k] |= variables.get(argument.name, set())
    return found


def _variables(program: Program, clause: Clause, seen: set[Signature]) -> dict[str, set[str]]:
    """Collect what the body of a clause calls its variables."""
    names: dict[str, set[str]] = {}
    for goal, _ in walk(clause.body):
        if not isinstance(goal, Call):
            continue
        hint = _hint(goal)
        if hint is not None:
            names.setdefault(hint[0], set()).add(hint[1])
        elif len(goal.arguments) > 2 and signature_of(goal) not in seen:
            for argument, inner in zip(
                goal.arguments, _names(program, (goal.name, len(goal.arguments)), seen), strict=True
            ):
                if isinstance(argument, Variable) and inner:
                    names.setdefault(argument.name, set()).update(inner)
    return names


def _hint(goal: Call) -> tuple[str, str] | None:
    match goal.arguments:
        case (Constant(value=str(feature)), Variable(name=variable)):
            return (variable, feature) if goal.name == "f_domain" else None
        case (Variable(name=variable),):
            for prefix in _PREFIXES:
                if goal.name.startswith(prefix):
                    return variable, goal.name.removeprefix(prefix)
            return None
        case (_, Variable(name=variable)) if not goal.name.startswith(("lite_", "not_", "compare")):
            return variable, goal.name
        case _:
            return None

"""Ordered rule lists written as unordered programs, and the default rule.

FOLD-RM states the order of its rules inside the rules:
``label(X,c) :- rule_3(X), not rule_1(X), not rule_2(X).``  Read literally, every rule would
carry all earlier ones as exceptions; recognised, the list gets its order back.  A last
rule with negations only is the default.  For one label the default is written
``label(X,'e') :- not label(X,'p').``
"""

from __future__ import annotations

from collections.abc import Sequence

from .literal import Operator
from .terms import Call, Clause, Comparison, Constant, Goal, Not
from .translate import signature_of
from .values import text_of

__all__ = ["ranked_order"]

_Key = tuple[str, str]


def ranked_order(
    clauses: Sequence[Clause], target: str
) -> tuple[list[Clause], Clause | None] | None:
    """Return the clauses in their stated order, free of it, and the default's clause.

    Parameters
    ----------
    clauses
        All clauses for the target.
    target
        What they decide.

    Returns
    -------
    tuple or None
        `None` when the clauses state no order.
    """
    ranked = list[tuple[tuple[Goal, ...], frozenset[_Key], _Key | None, Clause]]()
    plain = list[Clause]()
    for clause in clauses:
        negated = [_negated_rule(goal, target) for goal in clause.body]
        rest = tuple(g for g, key in zip(clause.body, negated, strict=True) if key is None)
        keys = frozenset(key for key in negated if key is not None)
        own = _key(rest[0], target) if len(rest) == 1 else None
        if rest and own is None:
            plain.append(clause)
        else:
            ranked.append((rest, keys, own, clause))
    defaults = [entry for entry in ranked if not entry[0]]
    if len(defaults) > 1:
        return None
    if plain:
        return _with_default(plain, ranked, defaults, target)
    ranked.sort(key=lambda entry: (not entry[0], len(entry[1])))
    earlier = set[_Key]()
    ordered = list[Clause]()
    for rest, keys, own, clause in ranked:
        if set(keys) != earlier:
            return None
        if own is not None:
            earlier.add(own)
            ordered.append(
                Clause(clause.head, rest, clause.position, clause.annotations, clause.iff)
            )
    return ordered, (defaults[0][3] if defaults else None)


def _with_default(
    plain: list[Clause],
    ranked: list[tuple[tuple[Goal, ...], frozenset[_Key], _Key | None, Clause]],
    defaults: list[tuple[tuple[Goal, ...], frozenset[_Key], _Key | None, Clause]],
    target: str,
) -> tuple[list[Clause], Clause | None] | None:
    """Read plain rules and a default, ``label(X,'e') :- not label(X,'p')``."""
    if len(defaults) != 1 or len(ranked) != 1:
        return None
    concluded = {_key(clause.head, target) for clause in plain}
    if set[_Key | None](defaults[0][1]) != concluded:
        return None
    return plain, defaults[0][3]


def _negated_rule(goal: Goal, target: str) -> _Key | None:
    if isinstance(goal, Not) and len(goal.goals) == 1:
        return _key(goal.goals[0], target)
    return None


def _key(goal: Goal | None, target: str) -> _Key | None:
    """Identify ``rule_3(X)``, ``rule_3``, ``label(X,'p')`` and ``label = p``."""
    match goal:
        case Comparison(
            left=Constant(value=name), operator=Operator.EQ, right=Constant(value=value)
        ) if name == target:
            return target, text_of(value)
        case Call(name=name, arguments=(_, Constant(value=value))) if name == target:
            return target, text_of(value)
        case Call(name=name) | Constant(value=str(name)) if name.lstrip("_").startswith("rule"):
            signature = signature_of(goal)
            return None if signature is None or signature[1] > 1 else (name, "")
        case _:
            return None

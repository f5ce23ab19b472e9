"""The parts of a logic program, as written: terms, goals, clauses.

This is syntax only.  What a predicate stands for (a feature, an exception, a rule of a
list) is decided by the readers of each dialect.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .literal import Operator
from .position import Position
from .values import Value

__all__ = [
    "Call",
    "Clause",
    "Comparison",
    "Constant",
    "Directive",
    "Goal",
    "Membership",
    "Not",
    "Program",
    "Term",
    "Variable",
]


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, a name without arguments, or a string."""

    value: Value
    position: Position
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable; ``_`` is a new one each time."""

    name: str
    position: Position


@dataclass(frozen=True, slots=True)
class Call:
    """A predicate or function with arguments; arithmetic and lists are functions."""

    name: str
    arguments: tuple[Term, ...]
    position: Position


Term = Constant | Variable | Call


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two terms compared."""

    left: Term
    operator: Operator
    right: Term
    position: Position


@dataclass(frozen=True, slots=True)
class Membership:
    """A term compared with a set: ``colour in {red, blue}``."""

    left: Term
    members: tuple[Term, ...]
    negated: bool
    position: Position


@dataclass(frozen=True, slots=True)
class Not:
    """Negation as failure of one goal or a conjunction."""

    goals: tuple[Goal, ...]
    position: Position


Goal = Call | Constant | Comparison | Membership | Not
"""A `Constant` as a goal is a predicate without arguments."""


@dataclass(frozen=True, slots=True)
class Clause:
    """A statement: ``head :- body.``, a fact, a constraint, or ``head <-> body.`` among them.

    Parameters
    ----------
    head
        What is concluded; `None` for a constraint.
    body
        Goals that all must hold.
    position
        Where the clause starts.
    annotations
        Texts of the ``%@`` lines above it.
    iff
        Whether it was written with ``<->``.
    """

    head: Goal | None
    body: tuple[Goal, ...]
    position: Position
    annotations: tuple[str, ...] = ()
    iff: bool = False


@dataclass(frozen=True, slots=True)
class Directive:
    """A ``#show``, ``#pred``, ``#include``, ``:- use_module(...)`` or query: no rule."""

    name: str
    position: Position


@dataclass(frozen=True, slots=True)
class Program:
    """Everything that a text holds, in its order."""

    clauses: tuple[Clause, ...]
    directives: tuple[Directive, ...] = ()
    file: str = field(default="<text>")

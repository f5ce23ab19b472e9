"""What holds in a world besides its features: causal rules, denials, preconditions, effects."""

from __future__ import annotations

from dataclasses import dataclass, field

from whyproof.asp.rules import Body, Literal, Position, RuleError

__all__ = ["CausalRule", "Denial", "Effect", "Precondition"]


@dataclass(frozen=True, slots=True)
class CausalRule:
    """Where one of the bodies holds, the head's feature takes a value that the heads allow.

    A state must satisfy the rule, and the rule may move its head's feature: when an action
    makes a body true and the old value is not allowed, the feature moves to one that is.

    Parameters
    ----------
    heads
        Literals of one feature that hold together, such as ``score >= 620``.
    bodies
        Conditions; one is enough.  An empty body always holds.
    iff
        Whether the converse holds too: where no body holds, the head does not.  Several
        such rules with the same head speak together: where none of their bodies holds.
    otherwise
        What holds instead where no body does; the complement of the heads when empty.
        Given, it makes the rule `iff`.
    name
        Shown in reports and justifications.
    position
        Where it stands in its text; ignored by equality.

    Examples
    --------
    >>> from whyproof.asp.rules import read_heads
    >>> [rule] = read_heads("score >= 620 :- debt = 0.")
    >>> str(CausalRule((rule.head,), (rule.body,), iff=True))
    'score >= 620 if and only if debt = 0'
    """

    heads: tuple[Literal, ...]
    bodies: tuple[Body, ...] = (Body(),)
    iff: bool = False
    otherwise: tuple[Literal, ...] = ()
    name: str = field(default="", compare=False)
    position: Position | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        named = {literal.feature for literal in (*self.heads, *self.otherwise)}
        if not self.heads or len(named) != 1:
            raise RuleError("a causal rule concludes about one feature", self.position)
        if not self.bodies:
            raise RuleError("a causal rule needs a condition", self.position)
        if self.otherwise and not self.iff:
            object.__setattr__(self, "iff", True)

    @property
    def feature(self) -> str:
        """The feature that the rule is about."""
        return self.heads[0].feature

    @property
    def literals(self) -> tuple[Literal, ...]:
        """All literals of heads and bodies."""
        tests = (literal for body in self.bodies for literal in body.all_literals())
        return (*self.heads, *self.otherwise, *tests)

    def __str__(self) -> str:
        head = " and ".join(map(str, self.heads))
        body = " or ".join(map(str, self.bodies))
        if self.otherwise:
            return f"{head} if {body}, otherwise {' and '.join(map(str, self.otherwise))}"
        return f"{head} {'if and only if' if self.iff else 'if'} {body}"


@dataclass(frozen=True, slots=True)
class Denial:
    """Bodies that no state of the world satisfies; nothing moves to avoid them."""

    bodies: tuple[Body, ...]
    name: str = field(default="", compare=False)
    position: Position | None = field(default=None, compare=False, repr=False)

    @property
    def literals(self) -> tuple[Literal, ...]:
        """All literals of the bodies."""
        return tuple(literal for body in self.bodies for literal in body.all_literals())

    def __str__(self) -> str:
        return f"never {' or '.join(map(str, self.bodies))}"


@dataclass(frozen=True, slots=True)
class Precondition:
    """What must hold before a direct action on a feature.

    Parameters
    ----------
    feature
        The feature that the action changes.
    requires
        Conditions in the state before the action; one is enough.
    source, target
        Restrict the precondition to actions that leave and reach certain values; literals
        of `feature`.  Empty for any value.
    name, position
        As for `CausalRule`.
    """

    feature: str
    requires: tuple[Body, ...]
    source: tuple[Literal, ...] = ()
    target: tuple[Literal, ...] = ()
    name: str = field(default="", compare=False)
    position: Position | None = field(default=None, compare=False, repr=False)

    @property
    def literals(self) -> tuple[Literal, ...]:
        """All literals."""
        tests = (literal for body in self.requires for literal in body.all_literals())
        return (*self.source, *self.target, *tests)

    def __str__(self) -> str:
        to = "".join(f" to {literal}" for literal in self.target)
        origin = "".join(f" from {literal}" for literal in self.source)
        return (
            f"changing {self.feature}{origin}{to} requires {' or '.join(map(str, self.requires))}"
        )


@dataclass(frozen=True, slots=True)
class Effect:
    """An arithmetic side effect: a direct action on one feature adds to another.

    Parameters
    ----------
    action
        The feature whose direct change has the effect.
    feature
        The numeric feature that is changed along.
    add
        What is added, negative to take away; a multiple of the feature's step.
    target
        Restricts the effect to actions that reach certain values; literals of `action`.
    position
        As for `CausalRule`.
    """

    action: str
    feature: str
    add: float
    target: tuple[Literal, ...] = ()
    position: Position | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        to = "".join(f" to {literal}" for literal in self.target)
        return f"changing {self.action}{to} adds {self.add:g} to {self.feature}"

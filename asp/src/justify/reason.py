"""Reasons: trees of statements, each true or false, down to single comparisons.

s(CASP) prints justification trees of predicates only: comparisons never appear as nodes, so
that for rules made of comparisons its tree is almost empty.  Here every leaf is a
comparison with the value that was found and the value that it was compared with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from whyproof.asp.rules import Literal, Value
from whyproof.asp.worlds.world import World

from .words import literal_words

__all__ = ["Reason", "ReasonKind", "literal_reason"]


class ReasonKind(StrEnum):
    """What a node is about."""

    DECISION = "decision"
    RULE = "rule"
    EXCEPTION = "exception"
    LITERAL = "literal"
    PATH = "path"
    ACTION = "action"
    EFFECT = "effect"
    KEPT = "kept"
    OBSTACLE = "obstacle"


@dataclass(frozen=True, slots=True)
class Reason:
    """A statement and the statements that it rests on.

    Parameters
    ----------
    kind
        What it is about.
    text
        The statement as a clause, without a full stop.
    holds
        Whether the rule, exception or literal holds.
    children
        What it rests on.
    data
        The same for programs: feature, value, operator, threshold, rule, place.

    Examples
    --------
    >>> leaf = Reason(ReasonKind.LITERAL, "age is 30, which is not at most 29", holds=False)
    >>> print(Reason(ReasonKind.RULE, "rule 1 does not fire", holds=False, children=(leaf,)))
    - rule 1 does not fire
      - age is 30, which is not at most 29
    """

    kind: ReasonKind
    text: str
    holds: bool = True
    children: tuple[Reason, ...] = ()
    data: Mapping[str, object] = field(default_factory=dict[str, object])

    def walk(self) -> Iterator[Reason]:
        """Yield the node and everything below, depth first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def literals(self) -> list[Reason]:
        """Return all comparisons in the tree."""
        return [reason for reason in self.walk() if reason.kind is ReasonKind.LITERAL]

    def as_json(self) -> dict[str, object]:
        """Return the tree as JSON."""
        found: dict[str, object] = {
            "kind": str(self.kind),
            "text": self.text,
            "holds": self.holds,
        }
        if self.data:
            found["data"] = dict(self.data)
        if self.children:
            found["because"] = [child.as_json() for child in self.children]
        return found

    def lines(self, depth: int = 0) -> Iterator[str]:
        """Yield the tree as indented lines."""
        yield f"{'  ' * depth}- {self.text}"
        for child in self.children:
            yield from child.lines(depth + 1)

    def __str__(self) -> str:
        return "\n".join(self.lines())


def literal_reason(
    world: World, literal: Literal, value: Value, children: tuple[Reason, ...] = ()
) -> Reason:
    """Return the leaf for one comparison."""
    compared = list(literal.value) if isinstance(literal.value, tuple) else literal.value
    data: dict[str, object] = {
        "feature": literal.feature,
        "value": value,
        "operator": f"{'not ' if literal.negated else ''}{literal.operator}",
        "compared": compared,
    }
    if literal.position is not None:
        data["place"] = str(literal.position)
    return Reason(
        ReasonKind.LITERAL,
        literal_words(world, literal, value),
        literal.accepts(value),
        children,
        data,
    )

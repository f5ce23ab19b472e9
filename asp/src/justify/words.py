"""Literals, values and rules as words, with every comparison written out."""

from __future__ import annotations

from collections.abc import Sequence

from whyproof.asp.rules import Body, Literal, Operator, Value
from whyproof.asp.rules.values import is_missing, text_of
from whyproof.asp.worlds.world import World

__all__ = ["and_list", "body_words", "condition_words", "literal_words", "value_words"]

_WORDS = {
    Operator.EQ: "is",
    Operator.NE: "is not",
    Operator.LT: "is below",
    Operator.LE: "is at most",
    Operator.GT: "is above",
    Operator.GE: "is at least",
    Operator.IN: "is one of",
    Operator.NOT_IN: "is none of",
}

_OPPOSITE = {
    Operator.EQ: "is not",
    Operator.NE: "is",
    Operator.LT: "is not below",
    Operator.LE: "is not at most",
    Operator.GT: "is not above",
    Operator.GE: "is not at least",
    Operator.IN: "is none of",
    Operator.NOT_IN: "is one of",
}


def value_words(value: Value, unit: str = "") -> str:
    """Write a value with its unit; the missing one as ``missing``."""
    if is_missing(value):
        return "missing"
    return f"{text_of(value)} {unit}" if unit else text_of(value)


def condition_words(literal: Literal, *, holds: bool = True) -> str:
    """Write what a literal demands, or, if it fails, what it finds instead.

    Examples
    --------
    >>> literal = Literal("age", Operator.LE, 29)
    >>> condition_words(literal), condition_words(literal, holds=False)
    ('is at most 29', 'is not at most 29')
    """
    words = _WORDS if holds is not literal.negated else _OPPOSITE
    values = [value_words(value) for value in literal.values]
    return f"{words[literal.operator]} {or_list(values)}"


def literal_words(world: World, literal: Literal, value: Value) -> str:
    r"""Write a literal with the actual value, true or false.

    Examples
    --------
    >>> from whyproof.asp.worlds import world_from_toml
    >>> world = world_from_toml('[features.age]\ntype = "integers"\nunit = "years"')
    >>> literal_words(world, Literal("age", Operator.LE, 29), 30)
    'age is 30 years, which is not at most 29'
    """
    actual = value_words(value, world.feature(literal.feature).unit)
    holds = literal.accepts(value)
    if literal.operator in (Operator.EQ, Operator.NE) and holds is (
        literal.operator is Operator.EQ
    ):
        return f"{literal.feature} is {actual}"
    return f"{literal.feature} is {actual}, which {condition_words(literal, holds=holds)}"


def body_words(body: Body) -> str:
    """Write what a body demands."""
    parts = [f"{literal.feature} {condition_words(literal)}" for literal in body.literals]
    text = and_list(parts) or "always"
    for exception in body.exceptions:
        text += f", unless {body_words(exception)}"
    return text


def and_list(parts: Sequence[str]) -> str:
    """Join parts with commas and a last "and"."""
    return _list(parts, "and")


def or_list(parts: Sequence[str]) -> str:
    """Join parts with commas and a last "or"."""
    return _list(parts, "or")


def _list(parts: Sequence[str], word: str) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}"

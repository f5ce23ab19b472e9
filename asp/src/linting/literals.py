"""Literals that do not fit their feature: unknown values, clashing types, constant tests."""

from __future__ import annotations

from collections.abc import Iterable

from whyproof.asp.rules import Literal
from whyproof.asp.rules.values import is_missing, number_of, text_of
from whyproof.asp.worlds.feature import WorldFeature
from whyproof.asp.worlds.problem import Problem
from whyproof.asp.worlds.world import World
from whyproof.engine.domain import Boolean
from whyproof.engine.errors import DataError
from whyproof.engine.names import did_you_mean

from .finding import Finding, Severity

__all__ = ["literal_findings"]


def literal_findings(world: World, problem: Problem) -> list[Finding]:
    """Return what is wrong with single literals.

    Parameters
    ----------
    world
        Its rules.
    problem
        The same over cells.
    """
    found: list[Finding] = []
    seen: set[tuple[Literal, object]] = set()
    for literal in world.literals():
        key = (literal, literal.position)
        if key not in seen:
            seen.add(key)
            found += _of_literal(world.feature(literal.feature), literal, problem)
    return found


def _of_literal(feature: WorldFeature, literal: Literal, problem: Problem) -> Iterable[Finding]:
    if literal.operator.is_order and not feature.is_numeric:
        if all(number_of(value) != number_of(value) for value in feature.names):
            yield Finding(
                Severity.ERROR,
                "type-clash",
                f"{literal} compares by size, but the values of {feature.name!r} are names",
                literal.position,
            )
            return
    if not literal.operator.is_order:
        unknown = [value for value in literal.values if not _exists(feature, value)]
        for value in unknown:
            names = [text_of(name) for name in feature.names]
            hint = did_you_mean(text_of(value), names) if names else ""
            shown = "the missing value" if is_missing(value) else repr(text_of(value))
            yield Finding(
                Severity.ERROR,
                "unknown-value",
                f"{feature.name!r} is never {shown}: it is in {feature.domain.describe()}{hint}",
                literal.position,
            )
        if unknown:
            return
    variable = problem.variables[problem.world.index[literal.feature]]
    accepted = [literal.accepts(c.value if c.single else c.first) for c in variable.cells]
    if all(accepted) or not any(accepted):
        word = "always" if all(accepted) else "never"
        yield Finding(
            Severity.WARNING,
            f"{word}-true",
            f"{literal} is {word} true in {feature.domain.describe()}",
            literal.position,
        )


def _exists(feature: WorldFeature, value: object) -> bool:
    if is_missing(value):
        return feature.domain.nullable
    if feature.is_numeric:
        # numbers beyond the bounds make constant tests, which is another finding
        number = number_of(value)
        try:
            return number == number or float(str(value)) == float(str(value))
        except ValueError:
            return False
    if isinstance(feature.domain, Boolean):
        try:
            feature.value(value)
        except DataError:
            return False
        return True
    return text_of(value) in {text_of(name) for name in feature.names}

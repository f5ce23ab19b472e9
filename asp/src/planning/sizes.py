"""How large a world becomes when it is grounded, and what makes it so.

Grounding is linear in cells, literals and time points, with two exceptions: a list of
allowed moves has one entry per pair of values, and a rule with exceptions or a converse may
expand to many conjunctions.  The estimate names what weighs most, before anything is built.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from whyproof.asp.rules import Body, Position
from whyproof.asp.worlds.cells import cuts_of
from whyproof.asp.worlds.feature import WorldFeature
from whyproof.asp.worlds.world import World

__all__ = ["Weight", "weights"]


@dataclass(frozen=True, slots=True)
class Weight:
    """One part of a world and its estimated number of ground rules per time point."""

    size: float
    text: str
    position: Position | None = None

    def __str__(self) -> str:
        where = "" if self.position is None else f"{self.position}: "
        return f"{where}{self.text} (about {self.size:.2g} ground rules per step)"


def weights(world: World) -> list[Weight]:
    """Return the parts of a world, heaviest first.

    Examples
    --------
    >>> from whyproof.asp.worlds import world_from_toml
    >>> world = world_from_toml('''
    ... [features.income]
    ... type = "integers"
    ... lower = 0
    ... upper = 100000
    ... max_change = 500
    ... ''')
    >>> print(weights(world)[0])
    the world:2:11: max_change of 'income' (about 1e+08 ground rules per step)
    """
    cells = {feature.name: _cells(feature, world) for feature in world.features}
    found: list[Weight] = []
    for feature in world.features:
        count = cells[feature.name]
        size, text = count, f"the values of {feature.name!r}"
        if feature.max_change is not None:
            step = feature.grid if feature.is_numeric and feature.grid else 1.0
            size = count * min(count, 2 * feature.max_change / step + 1)
            text = f"max_change of {feature.name!r}"
        elif feature.transitions is not None:
            size, text = len(feature.transitions), f"transitions of {feature.name!r}"
        found.append(Weight(size, text, feature.position))
    for rule in world.causal:
        size = sum(_conjunctions(body) for body in rule.bodies)
        if rule.iff:
            size += math.prod(_refutations(body) for body in rule.bodies)
        found.append(Weight(size * cells[rule.feature], f"({rule})", rule.position))
    for denial in world.denials:
        size = sum(_conjunctions(body) for body in denial.bodies)
        found.append(Weight(size, f"({denial})", denial.position))
    return sorted(found, key=lambda weight: -weight.size)


def _cells(feature: WorldFeature, world: World) -> float:
    if not feature.is_numeric:
        return len(feature.names)
    if feature.max_change is not None and feature.grid is not None:
        lower, upper = feature.domain.bounds
        return (upper - lower) / feature.grid + 1
    return 1 + len(cuts_of(t for t in world.literals() if t.feature == feature.name))


def _conjunctions(body: Body) -> float:
    """Bound the number of conjunctions whose disjunction is a body."""
    return math.prod(_refutations(exception) for exception in body.exceptions)


def _refutations(body: Body) -> float:
    """Bound the number of conjunctions whose disjunction denies a body."""
    return len(body.literals) + sum(_conjunctions(exception) for exception in body.exceptions)

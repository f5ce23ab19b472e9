"""Amounts: numeric features that actions add to, as whole numbers of steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from whyproof.asp.rules import Value
from whyproof.asp.rules.values import number_of
from whyproof.asp.worlds.feature import Change
from whyproof.asp.worlds.problem import Problem, Variable
from whyproof.engine.errors import DataError, UnsupportedError

__all__ = ["Amounts", "Link"]


@dataclass(frozen=True, slots=True)
class Link:
    """How an amount goes from one state to the next.

    Parameters
    ----------
    lower, upper
        Bounds of its cell afterwards; infinite where there are none.
    kind
        ``keep`` (by inertia), ``direct`` (by the action) or ``forced`` (by a causal rule).
    shift
        What side effects add in this step.
    base
        For a forced amount: bounds of what it would have been by inertia.
    """

    lower: float
    upper: float
    kind: str
    shift: int = 0
    base: tuple[float, float] = (-math.inf, math.inf)


@dataclass(frozen=True)
class Amounts:
    """The amounts of a problem.

    Parameters
    ----------
    problem
        Over cells, with effects in its world.
    """

    problem: Problem

    def __post_init__(self) -> None:
        world = self.problem.world
        for effect in world.effects:
            feature = world.feature(effect.feature)
            if feature.grid is None:
                raise UnsupportedError(
                    f"the effect '{effect}' changes {feature.name!r}, which is continuous; give "
                    "it whole numbers or a step"
                )
            if effect.action == effect.feature:
                raise DataError(f"the effect '{effect}' changes the feature of its own action")
            if self.units(feature.name, effect.add) is None:
                raise DataError(
                    f"the effect '{effect}' is no multiple of the step {feature.grid:g}"
                )

    @property
    def numbers(self) -> list[int]:
        """Variables that are amounts."""
        world = self.problem.world
        return sorted({world.index[effect.feature] for effect in world.effects})

    def units(self, name: str, value: float) -> int | None:
        """Return a number in steps of a feature; `None` if it is no multiple."""
        grid = self.problem.world.feature(name).grid or 1.0
        found = Fraction(repr(float(value))) / Fraction(repr(float(grid)))
        return int(found) if found.denominator == 1 else None

    def value(self, name: str, units: int) -> Value:
        """Return the value of a number of steps."""
        grid = self.problem.world.feature(name).grid or 1.0
        found = units * Fraction(repr(float(grid)))
        return int(found) if found.denominator == 1 and grid >= 1 else float(found)

    def start(self, number: int) -> int:
        """Return the amount at the start.

        Raises
        ------
        DataError
            If it is missing or lies between two steps.
        """
        name = self.problem.names[number]
        value = number_of((self.problem.values or {}).get(name))
        units = None if math.isnan(value) else self.units(name, value)
        if units is None:
            raise DataError(
                f"feature {name!r} is {value:g}, but effects need a multiple of its step"
            )
        return units

    def bounds(self, variable: Variable, cell: int) -> tuple[float, float]:
        """Return the bounds of a cell in steps; infinite where there are none."""
        name = variable.feature.name
        found = variable.cells[cell]
        lower = self._bound(name, found.lower, up=True)
        upper = self._bound(name, found.upper, up=False)
        return lower, upper

    def _bound(self, name: str, value: float, *, up: bool) -> float:
        if math.isinf(value):
            return value
        grid = self.problem.world.feature(name).grid or 1.0
        found = Fraction(repr(float(value))) / Fraction(repr(float(grid)))
        return math.ceil(found) if up else math.floor(found)

    def facts(self) -> str:
        """Write the amounts as facts for ``arithmetic.lp``."""
        problem = self.problem
        world = problem.world
        lines: list[str] = []
        for number in self.numbers:
            variable = problem.variables[number]
            lines.append(f"amount({number}). begins({number},{self.start(number)}).")
            if variable.feature.max_change is not None:
                leap = self.units(variable.feature.name, variable.feature.max_change)
                lines.append(f"leap({number},{leap}).")
            for cell in range(variable.size):
                if variable.cells[cell].is_missing:
                    # an amount never becomes missing: nothing can be added to it
                    lines.append(f"least({number},{cell},1). most({number},{cell},0).")
                    continue
                lower, upper = self.bounds(variable, cell)
                if math.isfinite(lower):
                    lines.append(f"least({number},{cell},{int(lower)}).")
                if math.isfinite(upper):
                    lines.append(f"most({number},{cell},{int(upper)}).")
        for k, effect in enumerate(world.effects):
            action = problem.variables[world.index[effect.action]]
            lines.append(f"effect_on({k},{world.index[effect.action]}).")
            lines.append(
                f"adds({k},{world.index[effect.feature]},{self.units(effect.feature, effect.add)})."
            )
            lines += [f"reaches({k},{cell})." for cell in self.reached(k, action)]
        return "\n".join(lines)

    def reached(self, effect: int, action: Variable) -> list[int]:
        """Return the cells of the action's feature for which an effect takes place."""
        tests = self.problem.world.effects[effect].target
        return [
            number
            for number, cell in enumerate(action.cells)
            if all(test.accepts(cell.value if cell.single else cell.first) for test in tests)
        ]

    def shift(self, number: int, action: tuple[int, int]) -> int:
        """Return what an action adds to an amount."""
        world = self.problem.world
        total = 0
        for k, effect in enumerate(world.effects):
            if world.index[effect.feature] != number or world.index[effect.action] != action[0]:
                continue
            if action[1] in self.reached(k, self.problem.variables[action[0]]):
                total += self.units(effect.feature, effect.add) or 0
        return total

    def nearest(self, number: int, links: Sequence[Link]) -> list[int]:
        """Return amounts along a path whose direct changes are as small as possible.

        Dynamic programming over the values at which a bound is met now, earlier or later;
        on a number line nothing else is needed.

        Parameters
        ----------
        number
            Variable.
        links
            One per step.
        """
        feature = self.problem.variables[number].feature
        begin = self.start(number)
        leap = None
        if feature.max_change is not None:
            leap = self.units(feature.name, feature.max_change)
        sums = [0]
        for link in links:
            sums.append(sums[-1] + link.shift)
        anchors = {begin}
        for time, link in enumerate(links, start=1):
            marks = (link.lower, link.upper, *link.base)
            anchors |= {int(mark) - sums[time] for mark in marks if math.isfinite(mark)}
        anchors |= {a + d for a in list(anchors) for d in (-1, 1)}
        if leap is not None:
            count = sum(link.kind == "direct" for link in links)
            anchors |= {a + k * leap for a in list(anchors) for k in range(-count, count + 1)}
        best: dict[int, tuple[int, tuple[int, ...]]] = {begin: (0, ())}
        for time, link in enumerate(links, start=1):
            following: dict[int, tuple[int, tuple[int, ...]]] = {}
            for old, (cost, path) in best.items():
                if not link.base[0] <= old + link.shift <= link.base[1]:
                    continue
                options = (
                    {old + link.shift}
                    if link.kind == "keep"
                    else {anchor + sums[time] for anchor in anchors}
                )
                for new in options:
                    if not link.lower <= new <= link.upper:
                        continue
                    change = new - old
                    if link.kind == "direct" and not _allowed(feature.change, change, leap):
                        continue
                    # a forced move is free, but the nearest one is told
                    price = 2 * abs(change) if link.kind == "direct" else 0
                    price += abs(change - link.shift) if link.kind == "forced" else 0
                    if new not in following or cost + price < following[new][0]:
                        following[new] = (cost + price, (*path, new))
            best = following
        return list(min(best.values())[1]) if best else []


def _allowed(change: Change, by: int, leap: int | None) -> bool:
    if by == 0 or (leap is not None and abs(by) > leap):
        return False
    return not (change is Change.UP and by < 0) and not (change is Change.DOWN and by > 0)

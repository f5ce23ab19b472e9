"""Actions: what a person may do about each feature, and in which steps.

A rule is about one feature: it stays, may only rise or only fall, moves in whole steps
from where it is, or stays between two values.  Rules are named, because the answer "there is
no counterfactual under these rules" names those that are in conflict.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from whyproof.engine.domain import Categories
from whyproof.engine.errors import DataError
from whyproof.engine.names import did_you_mean
from whyproof.engine.space import FeatureSpace

__all__ = ["FREE", "Action", "Actions"]

Direction = Literal["any", "up", "down", "stay"]

_TOP = 2.0**53
"""Beyond it, steps are no longer exact in float64."""


@dataclass(frozen=True, slots=True)
class Action:
    """What may be done about one feature.

    Parameters
    ----------
    direction
        ``any``, ``up``, ``down`` or ``stay``.
    step
        The feature moves by whole multiples of it; `None` for any amount.
    lower, upper
        Where it may end; staying where it is is always allowed.
    """

    direction: Direction = "any"
    step: float | None = None
    lower: float = -math.inf
    upper: float = math.inf

    def __post_init__(self) -> None:
        if self.direction not in ("any", "up", "down", "stay"):
            raise DataError(
                f"no direction {self.direction!r}; known are 'any', 'up', 'down', 'stay'"
            )
        if self.step is not None and not 0 < self.step < _TOP:
            raise DataError(f"a step must be positive, found {self.step!r}")
        if math.isnan(self.lower) or math.isnan(self.upper) or self.lower > self.upper:
            raise DataError(f"nothing lies between {self.lower!r} and {self.upper!r}")

    def limits(self, value: float) -> tuple[float, float]:
        """Return the smallest and the largest value it may take when it moves from `value`."""
        match self.direction:
            case "stay":
                return value, value
            case "up":
                return max(self.lower, value), self.upper
            case "down":
                return self.lower, min(self.upper, value)
            case "any":
                return self.lower, self.upper

    def allows(self, before: float, after: float) -> bool:
        """Tell whether a value may become another one.

        Examples
        --------
        >>> Action("up", step=2.0).allows(1.0, 5.0), Action("up", step=2.0).allows(1.0, 4.0)
        (True, False)
        """
        if before == after or (math.isnan(before) and math.isnan(after)):
            return True
        if math.isnan(before) or math.isnan(after):
            return self == FREE
        low, high = self.limits(before)
        if self.direction == "stay" or not low <= after <= high:
            return False
        if self.step is None:
            return True
        return before + round((after - before) / self.step) * self.step == after

    def describe(self, name: str) -> str:
        """Say the rule in words.

        Examples
        --------
        >>> Action("up", step=1.0).describe("age")
        'age only rises, in steps of 1'
        """
        said = {
            "stay": f"{name} stays as it is",
            "up": f"{name} only rises",
            "down": f"{name} only falls",
            "any": name,
        }[self.direction]
        parts: list[str] = []
        if self.step is not None:
            parts.append(
                f"in steps of {self.step:g}"
                if self.direction != "any"
                else f"moves in steps of {self.step:g}"
            )
        if math.isfinite(self.lower) or math.isfinite(self.upper):
            parts.append(f"ends within {self.lower:g} .. {self.upper:g}")
        comma = ", " if self.direction != "any" else " "
        return comma.join([said, *parts[:1]]) + "".join(f", {part}" for part in parts[1:])


FREE = Action()
_STAY = Action("stay")


@dataclass(frozen=True)
class Actions:
    """The rules of all features; a feature without one is free.

    Parameters
    ----------
    by_feature
        Action by feature index.

    Examples
    --------
    >>> space = FeatureSpace.of(["age", "income"])
    >>> rules = Actions.of(space, stay=["age"], up=["income"])
    >>> [rules.of_feature(i).direction for i in range(2)]
    ['stay', 'up']
    """

    by_feature: Mapping[int, Action]

    @classmethod
    def of(
        cls,
        space: FeatureSpace,
        *,
        stay: Iterable[str] = (),
        up: Iterable[str] = (),
        down: Iterable[str] = (),
        steps: Mapping[str, float] | None = None,
        within: Mapping[str, tuple[float, float]] | None = None,
    ) -> Actions:
        """Collect rules by feature name.

        Parameters
        ----------
        space
            Its features; those that are immutable there stay anyway.
        stay, up, down
            Features that do not move, only rise, only fall.
        steps
            Step by feature.
        within
            Where a feature may end, in codes of its column.

        Raises
        ------
        DataError
            For an unknown feature, a rule that makes no sense for it, and rules that
            contradict each other; the message names the feature.
        """
        given: dict[int, Action] = {}
        rules: list[tuple[str, dict[str, Any]]] = []
        for way, names in (("stay", stay), ("up", up), ("down", down)):
            rules += [(name, {"direction": way}) for name in names]
        rules += [(name, {"step": step}) for name, step in (steps or {}).items()]
        rules += [(n, {"lower": low, "upper": high}) for n, (low, high) in (within or {}).items()]
        for name, rule in rules:
            if name not in space.names:
                raise DataError(
                    f"a rule names no feature {name!r}{did_you_mean(name, space.names)}"
                )
            index = space.index(name)
            before = given.get(index, FREE)
            direction: str = rule.get("direction", before.direction)
            if before.direction not in ("any", direction):
                raise DataError(
                    f"the rules for {name!r} contradict each other: it is to "
                    f"{_to(before.direction)} and to {_to(direction)}; keep one of them"
                )
            try:
                given[index] = replace(before, **rule)
            except DataError as error:
                raise DataError(f"the rule for {name!r}: {error}") from None
        actions = cls(given)
        actions.check(space)
        return actions

    def of_feature(self, feature: int) -> Action:
        """Return the rule of a feature."""
        return self.by_feature.get(feature, FREE)

    def check(self, space: FeatureSpace) -> None:
        """Refuse rules that make no sense for a space.

        Raises
        ------
        DataError
            Naming the feature.
        """
        for index, action in self.by_feature.items():
            feature = space.features[index]
            if action in (FREE, _STAY):
                continue
            if len(feature.columns) != 1:
                raise DataError(
                    f"the feature {feature.name!r} has several columns: it can stay or be free, "
                    "but not rise, fall or move in steps"
                )
            if isinstance(space.columns[feature.columns[0]].domain, Categories):
                raise DataError(
                    f"the feature {feature.name!r} has categories, which have no order: it can "
                    "stay or be free, but not rise, fall or move in steps"
                )

    def complete(self, space: FeatureSpace) -> Actions:
        """Return the rules with those of the space: what is immutable there stays."""
        staying = {i: Action("stay") for i, f in enumerate(space.features) if f.immutable}
        return Actions({**self.by_feature, **staying})

    def without(self, features: Iterable[int]) -> Actions:
        """Return the rules without those of some features."""
        left_out = set(features)
        return Actions({i: a for i, a in self.by_feature.items() if i not in left_out})

    def describe(self, space: FeatureSpace) -> dict[int, str]:
        """Say in words each rule that restricts something, by feature index."""
        return {
            i: action.describe(space.names[i])
            for i, action in sorted(self.by_feature.items())
            if action != FREE
        }


def _to(direction: str) -> str:
    return {"stay": "stay as it is", "up": "rise only", "down": "fall only"}.get(
        direction, "be free"
    )

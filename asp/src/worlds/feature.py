"""Features of a world: which values they take, who may change them, and at what cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

from whyproof.asp.rules.position import Position
from whyproof.asp.rules.values import Value, is_missing
from whyproof.engine.domain import Boolean, Categories, Domain, Integers, Real
from whyproof.engine.errors import DataError

__all__ = ["Change", "WorldFeature"]


class Change(StrEnum):
    """What a direct action may do to a feature.

    Categories are ordered as their domain lists them.
    """

    ANY = "any"
    """Set it to any other value."""
    UP = "up"
    """Only to a larger value."""
    DOWN = "down"
    """Only to a smaller value."""
    IMMUTABLE = "immutable"
    """Nothing; but a causal rule may move it, as taking a loan moves a credit score."""
    FROZEN = "frozen"
    """Nothing, and no causal rule may move it either."""

    @property
    def is_direct(self) -> bool:
        """Whether a direct action may change the feature at all."""
        return self not in (Change.IMMUTABLE, Change.FROZEN)


@dataclass(frozen=True, slots=True)
class WorldFeature:
    """One feature of a world.

    Parameters
    ----------
    name
        What rules call it; unique in a world.
    domain
        The values that it may take; `nullable` admits the missing value.
    change
        What a direct action may do.
    step
        Distance of neighbouring values of a numeric feature: values are its multiples.
        1 for whole numbers; `None` for a continuous feature.
    max_change
        Most that one direct action may change: in the feature's own unit for numbers, in
        places of the list for categories.
    transitions
        The only value-to-value changes that a direct action may make; `None` for no limit.
    may_become_missing
        Whether an action or effect may make the value missing.
    cost
        Of one direct change, not negative.
    cost_per_unit
        Further cost for each unit of distance, numeric features only.
    unit
        Shown behind values.
    position
        Where it is described; ignored by equality.

    Raises
    ------
    DataError
        If the settings contradict each other.

    Examples
    --------
    >>> age = WorldFeature("age", Integers(lower=17, upper=90), Change.UP, unit="years")
    >>> age.is_numeric, age.grid
    (True, 1.0)
    """

    name: str
    domain: Domain
    change: Change = Change.ANY
    step: float | None = None
    max_change: float | None = None
    transitions: tuple[tuple[Value, Value], ...] | None = None
    may_become_missing: bool = False
    cost: float = 1.0
    cost_per_unit: float = 0.0
    unit: str = ""
    position: Position | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for what, number in (("step", self.step), ("max_change", self.max_change)):
            if number is not None and not (number > 0 and math.isfinite(number)):
                raise self._wrong(f"{what} must be positive, found {number!r}")
        for what, number in (("cost", self.cost), ("cost_per_unit", self.cost_per_unit)):
            if not (number >= 0 and math.isfinite(number)):
                raise self._wrong(f"{what} must not be negative, found {number!r}")
        if not self.is_numeric and (self.step is not None or self.cost_per_unit):
            what = "step" if self.step is not None else "cost_per_unit"
            raise self._wrong(f"{what} needs a numeric feature")
        if isinstance(self.domain, Integers) and self.step not in (None, 1, 1.0):
            raise self._wrong("whole numbers have step 1; use type real for another step")
        if self.may_become_missing and not self.domain.nullable:
            raise self._wrong("it may become missing but its domain has no missing value")
        if self.max_change is not None and self.is_numeric:
            if self.grid is None:
                raise self._wrong("max_change needs a step, so that single values can be counted")
            if not all(map(math.isfinite, self.domain.bounds)):
                raise self._wrong("max_change needs a finite lower and upper bound")
        if self.transitions is not None:
            if self.is_numeric:
                raise self._wrong("transitions list values of categories; use max_change")
            for pair in self.transitions:
                for value in pair:
                    self.value(value)

    def _wrong(self, what: str) -> DataError:
        return DataError(f"feature {self.name!r}: {what}")

    @property
    def is_numeric(self) -> bool:
        """Whether its values are numbers by their domain."""
        return isinstance(self.domain, Real | Integers)

    @property
    def grid(self) -> float | None:
        """Distance of neighbouring values; `None` for continuous and named values."""
        if isinstance(self.domain, Integers):
            return 1.0
        return self.step

    @property
    def names(self) -> tuple[Value, ...]:
        """The listed values of a feature that is not numeric, in order."""
        match self.domain:
            case Categories(values=values):
                return tuple(_plain(value) for value in values)
            case Boolean():
                return (False, True)
            case _:
                return ()

    def value(self, given: object) -> Value:
        """Return a user's value as the domain has it.

        Raises
        ------
        DataError
            If it is not in the domain; the message names the feature.

        Examples
        --------
        >>> WorldFeature("married", Boolean()).value("yes")
        True
        """
        try:
            decoded = self.domain.decode(self.domain.encode(given))
        except DataError as error:
            raise self._wrong(str(error)) from None
        return _plain(decoded)


def _plain(value: object) -> Value:
    if is_missing(value):
        return None
    return value if isinstance(value, str | int | float | bool) else str(value)

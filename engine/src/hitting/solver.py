"""The shape of a solver for smallest hitting sets, and what all back ends share.

States: `add` and `forbid` may be called at any time before `close`; both only make the problem
harder, so the costs that `smallest` returns never fall.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from ..budget import Meter
from ..errors import DataError
from ..space import FeatureSet

__all__ = ["HittingSet", "HittingSetProblem", "HittingSetSolver"]

_LARGEST_TOTAL = 2**31 - 1


@dataclass(frozen=True, slots=True)
class HittingSet:
    """A smallest hitting set, or what was proved before the budget ended.

    Parameters
    ----------
    members
        The set; `None` if the search was cut short.
    lower_bound
        No hitting set costs less.  Equal to the cost of `members` if there are some.
    """

    members: FeatureSet | None
    lower_bound: int


@dataclass(frozen=True)
class HittingSetProblem:
    """Elements, their weights, and which of them every hitting set has or lacks.

    Parameters
    ----------
    universe
        Elements to choose from.
    weights
        Positive integers by element, 1 where none is given.
    must, must_not
        Elements that are always, or never, chosen.

    Raises
    ------
    DataError
        For weights that are not positive integers, sum up to 2**31 or more, or speak of elements
        outside the universe, and for contradicting preferences.
    """

    universe: FeatureSet
    weights: Mapping[int, int] = field(default_factory=dict[int, int])
    must: FeatureSet = frozenset()
    must_not: FeatureSet = frozenset()

    def __post_init__(self) -> None:
        for element, weight in self.weights.items():
            if int(weight) != weight or weight < 1:
                raise DataError(
                    f"the weight of feature {element} must be a positive integer, found {weight!r}"
                )
        if sum(self.weight(i) for i in self.universe) > _LARGEST_TOTAL:
            raise DataError("the weights sum up to 2**31 or more; divide them by a common factor")
        unknown = (self.must | self.must_not | self.weights.keys()) - self.universe
        if unknown:
            raise DataError(f"feature {min(unknown)} is not among those that can be chosen")
        if self.must & self.must_not:
            raise DataError(
                f"feature {min(self.must & self.must_not)} both must and must not occur"
            )

    @property
    def eligible(self) -> FeatureSet:
        """Elements that may be chosen."""
        return self.universe - self.must_not

    def weight(self, element: int) -> int:
        """Weight of an element."""
        return int(self.weights.get(element, 1))

    def cost(self, members: Iterable[int]) -> int:
        """Return the sum of the weights."""
        return sum(self.weight(i) for i in members)


class HittingSetSolver(Protocol):
    """Smallest hitting sets of a growing family; a context manager."""

    def __init__(self, problem: HittingSetProblem) -> None:
        """Start with nothing to hit."""
        ...

    def add(self, to_hit: FeatureSet) -> None:
        """Require that some element of `to_hit` is chosen."""
        ...

    def forbid(self, members: FeatureSet) -> None:
        """Exclude hitting sets that contain all `members`."""
        ...

    def smallest(self, meter: Meter) -> HittingSet | None:
        """Return a hitting set of the least cost; `None` if it is proved that none is left."""
        ...

    def close(self) -> None:
        """Free the solver."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

"""What a search for a nearest counterfactual answers, and how far it is proved."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

from whyproof.encodings.trees.boxes import Cells
from whyproof.engine.space import FeatureSet, Point

__all__ = ["Nearest", "NearestStatus", "Rule"]


class NearestStatus(StrEnum):
    """What is known about the nearest counterfactual."""

    OPTIMAL = "optimal"
    """The point is a nearest one."""
    BEST_SO_FAR = "best so far"
    """The point is a counterfactual; nearer ones may exist, beyond the bound."""
    NONE = "none"
    """There is no counterfactual under the rules."""
    UNKNOWN = "unknown"
    """None was found in time, and that there is none was not shown."""
    ALREADY = "already"
    """The instance has the outcome that was asked for: nothing has to change."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One of the rules that a counterfactual has to obey.

    Parameters
    ----------
    kind
        ``action``, ``region``, ``floor``, ``table``, ``direct`` or ``constraint``.
    index
        Feature of an action, column of a limit of direct moves, position of a floor, table or
        constraint; 0 for the region.
    text
        The rule in words.
    """

    kind: str
    index: int
    text: str


@dataclass(frozen=True, eq=False)
class Nearest:
    """A nearest counterfactual and how far that is proved.

    Parameters
    ----------
    status
        What is known.
    instance, point
        The person as they are and as they could be; `None` if no point is known.
    distance
        Of the point; infinite if none is known.
    bound
        No counterfactual is nearer than this, up to the solver's tolerance.
    moved
        Features in which the point differs.
    outcomes
        What each model says there.
    effects
        Those of the moved features that followed from the others, and cost nothing.
    cells
        The point in cells.
    nodes, seconds, cpu_seconds
        What it took.
    """

    status: NearestStatus
    instance: Point
    point: Point | None
    distance: float
    bound: float
    moved: FeatureSet = frozenset()
    outcomes: tuple[float, ...] = ()
    cells: Cells | None = field(default=None, repr=False)
    nodes: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    effects: FeatureSet = frozenset()

    @property
    def gap(self) -> float:
        """How much nearer a counterfactual may at most be; zero up to the solver's tolerance."""
        if self.point is None:
            return math.inf
        gap = max(0.0, self.distance - self.bound)
        within = gap <= 2e-6 * self.distance
        return 0.0 if within and self.status is not NearestStatus.BEST_SO_FAR else gap

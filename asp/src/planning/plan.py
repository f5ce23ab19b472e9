"""Plans: what a search came to, with its paths and what was proved about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from whyproof.asp.rules import Value
from whyproof.asp.worlds.world import State

from .path import Path

__all__ = ["Plan", "PlanStatus", "Rejected", "Repair"]


class PlanStatus(StrEnum):
    """What is known at the end of a search."""

    MINIMAL = "minimal"
    """There are paths and nothing shorter (or cheaper) exists: proved."""
    FOUND = "found"
    """There are paths; something better was not excluded."""
    NONE_WITHIN = "none-within"
    """No path within the horizon: proved; beyond it nothing is known."""
    UNREACHABLE = "unreachable"
    """No path of any length: proved."""
    STOPPED = "stopped"
    """The budget ran out before anything was known."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What was changed before planning, because the start violated rules.

    Parameters
    ----------
    changes
        Old and new value by feature; as few features as possible.
    violated
        The rules that the given state violates, as text.
    alternatives
        Number of equally small repairs, this one included.
    """

    changes: Mapping[str, tuple[Value, Value]]
    violated: tuple[str, ...]
    alternatives: int = 1


@dataclass(frozen=True, slots=True)
class Rejected:
    """A goal of the rules that the real model does not confirm."""

    state: State
    label: Value


@dataclass(frozen=True)
class Plan:
    """The answer of a planner.

    Parameters
    ----------
    status
        What is known.
    paths
        Best first.
    start
        The state that the paths leave from.
    goal
        What was to be reached, in words.
    length
        Number of direct actions of the first path; `None` without one.
    complete
        Whether `paths` holds every path of the kind asked for.
    repair
        What was changed before planning.
    tolerated
        Rules that the start violates and that counted only once touched.
    rejected
        Goals of the rules that the real model does not confirm; paths to them are left out.
    model_start
        What the real model says about the start; `None` without a model.
    proof
        How unreachability was shown, or how far the search went.
    statistics
        Numbers about the search.
    """

    status: PlanStatus
    paths: tuple[Path, ...]
    start: State
    goal: str
    length: int | None = None
    complete: bool = True
    repair: Repair | None = None
    tolerated: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    model_start: Value = None
    proof: str = ""
    statistics: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def cost(self) -> float | None:
        """Cost of the first path."""
        return self.paths[0].cost if self.paths else None

    def as_json(self) -> dict[str, object]:
        """Return the plan as JSON."""
        found: dict[str, object] = {
            "length": self.length,
            "status": str(self.status),
            "paths": [path.as_json() for path in self.paths],
            "complete": self.complete,
            "cost": self.cost,
            "goal": self.goal,
            "start": dict(self.start),
        }
        if self.proof:
            found["proof"] = self.proof
        if self.repair is not None:
            found["repair"] = {
                "changes": {name: list(pair) for name, pair in self.repair.changes.items()},
                "violated": list(self.repair.violated),
                "alternatives": self.repair.alternatives,
            }
        if self.tolerated:
            found["tolerated"] = list(self.tolerated)
        if self.model_start is not None:
            found["model_start"] = self.model_start
        if self.rejected:
            found["rejected"] = [{"state": dict(r.state), "label": r.label} for r in self.rejected]
        found["statistics"] = dict(self.statistics)
        return found

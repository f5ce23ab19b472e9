"""What a planner is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from whyproof.engine.errors import InputError
from whyproof.engine.names import did_you_mean

__all__ = ["Effects", "Objective", "PlanOptions", "StartPolicy"]


class Objective(StrEnum):
    """What makes one path better than another."""

    LENGTH = "length"
    """Fewest direct actions."""
    COST = "cost"
    """Least summed cost of direct actions."""
    CHANGES = "changes"
    """Fewest features by inclusion: no path changes only some of the same features."""


class Effects(StrEnum):
    """What happens where a causal rule leaves a choice of values."""

    ANGELIC = "angelic"
    """The best for the person (as CoGS): a path is one possible course of events."""
    CONFORMANT = "conformant"
    """Anything: a plan must lead to the goal whichever value comes about."""


class StartPolicy(StrEnum):
    """What happens when a person's state violates rules of the world."""

    ERROR = "error"
    """Refuse, naming the rules."""
    REPAIR = "repair"
    """Change as few features as possible first, and report it."""
    IGNORE = "ignore"
    """Tolerate each such rule until one of its features changes."""


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """Settings of one search.

    Parameters
    ----------
    horizon
        Most direct actions; 0 asks whether the goal holds already.
    limit
        Most paths to return; `None` for all.
    extra
        Also return next-best paths that are up to this much longer than the shortest.
        None of them can be had by leaving out steps of another.
    objective, effects, start
        See there.
    goals
        Whether to return one path per goal state instead of every path.
    diverse
        Number of paths that should differ from each other as much as possible; 0 for no
        such wish.
    max_states
        Most states that a proof of unreachability may visit.

    Raises
    ------
    InputError
        For numbers out of range and wishes that exclude each other.
    """

    horizon: int = 10
    limit: int | None = 1000
    extra: int = 0
    objective: Objective = Objective.LENGTH
    effects: Effects = Effects.ANGELIC
    start: StartPolicy = StartPolicy.ERROR
    goals: bool = False
    diverse: int = 0
    max_states: int = 20_000

    def __post_init__(self) -> None:
        for name, kind in (("objective", Objective), ("effects", Effects), ("start", StartPolicy)):
            given = getattr(self, name)
            if given not in list(kind):
                hint = did_you_mean(str(given), [member.value for member in kind])
                raise InputError(f"no {name} {given!r}{hint}")
            object.__setattr__(self, name, kind(given))
        for name in ("horizon", "extra", "diverse", "max_states"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative, found {getattr(self, name)}")
        if self.limit is not None and self.limit < 1:
            raise InputError(f"limit must be positive, found {self.limit}; leave it out for all")
        plain = self.objective is Objective.LENGTH
        if self.effects is Effects.CONFORMANT and not plain:
            raise InputError("conformant plans can be asked for by length only")
        if not plain and (self.extra or self.goals or self.diverse):
            raise InputError(
                "extra, goals and diverse belong to the objective length; ask for one at a time"
            )
        if self.goals and (self.extra or self.diverse):
            raise InputError("goals excludes extra and diverse; ask for one at a time")

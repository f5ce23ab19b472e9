"""What an oracle answers, always with evidence: yes, no, or not known.

========================  ==================================================
`Counterexample`          the decision can change; here is a point
`Entailed`                it cannot; here are the fixed features that it took
`Unknown`                 neither was shown, for a stated reason
========================  ==================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias

from .space import FeatureSet, Point

__all__ = ["Answer", "Certificate", "Counterexample", "Entailed", "Unknown", "UnknownReason"]


class Certificate(Protocol):
    """A proof that a program without any search can check."""

    @property
    def kind(self) -> str:
        """Which checker reads it."""
        ...

    def as_json(self) -> dict[str, object]:
        """Return everything the checker needs, ready for JSON."""
        ...


class UnknownReason(StrEnum):
    """Why an oracle could not decide."""

    TIME = "time"
    """The time limit was reached."""
    CALLS = "calls"
    """The number of calls was used up."""
    MEMORY = "memory"
    """The memory limit was reached."""
    PRECISION = "precision"
    """The margin lies within rounding error and no exact method settled it."""
    INCOMPLETE = "incomplete"
    """The oracle can only show one side and could not show it here."""
    CANCELLED = "cancelled"
    """The user stopped the search."""


@dataclass(frozen=True, slots=True, eq=False)
class Counterexample:
    """A point that changes the decision and keeps every fixed feature.

    Parameters
    ----------
    point
        Shape ``(columns,)``, replayed on the model that runs.
    moved
        Features in which it differs from the instance: a weak contrastive explanation.
    outcome
        What the model says there: a class index, or a value.  NaN from an oracle that
        leaves this to the replay; in an explanation it is always known.
    """

    point: Point
    moved: FeatureSet
    outcome: float


@dataclass(frozen=True, slots=True, eq=False)
class Entailed:
    """No point changes the decision while the features in `core` are fixed.

    Parameters
    ----------
    core
        A weak abductive explanation: every free set disjoint from it is entailed too.
    margin
        Lower bound on the lead of the decision over everything that would change it,
        in score units; `None` if the oracle has no such bound.
    certificate
        Proof for an independent checker, if one was asked for.
    constraints
        Names of the background constraints that the proof needed; without any it holds
        everywhere in the region.
    """

    core: FeatureSet
    margin: float | None = None
    certificate: Certificate | None = field(default=None, repr=False)
    constraints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unknown:
    """Neither a counterexample nor a proof was found; never to be read as yes or no."""

    reason: UnknownReason
    detail: str = ""


Answer: TypeAlias = Counterexample | Entailed | Unknown

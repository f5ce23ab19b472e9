"""Summaries over many people: who has recourse, how far it is, and what it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, median
from typing import Any

from whyproof.asp.rules import Value
from whyproof.asp.worlds.world import World

from .plan import Plan, PlanStatus

__all__ = ["PopulationSummary", "RowOutcome", "outcome_of", "summarise"]


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What a plan for one row came to.

    Parameters
    ----------
    row
        Its number.
    status
        A `PlanStatus`; ``accepted`` for a row that needs none; ``disagreement`` where the
        rules accept what the model rejects; ``failed`` for a row that does not fit.
    label
        Present decision.
    length, cost
        Of the best path.
    features
        Features that its direct actions change.
    causal
        Features that causal rules move along it.
    reason
        What was proved, or what is wrong.
    path
        The best path as JSON.
    """

    row: int
    status: str
    label: Value = None
    length: int | None = None
    cost: float | None = None
    features: tuple[str, ...] = ()
    causal: tuple[str, ...] = ()
    reason: str = ""
    path: Sequence[Mapping[str, object]] = field(default=())

    @property
    def has_path(self) -> bool:
        """Whether there is a path."""
        return self.length is not None

    @property
    def is_rejected(self) -> bool:
        """Whether the row counts among the rejected ones."""
        return self.status not in ("accepted", "failed")

    @property
    def summary(self) -> str:
        """One line about it."""
        if self.has_path:
            return f"{self.status}: {self.length} by {', '.join(self.features)}"
        return f"{self.status}: {self.reason}" if self.reason else self.status

    def as_json(self) -> dict[str, object]:
        """Return the outcome as JSON."""
        return {
            "row": self.row,
            "status": self.status,
            "label": self.label,
            "length": self.length,
            "cost": self.cost,
            "features": list(self.features),
            "causal": list(self.causal),
            "reason": self.reason,
            "path": [dict(step) for step in self.path],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> RowOutcome:
        """Read what `as_json` wrote."""
        return cls(
            int(document["row"]),
            str(document["status"]),
            document["label"],
            document["length"],
            document["cost"],
            tuple(document["features"]),
            tuple(document["causal"]),
            str(document["reason"]),
            tuple(document["path"]),
        )


def outcome_of(row: int, plan: Plan, label: Value) -> RowOutcome:
    """Summarise one plan."""
    if not plan.paths:
        return RowOutcome(row, str(plan.status), label, reason=plan.proof)
    best = plan.paths[0]
    moved = dict.fromkeys(move.feature for step in best.steps for move in step.causal)
    return RowOutcome(
        row,
        str(plan.status),
        label,
        best.length,
        best.cost,
        tuple(dict.fromkeys(step.direct.feature for step in best.steps)),
        tuple(moved),
        path=tuple(best.as_json()),
    )


@dataclass(frozen=True)
class PopulationSummary:
    """Recourse over a population.

    Parameters
    ----------
    rows
        Rows asked for.
    outcomes
        Of the rows that were done, by row number.
    features
        For each feature the number of best paths that change it directly.
    """

    rows: int
    outcomes: tuple[RowOutcome, ...]
    features: Mapping[str, int]

    @property
    def rejected(self) -> list[RowOutcome]:
        """Rows that are rejected at present."""
        return [outcome for outcome in self.outcomes if outcome.is_rejected]

    @property
    def with_path(self) -> list[RowOutcome]:
        """Rejected rows with a path."""
        return [outcome for outcome in self.rejected if outcome.has_path]

    @property
    def without_recourse(self) -> list[RowOutcome]:
        """Rejected rows for which it is proved that there is no path of any length."""
        return [o for o in self.rejected if o.status == PlanStatus.UNREACHABLE]

    @property
    def share(self) -> float:
        """Share of rejected rows with a path; 1 if none is rejected."""
        return len(self.with_path) / len(self.rejected) if self.rejected else 1.0

    @property
    def lengths(self) -> dict[int, int]:
        """Number of rows by length of the best path."""
        return dict(sorted(Counter(o.length for o in self.with_path if o.length).items()))

    def as_json(self) -> dict[str, object]:
        """Return the summary as JSON."""
        costs = [o.cost for o in self.with_path if o.cost is not None]
        return {
            "rows": self.rows,
            "done": len(self.outcomes),
            "rejected": len(self.rejected),
            "with_path": len(self.with_path),
            "share": self.share,
            "status": dict(sorted(Counter(o.status for o in self.outcomes).items())),
            "lengths": {str(length): count for length, count in self.lengths.items()},
            "cost": {
                "mean": mean(costs),
                "median": median(costs),
                "least": min(costs),
                "most": max(costs),
            }
            if costs
            else None,
            "features": dict(self.features),
            "without_recourse": [o.row for o in self.without_recourse],
            "failed": {str(o.row): o.reason for o in self.outcomes if o.status == "failed"},
        }


def summarise(world: World, outcomes: Sequence[RowOutcome], rows: int) -> PopulationSummary:
    r"""Summarise the outcomes of many rows.

    Examples
    --------
    >>> from whyproof.asp.worlds import world_from_toml
    >>> world = world_from_toml("[features.age]\ntype = 'integers'")
    >>> found = [RowOutcome(0, "minimal", "no", 1, 1.0, ("age",)), RowOutcome(1, "unreachable")]
    >>> summary = summarise(world, found, 2)
    >>> summary.share, summary.features, [o.row for o in summary.without_recourse]
    (0.5, {'age': 1}, [1])
    """
    ordered = tuple(sorted(outcomes, key=lambda outcome: outcome.row))
    counts = Counter(name for outcome in ordered for name in outcome.features)
    used = {name: counts[name] for name in world.names if counts[name]}
    return PopulationSummary(rows, ordered, dict(sorted(used.items(), key=lambda item: -item[1])))

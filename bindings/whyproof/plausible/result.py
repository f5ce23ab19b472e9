"""What a search returns: points, groups and what is known about each row."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import MissingExtraError
from whyproof.engine.space import FeatureSpace
from whyproof.report.values import shown

from .backend import Array
from .repair import Outcome
from .settings import Level

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Counterfactuals", "GroupMove", "class_in_words"]


@dataclass(frozen=True, eq=False)
class GroupMove:
    """What one group does.

    Parameters
    ----------
    number
        From 0, largest group first.
    members
        Positions among the explained rows.
    shift
        The shared direction at magnitude 1, in units of the data, shape ``(columns,)``.
    mean, least, most
        How much members really moved: mean and range per column, in units of the data.
    """

    number: int
    members: npt.NDArray[np.intp]
    shift: Array
    mean: Array
    least: Array
    most: Array


@dataclass(frozen=True, eq=False)
class Counterfactuals:
    """Counterfactual points of many rows.

    Parameters
    ----------
    level
        One shift per row, per group or for all.
    space
        Columns, and how to decode them.
    classes, target
        Labels by index, and the class index to reach.
    rows
        Numbers of the explained rows in the user's table, shape ``(n,)``.
    origin, relaxed, points
        The rows; where the search in real numbers ended; what is proposed, on the lattice,
        shape ``(n, columns)`` each, in units of the data.
    outcomes
        What is known about each row.
    valid_relaxed, valid
        Whether the real model says the target class, before and after the last mile.
    plausible_relaxed, plausible
        Whether the score exceeds the threshold.
    admissible
        Whether the proposed point obeys box, directions, lattice and relations.
    log_density
        Of the proposed points, nats per row in scaled columns.
    group, magnitude
        Of each row; `None` for local shifts.
    shifts
        Shared shifts in units of the data, shape ``(K, columns)``; `None` for local ones.
    skipped
        Numbers of rows that already have the target class.
    reasons
        Why a row has no point, by position.
    notes
        What a reader should know: a surrogate, a density and how good they are.
    statistics
        CPU seconds by part, and counts.
    """

    level: Level
    space: FeatureSpace
    classes: tuple[Hashable, ...]
    target: int
    rows: npt.NDArray[np.intp]
    origin: Array
    relaxed: Array
    points: Array
    outcomes: tuple[Outcome, ...]
    valid_relaxed: npt.NDArray[np.bool_]
    valid: npt.NDArray[np.bool_]
    plausible_relaxed: npt.NDArray[np.bool_]
    plausible: npt.NDArray[np.bool_]
    admissible: npt.NDArray[np.bool_]
    log_density: Array
    group: npt.NDArray[np.intp] | None = None
    magnitude: Array | None = None
    shifts: Array | None = None
    skipped: tuple[int, ...] = ()
    reasons: Mapping[int, str] = field(default_factory=dict[int, str])
    notes: tuple[str, ...] = ()
    statistics: Mapping[str, float] = field(default_factory=dict[str, float])

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names."""
        return tuple(column.name for column in self.space.columns)

    @property
    def n_groups(self) -> int:
        """Groups that have rows; 0 for local shifts."""
        return 0 if self.group is None else len(np.unique(self.group))

    @property
    def groups(self) -> tuple[GroupMove, ...]:
        """Groups by size, largest first; empty for local shifts."""
        if self.group is None or self.shifts is None:
            return ()
        moves: list[GroupMove] = []
        sizes = np.bincount(self.group, minlength=len(self.shifts))
        for k in np.argsort(-sizes, kind="stable"):
            members = np.flatnonzero(self.group == k)
            if not len(members):
                continue
            by = (self.points - self.origin)[members]
            moves.append(
                GroupMove(
                    len(moves),
                    members,
                    self.shifts[k],
                    by.mean(axis=0),
                    by.min(axis=0),
                    by.max(axis=0),
                )
            )
        return tuple(moves)

    def summary(self) -> dict[str, object]:
        """Return counts and shares over all explained rows, ready for JSON."""
        count = max(len(self), 1)
        by_outcome = {str(o): self.outcomes.count(o) for o in Outcome if o in self.outcomes}
        return {
            "level": self.level,
            "target": str(self.classes[self.target]),
            "rows": len(self),
            "skipped": len(self.skipped),
            "groups": self.n_groups,
            "valid_before_snapping": float(self.valid_relaxed.sum()) / count,
            "valid": float(self.valid.sum()) / count,
            "plausible_before_snapping": float(self.plausible_relaxed.sum()) / count,
            "plausible": float(self.plausible.sum()) / count,
            "outside_constraints": int((~self.admissible).sum()),
            "outcomes": by_outcome,
            "notes": list(self.notes),
            "statistics": {k: round(float(v), 4) for k, v in self.statistics.items()},
        }

    def as_json(self) -> dict[str, object]:
        """Return everything, ready for JSON; values as the user knows them."""
        rows: list[dict[str, object]] = []
        for i, number in enumerate(self.rows.tolist()):
            before, after = self.space.decode(self.origin[i]), self.space.decode(self.points[i])
            entry: dict[str, object] = {
                "row": number,
                "outcome": str(self.outcomes[i]),
                "valid": bool(self.valid[i]),
                "plausible": bool(self.plausible[i]),
                "log_density": float(self.log_density[i]),
                "changes": {
                    name: {"from": before[name], "to": after[name]}
                    for name in self.names
                    if before[name] != after[name]
                },
            }
            if self.group is not None and self.magnitude is not None:
                entry["group"] = self._number_of(int(self.group[i]))
                entry["magnitude"] = float(self.magnitude[i])
            if i in self.reasons:
                entry["reason"] = self.reasons[i]
            rows.append(entry)
        shown: list[dict[str, Any]] = [
            {
                "group": move.number,
                "rows": self.rows[move.members].tolist(),
                "shift": dict(zip(self.names, move.shift.tolist(), strict=True)),
                "mean_move": dict(zip(self.names, move.mean.tolist(), strict=True)),
            }
            for move in self.groups
        ]
        return {
            **self.summary(),
            "already_there": list(self.skipped),
            "group_moves": shown,
            "counterfactuals": rows,
        }

    def to_frame(self) -> pd.DataFrame:
        """Return one line per row: outcome, group, and the proposed values.

        Raises
        ------
        MissingExtraError
            Without pandas.
        """
        frame = _pandas().DataFrame(
            [self.space.decode(point) for point in self.points], columns=list(self.names)
        )
        frame.insert(0, "row", self.rows)
        frame.insert(1, "outcome", [str(o) for o in self.outcomes])
        frame.insert(2, "valid", self.valid)
        frame.insert(3, "plausible", self.plausible)
        if self.group is not None and self.magnitude is not None:
            frame.insert(4, "group", [self._number_of(int(g)) for g in self.group])
            frame.insert(5, "magnitude", self.magnitude)
        return frame

    def groups_frame(self) -> pd.DataFrame:
        """Return one line per group and column that moves: mean and range of the moves."""
        lines = [
            {
                "group": move.number,
                "rows": len(move.members),
                "column": name,
                "shift": move.shift[i],
                "mean": move.mean[i],
                "least": move.least[i],
                "most": move.most[i],
            }
            for move in self.groups
            for i, name in enumerate(self.names)
            if move.least[i] != 0 or move.most[i] != 0
        ]
        columns = ["group", "rows", "column", "shift", "mean", "least", "most"]
        return _pandas().DataFrame(lines, columns=columns)

    def _number_of(self, k: int) -> int:
        if self.group is None or self.shifts is None:
            return 0
        sizes = np.bincount(self.group, minlength=len(self.shifts))
        return int(np.argsort(-sizes, kind="stable").tolist().index(k))


def class_in_words(found: Counterfactuals) -> str:
    """Return the class to reach as texts name it: a label, or "class 1" for a number."""
    label = found.classes[found.target]
    return label if isinstance(label, str) and not label.isdigit() else f"class {shown(label)}"


def _pandas() -> Any:  # noqa: ANN401
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("pandas", "test", "make data frames") from error
    return pandas

"""What changed between two audits: decisions, explanations, and who can do what about it.

A change of the model, of its data, or of a rule is a reason to look again (SR 26-2 speaks of
triggers).  Rows are matched by number, and compared where their values are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from whyproof.engine.errors import DataError
from whyproof.store import Store
from whyproof.store.description import difference

from .findings import Person
from .kinds import people_of

__all__ = ["Difference", "RowDifference", "stores_differ"]

Sets = frozenset[tuple[str, ...]]


@dataclass(frozen=True)
class RowDifference:
    """One row that changed.

    Parameters
    ----------
    row
        Its number.
    outcomes
        Before and after.
    gone, new
        Explanations, as kind and features, that only the first or only the second audit has.
    comparable
        Whether both audits know every explanation of the row, so that what is gone is gone.
    distances
        Of the nearest counterfactual, before and after; `None` where none is recorded.
    """

    row: int
    outcomes: tuple[object, object]
    gone: Sequence[tuple[str, ...]]
    new: Sequence[tuple[str, ...]]
    comparable: bool
    distances: tuple[float | None, float | None]

    @property
    def decision_changed(self) -> bool:
        """Whether the outcome is another one."""
        return self.outcomes[0] != self.outcomes[1]

    def as_json(self) -> dict[str, object]:
        """Return it as JSON-ready data."""
        return {
            "row": self.row,
            "before": self.outcomes[0],
            "after": self.outcomes[1],
            "decision_changed": self.decision_changed,
            "gone": [list(entry) for entry in self.gone],
            "new": [list(entry) for entry in self.new],
            "comparable": self.comparable,
            "distance_before": self.distances[0],
            "distance_after": self.distances[1],
        }


@dataclass(frozen=True)
class Difference:
    """Two audits side by side.

    Parameters
    ----------
    about
        In what the audits themselves differ (model, space, question), in words; empty if in
        nothing.
    compared
        Rows of both with the same values.
    other_values, only_old, only_new
        Rows whose values differ, and rows of one audit alone.
    changed
        Rows with another outcome, other explanations, or another distance.
    """

    about: str
    compared: int
    other_values: Sequence[int]
    only_old: Sequence[int]
    only_new: Sequence[int]
    changed: Sequence[RowDifference]

    def as_json(self) -> dict[str, object]:
        """Return it as JSON-ready data."""
        return {
            "about": self.about,
            "compared": self.compared,
            "other_values": list(self.other_values),
            "only_old": list(self.only_old),
            "only_new": list(self.only_new),
            "decisions_changed": sum(row.decision_changed for row in self.changed),
            "changed": [row.as_json() for row in self.changed],
        }


def stores_differ(old: Store, new: Store) -> Difference:
    """Compare two audits.

    Raises
    ------
    DataError
        If they have no columns in common.
    """
    names = [{c["name"] for c in _columns(store)} for store in (old, new)]
    if not names[0] & names[1]:
        raise DataError(f"the stores {old.path} and {new.path} have no columns in common")
    before = {person.stored.row: person for person in people_of(old)}
    after = {person.stored.row: person for person in people_of(new)}
    shared = sorted(set(before) & set(after))
    same = [row for row in shared if _alike(before[row], after[row])]
    changed = [_row(before[row], after[row]) for row in same]
    return Difference(
        difference(old.identity, new.identity) or "",
        len(same),
        [row for row in shared if row not in set(same)],
        sorted(set(before) - set(after)),
        sorted(set(after) - set(before)),
        [
            row
            for row in changed
            if row.decision_changed or row.gone or row.new or row.distances[0] != row.distances[1]
        ],
    )


def _columns(store: Store) -> Sequence[Mapping[str, Any]]:
    space: Any = store.identity["space"]
    columns: Sequence[Mapping[str, Any]] = space["columns"]
    return columns


def _alike(one: Person, other: Person) -> bool:
    """Tell whether the columns that both audits have hold the same values."""
    both = set(one.values) & set(other.values)
    return bool(both) and all(one.values[name] == other.values[name] for name in both)


def _row(one: Person, other: Person) -> RowDifference:
    old, new = _sets(one), _sets(other)
    return RowDifference(
        one.stored.row,
        (one.stored.record.get("prediction"), other.stored.record.get("prediction")),
        sorted(old - new),
        sorted(new - old),
        one.is_complete and other.is_complete,
        (_distance(one), _distance(other)),
    )


def _sets(person: Person) -> Sets:
    return frozenset((view.kind, *view.features) for view in (*person.axps, *person.cxps))


def _distance(person: Person) -> float | None:
    change = person.change
    if change is None or change["distance"] is None:
        return None
    return float(change["distance"])

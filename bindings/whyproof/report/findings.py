"""What a store shows about one person: reasons with their evidence, and what is not proved.

The rule for scored decisions has two sides (12 CFR 1002.9 and its commentary): reasons must
be factors that were really used, and no principal one may be left out.  An AXp proves the
first: its values force the decision and none can be left out.  The complete set of
explanations proves the second: a factor is *necessary* if it stands in every AXp, which is
so exactly if changing it alone can change the decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from whyproof.store import RowStatus, Store, StoredRow
from whyproof.store.records import StoredExplanation

from .values import settings, shown, transition
from .view import ExplanationView, Subject
from .wording import Wording

__all__ = ["MOST_REASONS", "Person", "Reason", "left_out", "person_of", "reasons_of"]

MOST_REASONS = 4
"""More seldom help anybody, says the commentary of Regulation B."""


@dataclass(frozen=True)
class Reason:
    """One principal reason.

    Parameters
    ----------
    feature, factor
        Name of the feature, and what it is called.
    value
        The person's value, in words.
    boundary
        Where the value would have to be, in words; empty if no evidence names one.
    alone
        Whether crossing the boundary alone changes the decision.
    necessary
        Whether it stands in every reason that forces the decision; `None` if not known.
    used, crossed
        Hashes of the records that show that it was used (AXp), and what crossing it does.
    """

    feature: str
    factor: str
    value: str
    boundary: str
    alone: bool
    necessary: bool | None
    used: str
    crossed: str

    def as_json(self) -> dict[str, object]:
        """Return it as JSON-ready data."""
        return {
            "feature": self.feature,
            "factor": self.factor,
            "value": self.value,
            "boundary": self.boundary,
            "alone": self.alone,
            "necessary": self.necessary,
            "evidence": {"axp": self.used, "change": self.crossed or None},
        }


@dataclass(frozen=True)
class Person:
    """One row with everything that the store holds about it.

    Parameters
    ----------
    subject
        What was asked.
    stored
        The row.
    axps, cxps
        Its explanations, smallest first.
    counterfactual
        Its nearest counterfactual, if one was recorded.
    """

    subject: Subject
    stored: StoredRow
    axps: Sequence[ExplanationView]
    cxps: Sequence[ExplanationView]
    counterfactual: StoredExplanation | None

    @property
    def values(self) -> Mapping[str, Any]:
        """The row's values by column."""
        values: Any = self.stored.record.get("input", {})
        return values if isinstance(values, Mapping) else {}

    @property
    def is_complete(self) -> bool:
        """Whether every explanation is known."""
        return self.stored.status is RowStatus.COMPLETE

    @property
    def necessary(self) -> list[int]:
        """Features that can change the decision alone: those of one-element CXps."""
        return sorted(view.indices[0] for view in self.cxps if len(view.indices) == 1)

    @property
    def shares(self) -> dict[int, float]:
        """By feature the share of the known AXps in which it stands."""
        count: dict[int, float] = {}
        for view in self.axps:
            for index in view.indices:
                count[index] = count.get(index, 0.0) + 1 / len(self.axps)
        return count

    @property
    def change(self) -> Mapping[str, Any] | None:
        """The recorded nearest counterfactual."""
        return None if self.counterfactual is None else self.counterfactual.record

    @property
    def not_proved(self) -> list[str]:
        """What is not proved about this row, one sentence each."""
        said: list[str] = []
        if self.stored.status is RowStatus.OPEN:
            why = f" ({self.stored.reason})" if self.stored.reason else ""
            said.append(f"There may be explanations beyond those listed{why}.")
        if self.stored.status is RowStatus.FAILED:
            said.append(f"The row could not be explained: {self.stored.reason}.")
        weak = [view for view in (*self.axps, *self.cxps) if view.status != "minimal"]
        if weak:
            said.append(f"{len(weak)} explanations are not proved minimal.")
        if not self.is_complete:
            said.append("Other factors may be able to change the decision alone.")
        change = self.change
        if change is None:
            said.append("No nearest counterfactual was recorded.")
        elif change["status"] == "best so far":
            said.append(
                f"The counterfactual is not proved nearest: one may be up to {change['gap']:.6g} "
                "nearer."
            )
        elif change["status"] == "unknown":
            said.append("No counterfactual was found in time, nor that there is none.")
        return said


def person_of(
    store: Store,
    subject: Subject,
    row: StoredRow,
    counterfactuals: Mapping[int, StoredExplanation],
) -> Person:
    """Collect what a store holds about a row."""
    views = [
        ExplanationView(subject, row.record["input"], e.record, e.hash)  # type: ignore[arg-type]
        for e in store.explanations(row.row)
    ]
    views.sort(key=lambda view: (len(view.indices), view.indices))
    return Person(
        subject,
        row,
        [view for view in views if view.kind == "axp"],
        [view for view in views if view.kind == "cxp"],
        counterfactuals.get(row.row),
    )


def reasons_of(person: Person, wording: Wording, most: int = MOST_REASONS) -> list[Reason]:
    """Choose the principal reasons of a decision.

    Necessary factors first, then those of the most reasons; each stands in an AXp.

    Parameters
    ----------
    person
        Whose decision.
    wording
        How factors are called.
    most
        Largest number of reasons.

    Raises
    ------
    DataError
        If the wording lacks a factor.
    """
    necessary = set(person.necessary)
    moved = {str(change["feature"]) for change in _changes(person)}
    names, shares = person.subject.names, person.shares
    order = sorted(shares, key=lambda i: (i not in necessary, -shares[i], names[i] not in moved, i))
    found: list[Reason] = []
    for index in order[:most]:
        used = next(view for view in person.axps if index in view.indices)
        boundary, alone, crossed = _boundary(person, index)
        feature = person.subject.features[index]
        value = ", ".join(
            text if len(feature["columns"]) == 1 or name == feature["name"] else f"{name} {text}"
            for name, text in settings(feature, person.values)
        )
        everywhere = index in necessary
        found.append(
            Reason(
                names[index],
                wording.factor(names[index]),
                value,
                boundary,
                alone,
                everywhere if everywhere or person.is_complete else None,
                used.hash,
                crossed,
            )
        )
    return found


def left_out(person: Person, reasons: Sequence[Reason]) -> list[str]:
    """Return necessary features that are not among the reasons; they have to be named."""
    told = {reason.feature for reason in reasons}
    return [n for i in person.necessary if (n := person.subject.names[i]) not in told]


def _changes(person: Person) -> list[Mapping[str, Any]]:
    change = person.change
    return [] if change is None else list(change.get("changes", ()))


def _boundary(person: Person, index: int) -> tuple[str, bool, str]:
    """Return where a feature's value would have to be, whether that alone suffices, and a hash."""
    feature = person.subject.features[index]
    columns = set(feature["columns"])
    alone = [view for view in person.cxps if view.indices == (index,)]
    change = person.change
    if not alone and change is not None and person.counterfactual is not None:
        here = [c for c in _changes(person) if c["column"] in columns]
        if here:
            text = ", ".join(_crossing(c["from"], c["to"], str(c["unit"])) for c in here)
            return text, len(_changes(person)) == len(here), person.counterfactual.hash
    for view in [*alone, *(v for v in person.cxps if index in v.indices)]:
        point = view.evidence.get("point")
        if not isinstance(point, Mapping):
            continue
        moved = [n for n in feature["columns"] if person.values.get(n) != point[n]]
        text = ", ".join(
            _crossing(person.values.get(n), point[n], feature["units"][n]) for n in moved
        )
        if text:
            return text, view.indices == (index,), view.hash
    return "", False, ""


def _crossing(before: object, after: object, unit: str) -> str:
    """Say which way a value has to go, and how far at most."""
    numbers = isinstance(before, int | float) and isinstance(after, int | float)
    if not numbers or isinstance(before, bool) or isinstance(after, bool):
        return f"such as {shown(after, unit)}"
    higher = float(str(after)) > float(str(before))
    return f"{transition(before, after, unit)[1]} ({'higher' if higher else 'lower'} than now)"

"""What an examiner should look at first: findings by severity, each with the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from whyproof.engine.errors import DataError
from whyproof.engine.names import did_you_mean
from whyproof.store import RowStatus, Verification

from .findings import Person

__all__ = ["Finding", "findings_of"]


@dataclass(frozen=True)
class Finding:
    """Something to look at.

    Parameters
    ----------
    severity
        ``high``, ``medium`` or ``low``.
    text
        One sentence.
    rows
        Rows concerned.
    todo
        What to do about it.
    """

    severity: str
    text: str
    rows: tuple[int, ...]
    todo: str

    def as_json(self) -> dict[str, object]:
        """Return it as JSON-ready data."""
        return {
            "severity": self.severity,
            "text": self.text,
            "rows": list(self.rows),
            "todo": self.todo,
        }


def findings_of(
    people: Sequence[Person], verification: Verification, protected: Sequence[str] = ()
) -> list[Finding]:
    """List findings, the most severe first.

    Parameters
    ----------
    people
        Rows of a store.
    verification
        Of its chain.
    protected
        Names of features that must not decide.

    Raises
    ------
    DataError
        If a protected feature does not exist.
    """
    found: list[Finding] = []
    if not verification.sound:
        text = f"The store is not sound: {verification.faults[0]}."
        found.append(Finding("high", text, (), "do not rely on this store"))
    names = people[0].subject.names if people else []
    for name in protected:
        if people and name not in names:
            raise DataError(f"no protected feature {name!r}{did_you_mean(name, names)}")
    for name in protected:
        alone, used = list[int](), list[int]()
        for person in people:
            index = person.subject.names.index(name)
            if index in person.necessary:
                alone.append(person.stored.row)
            elif any(index in view.indices for view in (*person.axps, *person.cxps)):
                used.append(person.stored.row)
        if alone:
            text = f"Changing {name} alone changes the decision about {_rows(alone)}."
            found.append(Finding("high", text, tuple(alone), "review these decisions"))
        if used:
            text = f"{name} stands in explanations of the decision about {_rows(used)}."
            found.append(Finding("medium", text, tuple(used), "see whether it may be used"))
    stuck = _with_change(people, "none")
    if stuck:
        text = f"No change that the rules allow helps in {_rows(stuck)} (proved)."
        found.append(Finding("medium", text, tuple(stuck), "see which rules exclude every change"))
    failed = [p.stored.row for p in people if p.stored.status is RowStatus.FAILED]
    if failed:
        text = f"{_rows(failed).capitalize()} could not be explained."
        found.append(Finding("medium", text, tuple(failed), "see the reason of each"))
    open_rows = [p.stored.row for p in people if p.stored.status is RowStatus.OPEN]
    if open_rows:
        text = f"Not all explanations are known for {_rows(open_rows)}."
        found.append(Finding("low", text, tuple(open_rows), "let the audit go on"))
    near = _with_change(people, "best so far") + _with_change(people, "unknown")
    if near:
        text = f"The nearest change is not proved for {_rows(near)}."
        found.append(Finding("low", text, tuple(sorted(near)), "allow more time"))
    order = ("high", "medium", "low")
    return sorted(found, key=lambda finding: order.index(finding.severity))


def _with_change(people: Sequence[Person], status: str) -> list[int]:
    return [p.stored.row for p in people if p.change is not None and p.change["status"] == status]


def _rows(rows: Sequence[int]) -> str:
    return f"row {rows[0]}" if len(rows) == 1 else f"{len(rows)} rows"

"""The record for the examiner: everything that it takes to check a decision without us.

What regulations and examiners ask of a record, as read: SR 26-2 (model risk: limits and
assumptions, enough text for a stranger), Regulation B 1002.12 (inputs and reasons kept for 25
months), EU AI Act 12, 19, 26 (logs), FFIEC practice (tamper-evident logs that can be checked
without the vendor).
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from whyproof.store import Store, Verification, utc_now

from .findings import Person
from .severity import findings_of
from .view import ExplanationView
from .words import question_words, region_words, semantics_words

__all__ = ["RETENTION_MONTHS", "examiner_record", "retained_until"]

RETENTION_MONTHS = 25
"""Regulation B 1002.12(b): consumer credit."""

LIMITS = (
    "A proof is about the model file named by its hash, over the feature space stated here, and "
    "relative to exact arithmetic over the model's own constants with the stated slack.",
    "Reasons say what the model used, not whether the model is right, fair or lawful.",
    "A counterfactual says what the model would decide; it promises no decision of a person or "
    "institution, and says nothing about causes outside the model.",
    "The hash chain shows changes of records only against a head that was noted elsewhere.",
)


def examiner_record(
    store: Store,
    people: Sequence[Person],
    verification: Verification,
    *,
    protected: Sequence[str] = (),
    certificates: Mapping[int, str] | None = None,
    months: int = RETENTION_MONTHS,
    reviewer: str = "",
) -> dict[str, Any]:
    """Return the whole record of some decisions as JSON-ready data.

    Parameters
    ----------
    store
        Where they stand.
    people
        Rows.
    verification
        Of the store's chain.
    protected
        Features that must not decide.
    certificates
        File by row.
    months
        How long records have to be kept.
    reviewer
        Who reviewed the decisions; a field to fill in if empty.
    """
    identity, head = store.identity, store.head()
    runs = [{"run": r.run, "outcome": str(r.outcome), **dict(r.record)} for r in store.runs()]
    model: Any = runs[-1]["model"] if runs else {"fingerprint": identity["model"]}
    findings, files = findings_of(people, verification, protected), certificates or {}
    return {
        "id": f"{store.path.name}#{head.count}",
        "written_at": utc_now(),
        "store": {
            "file": store.path.name,
            "created": store.created,
            "records": head.count,
            "head": head.hash,
            "sound": verification.sound,
            "faults": list(verification.faults),
        },
        "model": model,
        "classes": identity["classes"],
        "space": identity["space"],
        "region": identity["region"],
        "question": identity["question"],
        "question_in_words": question_words(identity),
        "region_in_words": region_words(identity),
        "semantics_in_words": semantics_words(model.get("semantics") or {}),
        "runs": runs,
        "retain_until": retained_until(store.created, months),
        "limits": list(LIMITS),
        "findings": [finding.as_json() for finding in findings],
        "decisions": [_decision(p, files.get(p.stored.row), reviewer) for p in people],
    }


def retained_until(created: str, months: int) -> str:
    """Return the day until which records have to be kept.

    Examples
    --------
    >>> retained_until("2026-01-31T10:00:00.000Z", 25)
    '2028-02-29'
    """
    day = dt.date.fromisoformat(created[:10])
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    last = calendar.monthrange(year, month)[1]
    return dt.date(year, month, min(day.day, last)).isoformat()


def _decision(person: Person, certificate: str | None, reviewer: str) -> dict[str, Any]:
    stored = person.stored
    return {
        "row": stored.row,
        "at": stored.record.get("at"),
        "run": stored.record.get("run"),
        "input": dict(person.values),
        "input_hash": stored.input_hash,
        "outcome": stored.record.get("prediction"),
        "scores": stored.record.get("scores"),
        "question": stored.record.get("question"),
        "status": str(stored.status),
        "status_reason": stored.reason,
        "reasons": [_explanation(view) for view in person.axps],
        "changes": [_explanation(view) for view in person.cxps],
        "necessary": [person.subject.names[i] for i in person.necessary],
        "counterfactual": None
        if person.counterfactual is None
        else {"hash": person.counterfactual.hash, **dict(person.counterfactual.record)},
        "not_proved": person.not_proved,
        "certificate": certificate,
        "review": {"reviewer": reviewer or None, "override": None, "at": None, "note": None},
    }


def _explanation(view: ExplanationView) -> dict[str, Any]:
    return {
        "hash": view.hash,
        "features": list(view.features),
        "status": view.status,
        "open": list(view.open),
        "evidence": dict(view.evidence),
        "at": view.record.get("at"),
        "statistics": view.record.get("statistics"),
    }

"""``whyproof nearest``: the nearest counterfactuals of one row, proved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from whyproof.engine.budget import Budget
from whyproof.engine.classifier import Classifier
from whyproof.engine.errors import InputError

from .failures import ANSWERED, PARTIAL
from .output import json_line, line, paragraph
from .recourse_options import RecourseRequest
from .request import row_numbers

if TYPE_CHECKING:
    from whyproof.encodings.recourse.bisection import BisectionSearch

    from .request import Subject

__all__ = ["nearest_command", "nearest_rows_command"]

_MANY = 40
"""So many changes are not written out."""


def nearest_command(
    request: RecourseRequest,
    row: int,
    *,
    k: int,
    diverse: bool,
    seconds: float | None,
    certify: Path | None,
    as_json: bool,
) -> int:
    """Find the nearest counterfactuals of one row."""
    from whyproof.encodings.recourse.answer import NearestStatus
    from whyproof.encodings.recourse.conflict import smallest_conflict
    from whyproof.encodings.recourse.several import k_nearest
    from whyproof.recourse.answers import nearest_as_json, nearest_in_words

    if k < 1:
        raise InputError(f"-k is a positive number, found {k}")
    subject = request.request.open()
    other = request.open_other(subject)
    if other is not None:
        if k != 1 or certify is not None:
            raise InputError(
                "--k and --certify are not for a search by balls; ask for another --norm"
            )
        return _other_model(subject, other, row, seconds, as_json=as_json)
    subject, search = request.open(subject)
    instance = subject.instance(row)
    meter = Budget(seconds=seconds).start()
    space, distance = search.space, search.distance
    if k != 1 and not diverse and search.valued:
        raise InputError(
            "the model looks at values, not at cells: there is no second nearest point; ask for "
            "other ways with --diverse"
        )
    predicted = [_label(m, float(m.predict(instance[None])[0])) for m in search.models]
    if not as_json:
        said = ", ".join(dict.fromkeys(str(label) for label in predicted))
        line(f"Row {row}: the model says {said}.")
    settled = True
    for number, found in enumerate(k_nearest(search, instance, k, diverse=diverse, meter=meter)):
        conflict = None
        if found.status is NearestStatus.NONE and number == 0:
            conflict = smallest_conflict(search, instance, meter=meter)
        settled = settled and found.status not in (NearestStatus.UNKNOWN, NearestStatus.BEST_SO_FAR)
        labels = [_label(m, o) for m, o in zip(search.models, found.outcomes, strict=False)]
        summary = None
        if certify is not None and number == 0:
            from whyproof.recourse.certificate import certify_nearest, certify_none

            file = request.request.model
            if conflict is not None:
                summary = certify_none(search, instance, conflict, file, certify, meter=meter)
            else:
                summary = certify_nearest(search, found, file, certify, meter=meter)
        if as_json:
            answer = nearest_as_json(space, distance, found, labels, conflict)
            extra = {} if summary is None else {"certificate": summary}
            json_line(
                {"row": row, "number": number + 1, "prediction": predicted[0], **answer, **extra}
            )
            continue
        if number and found.status is NearestStatus.NONE:
            line(f"These are all: there is no {_nth(number + 1)} one (proved).")
            continue
        prefix = f"{number + 1}. " if k > 1 else ""
        paragraph(prefix + nearest_in_words(space, distance, found, labels, conflict))
        if summary is not None:
            unit = "leaves" if conflict is None else "claims" if summary["leaves"] != 1 else "claim"
            line(f"Certificate: {summary['file']} ({summary['leaves']} {unit}), checked.")
    return ANSWERED if settled else PARTIAL


def _label(model: Classifier, outcome: float) -> object:
    return model.classes[int(outcome)] if model.classes else outcome


def _nth(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")


def _other_model(
    subject: Subject, search: BisectionSearch, row: int, seconds: float | None, *, as_json: bool
) -> int:
    """Answer about a model that is no tree ensemble."""
    from whyproof.encodings.recourse.answer import NearestStatus
    from whyproof.recourse.answers import nearest_as_json, nearest_in_words

    instance, model = subject.instance(row), subject.model
    found = search.nearest(instance, budget=Budget(seconds=seconds))
    labels = [_label(model, outcome) for outcome in found.outcomes]
    predicted = _label(model, float(model.predict(instance[None])[0]))
    if as_json:
        head = {"row": row, "number": 1, "prediction": predicted}
        json_line({**head, **nearest_as_json(search.space, search.distance, found, labels)})
    else:
        line(f"Row {row}: the model says {predicted}.")
        if len(found.moved) > _MANY:
            line(f"A change of {len(found.moved)} features flips it to {labels[0]}.")
            line(f"(linf distance {found.distance:.6g}; none is nearer than {found.bound:.6g})")
        else:
            paragraph(nearest_in_words(search.space, search.distance, found, labels))
    open_ones = (NearestStatus.UNKNOWN, NearestStatus.BEST_SO_FAR)
    return PARTIAL if found.status in open_ones else ANSWERED


def nearest_rows_command(
    request: RecourseRequest,
    rows: str,
    store: Path,
    *,
    seconds: float | None,
    row_seconds: float | None,
    as_json: bool,
) -> int:
    """Record the nearest counterfactual of many rows in the store of an audit."""
    from whyproof.encodings.recourse.answer import NearestStatus
    from whyproof.encodings.recourse.conflict import smallest_conflict
    from whyproof.recourse.answers import nearest_as_json
    from whyproof.recourse.recording import Recording

    subject, search = request.open()
    numbers = row_numbers(rows, subject.table.n_rows)
    meter = Budget(seconds=seconds).start()
    counts: dict[str, int] = {}
    with Recording.open(store, search, subject.source()) as recording:
        for number in numbers:
            if meter.exhausted() is not None:
                counts["not asked"] = counts.get("not asked", 0) + 1
                continue
            instance = subject.instance(number)
            if recording.has(number, instance):
                counts["known"] = counts.get("known", 0) + 1
                continue
            left = meter.remaining if row_seconds is None else min(meter.remaining, row_seconds)
            own = Budget(seconds=None if left == float("inf") else max(left, 0.001)).start()
            found = search.nearest(instance, meter=own)
            conflict = None
            if found.status is NearestStatus.NONE:
                conflict = smallest_conflict(search, instance, meter=own)
            labels = [_label(m, o) for m, o in zip(search.models, found.outcomes, strict=False)]
            answer = nearest_as_json(search.space, search.distance, found, labels, conflict)
            recording.add(number, instance, answer)
            counts[str(found.status)] = counts.get(str(found.status), 0) + 1
    if as_json:
        json_line({"store": str(store), "rows": counts})
    else:
        said = ", ".join(f"{count} {status}" for status, count in counts.items())
        line(f"{len(numbers)} rows: {said}; recorded in {store}.")
    open_ones = {"not asked", str(NearestStatus.UNKNOWN), str(NearestStatus.BEST_SO_FAR)}
    return PARTIAL if open_ones & set(counts) else ANSWERED

"""``whyproof diff``: what changed between two audits, or between two models on the same rows."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from whyproof.engine.errors import InputError
from whyproof.store import Store

from .failures import ANSWERED
from .output import json_line, line, paragraph
from .request import Request, row_numbers

if TYPE_CHECKING:
    from whyproof.report.difference import Difference

__all__ = ["diff_command"]

_SQLITE = b"SQLite format 3\x00"


def diff_command(
    old: Path,
    new: Path,
    request: Request | None,
    *,
    rows: str,
    limit: int,
    show: int,
    as_json: bool,
) -> int:
    """Compare two stores, or audit two models on the same rows and compare these."""
    from whyproof.report.difference import stores_differ

    with ExitStack() as stack:
        if _is_store(old) != _is_store(new):
            raise InputError("compare two stores, or two models; one of each was given")
        if not _is_store(old):
            if request is None:
                raise InputError("to compare two models, name the rows with --data")
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            paths = [
                _audited(replace(request, model=model), rows, folder / f"{number}.whyproof", limit)
                for number, model in enumerate((old, new))
            ]
        else:
            if request is not None:
                raise InputError("--data is for models; stores hold their rows")
            paths = [old, new]
        stores = [stack.enter_context(Store.read(path)) for path in paths]
        found = stores_differ(stores[0], stores[1])
    if as_json:
        json_line({"old": str(old), "new": str(new), **found.as_json()})
    else:
        _in_words(found, show)
    return ANSWERED


def _is_store(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def _audited(request: Request, rows: str, store: Path, limit: int) -> Path:
    from whyproof.auditing import audit_rows

    subject = request.open()
    numbers = row_numbers(rows, subject.table.n_rows)
    points = subject.table.points(subject.explainer.space, numbers)
    audit_rows(subject.explainer, dict(zip(numbers, points, strict=True)), store, limit=limit)
    return store


def _in_words(found: Difference, show: int) -> None:
    decisions = [row for row in found.changed if row.decision_changed]
    if found.about:
        line(f"The audits are about {found.about}.")
    line(
        f"{found.compared} rows compared: {len(decisions)} decisions changed, "
        f"{len(found.changed) - len(decisions)} others are explained in another way."
    )
    for row in found.changed[:show]:
        said = f"Row {row.row}: "
        if row.decision_changed:
            said += f"{row.outcomes[0]} is now {row.outcomes[1]}. "
        parts = [
            f"{len(entries)} explanations {word}"
            for entries, word in ((row.gone, "gone"), (row.new, "new"))
            if entries
        ]
        said += ", ".join(parts) + ("." if parts else "")
        if not row.comparable and parts:
            said += " Not all are known, so that some may be there all the same."
        before, after = row.distances
        if before != after and before is not None and after is not None:
            said += f" Nearest change at {after:.6g}, before at {before:.6g}."
        paragraph(said.strip(), "  ")
    if len(found.changed) > show:
        line(f"  ... and {len(found.changed) - show} more (--show, --json)")
    for rows, what in (
        (found.other_values, "have other values now"),
        (found.only_old, "are in the first audit only"),
        (found.only_new, "are in the second audit only"),
    ):
        if rows:
            listed = ", ".join(str(n) for n in rows[:12]) + (", ..." if len(rows) > 12 else "")
            line(f"Rows that {what}: {listed}")

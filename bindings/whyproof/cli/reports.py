"""``whyproof report``: the pages of one store, for each kind of reader."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from whyproof.engine.errors import InputError
from whyproof.store import Store

from .failures import ANSWERED
from .output import line
from .request import row_numbers

__all__ = ["KINDS", "report_kind_command"]

KINDS = ("audit", "person", "examiner", "population")


def report_kind_command(
    path: Path,
    out: Path,
    kind: str,
    *,
    rows: str | None,
    wording: Path | None,
    model: Path | None,
    protected: Sequence[str],
    months: int,
    reviewer: str,
) -> int:
    """Write the report of one kind."""
    from whyproof.report.certificates import PersonCertificates
    from whyproof.report.kinds import write_examiner, write_people, write_population
    from whyproof.report.wording import read_wording

    if kind not in KINDS:
        raise InputError(f"--kind is one of {', '.join(KINDS)}, found {kind!r}")
    for option, value, fits in (
        ("--wording", wording, ("person",)),
        ("--model", model, ("person",)),
        ("--protected", protected, ("examiner", "population")),
        ("--reviewer", reviewer, ("examiner",)),
    ):
        if value and kind not in fits:
            raise InputError(f"{option} is for --kind {' and '.join(fits)}")
    if months < 1:
        raise InputError(f"--retain is a positive number of months, found {months}")
    with Store.read(path) as store:
        numbers = None
        if rows is not None:
            stored = [row.row for row in store.rows()]
            numbers = row_numbers(rows, max(stored, default=-1) + 1)
            known = set(stored)
            if ":" in rows:
                numbers = [number for number in numbers if number in known]
        if kind == "person":
            written = write_people(
                store,
                out,
                numbers,
                wording=None if wording is None else read_wording(wording),
                certificates=None if model is None else PersonCertificates(store, model),
            )
            line(f"{len(written)} sheets in {out}")
        elif kind == "examiner":
            write_examiner(
                store, out, numbers, protected=protected, months=months, reviewer=reviewer
            )
            line(str(out))
        else:
            write_population(store, out, numbers, protected=protected)
            line(str(out))
    return ANSWERED

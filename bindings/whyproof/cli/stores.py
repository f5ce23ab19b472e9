"""``whyproof store info | verify | merge | export | vacuum`` and ``whyproof report``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from whyproof.auditing.lock import held
from whyproof.engine.errors import InputError
from whyproof.store import RowStatus, Store, export, merge, vacuum, verify

from .failures import ANSWERED, BAD_INPUT, say
from .output import counted, json_line, line, table

__all__ = [
    "export_command",
    "info_command",
    "merge_command",
    "report_command",
    "vacuum_command",
    "verify_command",
]


_ROWS_SHOWN = 20
"""Rows that `info` lists for people; JSON holds all that were asked for."""


def info_command(path: Path, *, rows: int | None, as_json: bool) -> int:
    """Say what a store holds."""
    with Store.read(path) as store:
        head, identity, counts = store.head(), store.identity, store.summary()
        listed = _ROWS_SHOWN if rows is None and not as_json else rows
        shown = [
            {
                "row": row.row,
                "prediction": row.record["prediction"],
                "status": str(row.status),
                "reason": row.reason,
                "axps": row.axps,
                "cxps": row.cxps,
            }
            for row in store.each_row(count=listed)
        ]
        runs = [
            {"run": run.run, "started": run.record["at"], "outcome": str(run.outcome)}
            for run in store.runs()
        ]
        if as_json:
            json_line(
                {
                    "store": str(path),
                    "created": store.created,
                    "identity": identity,
                    "runs": runs,
                    "counts": counts,
                    "rows": shown,
                    "head": {"count": head.count, "hash": head.hash},
                }
            )
            return ANSWERED
    size = path.stat().st_size
    line(f"{path}: {head.count} records since {runs[0]['started'] if runs else 'never'}, {size} B")
    line(f"model {identity['model']}")
    line(f"head  {head.hash}")
    told = ", ".join(f"{counts[status]} {status}" for status in RowStatus if counts[status])
    line(f"rows  {counts['rows']}" + (f" ({told})" if told else ""))
    line(f"found {counts['axp']} AXps, {counts['cxp']} CXps")
    line()
    table(runs)
    line()
    table(shown)
    if len(shown) < counts["rows"]:
        line(f"... {counts['rows'] - len(shown)} more rows; --rows N shows more")
    return ANSWERED


def verify_command(
    path: Path, noted: str | None, *, sample: int | None, model: Path | None, as_json: bool
) -> int:
    """Check a store's chain, and a sample of its explanations against the model."""
    if (sample is None) != (model is None):
        raise InputError("--sample and --model go together: the model is asked again")
    rechecked = None
    with Store.read(path) as store:
        found = verify(store, noted)
        if found.sound and sample is not None and model is not None:
            from whyproof.auditing.recheck import recheck

            rechecked = recheck(store, model, sample)
    faults = (*found.faults, *(rechecked.faults if rechecked else ()))
    if as_json:
        told: dict[str, object] = {
            "sound": not faults,
            "faults": faults,
            "explanations": found.explanations,
            "head": {"count": found.head.count, "hash": found.head.hash},
        }
        json_line(told if rechecked is None else {**told, "sample": asdict(rechecked)})
    elif not faults:
        line(f"sound: {found.head.count} records, {found.explanations} explanations")
        line(f"head  {found.head.hash}")
        if rechecked is not None:
            line(
                f"asked again: {rechecked.explanations} explanations, {rechecked.replayed} "
                f"counterexamples run on the model, {rechecked.proved} answers repeated, "
                f"{rechecked.certified} certificates checked, {rechecked.open} left open"
            )
        if noted is None:
            line("Compare the head with one noted elsewhere (--head): a rewrite shows only there.")
    if not faults:
        return ANSWERED
    for fault in faults:
        if not as_json:
            line(f"fault: {fault}")
    say(f"the store {path} is not sound: {faults[0]}")
    return BAD_INPUT


def merge_command(target: Path, sources: Sequence[Path], *, as_json: bool) -> int:
    """Join stores."""
    done = merge(target, sources)
    if as_json:
        json_line({"out": str(target), **asdict(done)})
    else:
        line(
            f"{target}: {counted(done.rows, 'row')} and "
            f"{counted(done.explanations, 'explanation')} added from "
            f"{counted(done.stores, 'store')}"
        )
    return ANSWERED


def vacuum_command(path: Path, *, as_json: bool) -> int:
    """Pack a store."""
    with held(path):
        done = vacuum(path)
    if as_json:
        json_line({"store": str(path), **asdict(done)})
    else:
        line(f"{path}: {done.before} bytes before, {done.after} after")
    return ANSWERED


def export_command(path: Path, to: str, out: Path, *, as_json: bool) -> int:
    """Write a store's explanations to a file."""
    with Store.read(path) as store:
        count = export(store, out, to)
    if as_json:
        json_line({"out": str(out), "explanations": count})
    else:
        line(f"{count} explanations in {out}")
    return ANSWERED


def report_command(
    path: Path, out: Path, show: int, sections: int, title: str | None, pages: int | None = None
) -> int:
    """Write a store's report, as one page or, with rows to a page, as a folder of pages."""
    from whyproof.report import write_report
    from whyproof.report.paging import write_pages

    with Store.read(path) as store:
        if pages is None:
            write_report(store, out, show=show, sections=sections, title=title)
        else:
            out = write_pages(store, out, show=show, rows=pages, title=title)
    line(str(out))
    return ANSWERED

"""``whyproof store info | verify | export`` and ``whyproof report``."""

from __future__ import annotations

from pathlib import Path

from whyproof.store import Store, export, verify

from .failures import ANSWERED, BAD_INPUT, say
from .output import json_line, line, table

__all__ = ["export_command", "info_command", "report_command", "verify_command"]


def info_command(path: Path, *, as_json: bool) -> int:
    """Say what a store holds."""
    with Store.read(path) as store:
        head, identity = store.head(), store.identity
        rows = [
            {
                "row": row.row,
                "prediction": row.record["prediction"],
                "status": str(row.status),
                "reason": row.reason,
                "axps": row.axps,
                "cxps": row.cxps,
            }
            for row in store.rows()
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
                    "rows": rows,
                    "head": {"count": head.count, "hash": head.hash},
                }
            )
            return ANSWERED
    line(f"{path}: {head.count} records since {runs[0]['started'] if runs else 'never'}")
    line(f"model {identity['model']}")
    line(f"head  {head.hash}")
    line()
    table(runs)
    line()
    table(rows)
    return ANSWERED


def verify_command(path: Path, noted: str | None, *, as_json: bool) -> int:
    """Check a store's chain."""
    with Store.read(path) as store:
        found = verify(store, noted)
    if as_json:
        json_line(
            {
                "sound": found.sound,
                "faults": found.faults,
                "explanations": found.explanations,
                "head": {"count": found.head.count, "hash": found.head.hash},
            }
        )
    elif found.sound:
        line(f"sound: {found.head.count} records, {found.explanations} explanations")
        line(f"head  {found.head.hash}")
        if noted is None:
            line("Compare the head with one noted elsewhere (--head): a rewrite shows only there.")
    if found.sound:
        return ANSWERED
    for fault in found.faults:
        if not as_json:
            line(f"fault: {fault}")
    say(f"the store {path} is not sound: {found.faults[0]}")
    return BAD_INPUT


def export_command(path: Path, to: str, out: Path, *, as_json: bool) -> int:
    """Write a store's explanations to a file."""
    with Store.read(path) as store:
        count = export(store, out, to)
    if as_json:
        json_line({"out": str(out), "explanations": count})
    else:
        line(f"{count} explanations in {out}")
    return ANSWERED


def report_command(path: Path, out: Path, show: int, sections: int, title: str | None) -> int:
    """Write a store's report."""
    from whyproof.report import write_report

    with Store.read(path) as store:
        write_report(store, out, show=show, sections=sections, title=title)
    line(str(out))
    return ANSWERED

"""``whyproof audit``: many rows into a store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from whyproof.auditing import AuditProgress, AuditSummary, Fault, audit_rows
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.store import RunOutcome, Store
from whyproof.store.restore import restore

from .check import certificate, certified
from .failures import ANSWERED, BAD_INPUT, INTERNAL, PARTIAL, reproducer, say
from .output import json_line, line
from .request import Request, Subject, row_numbers

__all__ = ["audit_command"]


def audit_command(
    request: Request,
    rows: str,
    store: Path,
    *,
    limit: int | None,
    jobs: int,
    seconds: float | None,
    row_seconds: float | None,
    bias: Kind,
    certify: Path | None = None,
    as_json: bool,
) -> int:
    """Explain rows and store every explanation."""
    subject = request.open()
    numbers = row_numbers(rows, subject.table.n_rows)
    points = subject.table.points(subject.explainer.space, numbers)
    with _progress(len(numbers)) as progress:
        summary = audit_rows(
            subject.explainer,
            dict(zip(numbers, points, strict=True)),
            store,
            limit=limit,
            jobs=jobs,
            seconds=seconds,
            row_seconds=row_seconds,
            bias=bias,
            source=subject.source(),
            progress=progress,
        )
    proof = None
    if certify is not None and summary.axps + summary.cxps:
        proof = certificate(subject, _stored(subject, store, numbers), certify)
    if as_json:
        told = _as_json(summary)
        json_line(told if proof is None else {**told, "certificate": proof})
    else:
        _in_words(summary, store)
        certified(proof)
    return _exit_code(summary)


def _stored(subject: Subject, store: Path, rows: Sequence[int]) -> Iterator[Explanation]:
    """Restore the stored explanations of rows, row by row, replaying their counterexamples."""
    with Store.read(store) as opened:
        for row in rows:
            problem: ExplanationProblem | None = None
            for stored in opened.explanations(row):
                if problem is None:
                    problem = subject.explainer.problem(subject.instance(row))
                yield restore(problem, stored.record)


@contextmanager
def _progress(total: int) -> Generator[Callable[[AuditProgress], None] | None]:
    """Show how far an audit is, if somebody is looking."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("rows"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[found]} explanations"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("rows", total=total, found=0)
        yield lambda seen: bar.update(task, completed=seen.done, found=seen.found)


def _in_words(summary: AuditSummary, store: Path) -> None:
    line(
        f"{summary.found} new explanations; {store} holds {summary.axps} AXps and "
        f"{summary.cxps} CXps of these rows."
    )
    for status, rows in (
        ("complete", summary.complete),
        ("open", summary.open),
        ("skipped", summary.skipped),
        ("failed", summary.failed),
    ):
        if rows:
            shown = ", ".join(str(row) for row in rows[:12])
            more = f", ... {len(rows) - 12} more" if len(rows) > 12 else ""
            line(f"{len(rows)} {status}: row {shown}{more}")
    line(f"Head of the chain, to note elsewhere: {summary.head.hash}")


def _as_json(summary: AuditSummary) -> dict[str, object]:
    return {
        "outcome": str(summary.outcome),
        "complete": summary.complete,
        "open": summary.open,
        "skipped": summary.skipped,
        "failed": {str(row): fault.reason for row, fault in summary.faults.items()},
        "found": summary.found,
        "axps": summary.axps,
        "cxps": summary.cxps,
        "head": {"count": summary.head.count, "hash": summary.head.hash},
    }


def _exit_code(summary: AuditSummary) -> int:
    defects = [f for f in summary.faults.values() if f.fault is not Fault.INPUT]
    others = f"; the other rows are stored ({len(summary.faults)} failed)"
    if defects:
        first = defects[0]
        where = ""
        if first.fault is Fault.REPLAY:
            where = f"; the reproducer is in {reproducer(dict(first.details))}, please report it"
        say(f"row {first.row}: {first.reason}{where}{others}")
        return INTERNAL
    if summary.faults:
        bad = next(iter(summary.faults.values()))
        say(f"row {bad.row}: {bad.reason}{others}")
        return BAD_INPUT
    return PARTIAL if summary.outcome is RunOutcome.BUDGET else ANSWERED

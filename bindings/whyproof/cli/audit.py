"""``whyproof audit``: many rows into a store."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from whyproof.auditing import (
    AuditSummary,
    Fault,
    InProcess,
    LocalProcesses,
    Runner,
    audit_rows,
)
from whyproof.auditing.clusters import on_dask, on_mpi, on_ray, on_slurm
from whyproof.auditing.memory import bytes_named
from whyproof.engine.errors import DataError, InputError
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.store import RunOutcome, Store
from whyproof.store.restore import restore

from .audit_progress import logged, shown
from .check import certificate, certified
from .failures import ANSWERED, BAD_INPUT, INTERNAL, PARTIAL, reproducer, say
from .output import json_line, line
from .request import Request, Subject, row_numbers

__all__ = ["Scale", "audit_command"]


@dataclass(frozen=True)
class Scale:
    """Who does the work, with how much, and what is shown of it; see the options' help."""

    jobs: int = 1
    scheduler: str | None = None
    ray: str | None = None
    mpi: bool = False
    slurm: Path | None = None
    max_memory: str | None = None
    nice: int = 0
    progress: str = "auto"
    log: Path | None = None

    @property
    def memory(self) -> int | None:
        """Bytes that one worker process may hold."""
        return None if self.max_memory is None else bytes_named(self.max_memory)

    @contextmanager
    def runner(self) -> Generator[Runner]:
        """Reach the workers, before any row is touched.

        Raises
        ------
        InputError
            If they cannot be reached, or two places are named.
        """
        places = {
            "--scheduler": self.scheduler,
            "--ray": self.ray,
            "--mpi": self.mpi,
            "--slurm": self.slurm,
        }
        named = [option for option, value in places.items() if value]
        if len(named) > 1:
            raise InputError(f"{named[0]} and {named[1]} are two places to work; name one")
        if self.jobs < 0:
            raise DataError(f"--jobs must not be negative, found {self.jobs}")
        if not named:
            alone = self.jobs == 1 and self.max_memory is None
            yield InProcess() if alone else LocalProcesses(self.jobs, self.memory, self.nice)
            return
        jobs = self.jobs if self.jobs > 1 else 0
        if self.scheduler:
            place = on_dask(self.scheduler, jobs)
        elif self.ray:
            place = on_ray(self.ray, jobs)
        elif self.mpi:
            place = on_mpi(jobs)
        else:
            place = on_slurm(str(self.slurm), max(1, self.jobs))
        with place as runner:
            yield runner


def audit_command(
    request: Request,
    rows: str,
    store: Path,
    *,
    limit: int | None,
    one_each: bool = False,
    scale: Scale | None = None,
    seconds: float | None,
    row_seconds: float | None,
    bias: Kind,
    retry_failed: bool = False,
    together: bool = True,
    certify: Path | None = None,
    as_json: bool,
) -> int:
    """Explain rows and store every explanation."""
    scale = scale or Scale()
    subject = request.open()
    numbers = row_numbers(rows, subject.table.n_rows)
    points = subject.table.points(subject.explainer.space, numbers)
    with shown(scale.progress) as progress, logged(scale.log), scale.runner() as runner:
        summary = audit_rows(
            subject.explainer,
            dict(zip(numbers, points, strict=True)),
            store,
            limit=limit,
            each=one_each,
            seconds=seconds,
            row_seconds=row_seconds,
            memory=scale.memory,
            bias=bias,
            retry_failed=retry_failed,
            together=together,
            runner=runner,
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
            listed = ", ".join(str(row) for row in rows[:12])
            more = f", ... {len(rows) - 12} more" if len(rows) > 12 else ""
            line(f"{len(rows)} {status}: row {listed}{more}")
    if summary.taken_over:
        line(f"{summary.taken_over} rows took over the answers of a row with the same decision.")
    for fault in list(summary.faults.values())[:12]:
        line(f"row {fault.row} failed ({fault.fault}): {fault.reason}")
    if summary.failed_before:
        count = len(summary.failed_before)
        line(f"{count} of the failed rows failed before; --retry-failed tries them again.")
    line(f"Head of the chain, to note elsewhere: {summary.head.hash}")


def _as_json(summary: AuditSummary) -> dict[str, object]:
    return {
        "outcome": str(summary.outcome),
        "complete": summary.complete,
        "open": summary.open,
        "skipped": summary.skipped,
        "failed": {str(row): fault.reason for row, fault in summary.faults.items()},
        "failed_before": summary.failed_before,
        "taken_over": summary.taken_over,
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
    partial = summary.outcome is RunOutcome.BUDGET or summary.failed_before
    return PARTIAL if partial else ANSWERED

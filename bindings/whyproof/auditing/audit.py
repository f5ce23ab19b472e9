"""Audits: explanations of many rows, into a store, resumable at any moment.

The driver hands out what the store does not hold yet (see `planning`), lets a runner do it
(see `runners`), and commits what comes, many records to a transaction.  It alone writes.
Killed at any moment, the same call goes on: nothing is lost that was committed,
and nothing is stored twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from whyproof.engine.errors import DataError, InputError, StoreError
from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import Point
from whyproof.store import RowStatus, RunOutcome, StoreWriter, identity, model_as_json
from whyproof.store.canonical import jsonable

from .clusters import workers_of
from .environment import environment
from .lock import held
from .planning import Asked, Plan
from .processes import LocalProcesses
from .progress import AuditProgress, AuditSummary
from .row import (
    ExplainerLike,
    Fault,
    RowDone,
    RowEvent,
    RowFailed,
    RowFound,
    RowOpened,
    RowSkipped,
)
from .runners import InProcess, OnExecutor, Runner

__all__ = ["AuditProgress", "AuditSummary", "audit_rows", "log"]

log = logging.getLogger("whyproof.audit")
"""Structured log: each record has a dictionary ``fields`` with a key ``event``."""


def audit_rows(
    explainer: ExplainerLike,
    instances: Mapping[int, Point],
    store: str | Path,
    *,
    limit: int | None = None,
    each: bool = False,
    jobs: int = 1,
    seconds: float | None = None,
    row_seconds: float | None = None,
    memory: int | None = None,
    bias: Kind | str = Kind.CXP,
    retry_failed: bool = False,
    together: bool = True,
    unit_rows: int | None = None,
    runner: Runner | Executor | None = None,
    source: Mapping[str, object] | None = None,
    progress: Callable[[AuditProgress], None] | None = None,
) -> AuditSummary:
    """Explain rows and store every explanation.

    Parameters
    ----------
    explainer
        Explains one model under one question; its answers go to one store.
    instances
        Row number to instance, shape ``(columns,)``.
    store
        File of the store; made if absent, resumed if it is about the same thing.
    limit
        Most explanations per row, those stored before included; `None` for all.
    each
        One AXp and one CXp per row, and no enumeration.
    jobs
        Number of processes; zero for one per core.
    seconds, row_seconds
        Time limits of the call and of each row.  With several processes a row that does
        not stop by itself is stopped with its process.
    memory
        Bytes that one process may hold, with several; `None` for no limit.
    bias
        Which kind comes cheaply, as for `Explainer.enumerate`.
    retry_failed
        Try rows again that failed in an earlier call; they are only listed otherwise.
    together
        Explain rows whose decisions are equal, cell by cell, once.
    unit_rows
        Decisions that go to a worker together; by default as many as take a moment.
    runner
        Who does the work instead of `jobs` processes: a runner such as
        `whyproof.auditing.clusters.on_dask` yields, or any `concurrent.futures.Executor`.
    source
        Where the rows come from, noted in the store.
    progress
        Called after each event.

    Raises
    ------
    StoreError
        If the store is about something else, is in use, or cannot be written.
    DataError
        If there is nothing to do, or the store holds other values for a row.
    InputError
        If workers cannot be reached, or run other versions.
    KeyboardInterrupt
        On Ctrl-C, after what was found is safe.
    """
    if not instances:
        raise DataError("there are no rows to audit; name some with rows")
    for name, value in (
        ("limit", limit),
        ("seconds", seconds),
        ("row_seconds", row_seconds),
        ("memory", memory),
        ("unit_rows", unit_rows),
    ):
        if value is not None and not value > 0:
            raise DataError(f"{name} must be positive, found {value!r}")
    if jobs < 0:
        raise DataError(f"jobs must not be negative, found {jobs!r}; 0 takes every core")
    if each and limit is not None:
        raise InputError("each finds two explanations per row; leave limit out")
    doing = _runner(runner, jobs, memory)
    asked = Asked(
        limit,
        each,
        seconds,
        row_seconds,
        Kind(bias),
        None if memory is None else memory // 2,
        retry_failed,
        together,
        unit_rows,
    )
    first = _problem(explainer, instances)
    about = identity(first.classifier, first.space, first.region, first.question)
    with held(store), StoreWriter.open(store, about) as writer:
        run = writer.begin_run(
            {
                "model": model_as_json(first.classifier),
                "strategy": str(getattr(explainer, "strategy", "")),
                "rows": _ranges(list(instances)),
                "budget": {"limit": limit, "seconds": seconds, "row_seconds": row_seconds},
                "asked": jsonable(asdict(asked)),
                "bias": str(bias),
                "jobs": doing.workers,
                "runner": type(doing).__name__,
                "seed": getattr(explainer, "seed", None),
                "source": jsonable(source or {}),
                "environment": environment(),
            }
        )
        driver = _Driver(instances, first, writer, run)
        plan = Plan(instances, first, writer, asked, driver.progress, doing.workers, driver.check)
        outcome = RunOutcome.FAILED
        _tell("begin", run=run, rows=len(instances), workers=doing.workers)
        try:
            for events in doing.run(explainer, plan.units()):
                driver.store(events)
                if progress is not None:
                    for event in events:
                        driver.progress.row = event.row
                        progress(driver.progress)
            driver.refuse(plan.refused)
            outcome = driver.outcome()
        except KeyboardInterrupt:
            driver.interrupt()
            outcome = RunOutcome.INTERRUPTED
            raise
        finally:
            _tell("end", outcome=str(outcome), progress=driver.progress.as_json())
            # Where the store itself fails, its own error is the one to show.
            with suppress(StoreError):
                writer.end_run(run, outcome)
        return driver.summary(outcome, plan.failed)


def _runner(runner: Runner | Executor | None, jobs: int, memory: int | None) -> Runner:
    if runner is None:
        alone = jobs == 1 and memory is None
        return InProcess() if alone else LocalProcesses(jobs, memory)
    if isinstance(runner, Executor):
        return OnExecutor(runner, workers_of(runner))
    return runner


class _Driver:
    """The only writer: turns events into records."""

    def __init__(
        self,
        instances: Mapping[int, Point],
        example: ExplanationProblem,
        writer: StoreWriter,
        run: int,
    ) -> None:
        self.instances = instances
        self.example = example
        self.writer = writer
        self.run = run
        self.progress = AuditProgress(len(instances))
        self.faults: dict[int, RowFailed] = {}
        self.started: set[int] = set()
        self.unreached: list[int] = []
        self.out_of_budget = False

    def store(self, events: Sequence[RowEvent]) -> None:
        """Write some events down, all of them or none."""
        if not events:
            return
        with self.writer.batch():
            for event in events:
                self._store(event)

    def check(self, row: int, instance: Point) -> None:
        """Compare the values of a row that is done with those stored."""
        self.writer.check_row(row, self._values(instance))

    def refuse(self, rows: Sequence[int]) -> None:
        """Note rows that time did not reach."""
        with self.writer.batch():
            for row in rows:
                self._store(RowDone(row, complete=False, reason="time"))

    def interrupt(self) -> None:
        """Note the rows that were being worked on."""
        with self.writer.batch():
            for number in sorted(self.started):
                self._close(number, RowStatus.OPEN, "interrupted")

    def outcome(self) -> RunOutcome:
        """Say how the run ended."""
        if any(fault.fault is not Fault.INPUT for fault in self.faults.values()):
            return RunOutcome.FAILED
        return RunOutcome.BUDGET if self.out_of_budget else RunOutcome.FINISHED

    def summary(self, outcome: RunOutcome, failed_before: Sequence[int]) -> AuditSummary:
        """Count what the store holds for the rows asked for."""
        rows: dict[RowStatus, list[int]] = {status: [] for status in RowStatus}
        for row, status in self.writer.statuses():
            if row in self.instances:
                rows[status].append(row)
        found = {"axp": 0, "cxp": 0}
        for row, kind, count in self.writer.counts():
            if row in self.instances:
                found[kind] += count
        return AuditSummary(
            outcome,
            tuple(rows[RowStatus.COMPLETE]),
            tuple(sorted([*rows[RowStatus.OPEN], *self.unreached])),
            tuple(rows[RowStatus.SKIPPED]),
            tuple(rows[RowStatus.FAILED]),
            self.progress.found,
            found["axp"],
            found["cxp"],
            self.writer.head(),
            self.faults,
            self.progress.taken_over,
            tuple(failed_before),
        )

    def _store(self, event: RowEvent) -> None:
        progress = self.progress
        progress.row = event.row
        match event:
            case RowOpened():
                self.started.add(event.row)
                self.writer.open_row(self.run, event.row, event.values, event.about)
            case RowFound():
                progress.found += self.writer.add(self.run, event.row, event.record)
            case RowDone():
                self.started.discard(event.row)
                asked_for = event.complete or event.reason == "limit"
                progress.done += asked_for
                progress.unknown += not asked_for
                progress.taken_over += event.same_as is not None
                if not asked_for and event.reason != "undecided":
                    self.out_of_budget = True
                status = RowStatus.COMPLETE if event.complete else RowStatus.OPEN
                if self.writer.progress(event.row) is None:
                    self.unreached.append(event.row)
                else:
                    self._close(event.row, status, event.reason)
            case RowSkipped():
                self.started.discard(event.row)
                progress.done += 1
                self._close(event.row, RowStatus.SKIPPED, event.reason)
            case RowFailed():
                self.started.discard(event.row)
                progress.failed += 1
                self._fail(event)

    def _fail(self, failed: RowFailed) -> None:
        self.faults[failed.row] = failed
        _tell("failed", row=failed.row, fault=str(failed.fault), reason=failed.reason)
        if self.writer.progress(failed.row) is None:  # it died before it was opened
            values = self._values(self.instances[failed.row])
            self.writer.open_row(self.run, failed.row, values, {"prediction": None})
        details = {**failed.details, "fault": str(failed.fault)}
        self._close(failed.row, RowStatus.FAILED, failed.reason, details)

    def _values(self, instance: Point) -> dict[str, object]:
        """Return a row's values by column; of one that is not in the space, its codes."""
        point = np.asarray(instance, dtype=np.float64)
        try:
            self.example.space.check(point)
        except InputError:
            return {f"column {i}": jsonable(code) for i, code in enumerate(point.tolist())}
        return self.example.space.decode(point)

    def _close(
        self,
        number: int,
        status: RowStatus,
        reason: str = "",
        details: Mapping[str, object] | None = None,
    ) -> None:
        self.writer.close_row(self.run, number, status, reason, details)


def _tell(event: str, **fields: object) -> None:
    """Write a structured log record; nobody listens by default."""
    log.info(event, extra={"fields": {"event": event, **fields}})


def _problem(explainer: ExplainerLike, instances: Mapping[int, Point]) -> ExplanationProblem:
    """Return the first problem that can be posed: it names model, space and question."""
    error: InputError | None = None
    for instance in instances.values():
        try:
            return explainer.problem(instance)
        except InputError as found:
            error = error or found
    raise error if error is not None else DataError("there are no rows to audit")


def _ranges(rows: list[int]) -> list[list[int]]:
    """Write row numbers as ranges, both ends included.

    Examples
    --------
    >>> _ranges([0, 1, 2, 7])
    [[0, 2], [7, 7]]
    """
    ranges: list[list[int]] = []
    for row in rows:
        if ranges and ranges[-1][1] == row - 1:
            ranges[-1][1] = row
        else:
            ranges.append([row, row])
    return ranges

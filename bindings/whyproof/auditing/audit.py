"""Audits: explanations of many rows, into a store, resumable at any moment.

The driver takes rows in order, skips what the store holds, hands each row with its known
explanations to whoever runs it (see `run_rows`), and commits each explanation as it
comes.  Killed at any moment, the same call goes on: nothing is lost that was committed,
and nothing is stored twice.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np

from whyproof.engine.errors import DataError, InputError
from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import ReachClass
from whyproof.engine.space import Point
from whyproof.store import (
    Head,
    RowStatus,
    RunOutcome,
    StoreWriter,
    identity,
    model_as_json,
)
from whyproof.store.canonical import jsonable

from .environment import environment
from .processes import run_rows
from .row import ExplainerLike, Fault, RowDone, RowEvent, RowFailed, RowFound, RowTask

__all__ = ["AuditProgress", "AuditSummary", "audit_rows"]


@dataclass
class AuditProgress:
    """How far an audit is.

    Parameters
    ----------
    rows
        Rows asked for.
    done
        Rows that got what was asked for, in this call or before.
    found
        New explanations.
    row
        The row that the last event was about.
    """

    rows: int
    done: int = 0
    found: int = 0
    row: int | None = None


@dataclass(frozen=True, slots=True)
class AuditSummary:
    """What an audit came to.

    Parameters
    ----------
    outcome
        How the call ended.
    complete, open, skipped, failed
        Row numbers by status, of the rows asked for.
    found
        New explanations.
    axps, cxps
        Stored explanations of the rows asked for.
    head
        End of the store's chain: note it elsewhere.
    faults
        What went wrong, by row.
    """

    outcome: RunOutcome
    complete: tuple[int, ...]
    open: tuple[int, ...]
    skipped: tuple[int, ...]
    failed: tuple[int, ...]
    found: int
    axps: int
    cxps: int
    head: Head
    faults: Mapping[int, RowFailed] = field(default_factory=dict[int, RowFailed])


def audit_rows(
    explainer: ExplainerLike,
    instances: Mapping[int, Point],
    store: str | Path,
    *,
    limit: int | None = None,
    jobs: int = 1,
    seconds: float | None = None,
    row_seconds: float | None = None,
    bias: Kind | str = Kind.CXP,
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
    jobs
        Number of processes.
    seconds, row_seconds
        Time limits of the call and of each row.
    bias
        Which kind comes cheaply, as for `Explainer.enumerate`.
    source
        Where the rows come from, noted in the store.
    progress
        Called after each event.

    Raises
    ------
    StoreError
        If the store is about something else or cannot be written.
    DataError
        If there is nothing to do, or the store holds other values for a row.
    KeyboardInterrupt
        On Ctrl-C, after what was found is safe.
    """
    if not instances:
        raise DataError("there are no rows to audit; name some with rows")
    for name, value in (("limit", limit), ("jobs", jobs), ("seconds", seconds)):
        if value is not None and not value > 0:
            raise DataError(f"{name} must be positive, found {value!r}")
    first = _problem(explainer, instances)
    about = identity(first.classifier, first.space, first.region, first.question)
    with StoreWriter.open(store, about) as writer:
        run = writer.begin_run(
            {
                "model": model_as_json(first.classifier),
                "strategy": str(getattr(explainer, "strategy", "")),
                "rows": _ranges(list(instances)),
                "budget": {"limit": limit, "seconds": seconds, "row_seconds": row_seconds},
                "bias": str(bias),
                "jobs": jobs,
                "seed": getattr(explainer, "seed", None),
                "source": jsonable(source or {}),
                "environment": environment(),
            }
        )
        driver = _Driver(explainer, instances, first, writer, run)
        driver.limit, driver.row_seconds = limit, row_seconds
        driver.deadline = math.inf if seconds is None else time.monotonic() + seconds
        driver.bias = Kind(bias)
        outcome = RunOutcome.FAILED
        try:
            for event in run_rows(explainer, driver.tasks(), jobs):
                driver.store(event)
                if progress is not None:
                    progress(driver.progress)
            outcome = driver.outcome()
        except KeyboardInterrupt:
            driver.interrupt()
            outcome = RunOutcome.INTERRUPTED
            raise
        finally:
            writer.end_run(run, outcome)
        return driver.summary(outcome)


class _Driver:
    """The only writer: turns rows into tasks and events into records."""

    limit: int | None = None
    row_seconds: float | None = None
    deadline: float = math.inf
    bias: Kind = Kind.CXP

    def __init__(
        self,
        explainer: ExplainerLike,
        instances: Mapping[int, Point],
        example: ExplanationProblem,
        writer: StoreWriter,
        run: int,
    ) -> None:
        self.explainer = explainer
        self.instances = instances
        self.example = example
        self.writer = writer
        self.run = run
        self.progress = AuditProgress(len(instances))
        self.faults: dict[int, RowFailed] = {}
        self.started: set[int] = set()
        self.out_of_budget = False

    def tasks(self) -> Iterator[RowTask]:
        """Yield what is left to do; rows that fail at once are recorded on the way."""
        stored = {row.row: row for row in self.writer.rows()}
        for number, instance in self.instances.items():
            row = stored.get(number)
            known = tuple(e.record for e in self.writer.explanations(number)) if row else ()
            finished = row is not None and (
                row.status is RowStatus.COMPLETE
                or (self.limit is not None and len(known) >= self.limit)
            )
            seconds = min(self.deadline - time.monotonic(), self.row_seconds or math.inf)
            if not self._opened(number, instance):
                continue
            if finished:
                self.progress.done += 1
                continue
            if seconds <= 0:
                self.out_of_budget = True
                self._close(number, RowStatus.OPEN, "time")
                continue
            self.started.add(number)
            yield RowTask(
                number,
                instance,
                known,
                None if self.limit is None else self.limit - len(known),
                None if math.isinf(seconds) else seconds,
                self.bias,
            )

    def store(self, event: RowEvent) -> None:
        """Write an event down."""
        self.progress.row = event.row
        match event:
            case RowFound():
                self.progress.found += self.writer.add(self.run, event.row, event.record)
            case RowDone():
                self.started.discard(event.row)
                asked_for = event.complete or event.reason in ("limit", "undecided")
                self.progress.done += asked_for
                self.out_of_budget = self.out_of_budget or not asked_for
                status = RowStatus.COMPLETE if event.complete else RowStatus.OPEN
                self._close(event.row, status, event.reason)
            case RowFailed():
                self.started.discard(event.row)
                self._fail(event)

    def interrupt(self) -> None:
        """Note the rows that were being worked on."""
        for number in sorted(self.started):
            self._close(number, RowStatus.OPEN, "interrupted")

    def outcome(self) -> RunOutcome:
        """Say how the run ended."""
        if any(fault.fault is not Fault.INPUT for fault in self.faults.values()):
            return RunOutcome.FAILED
        return RunOutcome.BUDGET if self.out_of_budget else RunOutcome.FINISHED

    def summary(self, outcome: RunOutcome) -> AuditSummary:
        """Count what the store holds for the rows asked for."""
        rows = [row for row in self.writer.rows() if row.row in self.instances]

        def having(status: RowStatus) -> tuple[int, ...]:
            return tuple(row.row for row in rows if row.status is status)

        return AuditSummary(
            outcome,
            having(RowStatus.COMPLETE),
            having(RowStatus.OPEN),
            having(RowStatus.SKIPPED),
            having(RowStatus.FAILED),
            self.progress.found,
            sum(row.axps for row in rows),
            sum(row.cxps for row in rows),
            self.writer.head(),
            self.faults,
        )

    def _opened(self, number: int, instance: Point) -> bool:
        """Record the row; tell whether it can be explained."""
        if self._is_target(instance):
            return self._skipped(number, instance)
        try:
            problem = self.explainer.problem(instance)
        except InputError as error:
            self.writer.open_row(self.run, number, _codes(instance), {"prediction": None})
            self._fail(RowFailed(number, Fault.INPUT, str(error)))
            return False
        self.writer.open_row(
            self.run,
            number,
            problem.space.decode(problem.instance),
            {
                "prediction": jsonable(problem.label),
                "scores": jsonable(problem.classifier.scores(problem.instance[None])[0]),
                "question": problem.question.describe(problem.classifier, problem.prediction),
            },
        )
        return True

    def _is_target(self, instance: Point) -> bool:
        """Tell whether the model already says what the question wants to reach."""
        question, classifier = self.example.question, self.example.classifier
        if not isinstance(question, ReachClass) or len(instance) != classifier.n_columns:
            return False
        return int(classifier.predict(np.asarray(instance)[None])[0]) == question.target

    def _skipped(self, number: int, instance: Point) -> bool:
        label = self.example.classifier.classes[cast("ReachClass", self.example.question).target]
        values = self.example.space.decode(np.asarray(instance))
        self.writer.open_row(self.run, number, values, {"prediction": jsonable(label)})
        self._close(number, RowStatus.SKIPPED, f"the model already says {label}")
        self.progress.done += 1
        return False

    def _fail(self, failed: RowFailed) -> None:
        self.faults[failed.row] = failed
        self._close(failed.row, RowStatus.FAILED, failed.reason, failed.details)

    def _close(
        self,
        number: int,
        status: RowStatus,
        reason: str = "",
        details: Mapping[str, object] | None = None,
    ) -> None:
        self.writer.close_row(self.run, number, status, reason, details)


def _problem(explainer: ExplainerLike, instances: Mapping[int, Point]) -> ExplanationProblem:
    """Return the first problem that can be posed: it names model, space and question."""
    error: InputError | None = None
    for instance in instances.values():
        try:
            return explainer.problem(instance)
        except InputError as found:
            error = error or found
    raise error if error is not None else DataError("there are no rows to audit")


def _codes(instance: Point) -> dict[str, object]:
    """Write a row that is not in the space: its codes by column position."""
    return {f"column {i}": jsonable(code) for i, code in enumerate(instance)}


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

"""From rows to units: what is still to do, equal decisions together, a good size."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import Point
from whyproof.store import RowStatus, StoreWriter

from .progress import AuditProgress
from .row import RowDone, RowTask
from .same import equal_decisions
from .units import Unit

__all__ = ["Asked", "Plan"]

_TOGETHER = 256
"""Most rows that take over from one; a larger crowd is explained several times."""
_MOST = 64
"""Most decisions in one unit."""
_SECONDS = 0.3
"""How long a unit should take."""


@dataclass(frozen=True)
class Asked:
    """What a call asks for; parameters as for `audit_rows`."""

    limit: int | None = None
    each: bool = False
    seconds: float | None = None
    row_seconds: float | None = None
    bias: Kind = Kind.CXP
    memory: int | None = None
    retry_failed: bool = False
    together: bool = True
    unit_rows: int | None = None

    def finished(self, stored: tuple[RowStatus, str, int, int]) -> bool:
        """Tell whether a row has what is asked for."""
        status, reason, axps, cxps = stored
        if status in (RowStatus.COMPLETE, RowStatus.SKIPPED):
            return True
        if self.each:
            return axps > 0 and cxps > 0 and reason == "limit"
        return self.limit is not None and axps + cxps >= self.limit


class Plan:
    """Hands out units one by one, looking into the store as late as possible.

    Parameters
    ----------
    instances
        Row number to codes.
    example
        A problem of the audit.
    writer
        The store.
    asked
        What is asked for.
    progress
        Read for the rate; rows that are done already are counted there.
    workers
        How many units are done at once.
    check
        Called with a row that is done, to compare its values with those stored.
    """

    def __init__(
        self,
        instances: Mapping[int, Point],
        example: ExplanationProblem,
        writer: StoreWriter,
        asked: Asked,
        progress: AuditProgress,
        workers: int,
        check: Callable[[int, Point], None],
    ) -> None:
        self.instances = instances
        self.example = example
        self.writer = writer
        self.asked = asked
        self.progress = progress
        self.workers = workers
        self.check = check
        self.failed: list[int] = []
        self.deadline = math.inf if asked.seconds is None else time.monotonic() + asked.seconds
        self.refused: list[int] = []
        """Rows that time did not reach."""
        self._rows = np.fromiter(instances, dtype=np.int64, count=len(instances))
        self._order, self._starts = self._groups()

    def units(self) -> Iterator[Unit]:
        """Yield units; sizes follow from how fast rows have been so far."""
        number = 0
        tasks: list[RowTask] = []
        decisions = 0
        started = time.monotonic()
        for start, end in zip(self._starts[:-1], self._starts[1:], strict=True):
            group = self._tasks([int(row) for row in self._order[start:end]])
            if not group:
                continue
            tasks += group
            decisions += 1
            if decisions >= self._size(number, time.monotonic() - started):
                yield Unit(number, tuple(tasks), self._left())
                number, tasks, decisions = number + 1, [], 0
        if tasks:
            yield Unit(number, tuple(tasks), self._left())

    def _size(self, units: int, seconds: float) -> int:
        """Return how many decisions the next unit should hold."""
        if self.asked.unit_rows is not None:
            return self.asked.unit_rows
        done = self.progress.done + self.progress.unknown - self.progress.before
        fair = max(1, (len(self._rows) - done) // (4 * self.workers))
        if units < 2 * self.workers or not done:
            return min(4, fair)
        each = seconds * self.workers / done
        return max(1, min(_MOST, fair, int(_SECONDS / each)))

    def _left(self) -> float | None:
        left = self.deadline - time.monotonic()
        return None if math.isinf(left) else max(left, 1e-3)

    def _groups(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return rows in the order of work and where each group of equal decisions starts."""
        rows = self._rows
        first = np.arange(len(rows), dtype=np.int64)
        shape = self.example.instance.shape
        if self.asked.together and all(p.shape == shape for p in self.instances.values()):
            points = np.empty((len(rows), *shape))
            for number, point in enumerate(self.instances.values()):
                points[number] = point
            first = equal_decisions(self.example, points)
        order = np.argsort(first, kind="stable")
        at = first[order]
        fresh = np.append(True, at[1:] != at[:-1])
        position = np.arange(len(at))
        since = position - np.maximum.accumulate(np.where(fresh, position, 0))
        starts = np.flatnonzero(since % _TOGETHER == 0)
        return rows[order], np.append(starts, len(rows))

    def _tasks(self, rows: Sequence[int]) -> list[RowTask]:
        """Return the tasks of a group; a finished row is only there if others need it."""
        settled: RowTask | None = None
        tasks: list[RowTask] = []
        for row in rows:
            instance = self.instances[row]
            stored = self.writer.progress(row)
            if stored is not None and self._passed(row, instance, stored):
                if settled is None and stored[0] is not RowStatus.FAILED and len(rows) > 1:
                    done = RowDone(row, stored[0] is RowStatus.COMPLETE, stored[1])
                    settled = self._task(row, instance, True, done)
                continue
            if time.monotonic() >= self.deadline:
                self.refused.append(row)
                continue
            tasks.append(self._task(row, instance, stored is not None))
        if not tasks or len(rows) == 1:
            return tasks
        if settled is not None:
            tasks.insert(0, settled)
        return [tasks[0], *(replace(task, same_as=tasks[0].row) for task in tasks[1:])]

    def _passed(self, row: int, instance: Point, stored: tuple[RowStatus, str, int, int]) -> bool:
        """Tell whether there is nothing to do for a stored row, and count it."""
        if stored[0] is RowStatus.FAILED and not self.asked.retry_failed:
            self.failed.append(row)
            self.progress.failed += 1
            return True
        if not self.asked.finished(stored):
            return False
        self.check(row, instance)
        self.progress.done += 1
        self.progress.before += 1
        return True

    def _task(
        self, row: int, instance: Point, stored: bool, settled: RowDone | None = None
    ) -> RowTask:
        asked = self.asked
        known = tuple(e.record for e in self.writer.explanations(row)) if stored else ()
        left = self.deadline - time.monotonic()
        seconds = min(max(left, 1e-3), asked.row_seconds or math.inf)
        return RowTask(
            row,
            instance,
            known,
            None if asked.limit is None or asked.each else max(1, asked.limit - len(known)),
            None if math.isinf(seconds) else seconds,
            asked.bias,
            asked.each,
            asked.memory,
            None,
            settled,
        )

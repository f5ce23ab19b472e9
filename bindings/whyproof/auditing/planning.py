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
from .reasons import Reasons, stages_of
from .row import Record, RowDone, RowTask
from .same import cells_of, equal_rows
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
        self._number = 0
        self._cells: npt.NDArray[np.int32] | None = None
        self._rows = np.fromiter(instances, dtype=np.int64, count=len(instances))
        self._order, self._starts = self._groups()

    def units(self) -> Iterator[Unit | None]:
        """Yield units; `None` between them says that all before it have to be stored first."""
        decisions = len(self._starts) - 1
        if not self.asked.each or self._cells is None:
            yield from self._units(0, decisions, {})
            return
        features = self.example.space.features
        reasons = Reasons(self._cells, [feature.columns for feature in features])
        for first, last in stages_of(decisions):
            positions = self._order[self._starts[first] : self._starts[last]]
            yield from self._units(first, last, reasons.matching(positions) if reasons else {})
            if last < decisions:
                yield None
                self._learn(reasons, positions)

    def _learn(self, reasons: Reasons, positions: npt.NDArray[np.int64]) -> None:
        """Take in the reasons that are stored for the rows of a stage."""
        for position in positions.tolist():
            for stored in self.writer.explanations(int(self._rows[position])):
                if stored.record["kind"] == "axp":
                    reasons.add(position, stored.record)
                    break

    def _units(self, first: int, last: int, reasons: Mapping[int, Record]) -> Iterator[Unit]:
        """Yield units of some groups; sizes follow from how fast rows have been so far."""
        tasks: list[RowTask] = []
        decisions = 0
        started, before = time.monotonic(), self.progress.done
        for start, end in zip(
            self._starts[first:last], self._starts[first + 1 : last + 1], strict=True
        ):
            group = self._tasks(self._order[start:end].tolist(), reasons)
            if not group:
                continue
            tasks += group
            decisions += 1
            if decisions >= self._size(time.monotonic() - started, before, last - first):
                yield Unit(self._number, tuple(tasks), self._left())
                self._number, tasks, decisions = self._number + 1, [], 0
        if tasks:
            yield Unit(self._number, tuple(tasks), self._left())
            self._number += 1

    def _size(self, seconds: float, before: int, decisions: int) -> int:
        """Return how many decisions the next unit should hold."""
        if self.asked.unit_rows is not None:
            return self.asked.unit_rows
        fair = max(1, decisions // (8 * self.workers))
        done = self.progress.done - before
        if not done:
            return min(4, fair)
        each = seconds * self.workers / done
        return max(1, min(_MOST, fair, int(_SECONDS / max(each, 1e-6))))

    def _left(self) -> float | None:
        left = self.deadline - time.monotonic()
        return None if math.isinf(left) else max(left, 1e-3)

    def _groups(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return positions in the order of work and where each group of equal decisions starts."""
        count = len(self._rows)
        first = np.arange(count, dtype=np.int64)
        shape = self.example.instance.shape
        if self.asked.together and all(p.shape == shape for p in self.instances.values()):
            points = np.empty((count, *shape))
            for number, point in enumerate(self.instances.values()):
                points[number] = point
            self._cells = cells_of(self.example, points)
            first = equal_rows(points if self._cells is None else self._cells)
        order = np.argsort(first, kind="stable")
        at = first[order]
        fresh = np.append(True, at[1:] != at[:-1])
        position = np.arange(count)
        since = position - np.maximum.accumulate(np.where(fresh, position, 0))
        starts = np.flatnonzero(since % _TOGETHER == 0)
        return order, np.append(starts, count)

    def _tasks(self, positions: Sequence[int], reasons: Mapping[int, Record]) -> list[RowTask]:
        """Return the tasks of a group; a finished row is only there if others need it."""
        rows = [int(self._rows[position]) for position in positions]
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
        reason = reasons.get(positions[0])
        if tasks and settled is None and reason is not None:
            tasks[0] = replace(tasks[0], reason=reason)
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

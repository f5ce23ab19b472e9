"""Units of work: some rows that go to one worker together, and doing them there.

A unit carries rows, never a model: the model travels once and is kept by each worker
(see `shipping`).  Rows whose decisions are equal travel in one unit, so that one of them
is explained and the others take over what was found.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from whyproof.engine.errors import ReplayError
from whyproof.engine.explanation import Explanation

from .foresight import foreseeing
from .row import (
    ExplainerLike,
    RowDone,
    RowEvent,
    RowFailed,
    RowFound,
    RowSkipped,
    RowTask,
    guarded,
)
from .search import moved_to, open_row, search_row

__all__ = ["Unit", "is_last", "work_on"]


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """Rows that one worker does one after the other.

    Parameters
    ----------
    number
        Counted from 0, for logs.
    tasks
        A row that is the same as another one stands after it.
    seconds
        Time limit of the whole unit; rows that it does not reach stay open.
    """

    number: int
    tasks: tuple[RowTask, ...]
    seconds: float | None = None

    @property
    def rows(self) -> tuple[int, ...]:
        """Numbers of the rows to explain."""
        return tuple(task.row for task in self.tasks if task.settled is None)

    def without(self, done: Sequence[int]) -> list[Unit]:
        """Return what is left, a unit for each row, when some rows are done."""
        finished = set(done)
        return [
            Unit(self.number, (replace(task, same_as=None),), self.seconds)
            for task in self.tasks
            if task.settled is None and task.row not in finished
        ]


def is_last(event: RowEvent) -> bool:
    """Tell whether nothing more comes for the event's row."""
    return isinstance(event, RowDone | RowSkipped | RowFailed)


def work_on(explainer: ExplainerLike, unit: Unit) -> Iterator[RowEvent]:
    """Yield the events of all rows of a unit; errors become events.

    Examples
    --------
    >>> list(work_on(None, Unit(0, ())))
    []
    """
    until = math.inf if unit.seconds is None else time.monotonic() + unit.seconds
    explainer = _prepared(explainer, unit)
    leaders: dict[int, tuple[list[Explanation], RowDone]] = {}
    wanted = {task.same_as for task in unit.tasks}
    for task in unit.tasks:
        left = min(until - time.monotonic(), math.inf if task.seconds is None else task.seconds)
        limited = replace(task, seconds=None if math.isinf(left) else left)
        if left <= 0:
            if task.settled is None:
                yield RowDone(task.row, complete=False, reason="time")
            continue
        if task.same_as in leaders:
            yield from guarded(task.row, _taken_over(explainer, limited, *leaders[task.same_as]))
            continue
        kept: list[Explanation] = []
        for event in guarded(task.row, search_row(explainer, limited, kept)):
            if isinstance(event, RowDone) and task.row in wanted:
                leaders[task.row] = kept, event
            if task.settled is None:
                yield event
        if task.settled is not None:
            leaders[task.row] = kept, task.settled


def _prepared(explainer: ExplainerLike, unit: Unit) -> ExplainerLike:
    """Show all rows of a unit to the model that runs at once."""
    points = [np.asarray(task.instance, dtype=np.float64) for task in unit.tasks]
    if len(points) < 2 or len({point.shape for point in points}) > 1:
        return explainer
    return foreseeing(explainer, np.stack(points))


def _taken_over(
    explainer: ExplainerLike, task: RowTask, found: Sequence[Explanation], done: RowDone
) -> Iterator[RowEvent]:
    """Give a row the explanations of another whose decision is the same."""
    opened, problem = open_row(explainer, task)
    if problem is None:
        yield from opened
        return
    if found and problem.prediction != found[0].problem.prediction:
        yield from search_row(explainer, task)
        return
    try:
        moved = [moved_to(problem, explanation) for explanation in found]
    except ReplayError:
        # The model that runs tells the rows apart, by rounding: this one is asked itself.
        yield from search_row(explainer, task)
        return
    yield from opened
    known = {(str(r["kind"]), str(r["indices"])) for r in task.known if r["status"] == "minimal"}
    kinds = {str(record["kind"]) for record in task.known} if task.each else set[str]()
    left = task.count
    for explanation in moved:
        kind = str(explanation.kind)
        if kind in kinds or (kind, str(list(explanation.indices))) in known:
            continue
        if left == 0:
            yield RowDone(task.row, False, "limit", task.same_as)
            return
        record = {**explanation.as_json(), "same_as": task.same_as}
        yield RowFound(task.row, record)
        left = None if left is None else left - 1
    yield replace(done, row=task.row, same_as=task.same_as)

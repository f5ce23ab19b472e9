"""Running rows: in this process, or in several that this one watches.

Workers are spawned, not forked, so that they start clean on every platform.  Each has a
pipe of its own and streams what it finds; a worker that dies takes one row with it and
is replaced.  Ctrl-C reaches the driver alone, and workers end with it, even when it
is killed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import cast

from .row import ExplainerLike, Fault, RowDone, RowEvent, RowFailed, RowTask, explain_row

__all__ = ["run_rows"]


def run_rows(
    explainer: ExplainerLike, tasks: Iterable[RowTask], jobs: int = 1
) -> Iterator[RowEvent]:
    """Yield the events of all rows; those of different rows may alternate.

    Parameters
    ----------
    explainer
        Picklable when `jobs` is above one.
    tasks
        Taken one by one, as workers become free.
    jobs
        Number of processes; one means this process.
    """
    if jobs <= 1:
        for task in tasks:
            yield from explain_row(explainer, task)
        return
    workers: list[_Worker] = []
    try:
        waiting = iter(tasks)
        for task in waiting:
            worker = _Worker.start(explainer)
            workers.append(worker)
            worker.give(task)
            if len(workers) == jobs:
                break
        while busy := [worker for worker in workers if worker.row is not None]:
            for connection in wait([worker.connection for worker in busy]):
                position = next(i for i, w in enumerate(workers) if w.connection is connection)
                event = workers[position].take()
                yield event
                if isinstance(event, RowFailed) and event.fault is Fault.LOST:
                    workers[position].stop()
                    workers[position] = _Worker.start(explainer)
                if isinstance(event, RowDone | RowFailed):
                    workers[position].row = None
                    following = next(waiting, None)
                    if following is not None:
                        workers[position].give(following)
    finally:
        for worker in workers:
            worker.stop()


@dataclass(eq=False)
class _Worker:
    """A process, this end of its pipe, and the row that it works on."""

    process: BaseProcess
    connection: Connection
    row: int | None = None

    @classmethod
    def start(cls, explainer: ExplainerLike) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, explainer), daemon=True)
        process.start()
        theirs.close()
        return cls(process, ours)

    def give(self, task: RowTask) -> None:
        self.row = task.row
        try:
            self.connection.send(task)
        except OSError:
            pass  # it died; `take` says so

    def take(self) -> RowEvent:
        row = -1 if self.row is None else self.row
        try:
            return cast("RowEvent", self.connection.recv())
        except (EOFError, OSError):
            self.process.join(timeout=5)
            reason = f"the process that explained it died (exit code {self.process.exitcode})"
            return RowFailed(row, Fault.LOST, f"{reason}; memory may have run out")

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()


def _serve(connection: Connection, explainer: ExplainerLike) -> None:
    """Explain rows until the pipe closes; runs in the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        while True:
            for event in explain_row(explainer, connection.recv()):
                connection.send(event)
    except (EOFError, OSError):
        return


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

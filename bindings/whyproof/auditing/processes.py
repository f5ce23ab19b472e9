"""Local workers: processes that this one starts, watches, and kills where it must.

Each worker has a pipe of its own and streams what it finds.  No lock is shared, so that
one that is killed at any moment, by the system or by hand, can hold up nobody else: it
is replaced, and what it had not finished is done again.  (Pools with one queue for all
workers can be left with a lock that nobody frees.)  A row that kills its worker again and
again is given up; so is one that takes far more time or memory than it may, which no
library has to agree to.  Workers are spawned, not forked, so that they start clean on
every platform.  Ctrl-C reaches the driver alone, and workers end with it, even when it
is killed.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import cast

from whyproof.engine.errors import InputError
from whyproof.engine.parallel.spawning import needs_script, start_process

from .memory import megabytes, resident
from .row import ExplainerLike, Fault, RowDone, RowEvent, RowFailed
from .shipping import Refused, Shipment, Unready, receive, ship
from .units import Unit, is_last, work_on

__all__ = ["LocalProcesses", "usable_cores"]

_FLUSH = 0.05
"""Seconds for which a worker keeps events back, so that many travel together."""
_LOOK = 0.25
"""Seconds between two looks at time and memory."""
_LOSSES = 3
"""So many workers may die on one row before it is given up."""
_GRACE = 5.0
"""Seconds that a row may take beyond twice its limit before its worker is killed."""
_END = object()
_QUIET = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Settings that keep libraries from starting a thread per core in every worker."""


def usable_cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


@dataclass(frozen=True)
class LocalProcesses:
    """A runner of units on this machine; see `runners.Runner`.

    Parameters
    ----------
    jobs
        Number of processes; zero for one per usable core.
    memory
        Bytes that one worker may hold; `None` for no limit.
    nice
        How much the workers yield to other programs.
    """

    jobs: int = 0
    memory: int | None = None
    nice: int = 0

    @property
    def workers(self) -> int:
        """Number of processes."""
        return self.jobs or usable_cores()

    def run(
        self, explainer: ExplainerLike, units: Iterator[Unit | None]
    ) -> Iterator[Sequence[RowEvent]]:
        """Yield what is found, in the order in which it comes."""
        yield from _Crew(self, ship(explainer), units).run()


@dataclass(eq=False)
class _Worker:
    """A process, this end of its pipe, and the unit that it works on."""

    process: BaseProcess
    connection: Connection
    unit: Unit | None = None
    done: list[int] = field(default_factory=list[int])
    since: float = math.inf
    ready: bool = False

    @classmethod
    def start(cls, shipment: Shipment, nice: int) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, shipment, nice), daemon=True)
        added = {name: "1" for name in _QUIET if name not in os.environ}
        os.environ.update(added)
        try:
            start_process(process, script=needs_script(shipment.content or b"__main__"))
        finally:
            for name in added:
                os.environ.pop(name, None)
        theirs.close()
        return cls(process, ours)

    def give(self, unit: Unit) -> None:
        self.unit, self.done, self.since = unit, [], time.monotonic()
        with suppress(OSError):  # it died; the next look says so
            self.connection.send(unit)

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join(timeout=5)


class _Crew:
    """One run: workers, what is still to do, and what each row has cost so far."""

    def __init__(
        self, plan: LocalProcesses, shipment: Shipment, units: Iterator[Unit | None]
    ) -> None:
        self.plan = plan
        self.shipment = shipment
        self.units = units
        self.barrier = False
        self.again: deque[Unit] = deque()
        self.losses: Counter[int] = Counter()
        self.workers: list[_Worker] = []
        self.barren = 0

    def run(self) -> Iterator[Sequence[RowEvent]]:
        try:
            while (unit := self._next(cross=True)) is not None:
                self.workers.append(self._hired())
                self.workers[-1].give(unit)
                if len(self.workers) == self.plan.workers:
                    break
            while busy := [worker for worker in self.workers if worker.unit is not None]:
                ready = wait([worker.connection for worker in busy], timeout=_LOOK)
                for worker in busy:
                    if worker.connection in ready:
                        yield self._take(worker)
                    else:
                        reason, fault = self._excess(worker)
                        if not reason:
                            continue
                        yield self._lost(worker, reason, fault)
                    if self.barrier:
                        # Only now is stored what was found before the barrier.
                        self._onward(worker, cross=True)
        finally:
            for worker in self.workers:
                worker.stop()

    def _hired(self) -> _Worker:
        return _Worker.start(self.shipment, self.plan.nice)

    def _next(self, *, cross: bool) -> Unit | None:
        """Return the next unit; none at the end, and while a barrier stands."""
        if self.again:
            return self.again.popleft()
        while not (self.barrier and (not cross or any(worker.unit for worker in self.workers))):
            following = next(self.units, _END)
            self.barrier = following is None
            if following is not None:
                return following if isinstance(following, Unit) else None
        return None

    def _take(self, worker: _Worker) -> Sequence[RowEvent]:
        """Return what a worker has found; give it the next unit if it is through."""
        try:
            told: object = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join(timeout=5)
            code = worker.process.exitcode
            reason = f"the process that explained it died (exit code {code})"
            return self._lost(worker, f"{reason}; memory may have run out", Fault.LOST)
        if isinstance(told, str):
            raise InputError(told)
        events = cast("list[RowEvent]", told)
        worker.done.extend(event.row for event in events if is_last(event))
        worker.since, worker.ready = time.monotonic(), True
        self.barren *= not events
        if worker.unit is not None and len(worker.done) >= len(worker.unit.rows):
            worker.unit = None
            self._onward(worker, cross=False)
        return events

    def _onward(self, worker: _Worker, *, cross: bool) -> None:
        """Give units to idle workers, this one first."""
        for idle in [worker, *(other for other in self.workers if other is not worker)]:
            if idle.unit is None:
                following = self._next(cross=cross)
                if following is None:
                    break
                idle.give(following)

    def _excess(self, worker: _Worker) -> tuple[str, Fault | None]:
        """Say what a worker has taken too much of, if it has; no fault for time."""
        if not worker.process.is_alive() and not worker.connection.poll():
            return f"the process that explained it died (exit code {worker.process.exitcode})", (
                Fault.LOST
            )
        unit = worker.unit
        limits = [2 * task.seconds for task in unit.tasks if task.seconds] if unit else []
        if unit is not None and unit.seconds is not None:
            limits = [min([unit.seconds, *limits])]
        if worker.ready and limits and time.monotonic() - worker.since > max(limits) + _GRACE:
            return "time", None
        held = resident(worker.process.pid) if self.plan.memory is not None else None
        if held is not None and self.plan.memory is not None and held > self.plan.memory:
            return (
                f"its process held {megabytes(held)} and may hold {megabytes(self.plan.memory)}; "
                "raise --max-memory",
                Fault.MEMORY,
            )
        return "", None

    def _lost(self, worker: _Worker, reason: str, fault: Fault | None) -> list[RowEvent]:
        """Replace a worker; do its rows again one by one, or give the one up that it had."""
        unit, done = worker.unit, worker.done
        worker.stop()
        self.barren += 1
        if self.barren > _LOSSES * (self.plan.workers + 1):
            raise InputError(
                f"{self.barren} worker processes in a row died before they found anything: "
                f"{reason}; what was found before is kept; try --jobs 1 to see why (a script that "
                'defines its own model has to start under: if __name__ == "__main__":)'
            )
        fresh = self._hired()
        self.workers[self.workers.index(worker)] = fresh
        events: list[RowEvent] = []
        for single in unit.without(done) if unit is not None else ():
            (row,) = single.rows
            alone = unit is not None and len(unit.tasks) == 1
            self.losses[row] += alone
            if not alone or (fault is Fault.LOST and self.losses[row] < _LOSSES):
                self.again.append(single)
            elif fault is None:
                events.append(RowDone(row, complete=False, reason=reason))
            else:
                events.append(RowFailed(row, fault, reason))
        self._onward(fresh, cross=False)
        return events


def _serve(connection: Connection, shipment: Shipment, nice: int) -> None:
    """Explain units until the pipe closes; runs in the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if nice and hasattr(os, "nice"):
        os.nice(nice)
    try:
        explainer = receive(shipment)
        connection.send([])  # what starting took is no row's time
        while True:
            unit = cast("Unit", connection.recv())
            if isinstance(explainer, Unready | Refused):
                connection.send(getattr(explainer, "reason", "the model did not arrive"))
                continue
            kept: list[RowEvent] = []
            due = time.monotonic() + _FLUSH
            for event in work_on(explainer, unit):
                kept.append(event)
                if time.monotonic() >= due:
                    connection.send(kept)
                    kept, due = [], time.monotonic() + _FLUSH
            if kept:
                connection.send(kept)
    except (EOFError, OSError):
        return


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

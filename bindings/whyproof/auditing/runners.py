"""Runners: who does units of work.  One seam for this process, local ones and clusters.

A runner takes units as workers become free and yields the events of rows as they come, in
any order.  It owns faults of workers: what was lost is done again, and a row that is lost
again and again becomes a `RowFailed`.
"""

from __future__ import annotations

import queue
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from whyproof.engine.errors import InputError

from .row import ExplainerLike, Fault, RowEvent, RowFailed
from .shipping import Refused, Shipment, Unready, answered, ship, try_out, work
from .units import Unit, work_on

__all__ = ["InProcess", "OnExecutor", "Runner"]

_Result = TypeVar("_Result")

_FLUSH = 0.05
"""Seconds for which events are kept back, so that many are stored together."""
_LOSSES = 3
"""So many times a row may be lost before it is given up."""
_END = object()


class Runner(Protocol):
    """Does units of work."""

    @property
    def workers(self) -> int:
        """How many units are done at once."""
        ...

    def run(
        self, explainer: ExplainerLike, units: Iterator[Unit | None]
    ) -> Iterator[Sequence[RowEvent]]:
        """Yield what is found, in the order in which it comes.

        Parameters
        ----------
        explainer
            Explains the model's decisions; it can be pickled where it has to travel.
        units
            What to do.  `None` is a barrier: what comes after it is taken when all that
            was found before it has been handed over.

        Raises
        ------
        InputError
            If the workers cannot be reached, or cannot work with this explainer; before
            the first unit is taken where that can be known.
        """
        ...


@dataclass(frozen=True)
class InProcess:
    """Does one row after the other in this process."""

    workers: int = 1

    def run(
        self, explainer: ExplainerLike, units: Iterator[Unit | None]
    ) -> Iterator[Sequence[RowEvent]]:
        """Yield what is found; on Ctrl-C what is not handed over yet comes first."""
        kept: list[RowEvent] = []
        try:
            for unit in units:
                if unit is None:
                    continue
                due = time.monotonic() + _FLUSH
                for event in work_on(explainer, unit):
                    kept.append(event)
                    if time.monotonic() >= due:
                        handed, kept = kept, []
                        yield handed
                        due = time.monotonic() + _FLUSH
                handed, kept = kept, []
                if handed:
                    yield handed
        except KeyboardInterrupt:
            if kept:
                yield kept
            raise


@dataclass(frozen=True)
class OnExecutor:
    """Does units on any `concurrent.futures.Executor`: processes, MPI, Dask, Ray, Slurm.

    Parameters
    ----------
    executor
        Runs functions that can be pickled by name; it stays open.
    workers
        How many units it does at once.
    start_seconds
        How long the first worker may take to answer.
    keeps
        Whether workers live longer than one unit, and need the model only once.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as threads:
    ...     OnExecutor(threads, 2).workers
    2
    """

    executor: Executor
    workers: int
    start_seconds: float = 120.0
    keeps: bool = True

    def run(
        self, explainer: ExplainerLike, units: Iterator[Unit | None]
    ) -> Iterator[Sequence[RowEvent]]:
        """Yield what is found, unit by unit."""
        shipment = ship(explainer)
        self._try_out(shipment)
        yield from _Traffic(self, shipment, units).run()

    def _try_out(self, shipment: Shipment) -> None:
        """Let workers load the model before any row is touched."""
        trials = [self._submitted(try_out, shipment) for _ in range(self.workers)]
        until = time.monotonic() + self.start_seconds
        for trial in trials:
            try:
                reason = trial.result(timeout=max(0.1, until - time.monotonic()))
            except TimeoutError:
                raise InputError(
                    f"no worker answered within {self.start_seconds:.0f} s; check that workers "
                    "are running and that whyproof is installed there"
                ) from None
            except (BrokenExecutor, CancelledError) as error:
                raise InputError(f"the workers died when they were started: {error}") from error
            except Exception as error:
                raise InputError(
                    f"a worker could not be used: {type(error).__name__}: {error}; check that "
                    "the same whyproof is installed there"
                ) from error
            if reason:
                raise InputError(reason)

    def _submitted(self, function: Callable[..., _Result], *arguments: object) -> Future[_Result]:
        try:
            return self.executor.submit(function, *arguments)
        except RuntimeError as error:
            raise InputError(f"the executor takes no work: {error}; make a new one") from error


class _Traffic:
    """One run: units under way, those to send again, and how often rows were lost."""

    def __init__(self, plan: OnExecutor, shipment: Shipment, units: Iterator[Unit | None]) -> None:
        self.executor = plan.executor
        self.window = 2 * plan.workers
        self.shipment = shipment
        self.label = shipment.label if plan.keeps else shipment
        self.units = units
        self.barrier = False
        self.again: deque[tuple[Unit, Shipment]] = deque()
        self.losses: Counter[int] = Counter()
        self.under_way: dict[Future[Any], Unit] = {}
        self.back: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()

    def run(self) -> Iterator[Sequence[RowEvent]]:
        try:
            while True:
                self._send()
                if not self.under_way:
                    return
                future = self.back.get()
                unit = self.under_way.pop(future)
                events = self._events(future, unit)
                if events:
                    yield events
        finally:
            for future in self.under_way:
                future.cancel()

    def _send(self) -> None:
        while len(self.under_way) < self.window:
            if self.again:
                unit, shipment = self.again.popleft()
            else:
                if self.barrier and self.under_way:
                    return
                following = next(self.units, _END)
                self.barrier = following is None
                if following is _END:
                    return
                if not isinstance(following, Unit):
                    continue
                unit, shipment = following, self.label
            try:
                future = self.executor.submit(work, shipment, unit)
            except RuntimeError as error:
                raise InputError(
                    f"the executor broke: {error}; what was found is stored, run the same "
                    "command again to go on"
                ) from error
            self.under_way[future] = unit
            future.add_done_callback(self.back.put)

    def _events(self, future: Future[Any], unit: Unit) -> list[RowEvent]:
        try:
            answer: list[RowEvent] | Unready | Refused = future.result()
        except InputError:
            raise
        except (Exception, CancelledError) as error:
            return self._lost(unit, error)
        events = answered(answer)
        if events is None:
            self.again.append((unit, self.shipment))
            return []
        return events

    def _lost(self, unit: Unit, error: BaseException) -> list[RowEvent]:
        """Do the rows of a lost unit again one by one; give one up that was alone too often."""
        events: list[RowEvent] = []
        for single in unit.without(()):
            (row,) = single.rows
            self.losses[row] += len(unit.tasks) == 1
            if self.losses[row] < _LOSSES:
                self.again.append((single, self.label))
            else:
                what = str(error) or type(error).__name__
                reason = f"the worker that explained it was lost {_LOSSES} times: {what}"
                events.append(RowFailed(row, Fault.LOST, reason))
        return events

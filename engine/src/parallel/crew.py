"""Processes that work on one decision, each with a problem and an oracle of its own.

Solvers do not travel: each process makes its own from something that can be pickled.  A
job can be called off: its meter says so at the next look, and a process that does not look
is killed and replaced.  Every process has a pipe of its own; no lock is shared.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from multiprocessing.sharedctypes import RawValue
from types import TracebackType
from typing import Any, TypeAlias

from ..answers import UnknownReason
from ..budget import Budget, Meter
from ..errors import WhyproofError
from ..oracle import Oracle
from ..problem import ExplanationProblem
from .spawning import needs_script, start_process

__all__ = ["Crew", "Desk", "Job", "Lost", "Maker"]

Maker: TypeAlias = Callable[[], tuple[ExplanationProblem, Oracle]]
"""Makes a problem and its oracle; it can be pickled."""

Job: TypeAlias = Callable[..., object]
"""What a process does: a function at the top level of a module; its desk comes first."""

_PATIENCE = 1.0
"""Seconds that a process may take to notice that its job was called off."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The process died, or its job raised an error; `reason` is for people."""

    reason: str


class Desk:
    """What a job has at hand in its process: problem, oracle, meter, and a line to the driver."""

    def __init__(self, connection: Connection, stop: Any, make: Maker) -> None:  # noqa: ANN401
        self._connection = connection
        self._stop = stop
        self._job = 0
        self.problem, self.oracle = make()
        self.meter = Meter()

    def tell(self, news: object) -> None:
        """Send something to the driver before the job ends."""
        self._connection.send((self._job, False, news))

    def heard(self) -> Iterator[object]:
        """Yield what the driver has sent since the last time."""
        while self._connection.poll():
            job, _, news = self._connection.recv()
            if job == self._job:
                yield news

    def begin(self, job: int, seconds: float | None) -> None:
        """Start the meter of the next job."""
        self._job = job
        self.meter = _Recallable(self._stop, job, seconds)


class _Recallable(Meter):
    """A meter that another process can end."""

    def __init__(self, stop: Any, job: int, seconds: float | None) -> None:  # noqa: ANN401
        super().__init__(Budget(seconds=seconds))
        self._stop, self._job = stop, job

    def exhausted(self) -> UnknownReason | None:
        if self._stop.value >= self._job:
            return UnknownReason.CANCELLED
        return super().exhausted()


class _Member:
    """One process, seen from the driver."""

    def __init__(self, make: Maker, *, script: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.stop: Any = RawValue("q", 0)
        self.process: BaseProcess = context.Process(
            target=_serve, args=(theirs, self.stop, make), daemon=True
        )
        start_process(self.process, script=script)
        theirs.close()
        self.job = 0
        """Number of the job under way, zero for none."""
        self.called_off = 0.0

    def end(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join(timeout=5)


class Crew:
    """Some processes for one decision; a context manager.

    Parameters
    ----------
    make
        Makes the problem and its oracle in each process.
    size
        Number of processes, at least 1; they start when the crew is entered.
    """

    def __init__(self, make: Maker, size: int) -> None:
        self._make = make
        self._size = max(1, size)
        self._script = True
        self._members: list[_Member] = []
        self._last = 0

    def __enter__(self) -> Crew:
        self._script = needs_script(bytes(ForkingPickler.dumps(self._make)))
        self._members = [_Member(self._make, script=self._script) for _ in range(self._size)]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes."""
        for member in self._members:
            member.end()
        self._members = []

    def __len__(self) -> int:
        return self._size

    @property
    def busy(self) -> list[int]:
        """Positions of the processes with a job that has not been called off."""
        return [i for i, m in enumerate(self._members) if m.job and not m.called_off]

    @property
    def idle(self) -> list[int]:
        """Positions of the processes that can take a job now."""
        return [i for i, member in enumerate(self._members) if not member.job]

    def give(
        self, position: int, job: Job, arguments: Sequence[object], seconds: float | None
    ) -> None:
        """Start a job in an idle process."""
        member = self._members[position]
        self._last += 1
        member.job, member.called_off = self._last, 0.0
        with suppress(OSError):  # a dead process is noticed when it is listened to
            member.connection.send((member.job, True, (job, tuple(arguments), seconds)))

    def tell(self, position: int, news: object) -> None:
        """Send something to the job of a process."""
        member = self._members[position]
        with suppress(OSError):
            member.connection.send((member.job, False, news))

    def call_off(self, position: int) -> None:
        """Ask a process to give its job up; its answer is thrown away."""
        member = self._members[position]
        member.stop.value = member.job
        member.called_off = time.monotonic()

    def listen(self, timeout: float) -> list[tuple[int, bool, object]]:
        """Return what processes said: position, whether the job is over, and what.

        A process that died, or that kept a job that was called off for too long, is
        replaced; the death of one with a job is told as `Lost`.
        """
        told: list[tuple[int, bool, object]] = []
        by_connection = {m.connection: i for i, m in enumerate(self._members) if m.job}
        for connection in wait(list(by_connection), timeout=timeout):
            position = by_connection[connection]  # type: ignore[index]
            member = self._members[position]
            try:
                job, over, news = member.connection.recv()
            except (EOFError, OSError):
                told += self._replaced(position)
                continue
            if job != member.job:
                continue
            if over:
                member.job = 0
            if not member.called_off:
                told.append((position, over, news))
            elif over:
                member.called_off = 0.0
        for position, member in enumerate(self._members):
            if member.called_off and time.monotonic() - member.called_off > _PATIENCE:
                self._replaced(position)
        return told

    def _replaced(self, position: int) -> list[tuple[int, bool, object]]:
        member = self._members[position]
        member.process.join(timeout=1)
        code = member.process.exitcode
        quiet = bool(member.called_off)
        member.end()
        self._members[position] = _Member(self._make, script=self._script)
        return [] if quiet else [(position, True, Lost(f"its process died (exit code {code})"))]


def _serve(connection: Connection, stop: Any, make: Maker) -> None:  # noqa: ANN401
    """Do jobs until the pipe closes; runs in the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    desk: Desk | None = None
    try:
        while True:
            number, fresh, content = connection.recv()
            if not fresh:
                continue  # news for a job that is over
            job, arguments, seconds = content
            try:
                desk = desk or Desk(connection, stop, make)
                desk.begin(number, seconds)
                result: object = job(desk, *arguments)
            except WhyproofError as error:
                result = Lost(str(error))
            except Exception as error:
                result = Lost(f"{type(error).__name__}: {error}")
            connection.send((number, True, result))
    except (EOFError, OSError):
        return


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

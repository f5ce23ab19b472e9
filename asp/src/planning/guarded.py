"""Planning in a child process that can be stopped at any moment.

Grounding cannot be interrupted from inside and may outgrow memory.  The child has a memory
limit of its own and is killed when its time is over; the answer then says so and names
what makes the world large.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from whyproof.engine.errors import InputError, ReplayError

from .plan import Plan, PlanStatus
from .planner import Planner
from .sizes import weights

__all__ = ["plan_guarded"]

_START = 20.0
"""Seconds that a child may take to start, beyond its budget."""

_GRACE = 1.0
"""Seconds beyond the budget in which a search may end by itself."""


def plan_guarded(
    planner: Planner,
    state: Mapping[str, object],
    *,
    seconds: float | None = None,
    memory: int | None = None,
) -> Plan:
    """Plan in a child process.

    Parameters
    ----------
    planner
        Must be picklable, its judge included.
    state
        Value by feature name.
    seconds
        Wall-clock limit; `None` for none.
    memory
        Bytes that the child may use beyond those it starts with; `None` for no limit.

    Returns
    -------
    Plan
        With status `STOPPED` if a limit was reached.

    Raises
    ------
    InputError
        As `Planner.plan` does.
    """
    values = planner.world.state(state)
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=_child, args=(theirs, planner, dict(values), memory), daemon=True
    )
    process.start()
    theirs.close()
    started = time.monotonic()
    try:
        # the clock starts when the child is ready, not while it imports
        if not mine.poll(_START) or mine.recv() != "ready":
            return _stopped(planner, values, "the planning process did not start")
        wait = None if seconds is None else seconds + _GRACE
        started = time.monotonic()
        if not mine.poll(wait):
            return _stopped(planner, values, f"it took longer than {seconds:g} s")
        answer = mine.recv()
    except EOFError:
        taken = time.monotonic() - started
        limit = "its memory" if memory is None else f"{memory / 2**20:.0f} MiB of memory"
        return _stopped(planner, values, f"it needed more than {limit} after {taken:.1f} s")
    finally:
        process.kill()
        process.join()
        mine.close()
    if isinstance(answer, Plan):
        return answer
    if isinstance(answer, tuple):
        raise ReplayError(*answer)
    if isinstance(answer, Exception):
        raise answer
    return _stopped(planner, values, str(answer))


def _child(
    pipe: Connection, planner: Planner, state: dict[str, object], memory: int | None
) -> None:
    try:
        if memory is not None:
            import resource

            limit = _data_bytes() + memory
            resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))
        pipe.send("ready")
        answer: object = planner.plan(state)
    except ReplayError as error:
        answer = (str(error), error.reproducer)
    except InputError as error:
        answer = error
    except MemoryError:
        answer = "it ran out of memory"
    except RuntimeError as error:
        # clingo reports a failed allocation as a plain runtime error
        answer = "it ran out of memory" if "alloc" in str(error) else error
    pipe.send(answer)
    pipe.close()


def _data_bytes() -> int:
    """Return what counts against the limit of data already."""
    import resource

    try:
        # The highest resident size would not do: a child takes over that of its parent.
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()


def _stopped(planner: Planner, values: Mapping[str, object], why: str) -> Plan:
    heaviest = weights(planner.world)[0]
    return Plan(
        PlanStatus.STOPPED,
        (),
        planner.world.state(values),
        f"{planner.world.rules().target}: {planner.world.goal.describe()}",
        complete=False,
        proof=f"the search was stopped: {why}; the largest part of the world is {heaviest}",
    )

"""Calls of SAT solvers that end when the budget does, and that Ctrl-C can end.

Most calls are over after a few conflicts, so small budgets of conflicts come first, each larger
than the one before as long as they take no time to speak of: a thread costs more than they do.
A call that takes longer goes on in slices of time: a timer interrupts the solver, which keeps
what it has learnt, Python gets to see signals, and the meter is asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, TypeAlias

from .budget import Meter

__all__ = ["solve_within"]

_Solver: TypeAlias = Any  # PySAT has no types

_CONFLICTS, _GROWTH = 100, 4
"""First budget of conflicts, and by how much the next is larger."""
_SHORT = 0.02
"""Seconds; what took less is tried again with a larger budget of conflicts."""
_SLICE = 0.2
"""Seconds between two looks at the budget."""


def solve_within(solver: _Solver, assumptions: Sequence[int], meter: Meter) -> bool | None:
    """Solve under assumptions as long as the budget lasts.

    Parameters
    ----------
    solver
        Of PySAT, one that can be interrupted: the MiniSat and Glucose families.
    assumptions
        Literals.
    meter
        Budget of the run.

    Returns
    -------
    bool or None
        Whether it is satisfiable; `None` if the budget ended before.

    Examples
    --------
    >>> from pysat.solvers import Solver
    >>> with Solver("glucose4", [[1, 2], [-1]]) as solver:
    ...     solve_within(solver, [-2], Meter()), solve_within(solver, [2], Meter())
    (False, True)
    """
    conflicts, took = _CONFLICTS, 0.0
    while took < _SHORT:
        if meter.exhausted() is not None:
            return None
        started = time.perf_counter()
        solver.conf_budget(conflicts)
        found = solver.solve_limited(assumptions=list(assumptions))
        if found is not None:
            return bool(found)
        took, conflicts = time.perf_counter() - started, conflicts * _GROWTH
    solver.conf_budget(-1)
    while meter.exhausted() is None:
        timer = threading.Timer(min(meter.remaining, _SLICE), solver.interrupt)
        timer.start()
        try:
            found = solver.solve_limited(assumptions=list(assumptions), expect_interrupt=True)
        finally:
            timer.cancel()
            timer.join()
            solver.clear_interrupt()
        if found is not None:
            return bool(found)
    return None

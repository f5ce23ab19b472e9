"""Calls of SAT solvers that end when the budget does, and that Ctrl-C can end.

Most calls are over after a few conflicts, so a small budget of conflicts comes first, which
costs nothing.  A call that takes longer goes on in slices of time: a timer interrupts the solver,
which keeps what it has learnt, Python gets to see signals, and the meter is asked.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, TypeAlias

from .budget import Meter

__all__ = ["solve_within"]

_Solver: TypeAlias = Any  # PySAT has no types

_CONFLICTS = 100
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
    if meter.exhausted() is not None:
        return None
    solver.conf_budget(_CONFLICTS)
    found = solver.solve_limited(assumptions=list(assumptions))
    if found is not None:
        return bool(found)
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

"""The solvers of nearest-counterfactual programs: HiGHS, CP-SAT, Gurobi; one form of answer.

HiGHS is always there, and best on most programs, which end at the root.  CP-SAT learns clauses
and closes the hard forests on which linear relaxations stay weak; it takes over from HiGHS
after `PATIENCE` seconds, because its process takes about a second to begin.  Gurobi is asked
alone.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from typing import Literal

import highspy
import numpy as np
import numpy.typing as npt

from whyproof.encodings.cpsat import check_cpsat, solve_with_cpsat
from whyproof.encodings.gurobi import checked_solver, solve_with_gurobi
from whyproof.engine.errors import InputError

__all__ = ["PATIENCE", "SOLVERS", "Outcome", "Solver", "processor_seconds", "solve", "solver_named"]

Solver = Literal["highs", "cpsat", "gurobi"]
"""Who solves the programs."""

SOLVERS: tuple[Solver, ...] = ("highs", "cpsat", "gurobi")

PATIENCE = 1.5
"""Seconds of HiGHS before CP-SAT takes over."""

_GAP = 1e-9
"""Absolute gap at which a solver stops; objectives are about one in size."""

_Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a solver found.

    Parameters
    ----------
    values
        One per variable; `None` if no point was found.
    bound
        No admissible point costs less, up to the solver's tolerance; infinite if there is none.
    finished
        Whether the solver ended by itself.
    nodes
        Of its search.
    """

    values: _Vector | None
    bound: float
    finished: bool
    nodes: int


def processor_seconds() -> float:
    """Return processor seconds of this process and of those that it started and that ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def solver_named(name: str) -> Solver:
    """Return a solver that is there.

    Raises
    ------
    InputError
        If no solver has this name.
    MissingExtraError
        If it is not installed.

    Examples
    --------
    >>> solver_named("highs")
    'highs'
    """
    for solver in SOLVERS:
        if solver == name:
            if solver == "cpsat":
                check_cpsat()
            else:
                checked_solver(solver)
            return solver
    raise InputError(f"no solver {name!r}; known are {', '.join(SOLVERS)}")


def solve(
    program: highspy.HighsLp,
    solver: Solver,
    *,
    start: _Vector | None = None,
    seconds: float = math.inf,
    exact_rows: bool = False,
    whole: int = 0,
) -> Outcome:
    """Minimise a program.

    Parameters
    ----------
    program
        Costs in units of about one.
    solver
        Who.
    start
        Values of the first variables, to start from.
    seconds
        Time limit.
    exact_rows
        Whether rows are to be met to a billionth, not a millionth.
    whole
        So many first variables are whole in some best solution.
    """
    if solver == "gurobi":
        found = _by_gurobi(program, seconds)
        if found is not None:
            return found
    if solver != "cpsat":
        return _by_highs(program, start, seconds, exact_rows=exact_rows)
    began = time.monotonic()
    first = _by_highs(program, start, min(seconds, PATIENCE), exact_rows=exact_rows)
    left = seconds - (time.monotonic() - began)
    if first.finished or left <= 0:
        return first
    answer = solve_with_cpsat(program, left, whole=whole)
    values = first.values if answer.values is None else answer.values
    bound = max(first.bound, answer.bound)
    return Outcome(values, bound, answer.proved, first.nodes + answer.branches)


def _by_highs(
    program: highspy.HighsLp, start: _Vector | None, seconds: float, *, exact_rows: bool
) -> Outcome:
    highs = highspy.Highs()
    highs.HandleKeyboardInterrupt = True
    options: dict[str, bool | int | float] = {
        "output_flag": False,
        "threads": 1,
        "mip_rel_gap": 0.0,
        "mip_abs_gap": _GAP,
    }
    if exact_rows:
        options |= {"mip_feasibility_tolerance": 1e-9, "primal_feasibility_tolerance": 1e-9}
    if math.isfinite(seconds):
        options["time_limit"] = max(seconds, 0.01)
    for option, value in options.items():
        highs.setOptionValue(option, value)
    highs.passModel(program)
    if start is not None:
        # The solver completes what depends on these.
        highs.setSolution(len(start), np.arange(len(start), dtype=np.int32), start)
    highs.run()
    info, status = highs.getInfo(), highs.getModelStatus()
    nodes = max(int(info.mip_node_count), 0)
    none = (
        highspy.HighsModelStatus.kInfeasible,
        highspy.HighsModelStatus.kUnboundedOrInfeasible,
    )
    if status in none:
        return Outcome(None, math.inf, True, nodes)
    finished = status == highspy.HighsModelStatus.kOptimal
    whole = highspy.HighsVarType.kInteger in list(program.integrality_)
    bound = float(info.mip_dual_bound)
    if not whole:
        bound = float(info.objective_function_value) if finished else -math.inf
    if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        return Outcome(None, bound, False, nodes)
    return Outcome(np.array(highs.getSolution().col_value), bound, finished, nodes)


def _by_gurobi(program: highspy.HighsLp, seconds: float) -> Outcome | None:
    """Ask Gurobi; `None` if its licence is too small, and HiGHS goes on."""
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.passModel(program)
    found = solve_with_gurobi(highs, seconds, gap=_GAP)
    if found is None:
        return None
    bound = math.inf if found.infeasible else found.bound
    return Outcome(found.values, bound, found.proved or found.infeasible, found.nodes)

"""Mixed-integer programs by Gurobi instead of HiGHS, when asked and licensed.

Programs are built with HiGHS everywhere; this reads one back as sparse arrays and gives it to
gurobipy.  The licence that comes with gurobipy stops at 2,000 variables: where a licence is
missing or too small, a warning says so once and `None` is returned, and the caller goes on
with HiGHS.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any, TypeAlias

import highspy
import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import InputError, MissingExtraError, WhyproofWarning

__all__ = ["MILP_SOLVERS", "GurobiSolution", "checked_solver", "solve_with_gurobi"]

MILP_SOLVERS = ("highs", "gurobi")
"""Solvers that can be asked for."""

_Untyped: TypeAlias = Any
"""Gurobi and HiGHS ship without annotations."""

_LICENCE = (10009, 10010)
"""Gurobi's error numbers: no licence; a model larger than the licence allows."""

_NONE = (3, 4)
"""Gurobi's status numbers: infeasible; infeasible or unbounded."""


@dataclass(frozen=True, eq=False)
class GurobiSolution:
    """What Gurobi found.

    Parameters
    ----------
    values
        One per variable; `None` if no point was found.
    objective
        Value of that point; minus or plus infinity, the worst there is, without one.
    bound
        No admissible point is better, up to the solver's tolerance.
    proved
        Whether the solver finished with a best point.
    infeasible
        Whether it finished without any point.
    nodes
        Of its search.
    """

    values: npt.NDArray[np.float64] | None
    objective: float
    bound: float
    proved: bool
    infeasible: bool = False
    nodes: int = 0


def checked_solver(name: str) -> str:
    """Return the name of a solver that is there.

    Raises
    ------
    InputError
        If no solver has this name.
    MissingExtraError
        If it is not installed.
    """
    if name not in MILP_SOLVERS:
        raise InputError(f"no MILP solver {name!r}; known are {', '.join(MILP_SOLVERS)}")
    if name == "gurobi":
        _gurobipy()
    return name


def solve_with_gurobi(
    highs: highspy.Highs, seconds: float = math.inf, *, gap: float = 1e-6
) -> GurobiSolution | None:
    """Solve a program that was built with HiGHS.

    Parameters
    ----------
    highs
        The program, with its objective.
    seconds
        Time limit.
    gap
        Absolute gap at which the search ends.

    Returns
    -------
    GurobiSolution or None
        `None` if the licence does not allow it, after a `WhyproofWarning` that says why.
    """
    gurobi = _gurobipy()
    try:
        with gurobi.Env(empty=True) as environment:
            environment.setParam("OutputFlag", 0)
            environment.start()
            with gurobi.Model(env=environment) as model:
                return _solved(gurobi, model, highs.getLp(), seconds, gap)
    except gurobi.GurobiError as error:
        if getattr(error, "errno", None) not in _LICENCE:
            raise
        warnings.warn(
            f"Gurobi's licence does not allow this program ({error}); HiGHS goes on",
            WhyproofWarning,
            stacklevel=2,
        )
        return None


def _solved(
    gurobi: _Untyped, model: _Untyped, program: _Untyped, seconds: float, gap: float
) -> GurobiSolution:
    model.setParam("Threads", 1)
    model.setParam("MIPGap", 0.0)
    model.setParam("MIPGapAbs", gap)
    if math.isfinite(seconds):
        model.setParam("TimeLimit", max(seconds, 0.01))
    whole = list(program.integrality_) or [highspy.HighsVarType.kContinuous] * program.num_col_
    variables = [
        model.addVar(
            lb=low,
            ub=high,
            vtype=gurobi.GRB.INTEGER
            if kind == highspy.HighsVarType.kInteger
            else gurobi.GRB.CONTINUOUS,
        )
        for low, high, kind in zip(program.col_lower_, program.col_upper_, whole, strict=True)
    ]
    for terms, low, high in zip(
        _rows(program), program.row_lower_, program.row_upper_, strict=True
    ):
        expression = gurobi.LinExpr([v for _, v in terms], [variables[i] for i, _ in terms])
        if low == high:
            model.addConstr(expression == low)
            continue
        if low > -math.inf:
            model.addConstr(expression >= low)
        if high < math.inf:
            model.addConstr(expression <= high)
    upwards = program.sense_ == highspy.ObjSense.kMaximize
    costs = gurobi.LinExpr(list(program.col_cost_), variables) + program.offset_
    model.setObjective(costs, gurobi.GRB.MAXIMIZE if upwards else gurobi.GRB.MINIMIZE)
    model.optimize()
    worst = -math.inf if upwards else math.inf
    found, none = model.SolCount > 0, model.Status in _NONE
    return GurobiSolution(
        np.array([variable.X for variable in variables]) if found else None,
        float(model.ObjVal) if found else worst,
        worst if none else float(model.ObjBound),
        model.Status == gurobi.GRB.OPTIMAL,
        none,
        int(getattr(model, "NodeCount", 0)),
    )


def _rows(program: _Untyped) -> list[list[tuple[int, float]]]:
    """Return column and factor of each term, row by row."""
    matrix = program.a_matrix_
    starts, index, value = list(matrix.start_), list(matrix.index_), list(matrix.value_)
    rows: list[list[tuple[int, float]]] = [[] for _ in range(program.num_row_)]
    by_row = matrix.format_ != highspy.MatrixFormat.kColwise
    for major in range(len(starts) - 1):
        for at in range(starts[major], starts[major + 1]):
            row, column = (major, index[at]) if by_row else (index[at], major)
            rows[row].append((column, value[at]))
    return rows


def _gurobipy() -> _Untyped:
    try:
        import gurobipy
    except ImportError as error:
        raise MissingExtraError("gurobipy", "gurobi", "solve programs by Gurobi") from error
    return gurobipy

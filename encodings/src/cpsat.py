"""Integer programs by CP-SAT of OR-Tools instead of HiGHS, when asked and installed.

Programs are built with HiGHS everywhere; this reads one and gives it to CP-SAT, which knows
whole numbers only.  Continuous variables move in 4 million steps, factors are scaled and rounded,
and rows become looser by what both can do at most, costs smaller.  So no point is lost: a
bound, or "there is none", holds for the program itself, and only a point may miss a row by the
rounding; the caller looks at points anyway.

No point is handed over to start from: with one, CP-SAT searched around it, and took ten times as
long on the hard forests.  It runs in a process of its own, see `whyproof.encodings.cpsat_worker`.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import highspy
import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import MissingExtraError, UnsupportedError, WhyproofError

__all__ = ["CpSatSolution", "check_cpsat", "solve_with_cpsat"]

_Untyped: TypeAlias = Any
"""HiGHS ships without annotations."""

_ROW_UNITS = 2**30
"""Whole-numbered size of the largest factor of a row."""

_COST_UNITS = 2**36
"""Whole-numbered size of the largest cost."""

_STEPS = 2**22
"""Steps into which the range of a continuous variable is cut."""

_FINE_UNITS = 2**50
"""Whole-numbered size of a row, and of the largest cost, with continuous variables."""

_GRACE = 30.0
"""Seconds after its own limit at which the process is ended."""


@dataclass(frozen=True, eq=False)
class CpSatSolution:
    """What CP-SAT found.

    Parameters
    ----------
    values
        One per variable; `None` if no point was found.
    objective
        Value of that point in the given program; infinite without one.
    bound
        No admissible point costs less; infinite if there is none.
    proved
        Whether the solver finished.
    branches
        Decisions that the search took.
    """

    values: npt.NDArray[np.float64] | None
    objective: float
    bound: float
    proved: bool
    branches: int = 0


def check_cpsat() -> None:
    """Raise `MissingExtraError` if OR-Tools is not installed."""
    if importlib.util.find_spec("ortools") is None:
        raise MissingExtraError("ortools", "cpsat", "solve programs by CP-SAT")


def solve_with_cpsat(
    program: highspy.HighsLp,
    seconds: float = math.inf,
    *,
    whole: int = 0,
) -> CpSatSolution:
    """Minimise a program of bounded variables.

    Parameters
    ----------
    program
        Its costs are minimised; every variable has finite bounds.
    seconds
        Time limit.
    whole
        So many first variables are whole in some best solution, whatever the program says.

    Raises
    ------
    UnsupportedError
        If a variable is unbounded.
    MissingExtraError
        If OR-Tools is not installed.
    """
    check_cpsat()
    given: _Untyped = program
    grid = _Grid.of(given, whole)
    asked, scale, loss = _written(given, grid)
    asked["seconds"] = max(seconds, 0.01) if math.isfinite(seconds) else None
    said = _run(asked, seconds)
    costs = np.asarray(given.col_cost_)
    offset = float(given.offset_) + float(costs @ grid.low)
    branches = int(said["branches"])
    if said["none"]:
        return CpSatSolution(None, math.inf, math.inf, True, branches)
    bound = float(said["bound"]) / scale + offset - loss
    if said["values"] is None:
        return CpSatSolution(None, math.inf, bound, False, branches)
    values = grid.low + grid.unit * np.array(said["values"], dtype=np.float64)
    objective = float(values @ costs) + float(given.offset_)
    return CpSatSolution(values, objective, bound, bool(said["proved"]), branches)


@dataclass(frozen=True, eq=False)
class _Grid:
    """Variables as numbers of steps: ``low + unit * step``, with steps from 0 to `most`."""

    low: npt.NDArray[np.float64]
    unit: npt.NDArray[np.float64]
    most: npt.NDArray[np.int64]
    whole: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, program: _Untyped, whole: int) -> _Grid:
        low, high = np.asarray(program.col_lower_), np.asarray(program.col_upper_)
        if not bool(np.isfinite(low).all() and np.isfinite(high).all()):
            raise UnsupportedError(
                "CP-SAT needs bounds for every variable, and this program has some without: give "
                "the columns bounds, or solve it by highs"
            )
        kinds = list(program.integrality_) or [highspy.HighsVarType.kContinuous] * len(low)
        integral = np.array([kind == highspy.HighsVarType.kInteger for kind in kinds], dtype=bool)
        integral[:whole] = True
        low = np.where(integral, np.ceil(low - 1e-9), low)
        high = np.where(integral, np.floor(high + 1e-9), high)
        unit = np.where(integral, 1.0, (high - low) / _STEPS)
        most = np.where(integral, high - low, np.where(high > low, _STEPS, 0))
        return cls(low, unit, most.astype(np.int64), integral)


def _written(program: _Untyped, grid: _Grid) -> tuple[dict[str, Any], float, float]:
    """Write a program in whole numbers; also the units of its costs, and what rounding loses."""
    costs = np.asarray(program.col_cost_) * grid.unit
    units = _COST_UNITS if bool(grid.whole[costs != 0].all()) else _FINE_UNITS
    scale = units / (float(np.abs(costs * np.maximum(grid.most, 1)).max(initial=0.0)) or 1.0)
    # A point between the steps is at most one step away, in each variable.
    loss = float(np.abs(costs[~grid.whole]).sum())
    return (
        {
            "low": [0] * len(costs),
            "high": grid.most.tolist(),
            "rows": _rows(program, grid),
            "costs": np.floor(costs * scale).astype(np.int64).tolist(),
        },
        scale,
        loss,
    )


def _rows(program: _Untyped, grid: _Grid) -> list[Sequence[object]]:
    """Return variables, factors and limits of each row, in whole numbers, not tighter."""
    matrix = program.a_matrix_
    if matrix.format_ == highspy.MatrixFormat.kColwise:
        raise UnsupportedError("CP-SAT reads programs that are stored row by row")
    starts = np.asarray(matrix.start_).tolist()
    columns, values = np.asarray(matrix.index_), np.asarray(matrix.value_)
    lower, upper = list(program.row_lower_), list(program.row_upper_)
    rows: list[Sequence[object]] = []
    for row, (a, b) in enumerate(itertools.pairwise(starts)):
        index = columns[a:b]
        factors = values[a:b] * grid.unit[index]
        constant = float(values[a:b] @ grid.low[index])
        most = grid.most[index]
        between = ~grid.whole[index]
        scale, loose = 1.0, 0
        if bool(between.any()):
            scale = _FINE_UNITS / (float(np.abs(factors * np.maximum(most, 1)).sum()) or 1.0)
        elif not bool((factors == np.round(factors)).all()):
            scale = _ROW_UNITS / float(np.abs(factors).max())
        whole = np.round(factors * scale).astype(np.int64)
        if scale != 1.0:
            rounding = float((np.abs(whole - factors * scale) * most).sum())
            loose = math.ceil(rounding + scale * float(np.abs(factors[between]).sum()) + 1e-6)
        # A little room for the solver's tolerance, then inwards: sums are whole numbers.
        least, last = None, None
        if lower[row] > -math.inf:
            least = math.ceil((lower[row] - constant) * scale - 1e-6) - loose
        if upper[row] < math.inf:
            last = math.floor((upper[row] - constant) * scale + 1e-6) + loose
        rows.append((index.tolist(), whole.tolist(), least, last))
    return rows


def _run(asked: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Run the process."""
    worker = Path(__file__).with_name("cpsat_worker.py")
    limit = seconds + _GRACE if math.isfinite(seconds) else None
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(worker)],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"none": False, "proved": False, "bound": 0.0, "branches": 0, "values": None}
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise WhyproofError(f"CP-SAT ended with code {done.returncode}: {last[0]}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said

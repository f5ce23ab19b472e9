"""Programs of nearest counterfactuals by CP-SAT and Gurobi: stand-ins, and the real ones if there.

OR-Tools and Gurobi are optional; what is sent to them and read back is tested with stand-ins, and
with the packages themselves where they are installed.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import subprocess
from types import SimpleNamespace
from typing import Any

import highspy
import numpy as np
import pytest
from random_ensembles import RunningModel

from whyproof.encodings import cpsat, cpsat_worker
from whyproof.encodings.cpsat import CpSatSolution, solve_with_cpsat
from whyproof.encodings.recourse import solvers
from whyproof.encodings.recourse.answer import NearestStatus
from whyproof.encodings.recourse.distance import NORMS, Distance
from whyproof.encodings.recourse.nearest import NearestSearch
from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.budget import Budget
from whyproof.engine.errors import (
    InputError,
    MissingExtraError,
    UnsupportedError,
    WhyproofError,
)
from whyproof.engine.region import Norm
from whyproof.engine.space import FeatureSpace

SPACE = FeatureSpace.of("abc")


def forest(seed: int, count: int = 6) -> RunningModel:
    draw = np.random.default_rng(seed)
    trees = tuple(
        Tree(
            np.array([draw.integers(3), -1, -1], dtype=np.int32),
            np.array([np.float32(draw.uniform(-1, 1)), np.nan, np.nan], dtype=np.float64),
            np.array([1, -1, -1], dtype=np.int32),
            np.array([2, -1, -1], dtype=np.int32),
            np.array([True, False, False]),
            draw.normal(size=(3, 1)),
        )
        for _ in range(count)
    )
    base = np.array([0.1])
    return RunningModel(TreeEnsemble(3, trees, base, DecisionRule.POSITIVE, ("no", "yes")))


def program(
    costs: list[float],
    rows: list[tuple[dict[int, float], float, float]],
    high: list[float],
    whole: list[bool],
    low: list[float] | None = None,
) -> highspy.HighsLp:
    made = highspy.HighsLp()
    n = len(costs)
    made.num_col_, made.num_row_ = n, len(rows)
    made.col_cost_ = np.array(costs)
    made.col_lower_ = np.array(low or [0.0] * n)
    made.col_upper_ = np.array(high)
    made.row_lower_ = np.array([a for _, a, _ in rows])
    made.row_upper_ = np.array([b for _, _, b in rows])
    matrix = made.a_matrix_
    matrix.format_ = highspy.MatrixFormat.kRowwise
    matrix.num_col_, matrix.num_row_ = n, len(rows)
    counts = [len(terms) for terms, _, _ in rows]
    matrix.start_ = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    matrix.index_ = np.array([v for terms, _, _ in rows for v in terms], dtype=np.int32)
    matrix.value_ = np.array([f for terms, _, _ in rows for f in terms.values()])
    kinds = highspy.HighsVarType
    made.integrality_ = [kinds.kInteger if w else kinds.kContinuous for w in whole]
    return made


def brute(asked: dict[str, Any]) -> dict[str, Any]:
    """Solve what the worker is sent by trying everything; small continuous grids are thinned."""
    options = [
        range(low, high + 1) if high - low < 50 else np.linspace(low, high, 65).astype(int).tolist()
        for low, high in zip(asked["low"], asked["high"], strict=True)
    ]
    best: tuple[int, tuple[int, ...]] | None = None
    for values in itertools.product(*options):
        sums = [
            (sum(f * values[i] for i, f in zip(index, factors, strict=True)), low, high)
            for index, factors, low, high in asked["rows"]
        ]
        if all((a is None or s >= a) and (b is None or s <= b) for s, a, b in sums):
            cost = sum(c * v for c, v in zip(asked["costs"], values, strict=True))
            if best is None or cost < best[0]:
                best = (cost, tuple(int(v) for v in values))
    return {
        "none": best is None,
        "proved": True,
        "bound": None if best is None else float(best[0]),
        "branches": 1,
        "values": None if best is None else list(best[1]),
    }


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Let the worker's process be plain enumeration; return what it was sent."""
    sent: list[dict[str, Any]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        asked = json.loads(options["input"])
        sent.append(asked)
        return subprocess.CompletedProcess(command, 0, json.dumps(brute(asked)), "")

    monkeypatch.setattr(cpsat, "check_cpsat", lambda: None)
    monkeypatch.setattr(solvers, "check_cpsat", lambda: None)
    monkeypatch.setattr(subprocess, "run", run)
    return sent


def test_rows_are_scaled_so_that_no_point_is_lost(stand_in: list[dict[str, Any]]) -> None:
    third = 1.0 / 3.0
    made = program(
        [0.3, 0.2, 0.1],
        [({0: third, 1: third, 2: third}, 2 * third, math.inf), ({0: 1, 2: 1}, -math.inf, 1.0)],
        [1.0] * 3,
        [True] * 3,
    )
    found = solve_with_cpsat(made)
    assert found.values is not None
    assert found.values.tolist() == [0.0, 1.0, 1.0]
    assert found.objective == pytest.approx(0.3)
    assert found.bound <= found.objective
    assert found.bound == pytest.approx(0.3, abs=1e-8)
    (asked,) = stand_in
    # Rows of whole numbers are sent as they are, others with room for the rounding.
    assert asked["rows"][1] == [[0, 2], [1, 1], None, 1]
    assert asked["rows"][0][2] < 2 * asked["rows"][0][1][0]


def test_continuous_variables_move_in_steps_and_the_bound_says_what_that_loses(
    stand_in: list[dict[str, Any]],
) -> None:
    made = program(
        [1.0, 0.5], [({0: 1.0, 1: -4.0}, -1.0, math.inf)], [3.0, 1.0], [False, True], [-1.0, 0.0]
    )
    found = solve_with_cpsat(made)
    assert found.values is not None
    assert found.values == pytest.approx([-1.0, 0.0], abs=1e-6)
    assert found.bound <= -1.0
    assert found.bound == pytest.approx(-1.0, abs=1e-5)
    assert stand_in[0]["high"][0] == 2**22


def test_first_variables_count_as_whole_when_asked(stand_in: list[dict[str, Any]]) -> None:
    made = program([1.0], [({0: 2.0}, 1.0, math.inf)], [1.0], [False])
    found = solve_with_cpsat(made, whole=1)
    assert found.values is not None
    assert found.values.tolist() == [1.0]
    assert stand_in[0]["high"] == [1]
    none = solve_with_cpsat(program([1.0], [({0: 1.0}, 2.0, 3.0)], [1.0], [True]))
    assert (none.values, none.bound, none.proved) == (None, math.inf, True)


def test_a_variable_without_bounds_is_refused(stand_in: list[dict[str, Any]]) -> None:
    with pytest.raises(UnsupportedError, match="bounds for every variable"):
        solve_with_cpsat(program([1.0], [], [math.inf], [True]))
    assert not stand_in


def test_a_worker_that_fails_is_an_error_and_one_that_hangs_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = program([1.0], [], [1.0], [True])
    monkeypatch.setattr(cpsat, "check_cpsat", lambda: None)

    def fails(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        del options
        return subprocess.CompletedProcess(command, 1, "", "ImportError: no ortools\n")

    monkeypatch.setattr(subprocess, "run", fails)
    with pytest.raises(WhyproofError, match="CP-SAT ended with code 1: ImportError"):
        solve_with_cpsat(made)

    def hangs(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", hangs)
    found = solve_with_cpsat(made, 0.1)
    assert (found.values, found.proved) == (None, False)


class Model:
    """What the worker uses of CP-SAT's model."""

    def __init__(self) -> None:
        self.made: list[Any] = []

    def new_int_var(self, low: int, high: int, name: str) -> tuple[int, int, str]:
        return (low, high, name)

    def add_linear_constraint(self, *row: Any) -> None:
        self.made.append(row)

    def add(self, row: Any) -> None:
        self.made.append(row)

    def minimize(self, costs: Any) -> None:
        self.made.append(("costs", costs))


class Sum:
    def __init__(self, variables: Any, factors: Any) -> None:
        self.told = (variables, factors)

    def __ge__(self, bound: int) -> tuple[str, int]:
        return (">=", bound)

    def __le__(self, bound: int) -> tuple[str, int]:
        return ("<=", bound)


def test_the_worker_poses_every_part() -> None:
    models: list[Model] = []
    chosen = SimpleNamespace()

    def model() -> Model:
        models.append(Model())
        return models[-1]

    cp = SimpleNamespace(
        CpModel=model,
        CpSolver=lambda: SimpleNamespace(
            parameters=chosen,
            solve=lambda _: 4,
            value=lambda variable: variable[0],
            best_objective_bound=2.0,
            num_branches=7,
        ),
        LinearExpr=SimpleNamespace(weighted_sum=Sum),
        OPTIMAL=4,
        FEASIBLE=2,
        INFEASIBLE=3,
    )
    asked = {
        "low": [0, 1],
        "high": [1, 2],
        "rows": [[[0, 1], [1, 1], 1, 2], [[0], [1], 0, None], [[1], [1], None, 2]],
        "costs": [0, 3],
        "seconds": 5.0,
    }
    said = cpsat_worker.answer(cp, asked)
    assert said == {"none": False, "proved": True, "bound": 2.0, "branches": 7, "values": [0, 1]}
    (made,) = models
    kinds = [row[0] if isinstance(row[0], str) else "row" for row in made.made]
    assert kinds == ["row", ">=", "<=", "costs"]
    assert (chosen.num_workers, chosen.max_time_in_seconds) == (1, 5.0)


def test_cpsat_takes_over_when_highs_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def unfinished(*_: object, **__: object) -> solvers.Outcome:
        return solvers.Outcome(np.array([1.0]), 0.25, False, 3)

    def finishes(given: object, seconds: float, *, whole: int) -> CpSatSolution:
        seen.extend([given, seconds, whole])
        return CpSatSolution(np.array([0.0]), 0.5, 0.5, True, 4)

    monkeypatch.setattr(solvers, "_by_highs", unfinished)
    monkeypatch.setattr(solvers, "solve_with_cpsat", finishes)
    made = program([1.0], [], [1.0], [True])
    found = solvers.solve(made, "cpsat", seconds=10.0, whole=1)
    assert (found.bound, found.finished, found.nodes) == (0.5, True, 7)
    assert seen[0] is made
    assert seen[2] == 1
    late = solvers.solve(made, "cpsat", seconds=0.0)
    assert not late.finished


def test_a_solver_that_is_not_there_is_said() -> None:
    with pytest.raises(InputError, match="no solver 'cplex'; known are highs, cpsat, gurobi"):
        NearestSearch([forest(0)], SPACE, solver="cplex")
    if importlib.util.find_spec("ortools") is None:
        with pytest.raises(MissingExtraError, match=r"pip install 'whyproof\[cpsat\]'"):
            NearestSearch([forest(0)], SPACE, solver="cpsat")
    if importlib.util.find_spec("gurobipy") is None:
        with pytest.raises(MissingExtraError, match=r"pip install 'whyproof\[gurobi\]'"):
            NearestSearch([forest(0)], SPACE, solver="gurobi")


@pytest.mark.parametrize("solver", ["cpsat", "gurobi"])
@pytest.mark.parametrize("norm", NORMS)
def test_the_real_solvers_agree_with_highs(
    solver: str, norm: Norm, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ortools" if solver == "cpsat" else "gurobipy")
    # CP-SAT from the start, as on programs on which HiGHS takes long.
    monkeypatch.setattr(solvers, "PATIENCE", 0.0)
    monkeypatch.setattr(
        solvers,
        "_by_highs",
        _first_unfinished(solvers._by_highs) if solver == "cpsat" else solvers._by_highs,  # pyright: ignore[reportPrivateUsage]
    )
    draw = np.random.default_rng(1)
    for seed in range(3):
        model, distance = forest(seed), Distance.of(SPACE, norm)
        row = draw.uniform(-1, 1, 3)
        other = NearestSearch([model], SPACE, distance=distance, solver=solver)
        found = other.nearest(row, budget=Budget(seconds=60.0))
        monkeypatch.undo()
        expected = NearestSearch([model], SPACE, distance=distance).nearest(row)
        assert found.status is expected.status
        if expected.status is not NearestStatus.NONE:
            assert found.distance == pytest.approx(expected.distance, abs=1e-9)


def _first_unfinished(highs: Any) -> Any:
    def run(*arguments: Any, **options: Any) -> solvers.Outcome:
        found: solvers.Outcome = highs(*arguments, **options)
        return solvers.Outcome(None, 0.0, False, found.nodes)

    return run

"""Gurobi as MILP solver: asked for by name, and left for HiGHS where its licence is too small.

The package is proprietary, so that a stand-in with the same few names is installed here.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import highspy
import numpy as np
import pytest
from hypothesis import given, settings
from random_ensembles import problems

from whyproof.encodings.gurobi import solve_with_gurobi
from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.encodings.trees.milp import TreeMilp, TreeMilpOracle
from whyproof.engine.answers import Answer
from whyproof.engine.budget import Budget
from whyproof.engine.errors import InputError, MissingExtraError, UnsupportedError, WhyproofWarning
from whyproof.engine.problem import ExplanationProblem

GRB = SimpleNamespace(INTEGER="I", CONTINUOUS="C", MAXIMIZE=-1, MINIMIZE=1, OPTIMAL=2)


class GurobiError(Exception):
    def __init__(self, errno: int, message: str) -> None:
        super().__init__(message)
        self.errno = errno


class Expression:
    def __init__(self, factors: list[float], variables: list[Any], constant: float = 0.0) -> None:
        self.terms = list(zip(factors, variables, strict=True))
        self.constant = constant

    def __add__(self, constant: float) -> Expression:
        made = Expression([], [], self.constant + constant)
        made.terms = self.terms
        return made

    def __eq__(self, other: object) -> Any:
        return (self, other, other)

    def __ge__(self, other: float) -> Any:
        return (self, other, np.inf)

    def __le__(self, other: float) -> Any:
        return (self, -np.inf, other)

    __hash__ = None  # type: ignore[assignment]


class Env:
    def __init__(self, empty: bool) -> None:
        assert empty

    def setParam(self, name: str, value: object) -> None: ...

    def start(self) -> None: ...

    def __enter__(self) -> Env:
        return self

    def __exit__(self, *_: object) -> None: ...


class Model:
    """Solves by HiGHS what it was told in Gurobi's terms."""

    limit = 2_000

    def __init__(self, env: Env) -> None:
        self.variables: list[SimpleNamespace] = []
        self.rows: list[tuple[Expression, float, float]] = []

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None: ...

    def setParam(self, name: str, value: object) -> None: ...

    def addVar(self, lb: float, ub: float, vtype: str) -> SimpleNamespace:
        self.variables.append(SimpleNamespace(lb=lb, ub=ub, kind=vtype, at=len(self.variables)))
        return self.variables[-1]

    def addConstr(self, row: tuple[Expression, float, float]) -> None:
        self.rows.append(row)

    def setObjective(self, expression: Expression, sense: int) -> None:
        self.objective, self.sense = expression, sense

    def optimize(self) -> None:
        if len(self.variables) > self.limit:
            raise GurobiError(10010, "Model too large for size-limited license")
        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        for variable in self.variables:
            highs.addVar(variable.lb, variable.ub)
            if variable.kind == "I":
                highs.changeColIntegrality(variable.at, highspy.HighsVarType.kInteger)
        for expression, low, high in self.rows:
            index = np.array([v.at for _, v in expression.terms], dtype=np.int32)
            value = np.array([f for f, _ in expression.terms])
            highs.addRow(low, high, len(index), index, value)
        for factor, variable in self.objective.terms:
            highs.changeColCost(variable.at, factor)
        upwards = self.sense == GRB.MAXIMIZE
        highs.changeObjectiveSense(
            highspy.ObjSense.kMaximize if upwards else highspy.ObjSense.kMinimize
        )
        highs.run()
        self.ObjVal = highs.getInfo().objective_function_value + self.objective.constant
        self.ObjBound, self.SolCount, self.Status = self.ObjVal, 1, GRB.OPTIMAL
        for variable, value in zip(self.variables, highs.getSolution().col_value, strict=True):
            variable.X = value


@pytest.fixture
def gurobi(monkeypatch: pytest.MonkeyPatch) -> type[Model]:
    module = ModuleType("gurobipy")
    for name, value in {
        "GRB": GRB,
        "GurobiError": GurobiError,
        "LinExpr": Expression,
        "Env": Env,
        "Model": Model,
    }.items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "gurobipy", module)
    monkeypatch.setattr(Model, "limit", 2_000)
    return Model


def answers(problem: ExplanationProblem, solver: str) -> list[type[Answer]]:
    structure = problem.classifier.structure
    program = TreeMilp(LeafBoxes.of(structure, problem.space), solver)
    oracle = TreeMilpOracle(problem, program)
    sets = [frozenset(range(k)) for k in range(problem.space.n_features + 1)]
    return [type(answer) for answer in oracle.decide(sets, Budget().start())]


def test_both_solvers_answer_alike(gurobi: type[Model]) -> None:
    @given(problems())
    @settings(max_examples=30, deadline=None)
    def alike(problem: ExplanationProblem) -> None:
        try:
            expected = answers(problem, "highs")
        except UnsupportedError:
            return
        assert answers(problem, "gurobi") == expected

    alike()


def test_a_small_licence_says_so_and_highs_goes_on(
    gurobi: type[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gurobi, "limit", 0)

    @given(problems())
    @settings(max_examples=10, deadline=None)
    def goes_on(problem: ExplanationProblem) -> None:
        try:
            expected = answers(problem, "highs")
        except UnsupportedError:
            return
        structure = problem.classifier.structure
        program = TreeMilp(LeafBoxes.of(structure, problem.space), "gurobi")
        if not len(program.boxes.trees):
            return
        with pytest.warns(WhyproofWarning, match="too large for size-limited.*HiGHS goes on"):
            program.maximise(
                program.boxes.values[:, 0],
                np.zeros_like(program.boxes.n_cells),
                program.boxes.n_cells,
            )
        assert program.solver == "highs"
        oracle = TreeMilpOracle(problem, program)
        sets = [frozenset(range(k)) for k in range(problem.space.n_features + 1)]
        assert [type(a) for a in oracle.decide(sets, Budget().start())] == expected

    goes_on()


def test_a_minimum_with_columns_in_place_of_rows(gurobi: type[Model]) -> None:
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    for _ in range(2):
        highs.addVar(0.0, 4.0)
    highs.changeColsCost(2, np.array([0, 1], dtype=np.int32), np.array([1.0, 2.0]))
    highs.addRow(3.0, np.inf, 2, np.array([0, 1], dtype=np.int32), np.array([1.0, 1.0]))
    highs.addRow(0.0, 1.0, 1, np.array([0], dtype=np.int32), np.array([1.0]))
    highs.run()  # HiGHS turns the matrix into columns
    found = solve_with_gurobi(highs)
    assert found is not None and found.values is not None
    assert found.values.tolist() == [1.0, 2.0]
    assert (found.objective, found.proved) == (5.0, True)


def test_other_errors_are_not_swallowed(
    gurobi: type[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Model) -> None:
        raise GurobiError(10001, "out of memory")

    monkeypatch.setattr(gurobi, "optimize", broken)
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.addVar(0.0, 1.0)
    with pytest.raises(GurobiError):
        solve_with_gurobi(highs)


def test_what_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gurobipy", None)

    @given(problems())
    @settings(max_examples=1, deadline=None)
    def named(problem: ExplanationProblem) -> None:
        boxes = LeafBoxes.of(problem.classifier.structure, problem.space)
        with pytest.raises(MissingExtraError, match="gurobi"):
            TreeMilp(boxes, "gurobi")
        with pytest.raises(InputError, match="known are highs, gurobi"):
            TreeMilp(boxes, "cplex")

    named()

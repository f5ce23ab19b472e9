"""Circuits: SAT, MILP and answer sets say what trying all cells says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_circuits import Running, problems, reachable_points

from whyproof.encodings.circuits.asp import CircuitAspOracle
from whyproof.encodings.circuits.builder import CircuitBuilder
from whyproof.encodings.circuits.circuit import Circuit, ColumnTest, Gate
from whyproof.encodings.circuits.exchange import CIRCUIT_FORMATS, circuit_text
from whyproof.encodings.circuits.milp import CircuitMilpOracle
from whyproof.encodings.circuits.oracle import CircuitOracle
from whyproof.encodings.drat import check_drat, refute
from whyproof.encodings.oracles import prepare_oracles
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown
from whyproof.engine.budget import Budget
from whyproof.engine.domain import Boolean
from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.errors import InputError, ModelError, UnsupportedError
from whyproof.engine.explanation import Kind
from whyproof.engine.oracle import Oracle
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import KeepMargin
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSet, FeatureSpace


def _free_sets(problem: ExplanationProblem) -> list[FeatureSet]:
    everything = range(problem.space.n_features)
    sizes = range(problem.space.n_features + 1)
    return [frozenset(s) for k in sizes for s in itertools.combinations(everything, k)]


def _check(problem: ExplanationProblem, free: FeatureSet, answer: Answer) -> None:
    can_change = bool(problem.changed(reachable_points(problem, free)).any())
    match answer:
        case Counterexample():
            assert can_change
            problem.replay(answer.point, free)
        case Entailed():
            assert not can_change
            assert not answer.core & free
            rest = problem.universe - answer.core
            assert not problem.changed(reachable_points(problem, rest)).any()
        case Unknown():
            raise AssertionError("nothing may stay unknown")


@given(problems())
@settings(max_examples=150, deadline=None)
def test_clauses_agree_with_brute_force(problem: ExplanationProblem) -> None:
    oracle = CircuitOracle(problem)
    free_sets = _free_sets(problem)
    for free, answer in zip(free_sets, oracle.decide(free_sets, Budget().start()), strict=True):
        _check(problem, free, answer)


@pytest.mark.parametrize("second", [CircuitMilpOracle, CircuitAspOracle])
def test_second_opinions_agree_with_brute_force(second: type[Oracle]) -> None:
    @given(problems())
    @settings(max_examples=40, deadline=None)
    def agrees(problem: ExplanationProblem) -> None:
        oracle: Oracle = second(problem)  # type: ignore[call-arg]
        free_sets = _free_sets(problem)[-6:]
        answers = oracle.decide(free_sets, Budget().start())
        for free, answer in zip(free_sets, answers, strict=True):
            _check(problem, free, answer)

    agrees()


@given(problems())
@settings(max_examples=20, deadline=None)
def test_every_core_has_a_proof_that_another_program_accepts(problem: ExplanationProblem) -> None:
    oracle = CircuitOracle(problem)
    for free in _free_sets(problem)[:3]:
        answer = oracle.decide([free], Budget().start())[0]
        if isinstance(answer, Entailed):
            fixed = [oracle.constraints.selectors[f] for f in answer.core]
            proof = refute(oracle.clauses, fixed)
            assert proof is not None
            assert check_drat(proof)


@given(
    st.lists(st.tuples(st.integers(-4, 4).filter(bool), st.integers(-3, 3)), max_size=6),
    st.integers(-4, 6),
)
@settings(max_examples=200, deadline=None)
def test_sums_of_repeated_and_negated_literals(parts: list[tuple[int, int]], bound: int) -> None:
    builder = CircuitBuilder(4)
    inputs = [builder.below(i, 0.5) for i in range(4)]
    literals = [inputs[abs(v) - 1] * (1 if v > 0 else -1) for v, _ in parts]
    output = builder.at_least(literals, bound, [w for _, w in parts])
    circuit = builder.build([-output, output], ("no", "yes"))
    points = np.array(list(itertools.product([0.0, 1.0], repeat=4)))
    for point, found in zip(points, circuit.predict(points), strict=True):
        total = sum(w for v, w in parts if (point[abs(v) - 1] < 0.5) == (v > 0))
        assert found == int(total >= bound)


def _all_true(n: int) -> ExplanationProblem:
    builder = CircuitBuilder(n)
    ones = [-builder.below(i, 0.5, missing=True) for i in range(n)]
    output = builder.at_least(ones, n // 2 + 1)
    circuit = builder.build([-output, output], ("minority", "majority"))
    names = [f"x{i}" for i in range(n)]
    space = FeatureSpace.of(names, dict.fromkeys(names, Boolean()))
    return ExplanationProblem(Running(circuit), space, np.ones(n))


def test_a_majority_of_seven_needs_any_four() -> None:
    problem = _all_true(7)
    found = enumerate_explanations(
        problem, prepare_oracles(problem.classifier.structure, problem.space)(problem)
    )
    axps = {e.members for e in found if e.kind is Kind.AXP}
    assert axps == {frozenset(s) for s in itertools.combinations(range(7), 4)}
    assert found.complete


@pytest.mark.parametrize("to", list(CIRCUIT_FORMATS))
def test_every_format_carries_a_key(to: str) -> None:
    text = circuit_text(_all_true(3), to)
    assert "fixed x1" in text
    assert "The model says majority" in text


def test_the_written_clauses_are_what_the_oracle_solves() -> None:
    problem = _all_true(5)
    from pysat.formula import CNF
    from pysat.solvers import Solver

    cnf = CNF(from_string=circuit_text(problem, "cnf"))
    selectors = CircuitOracle(problem).constraints.selectors
    with Solver(bootstrap_with=cnf.clauses) as solver:
        assert solver.solve(assumptions=[selectors[0], selectors[1]])
        assert not solver.solve(assumptions=[selectors[f] for f in range(3)])


def test_wrong_circuits_are_refused() -> None:
    with pytest.raises(ModelError, match="column 3"):
        Circuit(1, (ColumnTest(3, 0.0),), (), (1,), ("a",))
    with pytest.raises(ModelError, match="before"):
        Circuit(1, (), (Gate((5,), 1),), (1,), ("a",))
    with pytest.raises(ModelError, match="twice"):
        Circuit(1, (ColumnTest(0, 0.0),), (Gate((1, -1), 1),), (2,), ("a",))
    with pytest.raises(ModelError, match="winning"):
        Circuit(1, (), (), (), ("a",))


def test_what_cannot_be_asked_is_named() -> None:
    problem = _all_true(3)
    margin = ExplanationProblem(
        problem.classifier, problem.space, problem.instance, question=KeepMargin(0.5)
    )
    with pytest.raises(UnsupportedError, match="without a score"):
        CircuitOracle(margin)
    ball = ExplanationProblem(
        problem.classifier, problem.space, problem.instance, Region.ball(1.0, "l1")
    )
    with pytest.raises(UnsupportedError, match="l1"):
        CircuitOracle(ball)
    with pytest.raises(InputError, match="wcnf"):
        circuit_text(problem, "wcnf")


def test_a_spent_budget_is_unknown_not_no() -> None:
    meter = Budget(calls=1).start()
    meter.spend(1)
    for make in (CircuitOracle, CircuitMilpOracle, CircuitAspOracle):
        answer = make(_all_true(5)).decide([frozenset({0})], meter)[0]
        assert isinstance(answer, Unknown)


@pytest.mark.parametrize("make", [CircuitOracle, CircuitMilpOracle, CircuitAspOracle])
def test_two_tests_that_are_one_variable_both_count(make: type[CircuitOracle]) -> None:
    """Regression: where nothing is missing, two tests of one boundary are one variable."""
    builder = CircuitBuilder(2)
    one, two = builder.below(0, 0.5), builder.below(0, 0.5, missing=True)
    both = builder.at_least([one, two, builder.below(1, 0.5)], 2)
    circuit = builder.build([-both, both], ("no", "yes"))
    space = FeatureSpace.of("ab", {"a": Boolean(), "b": Boolean()})
    problem = ExplanationProblem(Running(circuit), space, np.zeros(2))
    for free in _free_sets(problem):
        _check(problem, free, make(problem).decide([free], Budget().start())[0])

"""Every family with every encoding keeps what `whyproof.testing` promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import random_circuits
import test_graphs
from hypothesis import given, settings
from hypothesis import strategies as st
from test_constrained_explanations import a_finite
from test_constrained_oracles import additive_problem, constrained, tree_problem

from whyproof.encodings.circuits.oracle import CircuitOracle
from whyproof.encodings.graphs.oracle import GraphOracle
from whyproof.encodings.graphs.single_tree import SingleTreeOracle
from whyproof.encodings.linear.oracle import AdditiveOracle
from whyproof.encodings.oracles import prepare_oracles, under_constraints
from whyproof.encodings.trees.asp_oracle import TreeAspOracle
from whyproof.encodings.trees.milp import TreeMilpOracle
from whyproof.encodings.trees.oracle import TreeOracle
from whyproof.encodings.trees.sat import TreeSatOracle
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown
from whyproof.engine.budget import Meter
from whyproof.engine.oracle import Oracle
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet
from whyproof.engine.toy import ToyOracle, toy
from whyproof.testing import ConformanceError, Subject, check_oracle, conformance_checks

MakeOracle = Callable[[ExplanationProblem], Oracle]


def without_constraints(problem: ExplanationProblem) -> ExplanationProblem:
    return replace(problem, space=replace(problem.space, constraints=()))


def best(problem: ExplanationProblem) -> Oracle:
    """What the explainer uses, constraints or not."""
    plain = replace(problem.space, constraints=())
    return under_constraints(problem, prepare_oracles(problem.classifier.structure, plain))


def encoded(encoding: str) -> MakeOracle:
    """What the explainer uses with an encoding, constraints or not."""

    def make(problem: ExplanationProblem) -> Oracle:
        plain = replace(problem.space, constraints=())
        structure = problem.classifier.structure
        return under_constraints(problem, prepare_oracles(structure, plain, encoding))

    return make


TREES: list[tuple[str, MakeOracle]] = [
    ("search", TreeOracle),
    ("clauses", TreeSatOracle),
    ("program", TreeMilpOracle),
    ("asp", TreeAspOracle),
    ("best", best),
]
CIRCUITS = ["search", "clauses", "program", "asp"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("name", "make"), TREES)
def test_tree_ensembles(name: str, make: MakeOracle, seed: int) -> None:
    problem = without_constraints(a_finite(tree_problem, 60_000 + 10 * seed))
    if name == "program" and problem.question.__class__.__name__ == "ReachClass":
        pytest.skip("the program knows one rival at a time")
    # The program cannot tell a tie from a rounding error.
    check_oracle(Subject(problem, make, complete=name != "program"))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", [AdditiveOracle, best])
def test_additive_models(make: MakeOracle, seed: int) -> None:
    check_oracle(Subject(without_constraints(a_finite(additive_problem, 61_000 + 10 * seed)), make))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", [tree_problem, additive_problem])
def test_families_under_constraints(family: object, seed: int) -> None:
    check_oracle(Subject(a_finite(family, 62_000 + 10 * seed), best))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("encoding", ["clauses", "program", "asp"])
def test_encodings_of_trees_respect_constraints(encoding: str, seed: int) -> None:
    problem = a_finite(tree_problem, 63_000 + 10 * seed)
    if encoding == "program" and problem.question.__class__.__name__ == "ReachClass":
        pytest.skip("the program knows one rival at a time")
    check_oracle(Subject(problem, encoded(encoding), complete=encoding != "program"))


@pytest.mark.parametrize("encoding", CIRCUITS)
@settings(max_examples=8, deadline=None)
@given(st.data())
def test_circuits(encoding: str, data: st.DataObject) -> None:
    check_oracle(Subject(data.draw(random_circuits.problems()), encoded(encoding)))


@pytest.mark.slow
@pytest.mark.parametrize("encoding", CIRCUITS)
@settings(max_examples=8, deadline=None)
@given(st.data())
def test_circuits_under_constraints(encoding: str, data: st.DataObject) -> None:
    problem = data.draw(constrained(random_circuits.problems()))
    check_oracle(Subject(problem, encoded(encoding)))


@pytest.mark.parametrize("encoding", CIRCUITS)
@settings(max_examples=8, deadline=None)
@given(st.data())
def test_graphs_by_every_encoding(encoding: str, data: st.DataObject) -> None:
    check_oracle(Subject(data.draw(test_graphs.problems()), encoded(encoding)))


@pytest.mark.slow
@pytest.mark.parametrize("encoding", CIRCUITS)
@settings(max_examples=8, deadline=None)
@given(st.data())
def test_graphs_under_constraints(encoding: str, data: st.DataObject) -> None:
    problem = data.draw(constrained(test_graphs.problems()))
    check_oracle(Subject(problem, encoded(encoding)))


@settings(max_examples=12, deadline=None)
@given(random_circuits.problems())
def test_circuits_by_clauses(problem: ExplanationProblem) -> None:
    check_oracle(Subject(problem, CircuitOracle))


@settings(max_examples=12, deadline=None)
@given(test_graphs.problems())
def test_graphs_by_reachability(problem: ExplanationProblem) -> None:
    check_oracle(Subject(problem, GraphOracle))


@settings(max_examples=12)
@given(test_graphs.tree_problems())
def test_single_trees(problem: ExplanationProblem) -> None:
    check_oracle(Subject(problem, SingleTreeOracle))


class Broken(ToyOracle):
    """An oracle of the toy that lies in one way."""

    def __init__(self, problem: ExplanationProblem, how: str) -> None:
        super().__init__(problem.classifier)  # type: ignore[arg-type]
        self.how, self.problem = how, problem

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        answers = super().decide(free_sets, meter)
        if self.how == "short":
            return answers[: max(1, len(answers) - 1)]
        return [self._lie(free, answer) for free, answer in zip(free_sets, answers, strict=True)]

    def _lie(self, free: FeatureSet, answer: Answer) -> Answer:
        match self.how, answer:
            case "entails all", _:
                return Entailed(self.problem.universe - free)
            case "small core", Entailed():
                return Entailed(frozenset())
            case "core meets free", Entailed() if free:
                return Entailed(free)
            case "bad point", Counterexample():
                return Counterexample(np.zeros(4), free, 1.0)
            case "wrong moves", Counterexample():
                return Counterexample(answer.point, self.problem.universe, 1.0)
            case "wrong outcome", Counterexample():
                return Counterexample(answer.point, answer.moved, 0.0)
            case "gives up", Entailed():
                return Unknown("incomplete")  # type: ignore[arg-type]
            case "not monotone", Counterexample() if free == self.problem.universe:
                return Entailed(frozenset())
            case "eager", Entailed() if not free:
                return Counterexample(np.ones(4), frozenset(), 1.0)
            case _:
                return answer


@pytest.mark.parametrize(
    "how",
    [
        "entails all",
        "small core",
        "core meets free",
        "bad point",
        "wrong moves",
        "wrong outcome",
        "gives up",
        "not monotone",
        "eager",
        "short",
    ],
)
def test_every_kind_of_lie_is_caught(how: str) -> None:
    problem, _ = toy(4, [{0, 1}, {2}])
    with pytest.raises(ConformanceError):
        check_oracle(Subject(problem, lambda asked: Broken(asked, how)))


def test_checks_have_names() -> None:
    assert len({str(check) for check in conformance_checks()}) == len(conformance_checks())

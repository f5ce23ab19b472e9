"""Decision graphs and single trees: reachability says what trying all cells says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_circuits import Running, reachable_points, some_values, spaces
from random_ensembles import RunningModel, admissible, every_point, questions, regions, trees
from random_ensembles import spaces as tree_spaces

from whyproof.encodings.circuits.circuit import ColumnTest
from whyproof.encodings.circuits.oracle import CircuitOracle
from whyproof.encodings.graphs.graph import DecisionGraph, GraphNode, graph_circuit
from whyproof.encodings.graphs.oracle import GraphOracle
from whyproof.encodings.graphs.single_tree import SingleTreeOracle
from whyproof.encodings.oracles import prepare_oracles
from whyproof.encodings.trees.ensemble import DecisionRule, TreeEnsemble
from whyproof.encodings.trees.oracle import TreeOracle
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown
from whyproof.engine.budget import Budget
from whyproof.engine.domain import Categories
from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.errors import ModelError, UnsupportedError
from whyproof.engine.explanation import Kind
from whyproof.engine.hitting.smallest import smallest_explanation
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, KeepMargin, Question, ReachClass
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSet, FeatureSpace


@st.composite
def graphs(draw: st.DrawFn, space: FeatureSpace) -> DecisionGraph:
    """Draw a graph whose nodes lead to later ones only, shared and with repeated columns."""
    inner, ends = draw(st.integers(0, 8)), draw(st.integers(2, 3))
    nodes: list[GraphNode] = []
    total = inner + ends
    for k in range(inner):
        column = draw(st.integers(0, space.n_columns - 1))
        missing = draw(st.booleans())
        if isinstance(space.columns[column].domain, Categories) and draw(st.booleans()):
            codes = frozenset(draw(st.sets(st.integers(0, 3))))
            test = ColumnTest(column, float("nan"), codes, missing)
        else:
            boundary = draw(st.sampled_from([-1.0, 0.0, 0.5, 1.0, np.inf, -np.inf]))
            test = ColumnTest(column, boundary, None, missing)
        later = st.integers(k + 1, total - 1)
        nodes.append(GraphNode(test, draw(later), draw(later)))
    nodes += [GraphNode(outcome=k) for k in range(ends)]
    return DecisionGraph(space.n_columns, tuple(nodes), tuple("ABC"[:ends]))


@st.composite
def problems(draw: st.DrawFn) -> ExplanationProblem:
    space = draw(spaces())
    running = Running(draw(graphs(space)))  # type: ignore[arg-type]
    instance = np.array([draw(st.sampled_from(some_values(c.domain))) for c in space.columns])
    prediction = int(running.predict(instance[None])[0])
    others = [k for k in range(len(running.classes)) if k != prediction]
    question: Question = AnyOther()
    if draw(st.integers(0, 2)) == 0:
        question = ReachClass(draw(st.sampled_from(others)))
    region = Region.everywhere()
    if draw(st.integers(0, 2)) == 0:
        region = Region.ball(draw(st.sampled_from([0.25, 1.0])))
    return ExplanationProblem(running, space, instance, region, question)


@st.composite
def tree_problems(draw: st.DrawFn) -> ExplanationProblem:
    space = draw(tree_spaces())
    rule = draw(st.sampled_from(list(DecisionRule)))
    outputs = draw(st.integers(2, 4)) if rule is DecisionRule.ARGMAX else 1
    classes = {DecisionRule.VALUE: 0, DecisionRule.ARGMAX: outputs}.get(rule, 2)
    tree = TreeEnsemble(
        space.n_columns,
        (draw(trees(space, outputs, draw(st.booleans()))),),
        np.array([draw(st.sampled_from([0.0, 0.5, -0.1])) for _ in range(outputs)]),
        rule,
        tuple("ABCD"[:classes]),
        divisor=draw(st.sampled_from([1, 1, 3])),
    )
    model = RunningModel(tree, False)
    instance = np.array([draw(st.sampled_from(admissible(c.domain))) for c in space.columns])
    prediction = float(model.predict(instance[None])[0])
    question = draw(questions(model, prediction))
    assume(not question.changed(model, instance[None], prediction)[0])
    return ExplanationProblem(model, space, instance, draw(regions(space, instance)), question)


def _free_sets(problem: ExplanationProblem) -> list[FeatureSet]:
    n = problem.space.n_features
    return [frozenset(s) for k in range(n + 1) for s in itertools.combinations(range(n), k)]


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
@settings(max_examples=120, deadline=None)
def test_graphs_agree_with_brute_force(problem: ExplanationProblem) -> None:
    oracle = GraphOracle(problem)
    free_sets = _free_sets(problem)
    for free, answer in zip(free_sets, oracle.decide(free_sets, Budget().start()), strict=True):
        _check(problem, free, answer)


@given(problems())
@settings(max_examples=40, deadline=None)
def test_graphs_agree_with_their_circuits(problem: ExplanationProblem) -> None:
    graph = problem.classifier.structure
    assert isinstance(graph, DecisionGraph)
    circuit = Running(graph_circuit(graph))
    points = reachable_points(problem, problem.universe)
    assert (circuit.predict(points) == graph.predict(points)).all()
    again = ExplanationProblem(
        circuit, problem.space, problem.instance, problem.region, problem.question
    )
    free_sets = _free_sets(problem)
    one = GraphOracle(problem).decide(free_sets, Budget().start())
    two = CircuitOracle(again).decide(free_sets, Budget().start())
    assert [type(a) for a in one] == [type(a) for a in two]


@given(tree_problems())
@settings(max_examples=100, deadline=None)
def test_a_tree_agrees_with_brute_force(problem: ExplanationProblem) -> None:
    oracle = SingleTreeOracle(problem)
    free_sets = _free_sets(problem)
    for free, answer in zip(free_sets, oracle.decide(free_sets, Budget().start()), strict=True):
        changed = problem.changed(every_point(problem, free))
        if isinstance(answer, Counterexample):
            assert changed.any()
            problem.replay(answer.point, free)
        else:
            assert isinstance(answer, Entailed) and not changed.any()
            rest = problem.universe - answer.core
            assert not answer.core & free
            assert not problem.changed(every_point(problem, rest)).any()


@given(tree_problems())
@settings(max_examples=40, deadline=None)
def test_a_tree_guarantees_the_margin_that_the_search_finds(problem: ExplanationProblem) -> None:
    for free in _free_sets(problem):
        one = SingleTreeOracle(problem).guaranteed_margin(free, Budget().start())
        two = TreeOracle(problem).guaranteed_margin(free, Budget().start())
        assert abs((one or 0.0) - (two or 0.0)) < 1e-9


@given(tree_problems())
@settings(max_examples=40, deadline=None)
def test_all_contrastive_explanations_in_closed_form(problem: ExplanationProblem) -> None:
    oracle = SingleTreeOracle(problem)
    found = enumerate_explanations(problem, oracle)
    cxps = {e.members for e in found if e.kind is Kind.CXP}
    assert cxps == set(oracle.contrastive)
    least = smallest_explanation(problem, oracle, Kind.CXP)
    if not cxps:
        assert least is None
    else:
        assert least is not None and least.explanation is not None and least.proved
        assert len(least.explanation) == min(map(len, cxps))


def test_a_diagram_that_shares_nodes() -> None:
    """Parity of four inputs has 2n - 1 nodes as a diagram; every explanation is all of them."""
    names = [f"x{i}" for i in range(4)]
    nodes = []
    for i in range(4):
        for even in (0, 1):
            same, other = 2 * (i + 1) + even, 2 * (i + 1) + 1 - even
            nodes.append(GraphNode(ColumnTest(i, 0.5), same, other))
    nodes += [GraphNode(outcome=0), GraphNode(outcome=1)]
    graph = DecisionGraph(4, tuple(nodes), ("even", "odd"))
    problem = ExplanationProblem(
        Running(graph),  # type: ignore[arg-type]
        FeatureSpace.of(names),
        np.ones(4),
    )
    found = list(enumerate_explanations(problem, prepare_oracles(graph, problem.space)(problem)))
    assert [e.members for e in found if e.kind is Kind.AXP] == [frozenset(range(4))]
    assert sum(e.kind is Kind.CXP for e in found) == 4


def test_wrong_graphs_are_refused() -> None:
    end, test = GraphNode(outcome=0), ColumnTest(0, 0.0)
    with pytest.raises(ModelError, match="circle"):
        DecisionGraph(1, (GraphNode(test, 1, 2), GraphNode(test, 0, 2), end), ("a",))
    with pytest.raises(ModelError, match="circle"):
        DecisionGraph(1, (GraphNode(test, 0, 1), end), ("a",))
    with pytest.raises(ModelError, match="does not exist"):
        DecisionGraph(1, (GraphNode(test, 7, 1), end), ("a",))
    with pytest.raises(ModelError, match="class that does not"):
        DecisionGraph(1, (GraphNode(outcome=3),), ("a",))
    with pytest.raises(ModelError, match="column 4"):
        DecisionGraph(1, (GraphNode(ColumnTest(4, 0.0), 1, 1), end), ("a",))


def test_what_cannot_be_asked_is_named() -> None:
    graph = DecisionGraph(1, (GraphNode(outcome=0), GraphNode(outcome=1)), ("a", "b"))
    space = FeatureSpace.of("x")
    running = Running(graph)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match="without a score"):
        GraphOracle(ExplanationProblem(running, space, np.zeros(1), question=KeepMargin(0.5)))
    with pytest.raises(UnsupportedError, match="l2"):
        GraphOracle(ExplanationProblem(running, space, np.zeros(1), Region.ball(1.0, "l2")))
    with pytest.raises(UnsupportedError, match="one decision tree"):
        SingleTreeOracle(ExplanationProblem(running, space, np.zeros(1)))

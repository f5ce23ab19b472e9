"""Oracles under constraints: every answer against brute force over a rich grid of points.

A counterexample is checked by replay alone; a proof is refuted by any admissible point of
the grid that changes the decision; unknown is no answer where an exact oracle is at work.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import random_circuits
import random_ensembles
import test_graphs
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_additive import RunningAdditive
from random_constraints import Dice, constraints, telling_values

from whyproof.encodings.constraints.oracle import ConstrainedOracle
from whyproof.encodings.linear.additive import AdditiveModel, ColumnTerm
from whyproof.encodings.oracles import prepare_oracles, under_constraints
from whyproof.encodings.trees.constrained import ConstrainedTreeOracle
from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.encodings.trees.oracle import TreeOracle
from whyproof.engine.answers import Counterexample, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.domain import Boolean, Domain, Integers, Real
from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, LeaveInterval, Question, ReachClass
from whyproof.engine.region import Region
from whyproof.engine.space import Column, FeatureSet, FeatureSpace, Points


@st.composite
def constrained(
    draw: st.DrawFn, plain: st.SearchStrategy[ExplanationProblem]
) -> ExplanationProblem:
    problem = draw(plain)
    rules = draw(constraints(problem.space, problem.instance))
    return replace(problem, space=replace(problem.space, constraints=rules))


def grid(problem: ExplanationProblem, free: FeatureSet, extra: list[float], most: int) -> Points:
    """Admissible points of a grid in which only `free` moves."""
    low, high = problem.limits
    values: list[list[float]] = []
    for i, column in enumerate(problem.space.columns):
        options = [float(problem.instance[i])]
        if int(problem.space.owner[i]) in free & problem.universe:
            wanted = [
                *telling_values(column.domain.is_discrete, column.domain.nullable),
                *extra,
                float(low[i]),
                float(high[i]),
            ]
            options += [
                v for v in dict.fromkeys(wanted) if column.domain.contains(v) and not math.isinf(v)
            ]
        values.append(options)
    points = np.array(list(itertools.islice(itertools.product(*values), most)))
    inside = [problem.region.contains(problem.space, problem.instance, p) for p in points]
    points = points[inside]
    for rule in problem.constraints:
        points = points[rule.holds(points)]
    return points


def check(
    problem: ExplanationProblem, oracle: object, free: FeatureSet, extra: list[float]
) -> None:
    (answer,) = oracle.decide([free], Meter())  # type: ignore[attr-defined]
    if isinstance(answer, Counterexample):
        problem.replay(answer.point, free)
        assert answer.moved == problem.space.moved(problem.instance, answer.point)
        return
    if isinstance(answer, Unknown):
        return
    points = grid(problem, problem.universe - answer.core, extra, 4_000)
    if len(points):
        assert not problem.changed(points).any(), (answer, points[problem.changed(points)][0])


def tree_problem(seed: int) -> ExplanationProblem:
    """A problem about some deep trees over a few columns, with constraints that bite."""
    dice = Dice(seed)
    rng, n = dice.rng, int(dice.rng.integers(2, 5))
    kinds: list[Domain] = [
        Real(),
        Real(True),
        Integers(False, -2, 3),
        Boolean(),
        Real(False, -2, 3),
    ]
    columns = tuple(Column(f"x{i}", kinds[int(rng.integers(len(kinds)))]) for i in range(n))
    space = FeatureSpace(columns)
    rule = list(DecisionRule)[int(rng.integers(4))]
    outputs = int(rng.integers(2, 5)) if rule is DecisionRule.ARGMAX else 1
    trees = tuple(_tree(dice, n, outputs) for _ in range(int(rng.integers(1, 5))))
    names = tuple("ABCD"[: {DecisionRule.VALUE: 0, DecisionRule.ARGMAX: outputs}.get(rule, 2)])
    model = random_ensembles.RunningModel(TreeEnsemble(n, trees, np.zeros(outputs), rule, names))
    instance = np.array([dice.one_of(random_ensembles.admissible(c.domain)) for c in columns])
    rules = dice.constraints(space, instance, int(rng.integers(1, 4)))
    outcome = float(model.predict(instance[None])[0])
    question: Question = LeaveInterval(outcome - 0.2, outcome + 0.2) if not names else AnyOther()
    if outputs > 2 and rng.random() < 0.4:
        question = ReachClass(int(outcome + 1) % outputs)
    region = Region.ball(1.5) if rng.random() < 0.25 else Region.everywhere()
    return ExplanationProblem(model, replace(space, constraints=rules), instance, region, question)


def _tree(dice: Dice, n: int, outputs: int) -> Tree:
    """A complete tree of depth three."""
    rng = dice.rng
    column, boundary = np.full(15, -1, dtype=np.int32), np.full(15, math.nan)
    left, right = np.full(15, -1, dtype=np.int32), np.full(15, -1, dtype=np.int32)
    for node in range(7):
        column[node] = int(rng.integers(n))
        boundary[node] = dice.one_of([-1.0, 0.0, 0.5, 1.0, 2.0])
        left[node], right[node] = 2 * node + 1, 2 * node + 2
    values = rng.integers(-4, 5, (15, outputs)) / 4.0
    values[:7] = 0.0
    return Tree(column, boundary, left, right, rng.random(15) < 0.5, values)


@settings(max_examples=25)
@given(constrained(random_ensembles.problems()), st.data())
def test_odd_trees_under_constraints_agree_with_brute_force(
    problem: ExplanationProblem, data: st.DataObject
) -> None:
    free = data.draw(st.frozensets(st.sampled_from(range(problem.space.n_features))))
    check_trees(problem, [free], data.draw(st.sampled_from([None, *Kind])))


@pytest.mark.parametrize("seed", range(40))
def test_trees_under_constraints_agree_with_brute_force(seed: int) -> None:
    problem = tree_problem(seed)
    n = problem.space.n_features
    sets = [frozenset(c) for k in range(1, n + 1) for c in itertools.combinations(range(n), k)]
    check_trees(problem, sets[-6:], [None, *Kind][seed % 3])


def check_trees(
    problem: ExplanationProblem, free_sets: list[FeatureSet], focus: Kind | None
) -> None:
    oracle = ConstrainedTreeOracle(problem)
    oracle.focus = focus
    for free in free_sets:
        (answer,) = oracle.decide([free], Meter())
        assert not isinstance(answer, Unknown), answer
        check(problem, oracle, free, [])
        plain = TreeOracle(problem)
        (without,) = plain.decide([free], Meter())
        if isinstance(answer, Counterexample):
            assert isinstance(without, Counterexample)
        check(problem, ConstrainedOracle(problem, plain), free, [])


def additive_problem(seed: int) -> ExplanationProblem:
    """A problem about an additive model: lines, tables, steps and parabolas."""
    dice = Dice(seed)
    rng, n = dice.rng, int(dice.rng.integers(2, 5))
    bounded = bool(rng.integers(2))
    kinds: list[Domain] = [Integers(False, -2, 3), Boolean(), Real(False, -2, 3)]
    kinds += [] if bounded else [Real()]
    columns = tuple(Column(f"x{i}", kinds[int(rng.integers(len(kinds)))]) for i in range(n))
    space = FeatureSpace(columns)
    rule = list(DecisionRule)[int(rng.integers(4))]
    outputs = int(rng.integers(2, 5)) if rule is DecisionRule.ARGMAX else 1
    terms = tuple(_term(dice, i, outputs) for i in range(n))
    names = tuple("ABCD"[: {DecisionRule.VALUE: 0, DecisionRule.ARGMAX: outputs}.get(rule, 2)])
    model = RunningAdditive(AdditiveModel(n, terms, rng.normal(size=outputs), rule, names))
    instance = np.array(
        [float(rng.integers(0, 2)) if c.domain.is_discrete else rng.uniform(-1, 1) for c in columns]
    )
    rules = dice.constraints(space, instance, int(rng.integers(1, 4)))
    outcome = float(model.predict(instance[None])[0])
    question: Question = LeaveInterval(outcome - 0.2, outcome + 0.2) if not names else AnyOther()
    if outputs > 2 and rng.random() < 0.4:
        question = ReachClass(int(outcome + 1) % outputs)
    region = Region.ball(1.5) if rng.random() < 0.25 else Region.everywhere()
    return ExplanationProblem(model, replace(space, constraints=rules), instance, region, question)


def _term(dice: Dice, column: int, outputs: int) -> ColumnTerm:
    rng, kind = dice.rng, int(dice.rng.integers(4))
    if kind < 2:
        return ColumnTerm.linear(column, rng.normal(size=outputs))
    lower, upper = np.array([-np.inf, 0.5]), np.array([math.nextafter(0.5, 0.0), np.inf])
    coefficients = np.zeros((2, outputs, 3))
    coefficients[:, :, 0] = rng.normal(size=(2, outputs))
    if kind == 3:
        coefficients[1] = coefficients[0] = rng.normal(size=(outputs, 3))
    return ColumnTerm(column, lower, upper, coefficients, float(rng.uniform(-1, 1)))


@pytest.mark.parametrize("seed", range(60))
def test_additive_models_under_constraints_agree_with_brute_force(seed: int) -> None:
    problem = additive_problem(seed)
    n = problem.space.n_features
    oracle = prepare_oracles(problem.classifier.structure, problem.space)(problem)
    sets = [frozenset(c) for k in range(1, n + 1) for c in itertools.combinations(range(n), k)]
    for free in sets[-5:]:
        (answer,) = oracle.decide([free], Meter())
        if isinstance(answer, Unknown):
            # Without bounds a score may grow where no line lies above it.
            assert answer.reason is UnknownReason.PRECISION
            assert any(math.isinf(c.domain.bounds[1]) for c in problem.space.columns)
        check(problem, oracle, free, np.linspace(-2, 3, 9).tolist())


def biting(draw: st.DrawFn, problem: ExplanationProblem) -> ExplanationProblem:
    assume(problem.space.n_columns > 1)
    dice = Dice(draw(st.integers(0, 2**32 - 1)))
    rules = dice.constraints(problem.space, problem.instance, draw(st.integers(1, 3)))
    return replace(problem, space=replace(problem.space, constraints=rules))


@st.composite
def circuit_or_graph(draw: st.DrawFn) -> ExplanationProblem:
    kind = st.sampled_from([random_circuits.problems(), test_graphs.problems()])
    return biting(draw, draw(draw(kind)))


@settings(max_examples=35)
@given(circuit_or_graph(), st.data())
def test_circuits_and_graphs_under_constraints_agree_with_brute_force(
    problem: ExplanationProblem, data: st.DataObject
) -> None:
    oracle = prepare_oracles(problem.classifier.structure, problem.space)(problem)
    for _ in range(3):
        free = data.draw(st.frozensets(st.sampled_from(range(problem.space.n_features))))
        (answer,) = oracle.decide([free], Meter())
        assert not isinstance(answer, Unknown), answer
        check(problem, oracle, free, [])


@settings(max_examples=30)
@given(test_graphs.tree_problems(), st.data())
def test_single_trees_under_constraints_agree_with_brute_force(
    problem: ExplanationProblem, data: st.DataObject
) -> None:
    problem = data.draw(st.composite(biting)(problem))
    plain = prepare_oracles(problem.classifier.structure, replace(problem.space, constraints=()))
    oracle = under_constraints(problem, plain)
    free = problem.universe
    (answer,) = oracle.decide([free], Meter())
    assert not isinstance(answer, Unknown), answer
    check(problem, oracle, free, [])

"""Linear rules decide only what is true, and searches with them find the same explanations."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from whyproof.engine.answers import Answer, Counterexample, Entailed
from whyproof.engine.budget import Meter
from whyproof.engine.domain import Boolean
from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.enumeration.map_solver import MapSolver
from whyproof.engine.explanation import Kind
from whyproof.engine.hitting.smallest import smallest_explanation
from whyproof.engine.linear_rule import LinearRule, least_size
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet, FeatureSpace, Points


class Threshold:
    """Changes where a weighted sum of the ones reaches one of some thresholds."""

    classes = ("keep", "change")
    structure = None
    fingerprint = "sha256:" + "0" * 64

    def __init__(self, weights: np.ndarray, thresholds: np.ndarray) -> None:
        self.weights, self.thresholds = weights, thresholds
        self.n_columns = weights.shape[1]

    def predict(self, points: Points) -> np.ndarray:
        sums = np.asarray(points) @ self.weights.T
        return (sums >= self.thresholds).any(axis=1).astype(float)

    def scores(self, points: Points) -> np.ndarray:
        changed = self.predict(points)
        return np.stack([1 - changed, changed], axis=1)


class Bounded:
    """An exact oracle that knows a linear rule, and counts what it is asked."""

    name = "bounded"

    def __init__(self, problem: ExplanationProblem, rule: LinearRule) -> None:
        self.problem = problem
        self.linear_rules = (rule,)
        self.asked: list[FeatureSet] = []

    def decide(self, free_sets: list[FeatureSet], meter: Meter) -> list[Answer]:
        answers: list[Answer] = []
        for free in free_sets:
            self.asked.append(free)
            point = np.zeros(self.problem.space.n_columns)
            point[list(free)] = 1.0
            if self.problem.changed(point[None])[0]:
                answers.append(Counterexample(point, free, 1.0))
            else:
                answers.append(Entailed(self.problem.universe - free))
        return answers


@st.composite
def threshold_problems(draw: st.DrawFn) -> tuple[ExplanationProblem, LinearRule]:
    n, cases = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    weights = np.array(draw(st.lists(
        st.lists(st.integers(0, 5), min_size=n, max_size=n), min_size=cases, max_size=cases
    )), dtype=float)  # fmt: skip
    thresholds = np.array(
        draw(st.lists(st.integers(1, 12), min_size=cases, max_size=cases)), dtype=float
    )
    names = [f"f{i}" for i in range(n)]
    space = FeatureSpace.of(names, {name: Boolean() for name in names})
    problem = ExplanationProblem(Threshold(weights, thresholds), space, np.zeros(n))
    # A bound is loose: the true weights and something on top.
    extra = draw(st.sampled_from([0.0, 0.25, 1.0]))
    rule = LinearRule(problem.universe, thresholds, weights + extra, 0.0)
    return problem, rule


def subsets(n: int) -> list[FeatureSet]:
    return [frozenset(c) for k in range(n + 1) for c in itertools.combinations(range(n), k)]


@given(threshold_problems())
@settings(max_examples=150, deadline=None)
def test_what_a_rule_decides_is_true(case: tuple[ExplanationProblem, LinearRule]) -> None:
    problem, rule = case
    sets = subsets(problem.space.n_features)
    exact = Bounded(problem, rule)
    truth = dict(zip(sets, exact.decide(sets, Meter()), strict=True))
    smallest = [len(s) for s, a in truth.items() if isinstance(a, Counterexample)]
    assert least_size([rule]) <= min(smallest, default=len(problem.universe) + 1)
    for free in sets:
        answer = rule.answer(free)
        if answer is None:
            continue
        large = problem.universe - answer.core
        assert free <= large and isinstance(truth[large], Entailed)
        assert answer.margin is not None and answer.margin <= rule.lead(free)
        # The greedy prefix is maximal for its next item at least.
        assert not answer.core or not all(rule.entails(large | {i}) for i in answer.core)


@given(threshold_problems(), st.sampled_from(list(Kind)))
@settings(max_examples=100, deadline=None)
def test_enumeration_with_rules_finds_every_explanation(
    case: tuple[ExplanationProblem, LinearRule], bias: Kind
) -> None:
    problem, rule = case

    def explanations(oracle: Bounded) -> tuple[set[FeatureSet], set[FeatureSet]]:
        run = enumerate_explanations(problem, oracle, kinds=list(Kind), bias=bias)
        list(run)
        assert run.complete
        return {e.members for e in run.axps}, {e.members for e in run.cxps}

    with_rule, without = Bounded(problem, rule), Bounded(problem, rule)
    without.linear_rules = ()  # type: ignore[assignment]
    assert explanations(with_rule) == explanations(without)


@given(threshold_problems())
@settings(max_examples=60, deadline=None)
def test_the_smallest_explanation_is_bounded_by_the_rule(
    case: tuple[ExplanationProblem, LinearRule],
) -> None:
    problem, rule = case
    found = smallest_explanation(problem, Bounded(problem, rule), Kind.CXP)
    changing = [
        len(s)
        for s in subsets(problem.space.n_features)
        if isinstance(Bounded(problem, rule).decide([s], Meter())[0], Counterexample)
    ]
    if not changing:
        assert found is None
    else:
        assert found is not None and found.proved and found.cost == min(changing)


def test_seeds_reach_the_threshold_without_a_question() -> None:
    n = 12
    rule = LinearRule(frozenset(range(n)), np.array([3.5]), np.ones((1, n)), 0.0)
    with MapSolver(frozenset(range(n)), Kind.CXP, rules=[rule]) as unexplored:
        seed = unexplored.seed()
        assert seed is not None and len(seed) >= 3
        for _ in range(20):
            seed = unexplored.seed()
            assert seed is not None
            assert not rule.entails(seed) or rule.widened(seed) == seed
            unexplored.block(Kind.CXP, seed)


def test_features_that_a_bound_does_not_speak_about_are_never_decided() -> None:
    weights = np.array([[0.1, np.inf, 0.1]])
    rule = LinearRule(frozenset({0, 2}), np.array([1.0]), weights)
    assert rule.entails({0, 2}) and not rule.entails({0, 1})
    assert rule.widened({0}) == {0, 2}
    assert LinearRule(frozenset({0}), np.array([-1.0]), np.array([[0.1]])).at_least == 0
    assert LinearRule(frozenset({0}), np.array([1.0]), np.array([[0.1]])).at_least == 2

"""Enumeration of additive models in closed form against all subsets."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from random_additive import RunningAdditive, problems

from whyproof.encodings.linear.additive import AdditiveModel, ColumnTerm
from whyproof.encodings.linear.enumeration import additive_explanations
from whyproof.encodings.linear.oracle import AdditiveOracle
from whyproof.encodings.trees.ensemble import DecisionRule
from whyproof.engine.answers import Counterexample, Entailed, Unknown
from whyproof.engine.budget import Budget
from whyproof.engine.domain import Boolean
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSpace


@given(problems())
@settings(max_examples=120, deadline=None)
def test_all_minimal_sets_each_once(problem: ExplanationProblem) -> None:
    oracle = AdditiveOracle(problem)
    if len(oracle.contests) != 1:
        return
    features = sorted(problem.universe)
    subsets = [
        frozenset(chosen)
        for size in range(len(features) + 1)
        for chosen in itertools.combinations(features, size)
    ]
    answers = dict(zip(subsets, oracle.decide(subsets, Budget().start()), strict=True))
    if any(isinstance(answer, Unknown) for answer in answers.values()):
        return
    flips = {s for s, a in answers.items() if isinstance(a, Counterexample)}
    keeps = {problem.universe - s for s, a in answers.items() if isinstance(a, Entailed)}
    for kind, weak in ((Kind.CXP, flips), (Kind.AXP, keeps)):
        minimal = {s for s in weak if not any(t < s for t in weak)}
        found = list(additive_explanations(oracle, kind))
        assert len(found) == len(set(found))
        assert set(found) == minimal


def test_the_majority_of_nine() -> None:
    slopes = [ColumnTerm.linear(i, np.array([1.0])) for i in range(9)]
    model = AdditiveModel(9, tuple(slopes), np.array([-4.5]), DecisionRule.POSITIVE, ("no", "yes"))
    names = [f"x{i}" for i in range(9)]
    space = FeatureSpace.of(names, dict.fromkeys(names, Boolean()))
    oracle = AdditiveOracle(ExplanationProblem(RunningAdditive(model), space, np.ones(9)))
    for kind in Kind:
        found = set(additive_explanations(oracle, kind))
        assert found == {frozenset(s) for s in itertools.combinations(range(9), 5)}


def test_several_rivals_are_refused() -> None:
    term = ColumnTerm.linear(0, np.array([1.0, 0.0, -1.0]))
    model = AdditiveModel(1, (term,), np.zeros(3), DecisionRule.ARGMAX, ("a", "b", "c"))
    problem = ExplanationProblem(
        RunningAdditive(model), FeatureSpace.of("x", {"x": Boolean()}), np.zeros(1)
    )
    with pytest.raises(UnsupportedError, match="two classes only"):
        additive_explanations(AdditiveOracle(problem), Kind.AXP)

"""Additive models as trees: the same sums, and the encodings of trees agree with sorting."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from random_additive import RunningAdditive, problems

from whyproof.encodings.linear.additive import AdditiveModel, ColumnTerm
from whyproof.encodings.linear.as_trees import additive_as_trees
from whyproof.encodings.linear.oracle import AdditiveOracle
from whyproof.encodings.trees.ensemble import DecisionRule, TreeEnsemble
from whyproof.encodings.trees.milp import TreeMilpOracle
from whyproof.encodings.trees.sat import TreeSatOracle
from whyproof.engine.answers import Counterexample, Entailed, Unknown
from whyproof.engine.budget import Budget
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSpace


class _AsTrees:
    """A model that runs as it did, with trees to reason about."""

    def __init__(self, model: RunningAdditive, trees: TreeEnsemble) -> None:
        self._model, self.structure = model, trees
        self.n_columns, self.classes = model.n_columns, model.classes
        self.fingerprint = model.fingerprint
        self.predict, self.scores = model.predict, model.scores


@pytest.mark.slow
@given(problems(finite=True))
@settings(max_examples=60, deadline=None)
def test_clauses_and_programs_agree_with_sorting(problem: ExplanationProblem) -> None:
    model = problem.classifier
    assert isinstance(model, RunningAdditive)
    trees = additive_as_trees(model.structure, problem.space)
    options = []
    for column in problem.space.columns:
        low, high = column.domain.bounds
        gap = [float("nan")] if column.domain.nullable else []
        options.append([*np.arange(low, high + 1).tolist(), *gap])
    points = np.array(list(itertools.product(*options)))
    assert np.allclose(trees.sums(points), model.structure.sums(points), atol=1e-12)
    again = ExplanationProblem(
        _AsTrees(model, trees),  # type: ignore[arg-type]
        problem.space,
        problem.instance,
        problem.region,
        problem.question,
    )
    n = problem.space.n_features
    free_sets = [frozenset(s) for k in range(n + 1) for s in itertools.combinations(range(n), k)]
    fast = AdditiveOracle(problem).decide(free_sets, Budget().start())
    for make in (TreeSatOracle, TreeMilpOracle):
        for free, one in zip(free_sets, fast, strict=True):
            two = make(again).decide([free], Budget().start())[0]
            if isinstance(one, Unknown) or isinstance(two, Unknown):
                continue
            assert isinstance(one, Counterexample) == isinstance(two, Counterexample)
            assert isinstance(one, Entailed) == isinstance(two, Entailed)
            if isinstance(two, Counterexample):
                problem.replay(two.point, free)


def test_columns_of_many_values_are_refused() -> None:
    term = ColumnTerm.linear(0, np.array([1.0]))
    model = AdditiveModel(1, (term,), np.zeros(1), DecisionRule.POSITIVE, ("no", "yes"))
    with pytest.raises(UnsupportedError, match="too many values"):
        additive_as_trees(model, FeatureSpace.of("a"))

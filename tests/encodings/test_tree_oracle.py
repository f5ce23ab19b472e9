"""The tree oracle against brute force over every combination of cells."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_ensembles import RunningModel, every_point, problems

from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.encodings.trees.milp import TreeMilpOracle
from whyproof.encodings.trees.oracle import TreeOracle
from whyproof.engine.answers import Counterexample, Entailed, Unknown
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.domain import Categories, Integers
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, LeaveInterval
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSet, FeatureSpace


def _free_sets(problem: ExplanationProblem) -> list[FeatureSet]:
    features = range(problem.space.n_features)
    return [
        frozenset(chosen)
        for size in range(problem.space.n_features + 1)
        for chosen in itertools.combinations(features, size)
    ]


def _check(problem: ExplanationProblem, free: FeatureSet, answer: object) -> None:
    possible = bool(problem.changed(every_point(problem, free)).any())
    match answer:
        case Counterexample():
            assert possible, "a counterexample where brute force finds none"
            problem.replay(answer.point, free)
            assert answer.moved == problem.space.moved(problem.instance, answer.point)
        case Entailed():
            assert not possible, "entailed, but brute force finds a counterexample"
            assert not answer.core & free
            beyond = frozenset(range(problem.space.n_features)) - answer.core
            assert not problem.changed(every_point(problem, beyond)).any(), "the core is too small"
        case _:
            raise AssertionError(f"not decided: {answer}")


@given(problems())
@settings(max_examples=150, deadline=None)
def test_exact_sums_agree_with_brute_force(problem: ExplanationProblem) -> None:
    free_sets = _free_sets(problem)
    oracle = TreeOracle(problem)
    for free, answer in zip(free_sets, oracle.decide(free_sets, Budget().start()), strict=True):
        _check(problem, free, answer)
    for free in free_sets:
        _check(problem, free, oracle.decide([free], Budget().start())[0])


@given(problems(float32=True), st.data())
@settings(max_examples=100, deadline=None)
def test_float32_sums_agree_with_the_model_that_runs(
    problem: ExplanationProblem, data: st.DataObject
) -> None:
    oracle = TreeOracle(problem)
    for free in data.draw(st.lists(st.sampled_from(_free_sets(problem)), min_size=1, max_size=4)):
        _check(problem, free, oracle.decide([free], Budget().start())[0])


@given(problems())
@settings(max_examples=60, deadline=None)
def test_guaranteed_margin_is_the_smallest_lead(problem: ExplanationProblem) -> None:
    if problem.question != AnyOther():
        return
    oracle = TreeOracle(problem)
    for free in _free_sets(problem):
        margin = oracle.guaranteed_margin(free, Budget().start())
        points = every_point(problem, free)
        scores = problem.classifier.scores(points)
        kept = scores[:, int(problem.prediction)]
        lead = float((kept - np.delete(scores, int(problem.prediction), 1).max(axis=1)).min())
        if problem.changed(points).any():
            assert margin is None or margin == 0
        else:
            assert margin is not None or lead < 1e-9
            assert margin is None or lead - 1e-9 < margin <= lead + 1e-12


@given(problems(), st.data())
@settings(max_examples=60, deadline=None)
def test_the_mixed_integer_program_is_never_wrong(
    problem: ExplanationProblem, data: st.DataObject
) -> None:
    try:
        oracle = TreeMilpOracle(problem)
    except UnsupportedError:
        return
    for free in data.draw(st.lists(st.sampled_from(_free_sets(problem)), min_size=1, max_size=4)):
        answer = oracle.decide([free], Budget().start())[0]
        if not isinstance(answer, Unknown):
            _check(problem, free, answer)


def test_a_region_may_leave_gaps_between_cells() -> None:
    """Regression: cells of categories are ordered by how splits treat them."""

    def two_leaves(column: int, low: float, high: float) -> Tree:
        return Tree(
            column=np.array([column, -1, -1], dtype=np.int32),
            boundary=np.array([-1.5, np.nan, np.nan]),
            left=np.array([1, -1, -1], dtype=np.int32),
            right=np.array([2, -1, -1], dtype=np.int32),
            missing_left=np.array([True, False, False]),
            values=np.array([[0.0], [low], [high]]),
        )

    by_category = replace(
        two_leaves(0, -1.0, -1.0),
        boundary=np.full(3, np.nan),
        missing_left=np.zeros(3, dtype=np.bool_),
        categories={0: frozenset({0})},
    )
    ensemble = TreeEnsemble(
        1, (by_category, two_leaves(0, -1.0, -0.5)), np.zeros(1), DecisionRule.VALUE
    )
    space = FeatureSpace.of("x", {"x": Categories(nullable=True, values=("a", "b"))})
    # The missing value lies between the two codes, and a ball must not reach it.
    problem = ExplanationProblem(
        RunningModel(ensemble), space, np.zeros(1), Region.ball(1.0), LeaveInterval(-1.6, -1.4)
    )
    free = frozenset({0})
    for oracle in (TreeOracle(problem), TreeMilpOracle(problem)):
        _check(problem, free, oracle.decide([free], Budget().start())[0])
        assert isinstance(oracle.decide([free], Budget().start())[0], Entailed)


def test_cancelling_trees_still_decide_rounding() -> None:
    """Leaves that add the same to two classes move the float32 sums of both."""
    leaf = np.array([-1, -1], dtype=np.int32)
    split = Tree(
        column=np.array([0, -1, -1], dtype=np.int32),
        boundary=np.array([0.0, np.nan, np.nan]),
        left=np.array([1, *leaf], dtype=np.int32),
        right=np.array([2, *leaf], dtype=np.int32),
        missing_left=np.zeros(3, dtype=np.bool_),
        values=np.array([[0.0, 0.0], [0.0, 0.0], [1e8, 1e8]]),
    )
    tie = Tree.constant(np.array([0.0, 0.0]))
    late = Tree.constant(np.array([1.0, 0.5]))
    ensemble = TreeEnsemble(
        1,
        (tie, split, late),
        np.array([0.0, 0.25]),
        DecisionRule.ARGMAX,
        ("a", "b"),
        slack=20.0,
    )
    # Exactly, class a leads by 0.25 everywhere; in float32 the large leaf makes it a tie,
    # which goes to class a as well: the decision never changes, and that can be proved.
    model = RunningModel(ensemble, float32=True)
    problem = ExplanationProblem(model, FeatureSpace.of("x"), np.array([-1.0]))
    answer = TreeOracle(problem).decide([frozenset({0})], Budget().start())[0]
    _check(problem, frozenset({0}), answer)
    assert isinstance(answer, Entailed)
    # With the lead the other way round the tie goes to class a: the decision changes.
    swapped = TreeEnsemble(
        1,
        (tie, split, Tree.constant(np.array([0.5, 1.0]))),
        np.array([0.25, 0.0]),
        DecisionRule.ARGMAX,
        ("a", "b"),
        slack=20.0,
    )
    problem = ExplanationProblem(
        RunningModel(swapped, float32=True), FeatureSpace.of("x"), np.array([-1.0])
    )
    answer = TreeOracle(problem).decide([frozenset({0})], Budget().start())[0]
    assert isinstance(answer, Counterexample)
    problem.replay(answer.point, frozenset({0}))


def test_a_search_goes_on_behind_leaf_boxes_that_the_model_refutes() -> None:
    """Best-first search with dives loses states once it has found a solution.

    Trees over a grid of two columns; the model that runs refutes all leaf boxes but one,
    all within the slack, so that only a complete search finds it.
    """
    rng = np.random.default_rng(3)
    for _ in range(40):
        kept = rng.integers(0, 5, 2)
        trees = tuple(_staircase(rng, c % 2) for c in range(6))
        ensemble = TreeEnsemble(2, trees, np.zeros(1), DecisionRule.POSITIVE, ("no", "yes"), 1)
        ensemble = replace(ensemble, slack=1e6, input_type="float64")
        space = FeatureSpace.of("ab", {c: Integers(False, 0, 4) for c in "ab"})
        instance = (kept + 2) % 5 * 1.0
        problem = ExplanationProblem(_OnlyThere(ensemble, kept), space, instance)
        (answer,) = TreeOracle(problem).decide([frozenset({0, 1})], Meter())
        assert isinstance(answer, Counterexample)
        assert (answer.point == kept).all()


@dataclass(frozen=True)
class _OnlyThere:
    """A model that says yes at one point only, whatever its trees say."""

    structure: TreeEnsemble
    where: np.ndarray
    classes = ("no", "yes")
    n_columns = 2
    fingerprint = "sha256:" + "0" * 64

    def predict(self, points: np.ndarray) -> np.ndarray:
        return (points == self.where).all(axis=1).astype(np.int64)

    def scores(self, points: np.ndarray) -> np.ndarray:
        return np.eye(2)[self.predict(points)]


def _staircase(rng: np.random.Generator, column: int) -> Tree:
    """A tree with a leaf for each of five whole numbers of a column."""
    n = 9
    columns, left, right = np.full(n, -1), np.full(n, -1), np.full(n, -1)
    boundary, values = np.full(n, np.nan), np.zeros((n, 1))
    for step in range(4):
        node = 2 * step
        columns[node], boundary[node] = column, step + 0.5
        left[node], right[node] = node + 1, node + 2
        values[node + 1] = rng.integers(-8, 9) / 4
    values[8] = rng.integers(-8, 9) / 4
    return Tree(
        columns.astype(np.int32),
        boundary,
        left.astype(np.int32),
        right.astype(np.int32),
        np.zeros(n, dtype=np.bool_),
        values,
    )

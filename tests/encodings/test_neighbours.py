"""Nearest neighbours: the program against all points, and against dense samples."""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyproof.encodings.neighbours.columns import free_column
from whyproof.encodings.neighbours.model import DerivedColumn, NeighbourModel
from whyproof.encodings.neighbours.oracle import NeighbourOracle
from whyproof.engine.answers import Counterexample, Entailed, Unknown
from whyproof.engine.budget import Budget
from whyproof.engine.domain import Categories, Domain, Integers, Real
from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.errors import DataError, ModelError, UnsupportedError
from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, KeepMargin, Question, ReachClass
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSpace, Points


@dataclass(frozen=True)
class Running:
    structure: NeighbourModel
    fingerprint: str = "sha256:" + "0" * 64

    @property
    def n_columns(self) -> int:
        return self.structure.n_columns

    @property
    def classes(self) -> tuple[Hashable, ...]:
        return self.structure.classes

    def scores(self, points: Points) -> npt.NDArray[np.float64]:
        return self.structure.sums(points)

    def predict(self, points: Points) -> npt.NDArray[np.int64]:
        return self.structure.predict(points)


def _problem(seed: int, *, finite: bool) -> ExplanationProblem:
    random = np.random.default_rng(seed)
    n, d = int(random.integers(3, 12)), int(random.integers(1, 4))
    classes = int(random.integers(2, 4))
    derived: list[DerivedColumn] = []
    domains: list[Domain] = []
    for c in range(d):
        kind = int(random.integers(0, 3))
        if kind == 2:
            tables = random.integers(-2, 3, (int(random.integers(1, 3)), 3)).astype(float)
            derived += [DerivedColumn(c, table=tuple(t)) for t in tables.tolist()]
            domains.append(Categories(values=("a", "b", "c")))
        elif kind == 1 or finite:
            derived.append(DerivedColumn(c, float(random.choice([1.0, -0.5, 2.0])), 0.25))
            domains.append(Integers(lower=-2, upper=2))
        else:
            derived.append(DerivedColumn(c, float(random.choice([1.0, -0.5, 2.0])), 0.25))
            domains.append(Real(lower=-2.0, upper=2.0))
    grid = finite and random.random() < 0.5
    training = random.integers(-3, 4, (n, len(derived))).astype(float)
    training = training if grid else training + random.normal(0, 0.2, training.shape)
    k = int(random.integers(1, min(n, 5) + 1))
    metric = "l1" if random.random() < 0.5 else "l2"
    model = NeighbourModel(
        d,
        tuple(derived),
        training,
        random.integers(0, classes, n),
        k,
        metric,  # type: ignore[arg-type]
        tuple("ABC"[:classes]),
        bool(random.random() < 0.2),
    )
    space = FeatureSpace.of(
        [f"x{i}" for i in range(d)], {f"x{i}": domain for i, domain in enumerate(domains)}
    )
    instance = np.array(
        [random.uniform(-2, 2) if isinstance(v, Real) else random.integers(0, 3) for v in domains]
    )
    running = Running(model)
    prediction = int(running.predict(instance[None])[0])
    question: Question = AnyOther()
    if random.random() < 0.3:
        question = ReachClass(int(random.choice([c for c in range(classes) if c != prediction])))
    return ExplanationProblem(running, space, instance, question=question)


def _points(problem: ExplanationProblem, free: frozenset[int], dense: int) -> Points:
    options = []
    for i, column in enumerate(problem.space.columns):
        low, high = column.domain.bounds
        if i not in free:
            options.append([float(problem.instance[i])])
        elif column.domain.is_discrete:
            options.append(np.arange(low, high + 1).tolist())
        else:
            options.append(np.linspace(low, high, dense).tolist())
    return np.array(list(itertools.product(*options)))


def _free_sets(problem: ExplanationProblem) -> list[frozenset[int]]:
    n = problem.space.n_features
    return [frozenset(s) for k in range(n + 1) for s in itertools.combinations(range(n), k)]


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_answers_over_few_values_are_those_of_all_points(seed: int) -> None:
    problem = _problem(seed, finite=True)
    oracle = NeighbourOracle(problem)
    for free in _free_sets(problem):
        answer = oracle.decide([free], Budget().start())[0]
        possible = bool(problem.changed(_points(problem, free, 0)).any())
        if isinstance(answer, Counterexample):
            assert possible
            problem.replay(answer.point, free)
        else:
            assert isinstance(answer, Entailed) and not possible
            assert not answer.core & free


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_no_sample_contradicts_a_proof(seed: int) -> None:
    problem = _problem(seed, finite=False)
    oracle = NeighbourOracle(problem)
    for free in _free_sets(problem):
        answer = oracle.decide([free], Budget().start())[0]
        if isinstance(answer, Counterexample):
            problem.replay(answer.point, free)
        elif isinstance(answer, Entailed):
            assert not problem.changed(_points(problem, free, 41)).any()
        else:
            assert "equally far" in answer.detail


@pytest.mark.parametrize("metric", ["l1", "l2"])
def test_a_border_between_two_rows(metric: str) -> None:
    """One neighbour: the class changes half way, and the oracle finds both sides of it."""
    training = np.array([[0.0, 0.0], [4.0, 0.0]])
    model = NeighbourModel.of(training, [0, 1], 1, metric, ("a", "b"))  # type: ignore[arg-type]
    for upper, kind in ((1.99, Entailed), (2.01, Counterexample)):
        space = FeatureSpace.of("xy", {c: Real(lower=0.0, upper=upper) for c in "xy"})
        oracle = NeighbourOracle(ExplanationProblem(Running(model), space, np.zeros(2)))
        assert oracle.relevant == frozenset({0})
        answer = oracle.decide([frozenset({0})], Budget().start())[0]
        assert isinstance(answer, kind)


def test_a_region_between_training_rows_needs_the_program() -> None:
    """No training row's own values change the decision, a point between them does."""
    training = np.array([[0.0, 0.0], [3.0, 2.0], [3.0, -2.0], [6.0, 0.0], [6.0, 0.1], [0.0, 0.1]])
    model = NeighbourModel.of(training, [0, 1, 1, 0, 0, 0], 3, "l2", ("a", "b"))
    space = FeatureSpace.of("xy", {"x": Real(lower=0, upper=6), "y": Real(lower=-2, upper=2)})
    problem = ExplanationProblem(Running(model), space, np.zeros(2))
    answer = NeighbourOracle(problem).decide([frozenset({0, 1})], Budget().start())[0]
    sampled = problem.changed(_points(problem, frozenset({0, 1}), 61)).any()
    assert isinstance(answer, Counterexample) == bool(sampled)


@pytest.mark.parametrize("metric", ["l1", "l2"])
def test_complete_enumeration_is_dual(metric: str) -> None:
    random = np.random.default_rng(5)
    training = random.normal(0, 1, (30, 4))
    labels = (training[:, 0] + training[:, 1] > 0).astype(int)
    model = NeighbourModel.of(training, labels, 3, metric, ("a", "b"))  # type: ignore[arg-type]
    names = list("abcd")
    space = FeatureSpace.of(names, {c: Real(lower=-2.5, upper=2.5) for c in names})
    problem = ExplanationProblem(Running(model), space, training[0])
    enumeration = enumerate_explanations(problem, NeighbourOracle(problem))
    found = list(enumeration)
    assert enumeration.complete
    axps = [e.members for e in found if e.kind is Kind.AXP]
    cxps = [e.members for e in found if e.kind is Kind.CXP]
    assert axps and cxps and all(a & c for a in axps for c in cxps)


def test_the_city_block_segments_are_exact() -> None:
    random = np.random.default_rng(0)
    training = random.normal(0, 1, (6, 1))
    model = NeighbourModel.of(training, [0, 1] * 3, 1, "l1", ("a", "b"))
    column = free_column(model, 0, Real(lower=-2.0, upper=2.0), -2.0, 2.0)
    for value in random.uniform(-2, 2, 20):
        filled = np.clip((value - column.edges[:-1]) / np.diff(column.edges), 0, 1)
        assert np.allclose(column.start + filled @ column.gains, np.abs(value - training[:, 0]))
        assert column.value(filled) == pytest.approx(value)


def test_what_cannot_be_explained_is_named() -> None:
    model = Running(NeighbourModel.of(np.array([[0.0], [1.0]]), [0, 1], 1, "l2", ("a", "b")))
    bounded = FeatureSpace.of("x", {"x": Real(lower=0.0, upper=1.0)})
    zero = np.zeros(1)
    with pytest.raises(DataError, match=r"unbounded.*--ranges data"):
        NeighbourOracle(ExplanationProblem(model, FeatureSpace.of("x"), zero))
    nullable = FeatureSpace.of("x", {"x": Real(True, 0.0, 1.0)})
    with pytest.raises(DataError, match="may be missing"):
        NeighbourOracle(ExplanationProblem(model, nullable, zero))
    with pytest.raises(UnsupportedError, match="by votes"):
        NeighbourOracle(ExplanationProblem(model, bounded, zero, question=KeepMargin(1.0)))
    with pytest.raises(UnsupportedError, match="l1 balls"):
        NeighbourOracle(ExplanationProblem(model, bounded, zero, Region.ball(0.5, "l1")))
    with pytest.raises(ModelError, match="cannot be found"):
        NeighbourModel.of(np.zeros((2, 1)), [0, 1], 3, "l2", ("a", "b"))


def test_equal_rows_of_two_classes_leave_it_open() -> None:
    training = np.array([[0.0], [1.0], [1.0]])
    model = Running(NeighbourModel.of(training, [0, 0, 1], 1, "l2", ("a", "b")))
    space = FeatureSpace.of("x", {"x": Real(lower=0.0, upper=1.0)})
    problem = ExplanationProblem(model, space, np.zeros(1))
    answer = NeighbourOracle(problem).decide([frozenset({0})], Budget().start())[0]
    assert isinstance(answer, Unknown) and "equally far" in answer.detail

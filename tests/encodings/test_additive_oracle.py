"""The additive oracle against brute force over corner points."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from random_additive import RunningAdditive, corner_points, problems

from whyproof.encodings.linear import joint
from whyproof.encodings.linear.additive import AdditiveModel, ColumnTerm
from whyproof.encodings.linear.oracle import AdditiveOracle
from whyproof.encodings.trees.ensemble import DecisionRule
from whyproof.engine.answers import Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Budget
from whyproof.engine.domain import Categories, Integers, Real
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, ReachClass
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSet, FeatureSpace


def _free_sets(problem: ExplanationProblem) -> list[FeatureSet]:
    features = range(problem.space.n_features)
    return [
        frozenset(chosen)
        for size in range(problem.space.n_features + 1)
        for chosen in itertools.combinations(features, size)
    ]


def _lead(problem: ExplanationProblem, points: np.ndarray) -> float:
    """How close the decision comes to a tie at some point."""
    scores = problem.classifier.scores(points)
    if scores.shape[1] == 1:
        question = problem.question
        ends = np.array([getattr(question, "lower", 0.0), getattr(question, "upper", 0.0)])
        return float(np.abs(scores - ends).min())
    kept = scores[:, int(problem.prediction)]
    leads = kept[:, None] - np.delete(scores, int(problem.prediction), 1)
    return float(np.abs(leads - getattr(problem.question, "floor", 0.0)).min())


def _check(problem: ExplanationProblem, free: FeatureSet, answer: object) -> None:
    points = corner_points(problem, free)
    possible = bool(problem.changed(points).any())
    match answer:
        case Counterexample():
            problem.replay(answer.point, free)
            assert answer.moved == problem.space.moved(problem.instance, answer.point)
        case Entailed():
            assert not possible, "entailed, but brute force finds a counterexample"
            assert not answer.core & free
            beyond = frozenset(range(problem.space.n_features)) - answer.core
            assert not problem.changed(corner_points(problem, beyond)).any(), "core too small"
        case Unknown(UnknownReason.PRECISION):
            # Far out in an unbounded column rounding decides whatever the lead is.
            ends = np.array([c.domain.bounds for c in problem.space.columns])
            unbounded = problem.region.norm is None and bool(np.isinf(ends).any())
            assert unbounded or _lead(problem, points) < 1e-6, "a clear case was left unknown"
        case _:
            raise AssertionError(f"not decided: {answer}")


@given(problems())
@settings(max_examples=120, deadline=None)
def test_answers_agree_with_brute_force(problem: ExplanationProblem) -> None:
    free_sets = _free_sets(problem)
    oracle = AdditiveOracle(problem)
    for free, answer in zip(free_sets, oracle.decide(free_sets, Budget().start()), strict=True):
        _check(problem, free, answer)


@given(problems(finite=True))
@settings(max_examples=80, deadline=None)
def test_nothing_stays_unknown_over_finite_domains(problem: ExplanationProblem) -> None:
    oracle = AdditiveOracle(problem)
    for free in _free_sets(problem):
        answer = oracle.decide([free], Budget().start())[0]
        assert not isinstance(answer, Unknown)
        _check(problem, free, answer)


@given(problems(finite=True, joint=True))
@settings(max_examples=80, deadline=None)
def test_one_class_against_all_others_over_finite_domains(problem: ExplanationProblem) -> None:
    oracle = AdditiveOracle(problem)
    for free in _free_sets(problem):
        answer = oracle.decide([free], Budget().start())[0]
        assert not isinstance(answer, Unknown)
        _check(problem, free, answer)


@given(problems(joint=True))
@settings(max_examples=25, deadline=None)
def test_one_class_against_all_others_is_never_wrong(problem: ExplanationProblem) -> None:
    oracle = AdditiveOracle(problem)
    for free in _free_sets(problem)[-2:]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(joint, "MOST_BOXES", 30)
            answer = oracle.decide([free], Budget().start())[0]
        if isinstance(answer, Unknown):
            continue
        _check(problem, free, answer)


def _binary(slopes: list[float], intercept: float) -> RunningAdditive:
    terms = tuple(ColumnTerm.linear(i, np.array([s])) for i, s in enumerate(slopes))
    return RunningAdditive(
        AdditiveModel(len(slopes), terms, np.array([intercept]), DecisionRule.POSITIVE, (0, 1))
    )


def test_any_unbounded_column_with_weight_can_flip() -> None:
    model = _binary([1e-9, 0.0], -5.0)
    problem = ExplanationProblem(model, FeatureSpace.of("ab"), np.zeros(2))
    answers = AdditiveOracle(problem).decide([frozenset({0}), frozenset({1})], Budget().start())
    assert isinstance(answers[0], Counterexample)
    assert np.isfinite(answers[0].point).all()
    assert problem.replay(answers[0].point, frozenset({0})) == 1
    assert isinstance(answers[1], Entailed)


def test_a_half_bounded_column_can_only_help_one_side() -> None:
    model = _binary([1.0], -5.0)
    space = FeatureSpace.of("a", {"a": Real(upper=4.0)})
    problem = ExplanationProblem(model, space, np.zeros(1))
    answer = AdditiveOracle(problem).decide([frozenset({0})], Budget().start())[0]
    assert isinstance(answer, Entailed)
    assert answer.margin == pytest.approx(1.0, abs=1e-9)


def test_a_tie_at_the_corner_of_a_steady_model_is_settled_by_running_it() -> None:
    terms = (ColumnTerm.linear(0, np.array([1.0])), ColumnTerm.linear(1, np.array([1.0])))
    space = FeatureSpace.of("ab", {"a": Real(lower=0.0, upper=1.0), "b": Real(lower=0, upper=1)})
    for rule, expected in (
        (DecisionRule.POSITIVE, Entailed),
        (DecisionRule.NONNEGATIVE, Counterexample),
    ):
        model = AdditiveModel(2, terms, np.array([-2.0]), rule, (0, 1), steady=True)
        problem = ExplanationProblem(RunningAdditive(model), space, np.zeros(2))
        answer = AdditiveOracle(problem).decide([frozenset({0, 1})], Budget().start())[0]
        assert isinstance(answer, expected)


def test_values_that_the_model_does_not_take_are_refused() -> None:
    model = AdditiveModel(
        1,
        (ColumnTerm.table(0, np.array([[0.0], [1.0]])),),
        np.zeros(1),
        DecisionRule.POSITIVE,
        (0, 1),
    )
    space = FeatureSpace.of("a", {"a": Categories(values=("x", "y", "z"))})
    problem = ExplanationProblem(RunningAdditive(model), space, np.zeros(1))
    with pytest.raises(DataError, match="does not take"):
        AdditiveOracle(problem)


def test_balls_that_tie_columns_together_are_refused() -> None:
    problem = ExplanationProblem(
        _binary([1.0], -1.0), FeatureSpace.of("a"), np.zeros(1), Region.ball(1.0, "l1")
    )
    with pytest.raises(UnsupportedError, match="l1"):
        AdditiveOracle(problem)


def test_a_middle_class_that_no_single_lead_refutes() -> None:
    """Each rival can be beaten somewhere, both together nowhere: only weights show it."""
    slopes = np.array([[2.0], [0.0], [-2.0]])  # on [-1, 1]: |2 x| always beats the middle
    term = ColumnTerm.linear(0, slopes[:, 0])
    model = AdditiveModel(
        1, (term,), np.array([0.5, 0.0, 0.5]), DecisionRule.ARGMAX, ("left", "middle", "right")
    )
    space = FeatureSpace.of("x", {"x": Real(lower=-1.0, upper=1.0)})
    problem = ExplanationProblem(
        RunningAdditive(model), space, np.array([1.0]), question=ReachClass(1)
    )
    assert isinstance(
        AdditiveOracle(problem).decide([frozenset({0})], Budget().start())[0], Entailed
    )
    assert isinstance(
        AdditiveOracle(
            ExplanationProblem(RunningAdditive(model), space, np.array([1.0]), question=AnyOther())
        ).decide([frozenset({0})], Budget().start())[0],
        Counterexample,
    )


def test_a_tie_between_numbers_that_cancel_is_not_lost_to_rounding() -> None:
    """Regression: start and gains cancel to a tie, which goes to the class asked for."""
    slopes = ([-1.0, -2.0, -2.0], [1.0, -2.0, -2.0])
    terms = tuple(ColumnTerm.linear(i, np.array(s)) for i, s in enumerate(slopes))
    model = AdditiveModel(2, terms, np.zeros(3), DecisionRule.ARGMAX, ("A", "B", "C"))
    space = FeatureSpace.of("ab", {c: Integers(lower=-2, upper=0) for c in "ab"})
    problem = ExplanationProblem(
        RunningAdditive(model), space, np.array([-2.0, -2.0]), question=ReachClass(0)
    )
    answer = AdditiveOracle(problem).decide([frozenset({0, 1})], Budget().start())[0]
    assert isinstance(answer, Counterexample)
    problem.replay(answer.point, frozenset({0, 1}))

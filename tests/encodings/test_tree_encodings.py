"""Second encodings of tree ensembles: they agree with brute force and with the search."""

from __future__ import annotations

import itertools
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pysat.solvers import Solver
from random_ensembles import every_point, problems

from whyproof.encodings import pseudo_boolean
from whyproof.encodings.pseudo_boolean import at_most
from whyproof.encodings.trees.oracle import TreeOracle
from whyproof.encodings.trees.sat import TreeSatOracle
from whyproof.engine.answers import Answer, Counterexample, Entailed
from whyproof.engine.budget import Budget
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet


def free_sets(problem: ExplanationProblem) -> list[FeatureSet]:
    features = range(problem.space.n_features)
    sizes = range(problem.space.n_features + 1)
    return [frozenset(c) for size in sizes for c in itertools.combinations(features, size)]


def confirm(problem: ExplanationProblem, free: FeatureSet, answer: Answer) -> None:
    """Compare an answer and its evidence with brute force."""
    possible = bool(problem.changed(every_point(problem, free)).any())
    if isinstance(answer, Counterexample):
        assert possible
        problem.replay(answer.point, free)
    else:
        assert isinstance(answer, Entailed), answer
        assert not possible
        beyond = frozenset(range(problem.space.n_features)) - answer.core
        assert not problem.changed(every_point(problem, beyond)).any(), "the core is too small"


@given(problems(), st.data(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_clauses_agree_with_brute_force(
    problem: ExplanationProblem, data: st.DataObject, adders: bool
) -> None:
    few = {"_MOST_SUMS": 2 if adders else 600, "_LEVELS": 4 if adders else 256}
    with patch.multiple(pseudo_boolean, **few):
        oracle = TreeSatOracle(problem)
    for free in data.draw(st.lists(st.sampled_from(free_sets(problem)), min_size=1, max_size=4)):
        answer = oracle.decide([free], Budget().start())[0]
        confirm(problem, free, answer)
        fast = TreeOracle(problem).decide([free], Budget().start())[0]
        assert type(fast) is type(answer)
    oracle.close()


@given(problems(float32=True), st.data())
@settings(max_examples=60, deadline=None)
def test_clauses_agree_with_float32_models(
    problem: ExplanationProblem, data: st.DataObject
) -> None:
    oracle = TreeSatOracle(problem)
    for free in data.draw(st.lists(st.sampled_from(free_sets(problem)), min_size=1, max_size=3)):
        confirm(problem, free, oracle.decide([free], Budget().start())[0])
    oracle.close()


@given(
    st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=4), min_size=1, max_size=4),
    st.integers(-2, 130),
    st.integers(1, 600),
    st.integers(1, 16),
)
@settings(max_examples=200, deadline=None)
def test_sums_as_clauses_say_what_they_mean(
    weights: list[list[int]], most: int, sums: int, levels: int
) -> None:
    counter = itertools.count(1)
    groups = [[(next(counter), weight) for weight in group] for group in weights]
    when = next(counter)
    with patch.multiple(pseudo_boolean, _MOST_SUMS=sums, _LEVELS=levels):
        clauses = at_most(groups, most, when, counter.__next__)
    with Solver(name="glucose4", bootstrap_with=clauses) as solver:
        for chosen in itertools.product(*groups):
            true = {literal for literal, _ in chosen}
            inputs = [v if v in true else -v for g in groups for v, _ in g]
            total = sum(weight for _, weight in chosen)
            assert solver.solve(assumptions=[*inputs, when]) == (total <= most)
            assert solver.solve(assumptions=[*inputs, -when])


def test_a_region_that_is_no_box_is_named() -> None:
    from whyproof.engine.errors import UnsupportedError
    from whyproof.engine.region import Region

    @given(problems())
    @settings(max_examples=1, database=None)
    def ball(problem: ExplanationProblem) -> None:
        other = ExplanationProblem(
            problem.classifier,
            problem.space,
            problem.instance,
            Region.ball(1.0, "l1"),
            problem.question,
        )
        with pytest.raises(UnsupportedError, match="l1"):
            TreeSatOracle(other)

    ball()

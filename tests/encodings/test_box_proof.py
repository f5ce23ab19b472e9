"""Box proofs against brute force: one exists exactly where nothing changes the decision."""

from __future__ import annotations

import itertools
import math

from hypothesis import given, settings
from hypothesis import strategies as st
from random_ensembles import every_point, problems

from whyproof.encodings.trees.box_proof import BoxProof, BoxProver, Split
from whyproof.engine.answers import Unknown, UnknownReason
from whyproof.engine.budget import Budget
from whyproof.engine.problem import ExplanationProblem


@given(problems(), st.data())
@settings(max_examples=150, deadline=None)
def test_a_proof_is_found_exactly_where_nothing_changes(
    problem: ExplanationProblem, data: st.DataObject
) -> None:
    features = range(problem.space.n_features)
    sets = [
        frozenset(c)
        for n in (0, *features, len(features))
        for c in itertools.combinations(features, n)
    ]
    free = data.draw(st.sampled_from(sets))
    proof = BoxProver(problem).prove(free, Budget().start())
    assert isinstance(proof, BoxProof) != bool(problem.changed(every_point(problem, free)).any())
    if isinstance(proof, BoxProof):
        splits = [step for step in proof.steps if isinstance(step, Split)]
        assert proof.n_boxes == len(splits) + 1


@given(problems(float32=True))
@settings(max_examples=60, deadline=None)
def test_within_the_slack_the_model_itself_settles_boxes(problem: ExplanationProblem) -> None:
    free = problem.universe
    proof = BoxProver(problem).prove(free, Budget().start())
    assert isinstance(proof, BoxProof) != bool(problem.changed(every_point(problem, free)).any())


@given(problems())
@settings(max_examples=20, deadline=None)
def test_a_proof_that_would_be_too_large_is_given_up(problem: ExplanationProblem) -> None:
    proof = BoxProver(problem).prove(problem.universe, Budget().start(), max_boxes=1)
    if isinstance(proof, Unknown):
        assert proof.reason in (UnknownReason.MEMORY, UnknownReason.PRECISION)
    else:
        assert proof.n_boxes == 1


def test_splits_are_written_shortly() -> None:
    assert Split(3, 0.5).as_json() == [3, 0.5]
    assert Split(3, -math.inf, missing=True).as_json() == [3, "-inf", True]
    assert Split(1, codes=(0, 2)).as_json() == [1, [0, 2]]

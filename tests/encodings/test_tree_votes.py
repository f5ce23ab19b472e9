"""Forests that vote: the counting solver against every point, and what its evidence is worth."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_ensembles import RunningModel, every_point, problems

from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.encodings.trees.encodings import tree_oracles
from whyproof.encodings.trees.ensemble import DecisionRule, TreeEnsemble
from whyproof.encodings.trees.oracle import TreeOracle
from whyproof.encodings.trees.votes import TreeVoteOracle, counts_votes
from whyproof.engine.answers import Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Budget
from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.errors import DataError
from whyproof.engine.explanation import Kind
from whyproof.engine.hitting.smallest import smallest_explanation
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, KeepMargin, ReachClass
from whyproof.engine.space import FeatureSet


@st.composite
def elections(draw: st.DrawFn, most: int = 4) -> ExplanationProblem:
    """A random problem whose leaves are turned into votes."""
    problem = draw(problems())
    classes = draw(st.integers(2, most))
    trees = tuple(
        replace(
            t, values=np.eye(classes)[(np.abs(t.values.sum(axis=1)) * 10).astype(int) % classes]
        )
        for t in problem.classifier.structure.trees
    )
    structure = problem.classifier.structure
    names = tuple("ABCD"[:classes])
    model = RunningModel(
        TreeEnsemble(structure.n_columns, trees, np.zeros(classes), DecisionRule.ARGMAX, names)
    )
    kept = int(model.predict(problem.instance[None])[0])
    rivals = [ReachClass(k) for k in range(classes) if k != kept]
    question = draw(st.sampled_from([AnyOther(), AnyOther(), *rivals]))
    return ExplanationProblem(model, problem.space, problem.instance, problem.region, question)


def free_sets(problem: ExplanationProblem) -> list[FeatureSet]:
    n = problem.space.n_features
    return [frozenset(s) for k in range(n + 1) for s in itertools.combinations(range(n), k)]


@given(elections())
@settings(max_examples=50, deadline=None)
def test_votes_are_counted_right(problem: ExplanationProblem) -> None:
    oracle = TreeVoteOracle(problem, most_classes=9)
    for focus in (None, *Kind):
        oracle.focus = focus
        for free in free_sets(problem):
            answer = oracle.decide([free], Budget().start())[0]
            possible = bool(problem.changed(every_point(problem, free)).any())
            assert isinstance(answer, Counterexample if possible else Entailed)
            if isinstance(answer, Counterexample):
                problem.replay(answer.point, free)
                assert problem.space.moved(problem.instance, answer.point) == answer.moved
            else:
                others = problem.universe - answer.core
                assert not problem.changed(every_point(problem, others)).any()


@given(elections(most=2))
@settings(max_examples=40, deadline=None)
def test_with_two_classes_counterexamples_are_minimal(problem: ExplanationProblem) -> None:
    answer = TreeVoteOracle(problem, most_classes=9).decide([problem.universe], Budget().start())[0]
    for feature in answer.moved if isinstance(answer, Counterexample) else ():
        rest = answer.moved - {feature}
        assert not problem.changed(every_point(problem, rest)).any()


@given(elections())
@settings(max_examples=40, deadline=None)
def test_counting_finds_what_the_search_finds(problem: ExplanationProblem) -> None:
    sets = [
        {(e.kind, e.members) for e in enumerate_explanations(problem, oracle)}
        for oracle in (TreeVoteOracle(problem, most_classes=9), TreeOracle(problem))
    ]
    assert sets[0] == sets[1]
    for kind in Kind:
        sizes = [len(members) for k, members in sets[0] if k is kind]
        found = smallest_explanation(problem, TreeVoteOracle(problem, most_classes=9), kind)
        assert (None if found is None else found.cost) == min(sizes, default=None)
        assert found is None or found.proved


@given(elections())
@settings(max_examples=20, deadline=None)
def test_other_questions_go_to_the_search(problem: ExplanationProblem) -> None:
    try:
        lead = replace(problem, question=KeepMargin(1.0))
    except DataError:
        return  # the lead is smaller already
    oracle = TreeVoteOracle(lead, most_classes=9)
    assert oracle.name == "tree search"
    for free in free_sets(lead):
        answer = oracle.decide([free], Budget().start())[0]
        possible = bool(lead.changed(every_point(lead, free)).any())
        assert isinstance(answer, Counterexample if possible else Entailed)


def test_only_forests_that_vote_are_counted() -> None:
    kinds: set[type[object]] = set()

    @given(problems())
    @settings(max_examples=25, deadline=None, database=None)
    def others(problem: ExplanationProblem) -> None:
        structure = problem.classifier.structure
        oracle = tree_oracles(structure, problem.space)(problem)
        counted = counts_votes(LeafBoxes.of(structure, problem.space))
        assert isinstance(oracle, TreeVoteOracle) == counted
        assert oracle.name == "tree search" or structure.n_outputs == 2

    @given(elections())
    @settings(max_examples=25, deadline=None, database=None)
    def voting(problem: ExplanationProblem) -> None:
        kinds.add(type(tree_oracles(problem.classifier.structure, problem.space)(problem)))

    others()
    voting()
    assert TreeVoteOracle in kinds


@given(elections(most=2))
@settings(max_examples=20, deadline=None)
def test_a_budget_that_ends_is_unknown(problem: ExplanationProblem) -> None:
    meter = Budget().start()
    meter.cancel()
    answer = TreeVoteOracle(problem, most_classes=9).decide([problem.universe], meter)[0]
    if isinstance(answer, Unknown):
        assert answer.reason is UnknownReason.CANCELLED
    else:  # decided without a conflict, or nothing that is free matters
        possible = bool(problem.changed(every_point(problem, problem.universe)).any())
        assert isinstance(answer, Counterexample if possible else Entailed)

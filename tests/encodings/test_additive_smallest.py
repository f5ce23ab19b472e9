"""Smallest explanations by sorting against all subsets, and against hitting sets."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from random_additive import problems

from whyproof.encodings.linear.oracle import AdditiveOracle
from whyproof.engine.answers import Counterexample, Entailed, Unknown
from whyproof.engine.budget import Budget
from whyproof.engine.explanation import Kind, Status
from whyproof.engine.hitting.smallest import smallest_explanation
from whyproof.engine.problem import ExplanationProblem


@given(problems())
@settings(max_examples=120, deadline=None)
def test_smallest_sets_agree_with_all_subsets(problem: ExplanationProblem) -> None:
    oracle = AdditiveOracle(problem)
    features = sorted(problem.universe)
    subsets = [
        frozenset(chosen)
        for size in range(len(features) + 1)
        for chosen in itertools.combinations(features, size)
    ]
    answers = dict(zip(subsets, oracle.decide(subsets, Budget().start()), strict=True))
    if any(isinstance(answer, Unknown) for answer in answers.values()):
        return
    flips = [len(s) for s, a in answers.items() if isinstance(a, Counterexample)]
    keeps = [len(features) - len(s) for s, a in answers.items() if isinstance(a, Entailed)]
    for kind, sizes in ((Kind.CXP, flips), (Kind.AXP, keeps)):
        found = smallest_explanation(problem, oracle, kind)
        if not sizes:
            assert found is None
            continue
        assert found is not None and found.explanation is not None
        assert found.proved and found.cost == min(sizes)
        assert found.explanation.status is Status.MINIMAL


@given(problems())
@settings(max_examples=60, deadline=None)
def test_a_proposal_never_claims_too_much(problem: ExplanationProblem) -> None:
    """With some features ruled out as well: no allowed set is smaller than the bound."""
    oracle = AdditiveOracle(problem)
    allowed = frozenset(sorted(problem.universe)[1:])
    for kind in Kind:
        proposal = oracle.least(kind, allowed)
        if proposal is None:
            continue
        members, bound = proposal
        assert members <= allowed
        for size in range(min(bound, len(allowed) + 1)):
            for chosen in itertools.combinations(sorted(allowed), size):
                free = frozenset(chosen)
                if kind is Kind.AXP:
                    free = problem.universe - free
                answer = oracle.decide([free], Budget().start())[0]
                assert not isinstance(answer, Entailed if kind is Kind.AXP else Counterexample)

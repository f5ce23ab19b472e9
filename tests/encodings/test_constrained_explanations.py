"""Explanations under constraints: all of them against brute force on finite spaces."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from test_constrained_oracles import additive_problem, tree_problem

from whyproof.encodings.constraints.core import with_constraint_core
from whyproof.encodings.oracles import prepare_oracles, under_constraints
from whyproof.engine.answers import Counterexample, Entailed
from whyproof.engine.budget import Meter
from whyproof.engine.domain import Integers
from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.explanation import Kind, Status
from whyproof.engine.minimise import minimise
from whyproof.engine.oracle import Oracle
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.region import Region
from whyproof.engine.space import Column, FeatureSet

Family = Callable[[int], ExplanationProblem]
WHOLE = Integers(False, -2, 3)


def finite(problem: ExplanationProblem) -> ExplanationProblem | None:
    """The same model and constraints over whole numbers; `None` if the row breaks one."""
    instance = np.clip(np.round(np.nan_to_num(problem.instance)), -2, 3)
    columns = tuple(Column(c.name, WHOLE) for c in problem.space.columns)
    rules = tuple(
        rule
        for rule in problem.space.constraints
        if bool(rule.at(instance).holds(instance[None])[0])  # type: ignore[attr-defined]
    )
    space = replace(problem.space, columns=columns, constraints=rules)
    if not rules or problem.classifier.classes == ():
        return None
    outcome = float(problem.classifier.predict(instance[None])[0])
    try:
        problem.question.check(problem.classifier, outcome)
    except ValueError:
        return None
    return ExplanationProblem(
        problem.classifier, space, instance, Region.everywhere(), problem.question
    )


def a_finite(family: Family, seed: int) -> ExplanationProblem:
    """The first problem from a seed on whose row satisfies some constraints."""
    found = (finite(family(number)) for number in itertools.count(seed))
    return next(problem for problem in found if problem is not None)


def changing_sets(problem: ExplanationProblem) -> list[FeatureSet]:
    """What every admissible point that changes the decision moves."""
    n = problem.space.n_columns
    points = np.array(list(itertools.product(range(-2, 4), repeat=n)), dtype=float)
    for rule in problem.constraints:
        points = points[rule.holds(points)]
    return [problem.space.moved(problem.instance, p) for p in points[problem.changed(points)]]


def least(sets: list[FeatureSet]) -> set[FeatureSet]:
    return {s for s in sets if not any(t < s for t in sets)}


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("family", [tree_problem, additive_problem])
def test_all_explanations_are_those_of_brute_force(family: Family, seed: int) -> None:
    problem = a_finite(family, 1000 + 10 * seed)
    factory = prepare_oracles(problem.classifier.structure, problem.space)
    found = enumerate_explanations(problem, factory(problem))
    sets = {kind: set[FeatureSet]() for kind in Kind}
    for explanation in found:
        assert explanation.status is Status.MINIMAL
        sets[explanation.kind].add(explanation.members)
        if isinstance(explanation.evidence, Counterexample):
            problem.replay(explanation.evidence.point, explanation.members)
    assert found.complete
    weak = changing_sets(problem)
    assert sets[Kind.CXP] == least(weak)
    universe = range(problem.space.n_features)
    hitting = [
        frozenset(c)
        for k in range(len(universe) + 1)
        for c in itertools.combinations(universe, k)
        if all(set(c) & s for s in weak)
    ]
    assert sets[Kind.AXP] == least(hitting)


@pytest.mark.parametrize("seed", range(25))
def test_the_constraints_of_a_reason_are_needed_and_enough(seed: int) -> None:
    problem = a_finite(tree_problem, 9000 + 10 * seed)
    plain = prepare_oracles(problem.classifier.structure, replace(problem.space, constraints=()))

    def oracle_of(asked: ExplanationProblem) -> Oracle:
        return under_constraints(asked, plain)

    why = minimise(problem, oracle_of(problem), Kind.AXP)
    assert why is not None
    why = with_constraint_core(why, oracle_of, Meter())
    assert isinstance(why.evidence, Entailed)
    used = [c for c in problem.space.constraints if c.name in why.evidence.constraints]

    def forced(rules: list[object]) -> bool:
        less = replace(problem, space=replace(problem.space, constraints=tuple(rules)))  # type: ignore[arg-type]
        return all(moved & why.members for moved in changing_sets(less))

    assert forced(list(used))
    for rule in used:
        assert not forced([other for other in used if other is not rule])

"""Oracles under constraints: every answer against brute force over a rich grid of points.

A counterexample is checked by replay alone; a proof is refuted by any admissible point of
the grid that changes the decision; unknown is no answer where an exact oracle is at work.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import random_ensembles
from hypothesis import given, settings
from hypothesis import strategies as st
from random_constraints import constraints, telling_values

from whyproof.encodings.constraints.oracle import ConstrainedOracle
from whyproof.encodings.trees.constrained import ConstrainedTreeOracle
from whyproof.encodings.trees.oracle import TreeOracle
from whyproof.engine.answers import Counterexample, Entailed, Unknown
from whyproof.engine.budget import Meter
from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet, Points


@st.composite
def constrained(
    draw: st.DrawFn, plain: st.SearchStrategy[ExplanationProblem]
) -> ExplanationProblem:
    problem = draw(plain)
    rules = draw(constraints(problem.space, problem.instance))
    return replace(problem, space=replace(problem.space, constraints=rules))


def grid(problem: ExplanationProblem, free: FeatureSet, extra: list[float], most: int) -> Points:
    """Admissible points of a grid in which only `free` moves."""
    low, high = problem.limits
    values: list[list[float]] = []
    for i, column in enumerate(problem.space.columns):
        options = [float(problem.instance[i])]
        if int(problem.space.owner[i]) in free & problem.universe:
            wanted = [
                *telling_values(column.domain.is_discrete, column.domain.nullable),
                *extra,
                float(low[i]),
                float(high[i]),
            ]
            options += [v for v in dict.fromkeys(wanted) if column.domain.contains(v)]
        values.append(options)
    points = np.array(list(itertools.islice(itertools.product(*values), most)))
    inside = [problem.region.contains(problem.space, problem.instance, p) for p in points]
    points = points[inside]
    for rule in problem.constraints:
        points = points[rule.holds(points)]
    return points


def check(
    problem: ExplanationProblem, oracle: object, free: FeatureSet, extra: list[float]
) -> None:
    (answer,) = oracle.decide([free], Meter())  # type: ignore[attr-defined]
    if isinstance(answer, Counterexample):
        problem.replay(answer.point, free)
        assert answer.moved == problem.space.moved(problem.instance, answer.point)
        return
    if isinstance(answer, Unknown):
        return
    points = grid(problem, problem.universe - answer.core, extra, 4_000)
    if len(points):
        assert not problem.changed(points).any(), (answer, points[problem.changed(points)][0])


@settings(max_examples=80)
@given(constrained(random_ensembles.problems()), st.data())
def test_trees_under_constraints_agree_with_brute_force(
    problem: ExplanationProblem, data: st.DataObject
) -> None:
    oracle = ConstrainedTreeOracle(problem)
    oracle.focus = data.draw(st.sampled_from([None, *Kind]))
    for _ in range(3):
        free = data.draw(st.frozensets(st.sampled_from(range(problem.space.n_features))))
        (answer,) = oracle.decide([free], Meter())
        assert not isinstance(answer, Unknown), answer
        check(problem, oracle, free, [])
        plain = TreeOracle(problem)
        (without,) = plain.decide([free], Meter())
        if isinstance(answer, Counterexample):
            assert isinstance(without, Counterexample)
        elif isinstance(without, Entailed):
            assert not answer.constraints
        check(problem, ConstrainedOracle(problem, plain), free, [])

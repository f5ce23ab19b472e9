"""Inflated and probabilistic explanations, covers and sets with a property: brute force."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from test_constrained_explanations import a_finite, changing_sets, least
from test_constrained_oracles import additive_problem, tree_problem

from whyproof.encodings.constraints.values import Values
from whyproof.encodings.oracles import prepare_oracles, under_constraints
from whyproof.encodings.queries.cover import cover
from whyproof.encodings.queries.inflated import Inflated, inflate
from whyproof.encodings.queries.probabilistic import TreeProbability, probabilistic_axp
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.explanation import Kind
from whyproof.engine.minimise import minimise
from whyproof.engine.oracle import Oracle
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.such_that import explanation_such_that

VALUES = [float(v) for v in range(-2, 4)]


def oracles(problem: ExplanationProblem) -> object:
    plain = prepare_oracles(problem.classifier.structure, replace(problem.space, constraints=()))

    def oracle_of(asked: ExplanationProblem) -> Oracle:
        return under_constraints(asked, plain)

    return oracle_of


def all_points(problem: ExplanationProblem) -> np.ndarray:
    points = np.array(list(itertools.product(VALUES, repeat=problem.space.n_columns)))
    for rule in problem.constraints:
        points = points[rule.holds(points)]
    return points


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("family", [tree_problem, additive_problem])
@pytest.mark.parametrize("constrained", [True, False])
def test_inflated_reasons_force_the_decision_and_cannot_grow(
    family: object, seed: int, constrained: bool
) -> None:
    problem = a_finite(family, 20_000 + 10 * seed)  # type: ignore[arg-type]
    if not constrained:
        problem = replace(problem, space=replace(problem.space, constraints=()))
    oracle_of = oracles(problem)
    why = minimise(problem, oracle_of(problem), Kind.AXP)  # type: ignore[operator]
    assert why is not None
    inflated = inflate(why, oracle_of)  # type: ignore[arg-type]
    assert not inflated.open
    points = all_points(problem)
    changed = problem.changed(points)
    assert not changed[inflated.covers(points)].any()
    for column, values in inflated.sets.items():
        assert problem.instance[column] in values
        # One more value on either side has a counterexample.
        inside = [v for v in VALUES if v in values]
        for beyond in (min(inside) - 1.0, max(inside) + 1.0):
            if beyond not in VALUES:
                continue
            wider = replace(inflated, sets={**inflated.sets, column: values | Values.of([beyond])})
            assert changed[wider.covers(points)].any()


@pytest.mark.parametrize("seed", range(30))
def test_inflated_contrasts_always_change_the_decision(seed: int) -> None:
    problem = a_finite(tree_problem, 30_000 + 10 * seed)
    oracle_of = oracles(problem)
    what = minimise(problem, oracle_of(problem), Kind.CXP)  # type: ignore[operator]
    if what is None:
        return
    inflated = inflate(what, oracle_of)  # type: ignore[arg-type]
    points = all_points(problem)
    others = [i for i in range(problem.space.n_columns) if i not in inflated.sets]
    same = (points[:, others] == problem.instance[others]).all(axis=1)
    covered = inflated.covers(points) & same
    assert covered.any()
    assert problem.changed(points)[covered].all()


@pytest.mark.parametrize("seed", range(25))
def test_probabilities_are_counted_exactly(seed: int) -> None:
    problem = a_finite(tree_problem, 40_000 + 10 * seed)
    problem = replace(problem, space=replace(problem.space, constraints=()))
    count = TreeProbability(problem)
    points = all_points(problem)
    changed = problem.changed(points)
    n = problem.space.n_features
    for size in range(n + 1):
        for fixed in itertools.combinations(range(n), size):
            same = (points[:, list(fixed)] == problem.instance[list(fixed)]).all(axis=1)
            wanted = Fraction(int((~changed[same]).sum()), int(same.sum()))
            least_, most = count.bounds(frozenset(fixed), Meter())
            assert least_ == most == pytest.approx(float(wanted))
    found = probabilistic_axp(count, 0.9)
    assert found.least >= 0.9 - 1e-9
    assert found.locally_minimal
    for i in found.members:
        assert count.bounds(found.members - {i}, Meter())[1] < 0.9
    certain = probabilistic_axp(count, 1.0)
    assert all(moved & certain.members for moved in changing_sets(problem))


def test_data_weigh_the_cells_and_budgets_leave_bounds() -> None:
    problem = a_finite(tree_problem, 40_040)
    problem = replace(problem, space=replace(problem.space, constraints=()))
    rows = np.tile(problem.instance, (7, 1))
    assert TreeProbability(problem, rows).bounds(frozenset(), Meter()) == (1.0, 1.0)
    meter = Budget(calls=1).start()
    meter.cancel()
    low, high = TreeProbability(problem).bounds(frozenset(), meter)
    assert 0.0 <= low <= high <= 1.0
    with pytest.raises(DataError, match="probability"):
        probabilistic_axp(TreeProbability(problem), 1.5)
    with pytest.raises(UnsupportedError, match="tree ensembles only"):
        TreeProbability(additive_problem(1))
    endless = next(
        p
        for p in (tree_problem(seed) for seed in range(100))
        if any(np.isinf(c.domain.bounds[1]) for c in p.space.columns)
    )
    with pytest.raises(DataError, match="no finite range"):
        TreeProbability(replace(endless, space=replace(endless.space, constraints=())))


@pytest.mark.parametrize("seed", range(12))
def test_a_cover_covers_and_is_smallest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 6, (12, 2)).astype(float)
    rules = [
        Inflated(None, {int(c): Values.between(a, a + 2)})  # type: ignore[arg-type]
        for c, a in zip(rng.integers(0, 2, 5), rng.integers(0, 5, 5).astype(float), strict=True)
    ]
    found = cover(rules, points)
    table = np.stack([rule.covers(points) for rule in rules])
    reachable = table.any(axis=0)
    assert (found.covered == reachable).all()
    assert (np.any([rule.covers(points) for rule in found.rules], axis=0) == reachable).all()
    fewest = next(
        k
        for k in range(len(rules) + 1)
        for chosen in itertools.combinations(range(len(rules)), k)
        if (table[list(chosen)].any(axis=0) == reachable).all()
    )
    assert len(found.rules) == found.lower_bound == fewest
    assert found.is_smallest


@pytest.mark.parametrize("seed", range(15))
def test_the_least_explanation_with_a_property(seed: int) -> None:
    problem = a_finite(tree_problem, 50_000 + 10 * seed)
    oracle = oracles(problem)(problem)  # type: ignore[operator]
    cxps = least(changing_sets(problem))

    def accepts(members: frozenset[int]) -> bool:
        return not {0, 1} <= members

    wanted = sorted(len(c) for c in cxps if accepts(c))
    found = explanation_such_that(problem, oracle, Kind.CXP, accepts)
    assert found.proved
    if wanted:
        assert found.explanation is not None
        assert len(found.explanation.members) == wanted[0]
        assert found.explanation.members in cxps
    else:
        assert found.explanation is None

"""Nearest counterfactuals: against brute force over cells, and what the answers promise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_constraints import CUTS, constraints
from random_ensembles import admissible, problems

from whyproof.encodings.constraints.formula import Linear, atoms
from whyproof.encodings.recourse.actions import Action, Actions
from whyproof.encodings.recourse.answer import NearestStatus
from whyproof.encodings.recourse.distance import NORMS, Distance
from whyproof.encodings.recourse.knowledge import as_constraints
from whyproof.encodings.recourse.nearest import NearestSearch
from whyproof.encodings.trees.ensemble import TreeEnsemble
from whyproof.engine.domain import Categories
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSpace, Points

GRID = 1e-6
"""Values of points lie on the float32 grid; brute force may fall between."""


@st.composite
def rules(draw: st.DrawFn, space: FeatureSpace) -> Actions:
    found: dict[int, Action] = {}
    for i, feature in enumerate(space.features):
        kind = draw(st.integers(0, 7))
        if kind == 1:
            found[i] = Action("stay")
        domain = space.columns[feature.columns[0]].domain
        if len(feature.columns) > 1 or isinstance(domain, Categories):
            continue
        if kind in (2, 3):
            found[i] = Action("up" if kind == 2 else "down")
        elif kind == 4:
            found[i] = Action(step=draw(st.sampled_from([0.5, 1.0, 0.3])))
        elif kind == 5:
            found[i] = Action("up", lower=-1.0, upper=1.5)
    return Actions(found)


@st.composite
def searches(draw: st.DrawFn) -> tuple[ExplanationProblem, Actions, Distance]:
    problem = draw(problems(float32=draw(st.booleans())))
    space = problem.space
    weights = {
        name: draw(st.sampled_from([0.5, 1.0, 3.0])) for name in space.names if draw(st.booleans())
    }
    distance = Distance.of(space, draw(st.sampled_from(NORMS)), weights=weights)
    return problem, draw(rules(space)), distance


def choices(
    problem: ExplanationProblem, actions: Actions, extra: Sequence[float] = ()
) -> list[list[float]]:
    """Values that each column may take, enough to hold a nearest counterfactual."""
    space, instance = problem.space, problem.instance
    low, high = problem.region.limits(space, instance)
    listed: list[list[float]] = []
    for c, column in enumerate(space.columns):
        action = actions.of_feature(int(space.owner[c]))
        here = float(instance[c])
        options = [here]
        if not space.features[space.owner[c]].immutable and action.direction != "stay":
            just_beyond_zero = float(np.nextafter(np.float32(1e-35), np.float32(1)))
            wanted = [*admissible(column.domain), just_beyond_zero, -just_beyond_zero, *extra]
            if action.step is not None:
                wanted = [here + k * action.step for k in range(-40, 41)]
                wanted += [math.nan] if math.isnan(here) else []
            first, last = action.limits(here)
            for value in [*wanted, low[c], high[c]]:
                value = float(value)
                if math.isinf(value):
                    continue
                if math.isnan(here) != math.isnan(value):
                    plain = action == Action()
                    if not (plain and column.domain.nullable):
                        continue
                    if bool(problem.region.restricted(space)[c]):
                        continue
                elif math.isnan(value):
                    continue
                elif not (low[c] <= value <= high[c] and first <= value <= last):
                    continue
                if action.step is not None and not math.isnan(value):
                    steps = round((value - here) / action.step)
                    if here + steps * action.step != value:
                        continue
                if not math.isnan(value) and not column.domain.contains(value):
                    continue
                options.append(value)
        listed.append(list(dict.fromkeys(options)))
    return listed


def every_choice(problem: ExplanationProblem, actions: Actions) -> Points:
    listed = choices(problem, actions)
    ensemble = problem.classifier.structure
    assert isinstance(ensemble, TreeEnsemble)
    kept: list[list[float]] = []
    for c, options in enumerate(listed):
        # Of the values that all splits treat alike, the nearest one will do.
        best: dict[bytes, float] = {}
        here = float(problem.instance[c])
        far = Distance.of(problem.space)
        for value in sorted(options, key=lambda v: far.step(c, here, v)):
            cast = ensemble.cast(np.array([[value]]))[0]
            sides = b"".join(
                tree.goes_left(at, np.repeat(cast, len(at))).tobytes()
                for tree in ensemble.trees
                if len(at := np.flatnonzero(tree.column == c))
            )
            best.setdefault(sides, value)
        kept.append([here, *best.values()])
    return np.array(list(itertools.product(*kept)))


@pytest.mark.slow
@settings(
    max_examples=600,
    report_multiple_bugs=False,
    phases=(Phase.explicit, Phase.generate),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(searches())
def test_nearest_is_the_optimum_over_all_cells(
    drawn: tuple[ExplanationProblem, Actions, Distance],
) -> None:
    problem, actions, distance = drawn
    points = every_choice(problem, actions)
    changed = problem.changed(points)
    costs = [distance.between(problem.instance, p) for p in points[changed]]
    search = NearestSearch(
        [problem.classifier],
        problem.space,
        distance=distance,
        question=problem.question,
        actions=actions,
        region=problem.region,
    )
    found = search.nearest(problem.instance)
    if not costs:
        assert found.status is NearestStatus.NONE
        return
    assert found.status is NearestStatus.OPTIMAL
    assert found.point is not None
    assert found.distance == pytest.approx(min(costs), abs=GRID)
    assert bool(problem.changed(found.point[None])[0])
    assert problem.region.contains(problem.space, problem.instance, found.point)
    problem.space.check(found.point)


@st.composite
def constrained(draw: st.DrawFn) -> tuple[ExplanationProblem, Distance]:
    problem = draw(problems(float32=draw(st.booleans())))
    known = draw(constraints(problem.space, problem.instance, most=2))
    space = replace(problem.space, constraints=known)
    distance = Distance.of(space, draw(st.sampled_from(NORMS)))
    return replace(problem, space=space), distance


@pytest.mark.slow
@settings(
    max_examples=500,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(constrained())
def test_constraints_hold_and_nothing_nearer_satisfies_them(
    drawn: tuple[ExplanationProblem, Distance],
) -> None:
    problem, distance = drawn
    space, instance = problem.space, problem.instance
    put = [c.at(instance) for c in as_constraints(space)]
    search = NearestSearch(
        [problem.classifier],
        space,
        distance=distance,
        question=problem.question,
        region=problem.region,
    )
    try:
        found = search.nearest(instance)
    except UnsupportedError as error:
        assert "finite bounds" in str(error) or "memberships only" in str(error)
        return
    concerned = sorted({c for constraint in put for c in constraint.columns})
    options = choices(
        problem, Actions({}), extra=[*CUTS, *np.nextafter(CUTS, -9), *np.nextafter(CUTS, 9)]
    )
    for c in concerned:
        # Statements about a column hold while it is missing, or while it is not.
        options[c] = [v for v in options[c] if math.isnan(v) == math.isnan(instance[c])]
    size = math.prod(len(values) for values in options)
    random = np.random.default_rng(size)
    if size > 20_000:
        points = np.column_stack([random.choice(values, 20_000) for values in options])
    else:
        points = np.array(list(itertools.product(*options)))
    holds = np.all([c.holds(points) for c in put], axis=0) if put else np.ones(len(points), bool)
    points = points[holds]
    points = points[problem.changed(points)] if len(points) else points
    nearest = min((distance.between(instance, p) for p in points), default=math.inf)
    assert found.status in (NearestStatus.OPTIMAL, NearestStatus.NONE)
    assert found.distance <= nearest + GRID
    if found.point is not None:
        assert bool(problem.changed(found.point[None])[0])
        assert all(bool(c.holds(found.point[None])[0]) for c in put)
        assert problem.region.contains(space, instance, found.point)
        linear = any(isinstance(a, Linear) for c in put for a in atoms(c.formula))
        if not linear and size <= 20_000:
            assert found.distance == pytest.approx(nearest, abs=GRID)

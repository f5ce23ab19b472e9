"""Nearest changes in causal worlds: only direct actions are paid for, against plain enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_ensembles import RunningModel

from whyproof.asp.planning.transition import foundations
from whyproof.asp.rules import Body, Literal, Operator
from whyproof.asp.worlds import CausalRule, Change, Denial, Precondition, World, WorldFeature
from whyproof.asp.worlds.compile import compile_world
from whyproof.encodings.recourse.actions import Actions
from whyproof.encodings.recourse.answer import NearestStatus
from whyproof.encodings.recourse.conflict import smallest_conflict
from whyproof.encodings.recourse.distance import NORMS, Distance
from whyproof.encodings.recourse.nearest import NearestSearch
from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.domain import Integers
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.space import FeatureSpace, Point
from whyproof.recourse.world import world_rules

NAMES = ("a", "b", "c", "d")
VALUES = range(-1, 2)
SPACE = FeatureSpace.of(NAMES, {name: Integers(lower=-1, upper=1) for name in NAMES})


@st.composite
def literals(draw: st.DrawFn, name: str) -> Literal:
    operator = draw(st.sampled_from([Operator.LE, Operator.GE, Operator.EQ]))
    return Literal(name, operator, draw(st.sampled_from([-1, 0, 1])))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    features = tuple(
        WorldFeature(name, Integers(lower=-1, upper=1), draw(st.sampled_from(list(Change))))
        for name in NAMES
    )
    causal: list[CausalRule] = []
    for _ in range(draw(st.integers(1, 3))):
        head, *body = draw(st.permutations(NAMES))
        tests = tuple(draw(literals(name)) for name in body[: draw(st.integers(1, 2))])
        causal.append(CausalRule((draw(literals(head)),), (Body(tests),), iff=draw(st.booleans())))
    denials: tuple[Denial, ...] = ()
    if draw(st.integers(0, 3)) == 0:
        one, other = draw(st.permutations(NAMES))[:2]
        denials = (Denial((Body((draw(literals(one)), draw(literals(other)))),)),)
    return World(features, tuple(causal), denials)


@st.composite
def forests(draw: st.DrawFn) -> RunningModel:
    trees = tuple(
        Tree(
            np.array([draw(st.integers(0, 3)), -1, -1], dtype=np.int32),
            np.array([draw(st.sampled_from([-0.5, 0.5])), np.nan, np.nan]),
            np.array([1, -1, -1], dtype=np.int32),
            np.array([2, -1, -1], dtype=np.int32),
            np.array([True, False, False]),
            np.array([[0.0], [draw(st.integers(-3, 3))], [draw(st.integers(-3, 3))]], dtype=float),
        )
        for _ in range(draw(st.integers(1, 4)))
    )
    base = np.array([draw(st.sampled_from([-0.5, 0.5]))])
    return RunningModel(TreeEnsemble(4, trees, base, DecisionRule.POSITIVE, ("no", "yes")))


def may(world: World, place: int, before: float, after: float) -> bool:
    match world.features[place].change:
        case Change.ANY:
            return True
        case Change.UP:
            return after > before
        case Change.DOWN:
            return after < before
        case _:
            return False


def cheapest(world: World, model: RunningModel, distance: Distance, here: Point) -> float:
    """Try every state and every set of direct moves; effects by the planner's own definition."""
    problem = compile_world(world)
    kept = model.predict(here[None])[0]
    start = problem.encode(dict(zip(NAMES, (int(v) for v in here), strict=True)))
    best = math.inf
    for values in itertools.product(VALUES, repeat=4):
        point = np.array(values, dtype=np.float64)
        after = problem.encode(dict(zip(NAMES, values, strict=True)))
        if model.predict(point[None])[0] == kept or not problem.is_consistent(after):
            continue
        moved = [i for i in range(4) if point[i] != here[i]]
        for size in range(len(moved) + 1):
            for direct in itertools.combinations(moved, size):
                if not all(may(world, i, here[i], point[i]) for i in direct):
                    continue
                between = tuple(after[i] if i in direct else start[i] for i in range(4))
                effects = {i for i in moved if i not in direct}
                if any(world.features[i].change is Change.FROZEN for i in effects):
                    continue
                if not effects <= set(foundations(problem, between, after)):
                    continue
                paid = here.copy()
                paid[list(direct)] = point[list(direct)]
                best = min(best, distance.between(here, paid))
    return best


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(worlds(), forests(), st.sampled_from(NORMS), st.data())
def test_only_direct_moves_cost_and_effects_are_well_founded(
    world: World, model: RunningModel, norm: str, data: st.DataObject
) -> None:
    made = world_rules(world, SPACE)
    states = np.array(list(itertools.product(VALUES, repeat=4)), dtype=np.float64)
    fine = np.all([c.holds(states) for c in made.space.constraints], axis=0)
    if not fine.any():
        return
    here = data.draw(st.sampled_from(list(states[fine])))
    weights = {"a": 2.0, "c": 0.5}
    distance = Distance.of(SPACE, norm, weights=weights)  # type: ignore[arg-type]
    search = NearestSearch(
        [model], made.space, distance=distance, actions=made.actions, causes=made.causes
    )
    found = search.nearest(here)
    expected = cheapest(world, model, distance, here)
    if math.isinf(expected):
        assert found.status is NearestStatus.NONE
        return
    assert found.status is NearestStatus.OPTIMAL
    assert found.distance == pytest.approx(expected, abs=1e-6)


def loan() -> tuple[RunningModel, World]:
    """Paying the debt off lifts the score, which nobody can set themselves."""
    tree = Tree(
        np.array([1, -1, -1], dtype=np.int32),
        np.array([0.5, np.nan, np.nan]),
        np.array([1, -1, -1], dtype=np.int32),
        np.array([2, -1, -1], dtype=np.int32),
        np.array([True, False, False]),
        np.array([[0.0], [-1.0], [1.0]]),
    )
    model = RunningModel(
        TreeEnsemble(4, (tree,), np.zeros(1), DecisionRule.POSITIVE, ("no", "yes"))
    )
    features = tuple(
        WorldFeature(
            name, Integers(lower=-1, upper=1), Change.IMMUTABLE if name == "b" else Change.ANY
        )
        for name in NAMES
    )
    rule = CausalRule((Literal("b", Operator.GE, 1),), (Body((Literal("a", Operator.LE, -1),)),))
    return model, World(features, (rule,))


def test_an_effect_is_named_and_free() -> None:
    model, world = loan()
    made = world_rules(world, SPACE)
    here = np.zeros(4)
    free = NearestSearch([model], SPACE, distance=Distance.of(SPACE)).nearest(here)
    assert free.moved == {1}
    search = NearestSearch(
        [model],
        made.space,
        distance=Distance.of(SPACE),
        actions=made.actions,
        causes=made.causes,
    )
    found = search.nearest(here)
    assert (set(found.moved), set(found.effects), found.distance) == ({0, 1}, {1}, 1.0)
    assert found.point is not None
    assert found.point.tolist() == [-1.0, 1.0, 0.0, 0.0]


def test_a_conflict_names_what_an_effect_alone_could_do() -> None:
    model, world = loan()
    made = world_rules(world, SPACE)
    search = NearestSearch(
        [model],
        made.space,
        actions=made.joined(Actions.of(SPACE, stay=["a"])),
        causes=made.causes,
    )
    conflict = smallest_conflict(search, np.zeros(4))
    assert conflict is not None
    assert conflict.is_smallest
    assert [rule.text for rule in conflict.rules] == [
        "a stays as it is",
        "b does not move, except by an effect",
    ]


def test_what_a_world_cannot_say_here_is_refused() -> None:
    _, world = loan()
    with pytest.raises(DataError, match="'a', which is no column"):
        world_rules(world, FeatureSpace.of(["b", "c", "d"]))
    needed = Precondition("a", (Body((Literal("b", Operator.GE, 0),)),))
    ordered = World(world.features, world.causal, (), (needed,))
    with pytest.raises(UnsupportedError, match="whyproof plan"):
        world_rules(ordered, SPACE)
    rising = World((WorldFeature("a", Integers(lower=-1, upper=1), Change.UP), *world.features[1:]))
    with pytest.raises(DataError, match="'a' contradict each other"):
        world_rules(rising, SPACE).joined(Actions.of(SPACE, down=["a"]))

"""Conflicts, several answers, pairs of people, shares of the space, and several models."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_ensembles import RunningModel, trees

from whyproof.encodings.recourse.actions import Action, Actions
from whyproof.encodings.recourse.answer import NearestStatus
from whyproof.encodings.recourse.conflict import smallest_conflict
from whyproof.encodings.recourse.distance import Distance
from whyproof.encodings.recourse.measure import flip_share
from whyproof.encodings.recourse.nearest import NearestSearch
from whyproof.encodings.recourse.pairs import PairSearch
from whyproof.encodings.recourse.plausible import Floor, SeenTogether, leaf_density
from whyproof.encodings.recourse.proof import DistanceProof, prove_distance
from whyproof.encodings.recourse.sensitive import affected_rows
from whyproof.encodings.recourse.several import k_nearest
from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.domain import Integers, Real
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.question import ReachClass
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSpace, Points

QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@st.composite
def models(draw: st.DrawFn, n: int = 3) -> tuple[RunningModel, FeatureSpace]:
    """Two classes over a few small whole numbers: every point can be listed."""
    space = FeatureSpace.of(
        [f"x{i}" for i in range(n)], {f"x{i}": Integers(lower=-2, upper=2) for i in range(n)}
    )
    grown = tuple(draw(trees(space, 1, True)) for _ in range(draw(st.integers(1, 4))))
    base = np.array([draw(st.sampled_from([0.0, 0.05, -0.2]))])
    ensemble = TreeEnsemble(n, grown, base, DecisionRule.POSITIVE, ("no", "yes"))
    return RunningModel(ensemble), space


def every_point(space: FeatureSpace) -> Points:
    values = [range(int(c.domain.bounds[0]), int(c.domain.bounds[1]) + 1) for c in space.columns]
    return np.array(list(itertools.product(*values)), dtype=np.float64)


def stump(column: int, boundary: float, gain: float, n: int = 3) -> Tree:
    """Right of the boundary a gain, left of it the opposite."""
    del n
    return Tree(
        np.array([column, -1, -1], dtype=np.int32),
        np.array([boundary, np.nan, np.nan]),
        np.array([1, -1, -1], dtype=np.int32),
        np.array([2, -1, -1], dtype=np.int32),
        np.array([True, False, False]),
        np.array([[0.0], [-gain], [gain]]),
    )


def forest(*stumps: Tree, base: float = 0.0, n: int = 3) -> RunningModel:
    return RunningModel(
        TreeEnsemble(n, stumps, np.array([base]), DecisionRule.POSITIVE, ("no", "yes"))
    )


SPACE = FeatureSpace.of(["a", "b", "c"])


@QUICK
@given(models(), st.data())
def test_the_conflict_is_a_smallest_one(
    drawn: tuple[RunningModel, FeatureSpace], data: st.DataObject
) -> None:
    model, space = drawn
    points = every_point(space)
    instance = points[data.draw(st.integers(0, len(points) - 1))]
    rules = data.draw(st.lists(st.sampled_from(["stay", "up", "down"]), min_size=3, max_size=3))
    actions = Actions({i: Action(rule) for i, rule in enumerate(rules)})  # type: ignore[arg-type]
    search = NearestSearch([model], space, actions=actions)
    conflict = smallest_conflict(search, instance)
    kept = model.predict(instance[None])[0]
    others = points[model.predict(points) != kept]

    def excluded(indices: tuple[int, ...]) -> bool:
        return not any(
            all(actions.of_feature(i).allows(instance[i], p[i]) for i in indices) for p in others
        )

    if not excluded((0, 1, 2)):
        assert conflict is None
        return
    assert conflict is not None
    assert conflict.is_smallest
    assert excluded(tuple(rule.index for rule in conflict.rules))
    fewest = min(
        k for k in range(4) if any(excluded(c) for c in itertools.combinations(range(3), k))
    )
    assert len(conflict.rules) == fewest


@QUICK
@given(models(), st.data())
def test_the_k_nearest_come_in_order_and_diverse_ones_go_other_ways(
    drawn: tuple[RunningModel, FeatureSpace], data: st.DataObject
) -> None:
    model, space = drawn
    points = every_point(space)
    instance = points[data.draw(st.integers(0, len(points) - 1))]
    search = NearestSearch([model], space, distance=Distance.of(space, "l1"))
    found = [f for f in k_nearest(search, instance, 4) if f.point is not None]
    distances = [f.distance for f in found]
    assert distances == sorted(distances)
    assert all(f.status is NearestStatus.OPTIMAL for f in found)
    assert len({f.point.tobytes() for f in found if f.point is not None}) == len(found)
    ways = [f.moved for f in k_nearest(search, instance, 4, diverse=True) if f.point is not None]
    assert not any(one <= later for i, one in enumerate(ways) for later in ways[i + 1 :])


@QUICK
@given(models(), st.integers(0, 2))
def test_pairs_exist_exactly_where_brute_force_finds_them(
    drawn: tuple[RunningModel, FeatureSpace], feature: int
) -> None:
    model, space = drawn
    points = every_point(space)
    outcomes = model.predict(points)
    search = PairSearch(model, space, frozenset({feature}))
    rest = [i for i in range(3) if i != feature]
    by_rest: dict[bytes, list[tuple[float, float]]] = {}
    for point, outcome in zip(points, outcomes, strict=True):
        by_rest.setdefault(point[rest].tobytes(), []).append((point[feature], float(outcome)))
    flips = any(len({o for _, o in group}) > 1 for group in by_rest.values())
    answer = search.anywhere()
    assert answer.proved
    assert (answer.pair is not None) == flips
    if answer.pair is not None:
        one, other = answer.pair.one, answer.pair.other
        assert set(np.flatnonzero(one != other)) <= {feature}
        assert model.predict(one[None])[0] != model.predict(other[None])[0]
    affected = affected_rows(model, space, frozenset({feature}), points)
    expected = [len({o for _, o in by_rest[p[rest].tobytes()]}) > 1 for p in points]
    assert affected.flips.tolist() == expected
    assert affected.decided.all()
    share = float(np.mean(expected))
    low, high = flip_share(model, space, frozenset({feature}), Meter())
    assert low - 1e-9 <= share <= high + 1e-9
    if all(abs(s) > 1e-9 for s in model.structure.sums(points)[:, 0]):
        assert low == pytest.approx(high)
    falling = any(
        a < b and x > y for group in by_rest.values() for (a, x) in group for (b, y) in group
    )
    rising = search.anywhere(rising=True, outcomes=(1, 0))
    assert (rising.pair is not None) == falling


def test_near_looks_around_the_person_only() -> None:
    model = forest(stump(0, 5.0, 1.0), stump(1, 0.5, 0.4))
    search = PairSearch(model, SPACE, frozenset({1}))
    assert search.anywhere().proved
    assert search.anywhere().pair is None
    close = forest(stump(0, 5.0, 0.3), stump(1, 0.5, 0.4))
    search = PairSearch(close, SPACE, frozenset({1}))
    assert search.near(np.zeros(3), Region.ball(0.1)).pair is not None


@QUICK
@given(models(), models(), st.data())
def test_one_point_for_several_models(
    one: tuple[RunningModel, FeatureSpace],
    other: tuple[RunningModel, FeatureSpace],
    data: st.DataObject,
) -> None:
    space = one[1]
    both = [one[0], other[0]]
    points = every_point(space)
    instance = points[data.draw(st.integers(0, len(points) - 1))]
    target = data.draw(st.integers(0, 1))
    need = data.draw(st.integers(1, 2))
    search = NearestSearch(both, space, question=ReachClass(target), at_least=need)
    found = search.nearest(instance)
    agree = np.sum([m.predict(points) == target for m in both], axis=0) >= need
    costs = np.abs(points - instance).sum(axis=1)[agree]
    if not len(costs):
        assert found.status is NearestStatus.NONE
    else:
        assert found.distance == pytest.approx(costs.min())
        assert found.status in (NearestStatus.OPTIMAL, NearestStatus.ALREADY)


@QUICK
@given(models(), st.data())
def test_floors_and_seen_combinations_bind(
    drawn: tuple[RunningModel, FeatureSpace], data: st.DataObject
) -> None:
    model, space = drawn
    points = every_point(space)
    chosen = data.draw(st.lists(st.integers(0, len(points) - 1), min_size=3, max_size=8))
    seen = points[chosen]
    instance = seen[0]
    density = leaf_density(model.structure, seen)
    least = data.draw(st.sampled_from([0.1, 0.3, 0.6]))
    search = NearestSearch(
        [model],
        space,
        floors=[Floor(density, least, "dense")],
        together=[SeenTogether((0, 1), seen)],
    )
    found = search.nearest(instance)
    boxes = search.terrain().boxes
    cells = np.stack([boxes.locate(p) for p in points])
    pairs = {tuple(boxes.locate(p)[:2]) for p in seen}
    fine = (density.sums(points)[:, 0] >= least - 1e-12) & np.array(
        [tuple(c[:2]) in pairs for c in cells]
    )
    fine &= model.predict(points) != model.predict(instance[None])[0]
    costs = np.abs(points - instance).sum(axis=1)[fine]
    if not len(costs):
        assert found.status is NearestStatus.NONE
    else:
        assert found.distance == pytest.approx(costs.min())


@QUICK
@given(models(), st.data())
def test_the_proof_of_a_distance_goes_through_up_to_the_optimum_and_no_further(
    drawn: tuple[RunningModel, FeatureSpace], data: st.DataObject
) -> None:
    model, space = drawn
    points = every_point(space)
    instance = points[data.draw(st.integers(0, len(points) - 1))]
    search = NearestSearch([model], space)
    found = search.nearest(instance)
    if found.point is None:
        return
    run = search.run(instance, (float(model.predict(instance[None])[0]),), Meter())
    (goal,) = run.goal
    proof = prove_distance(run.program, run.places, goal, found.distance * (1 - 1e-6), Meter())
    assert isinstance(proof, DistanceProof)
    beyond = prove_distance(run.program, run.places, goal, found.distance * 1.01 + 0.01, Meter())
    assert not isinstance(beyond, DistanceProof)


def test_a_point_on_a_double_threshold_does_not_flip_back() -> None:
    # 0.1 in float64 is below float32(0.1): a point at the threshold itself would be cast
    # to the other side.
    boundary = float(np.nextafter(np.float32(0.1), np.float32(1)))
    model = forest(stump(0, boundary, 1.0))
    found = NearestSearch([model], SPACE).nearest(np.zeros(3))
    assert found.point is not None
    rounded = found.point.astype(np.float32).astype(np.float64)
    assert model.predict(np.stack([found.point, rounded])).tolist() == [1.0, 1.0]
    down = NearestSearch([model], SPACE).nearest(np.ones(3))
    assert down.point is not None
    rounded = down.point.astype(np.float32).astype(np.float64)
    assert model.predict(np.stack([down.point, rounded])).tolist() == [0.0, 0.0]


def test_a_time_limit_gives_the_best_point_and_its_gap() -> None:
    model = forest(*(stump(i % 3, 0.1 * i, 1.0 + i / 7) for i in range(9)), base=-0.5)
    found = NearestSearch([model], SPACE).nearest(np.zeros(3), budget=Budget(seconds=1e-9))
    assert found.status in (NearestStatus.BEST_SO_FAR, NearestStatus.UNKNOWN)
    assert found.gap > 0
    if found.point is not None:
        assert found.bound < found.distance < math.inf


def test_a_target_that_is_there_already_is_distance_zero() -> None:
    search = NearestSearch([forest(stump(0, 1.0, 1.0))], SPACE, question=ReachClass(0))
    found = search.nearest(np.zeros(3))
    assert found.status is NearestStatus.ALREADY
    assert found.distance == 0.0


@pytest.mark.parametrize("weight", [0.0, -1.0, math.inf])
def test_weights_must_be_positive(weight: float) -> None:
    with pytest.raises(DataError, match="weight of 'b'"):
        Distance.of(SPACE, weights={"b": weight})


def test_rules_that_cannot_be_are_refused_by_name() -> None:
    with pytest.raises(DataError, match="'a' contradict each other"):
        Actions.of(SPACE, up=["a"], down=["a"])
    with pytest.raises(DataError, match="'a' contradict each other"):
        Actions.of(SPACE, stay=["a"], up=["a"])
    with pytest.raises(DataError, match="no feature 'aa'"):
        Actions.of(SPACE, up=["aa"])
    with pytest.raises(DataError, match="rule for 'b': a step must be positive"):
        Actions.of(SPACE, steps={"b": 0.0})
    with pytest.raises(DataError, match="rule for 'c': nothing lies between"):
        Actions.of(SPACE, within={"c": (2.0, 1.0)})
    with pytest.raises(DataError, match="scales: no column"):
        Distance.of(SPACE, scale={"x": 1.0})
    with pytest.raises(DataError, match="has no range"):
        Distance.of(SPACE, scale="range")


def test_what_a_search_cannot_do_is_said() -> None:
    model = forest(stump(0, 1.0, 1.0))
    with pytest.raises(DataError, match="no model"):
        NearestSearch([], SPACE)
    with pytest.raises(UnsupportedError, match="boxes and linf"):
        NearestSearch([model], SPACE, region=Region.ball(1.0, "l1"))
    with pytest.raises(DataError, match="3 of 1 models"):
        NearestSearch([model], SPACE, at_least=3)
    with pytest.raises(DataError, match="finite bounds"):
        flip_share(model, FeatureSpace.of("abc", {"a": Real()}), frozenset({1}), Meter())
    with pytest.raises(DataError, match="name the features"):
        PairSearch(model, SPACE, frozenset())

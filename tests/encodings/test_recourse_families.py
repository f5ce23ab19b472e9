"""Nearest changes of linear models, rules and networks: enumeration, closed forms, bisection."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
import random_circuits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_constraints import constraints

from whyproof.encodings.constraints.constraint import linear
from whyproof.encodings.linear.additive import AdditiveModel, ColumnTerm
from whyproof.encodings.oracles import prepare_oracles
from whyproof.encodings.recourse.actions import Action, Actions
from whyproof.encodings.recourse.answer import NearestStatus
from whyproof.encodings.recourse.bisection import BisectionSearch
from whyproof.encodings.recourse.conflict import smallest_conflict
from whyproof.encodings.recourse.distance import NORMS, Distance
from whyproof.encodings.recourse.nearest import NearestSearch
from whyproof.encodings.recourse.several import k_nearest
from whyproof.encodings.trees.ensemble import DecisionRule
from whyproof.engine.budget import Budget
from whyproof.engine.domain import Categories, Integers, Real
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, ReachClass
from whyproof.engine.region import Norm
from whyproof.engine.space import FeatureSpace, Points

QUICK = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@dataclass(frozen=True)
class Running:
    """An additive model that decides in exact arithmetic."""

    structure: AdditiveModel
    fingerprint: str = "sha256:" + "0" * 64

    @property
    def n_columns(self) -> int:
        return self.structure.n_columns

    @property
    def classes(self) -> tuple[object, ...]:
        return self.structure.classes

    def predict(self, points: Points) -> npt.NDArray[np.float64]:
        return np.array([float(self.structure.exact_outcome(point)) for point in points])

    def scores(self, points: Points) -> npt.NDArray[np.float64]:
        return self.structure.sums(points)


@QUICK
@given(random_circuits.problems(), st.sampled_from(NORMS))
def test_rules_are_as_far_as_the_nearest_of_all_cells(
    problem: ExplanationProblem, norm: Norm
) -> None:
    space, instance = problem.space, problem.instance
    points = random_circuits.reachable_points(problem, problem.universe)
    distance = Distance.of(space, norm, weights={space.names[0]: 2.0})
    changed = problem.changed(points)
    expected = min((distance.between(instance, p) for p in points[changed]), default=math.inf)
    found = NearestSearch(
        [problem.classifier],
        space,
        distance=distance,
        question=problem.question,
        region=problem.region,
    ).nearest(instance)
    if isinstance(problem.question, ReachClass) and problem.prediction == problem.question.target:
        assert found.status is NearestStatus.ALREADY
        return
    assert found.status is (NearestStatus.NONE if math.isinf(expected) else NearestStatus.OPTIMAL)
    if found.point is not None:
        assert found.distance == pytest.approx(expected, abs=1e-6)
        assert bool(problem.changed(found.point[None])[0])


@st.composite
def additive(draw: st.DrawFn) -> tuple[Running, FeatureSpace]:
    """Lines over whole numbers, and a table over categories; two or three classes."""
    space = FeatureSpace.of(
        "abcd",
        {**{n: Integers(lower=-2, upper=2) for n in "abc"}, "d": Categories(values=tuple("xyz"))},
    )
    outputs = draw(st.sampled_from([1, 3]))
    numbers = st.integers(-4, 4).map(float)
    terms = [
        ColumnTerm.linear(c, np.array([draw(numbers) for _ in range(outputs)])) for c in range(3)
    ]
    table = np.array([[draw(numbers) for _ in range(outputs)] for _ in range(3)])
    terms.append(ColumnTerm.table(3, table))
    base = np.array([draw(st.sampled_from([-1.5, 0.0, 0.5])) for _ in range(outputs)])
    rule = DecisionRule.ARGMAX if outputs == 3 else DecisionRule.POSITIVE
    classes = ("A", "B", "C")[: max(outputs, 2)]
    return Running(AdditiveModel(4, tuple(terms), base, rule, classes)), space


def every_point(space: FeatureSpace) -> Points:
    values = [range(int(c.domain.bounds[0]), int(c.domain.bounds[1]) + 1) for c in space.columns]
    return np.array(list(itertools.product(*values)), dtype=np.float64)


@pytest.mark.slow
@settings(parent=QUICK, max_examples=50)
@given(additive(), st.sampled_from(NORMS), st.data())
def test_linear_models_with_tables_and_rules_agree_with_all_points(
    drawn: tuple[Running, FeatureSpace], norm: Norm, data: st.DataObject
) -> None:
    model, space = drawn
    points = every_point(space)
    instance = points[data.draw(st.integers(0, len(points) - 1))]
    ways = [data.draw(st.sampled_from(["any", "up", "down", "stay"])) for _ in range(3)]
    actions = Actions({i: Action(way) for i, way in enumerate(ways)})  # type: ignore[arg-type]
    if data.draw(st.booleans()):
        actions = Actions({**actions.by_feature, 0: Action(lower=1.0, upper=2.0)})
    known = data.draw(constraints(space, instance, most=1))
    distance = Distance.of(space, norm, weights={"b": 0.5, "d": 3.0})
    fine = np.all([c.at(instance).holds(points) for c in known], axis=0) if known else True
    fine = fine & np.array(
        [all(actions.of_feature(i).allows(instance[i], p[i]) for i in range(4)) for p in points]
    )
    kept = model.predict(instance[None])[0]
    near = points[fine & (model.predict(points) != kept)]
    expected = min((distance.between(instance, p) for p in near), default=math.inf)
    constrained = FeatureSpace(space.columns, space.features, known)
    try:
        found = NearestSearch(
            [model], constrained, distance=distance, question=AnyOther(), actions=actions
        ).nearest(instance)
    except UnsupportedError as error:
        assert "memberships only" in str(error)
        return
    assert found.distance == pytest.approx(expected, abs=1e-6)
    assert found.status in (NearestStatus.OPTIMAL, NearestStatus.NONE)


SLOPES = np.array([1.0, -2.0, 0.5])
LINE = Running(
    AdditiveModel(
        3,
        tuple(ColumnTerm.linear(c, SLOPES[c : c + 1]) for c in range(3)),
        np.array([-4.0]),
        DecisionRule.POSITIVE,
        ("no", "yes"),
    )
)
PLANE = FeatureSpace.of("abc")


@pytest.mark.parametrize("norm", NORMS)
def test_a_line_is_as_far_as_the_dual_norm_says_without_bounds(norm: Norm) -> None:
    far = {
        "l0": 1.0,
        "l1": 4.0 / 2.0,
        "l2": 4.0 / float(np.linalg.norm(SLOPES)),
        "linf": 4.0 / float(np.abs(SLOPES).sum()),
    }
    search = NearestSearch([LINE], PLANE, distance=Distance.of(PLANE, norm))
    found = search.nearest(np.zeros(3))
    assert found.status is NearestStatus.OPTIMAL
    assert found.distance == pytest.approx(far[norm], rel=1e-5)
    assert found.bound <= found.distance
    assert found.point is not None
    assert LINE.predict(found.point[None])[0] == 1


def test_other_ways_of_a_linear_model_leave_a_feature_that_an_earlier_one_moved() -> None:
    search = NearestSearch([LINE], PLANE)
    ways = list(k_nearest(search, np.zeros(3), 4, diverse=True))
    assert [sorted(way.moved) for way in ways[:3]] == [[1], [0], [2]]
    assert [way.distance for way in ways[:3]] == pytest.approx([2.0, 4.0, 8.0], rel=1e-6)
    assert ways[3].status is NearestStatus.NONE


def test_relations_and_directions_bind_linear_models() -> None:
    bounded = FeatureSpace.of("abc", {n: Real(lower=-9.0, upper=9.0) for n in "abc"})
    together = linear(bounded, {"a": 1.0, "b": -1.0}, "<=", 1.0)
    space = FeatureSpace(bounded.columns, bounded.features, (together,))
    actions = Actions.of(space, up=["b"])
    # b may not fall, so a has to rise, and takes b along once it is one above.
    found = NearestSearch([LINE], space, actions=actions).nearest(np.zeros(3))
    assert found.status is NearestStatus.OPTIMAL
    assert found.distance == pytest.approx(1.0 + 3.0 / 0.5, rel=1e-6)
    stuck = NearestSearch([LINE], space, actions=Actions.of(space, up=["b"], stay=["a", "c"]))
    conflict = smallest_conflict(stuck, np.zeros(3))
    assert conflict is not None
    assert conflict.is_smallest
    assert len(conflict.rules) == 3
    assert "b only rises" in [rule.text for rule in conflict.rules]


def test_parabolas_are_left_to_the_search_by_balls() -> None:
    curve = ColumnTerm(
        0, np.array([-np.inf]), np.array([np.inf]), np.array([[[0.0, 0.0, 1.0]]]), center=1.0
    )
    model = Running(
        AdditiveModel(1, (curve,), np.array([-1.0]), DecisionRule.POSITIVE, ("no", "yes"))
    )
    with pytest.raises(UnsupportedError, match=r"column 'a'.*--norm linf"):
        NearestSearch([model], FeatureSpace.of("a"))


def test_a_column_without_bounds_is_named() -> None:
    three = AdditiveModel(
        2,
        (ColumnTerm.linear(0, np.arange(3.0)), ColumnTerm.linear(1, np.array([1.0, -1.0, 0.0]))),
        np.zeros(3),
        DecisionRule.ARGMAX,
        ("A", "B", "C"),
    )
    search = NearestSearch([Running(three)], FeatureSpace.of("ab"), question=ReachClass(1))
    with pytest.raises(UnsupportedError, match=r"'a'.*finite bounds.*--ranges data"):
        search.nearest(np.array([5.0, 0.0]))


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
def test_networks_agree_with_all_points_and_with_balls(norm: Norm) -> None:
    torch = pytest.importorskip("torch")
    from whyproof.networks import load_network

    torch.manual_seed(15)
    net = torch.nn.Sequential(
        torch.nn.Linear(3, 6), torch.nn.ReLU(), torch.nn.Linear(6, 4), torch.nn.ReLU()
    )
    net.append(torch.nn.Linear(4, 3))
    model = load_network(net, input_shape=(1, 3))
    whole = FeatureSpace.of("abc", {n: Integers(lower=-3, upper=3) for n in "abc"})
    points = every_point(whole)
    outcomes = model.predict(points)
    draw = np.random.default_rng(0)
    for number in draw.choice(len(points), 6, replace=False):
        distance = Distance.of(whole, norm, weights={"b": 2.0})
        found = NearestSearch([model], whole, distance=distance).nearest(points[number])
        others = points[outcomes != outcomes[number]]
        assert len(others)
        expected = min(distance.between(points[number], p) for p in others)
        assert found.status is NearestStatus.OPTIMAL
        assert found.distance == pytest.approx(expected, rel=1e-5)
    real = FeatureSpace.of("abc", {n: Real(lower=-3.0, upper=3.0) for n in "abc"})
    for row in draw.uniform(-2, 2, (3, 3)).astype(np.float32).astype(np.float64):
        distance = Distance.of(real, norm)
        found = NearestSearch([model], real, distance=distance).nearest(row)
        assert found.point is not None
        assert found.gap <= 1e-3 * found.distance + 1e-12
        assert model.predict(found.point[None])[0] != model.predict(row[None])[0]
        if norm == "linf":
            oracles = prepare_oracles(model.structure, real)
            balls = BisectionSearch(model, real, oracles, distance).nearest(row)
            assert found.distance == pytest.approx(balls.distance, rel=1e-3)
        if norm in ("l1", "l2"):
            # Nothing that random points inside the ball find is nearer.
            order = 1 if norm == "l1" else 2
            steps = draw.normal(size=(2000, 3))
            steps *= (found.bound * 0.999 / np.linalg.norm(steps, order, axis=1))[:, None]
            near = np.clip(row + steps * draw.uniform(size=(2000, 1)), -3, 3)
            assert (model.predict(near) == model.predict(row[None])[0]).all()


def test_a_network_out_of_time_says_so() -> None:
    torch = pytest.importorskip("torch")
    from whyproof.networks import load_network

    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    space = FeatureSpace.of("abcd", {n: Real(lower=-1.0, upper=1.0) for n in "abcd"})
    search = NearestSearch([load_network(net, input_shape=(1, 4))], space)
    found = search.nearest(np.zeros(4), budget=Budget(seconds=1e-9))
    assert found.status in (NearestStatus.UNKNOWN, NearestStatus.BEST_SO_FAR)


def test_networks_say_what_they_do_not_know() -> None:
    torch = pytest.importorskip("torch")
    from whyproof.networks import load_network

    curved = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Sigmoid(), torch.nn.Linear(3, 2))
    with pytest.raises(UnsupportedError, match="--norm linf"):
        NearestSearch([load_network(curved, input_shape=(1, 2))], FeatureSpace.of("ab"))
    plain = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    model = load_network(plain, input_shape=(1, 2))
    with pytest.raises(UnsupportedError, match=r"'a'.*finite bounds"):
        NearestSearch([model], FeatureSpace.of("ab")).nearest(np.zeros(2))
    nullable = FeatureSpace.of("ab", {"a": Real(nullable=True, lower=0.0, upper=1.0)})
    with pytest.raises(UnsupportedError, match="'a' may be missing"):
        NearestSearch([model], nullable)

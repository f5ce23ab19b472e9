"""The parts of the plausible search, each against a second method."""

from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from whyproof.encodings.constraints.constraint import linear  # noqa: E402
from whyproof.encodings.recourse.actions import Actions  # noqa: E402
from whyproof.engine.domain import Boolean, Categories, Integers, Real  # noqa: E402
from whyproof.engine.errors import DataError, InputError, MissingExtraError  # noqa: E402
from whyproof.engine.space import FeatureSpace  # noqa: E402
from whyproof.plausible.choices import prune  # noqa: E402
from whyproof.plausible.density import TapedTarget, log_densities, scores_of  # noqa: E402
from whyproof.plausible.fitting import Fit  # noqa: E402
from whyproof.plausible.flow import FlowShape, MaskedFlow, masks_of  # noqa: E402
from whyproof.plausible.flow_files import load_flow, save_flow  # noqa: E402
from whyproof.plausible.flow_training import FlowTraining, train_flow  # noqa: E402
from whyproof.plausible.kernel import KernelDensity  # noqa: E402
from whyproof.plausible.kmeans import kmeans  # noqa: E402
from whyproof.plausible.lead import Lead  # noqa: E402
from whyproof.plausible.mixture import GaussianMixture  # noqa: E402
from whyproof.plausible.perceptron import Perceptron  # noqa: E402
from whyproof.plausible.projection import Projection  # noqa: E402
from whyproof.plausible.reach import Reach  # noqa: E402
from whyproof.plausible.scale import Scale  # noqa: E402
from whyproof.plausible.sparsemax import sparsemax, sparsemax_backward  # noqa: E402
from whyproof.plausible.terms import (  # noqa: E402
    column_entropy,
    diversity,
    plausibility,
    row_entropy,
    validity,
)

CPU = torch.device("cpu")


def random_flow(columns: int, classes: int, seed: int = 0, layers: int = 3) -> MaskedFlow:
    shape = FlowShape(columns, classes, layers=layers, hidden=7, blocks=2)
    generator = torch.Generator().manual_seed(seed)
    values = {n: torch.randn(s, generator=generator) * 0.3 for n, s in shape.tensors.items()}
    return MaskedFlow(shape, values)


# Flow


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_the_jacobian_of_a_flow_has_the_determinant_that_it_states(columns: int) -> None:
    flow = random_flow(columns, 2)
    flow = MaskedFlow(flow.shape, {k: v.double() for k, v in flow.parameters.items()})
    point, label = torch.rand(1, columns, dtype=torch.float64), torch.tensor([1])
    jacobian = torch.autograd.functional.jacobian(
        lambda x: flow.to_noise(x, label)[0][0], point
    ).reshape(columns, columns)
    _, stated = flow.to_noise(point, label)
    assert math.isclose(float(torch.linalg.slogdet(jacobian)[1]), float(stated), abs_tol=1e-9)


def test_a_flow_of_one_column_integrates_to_one() -> None:
    flow = random_flow(1, 2)
    grid = torch.linspace(-60, 60, 200_001)[:, None]
    density = flow.log_density(grid, torch.zeros(len(grid), dtype=torch.long)).exp()
    assert abs(float(torch.trapezoid(density, grid[:, 0])) - 1.0) < 1e-2


@pytest.mark.parametrize("columns", [1, 2, 6])
@pytest.mark.parametrize("target", [0, 2])
def test_the_fast_gradient_equals_the_taped_one(columns: int, target: int) -> None:
    flow, points = random_flow(columns, 3), torch.rand(11, columns)
    value, slope = flow.fixed(target).value_and_gradient(points)
    value_taped, slope_taped = TapedTarget(flow, target).value_and_gradient(points)
    assert torch.allclose(value, value_taped, atol=1e-4)
    assert torch.allclose(slope, slope_taped, atol=1e-3, rtol=1e-3)
    assert torch.equal(flow.fixed(target).value(points), value)


def test_no_output_sees_its_own_column_or_later_ones() -> None:
    masks = masks_of(FlowShape(4, 1, layers=2, hidden=5, blocks=1))
    for layer, order in ((0, [3, 2, 1, 0]), (1, [0, 1, 2, 3])):
        sees = masks["output"][layer, 0] @ masks["hidden"][layer] @ masks["input"][layer] > 0
        for i, j in itertools.product(range(4), repeat=2):
            if order.index(j) >= order.index(i):
                assert not sees[i, j]


def test_training_finds_the_density_of_a_known_normal_distribution() -> None:
    random = np.random.default_rng(0)
    rows = random.normal([0.4, 0.6], [0.1, 0.2], (600, 2))
    how = FlowTraining(2, 16, 1, noise=0.0, fit=Fit(batch=64, rate=5e-3, epochs=60, patience=60))
    flow = train_flow(rows, np.zeros(600, dtype=np.int64), how).flow
    test = random.normal([0.4, 0.6], [0.1, 0.2], (400, 2))
    truth = -math.log(2 * math.pi * 0.1 * 0.2) - 1.0
    assert abs(log_densities(flow, test, 0).mean() - truth) < 0.15


def test_training_is_repeatable_and_leaves_no_trace_in_the_global_generator() -> None:
    rows, labels = np.random.default_rng(0).random((40, 2)), np.arange(40, dtype=np.int64) % 2
    how = FlowTraining(2, 4, 1, fit=Fit(epochs=2))
    torch.manual_seed(5)
    first = train_flow(rows, labels, how, seed=3).flow
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))
    again = train_flow(rows, labels, how, seed=3).flow
    assert all(torch.equal(first.parameters[k], again.parameters[k]) for k in first.parameters)


def test_a_flow_that_diverges_is_retried_with_a_lower_rate() -> None:
    rows = np.random.default_rng(0).random((64, 2))
    # The loss is not finite after a step of this length, unless the rate falls.
    how = FlowTraining(2, 8, 1, fit=Fit(rate=1e25, epochs=3, retries=60))
    trained = train_flow(rows, np.zeros(64, dtype=np.int64), how)
    assert trained.fitted.rate < 1e25
    with pytest.raises(DataError, match=r"diverges at every learning rate.*lower rate"):
        train_flow(
            rows,
            np.zeros(64, dtype=np.int64),
            FlowTraining(2, 8, 1, fit=Fit(rate=1e30, epochs=3, retries=1)),
        )


def test_a_flow_is_not_trained_on_numbers_that_are_not_finite() -> None:
    with pytest.raises(DataError, match="not finite"):
        train_flow(np.array([[0.0, np.nan]]), np.zeros(1, dtype=np.int64))


def test_a_saved_flow_is_the_same_flow(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    flow, points = random_flow(3, 2), np.random.default_rng(0).random((5, 3))
    save_flow(flow, tmp_path / "flow.safetensors")
    again = load_flow(tmp_path / "flow.safetensors")
    assert np.array_equal(log_densities(flow, points, 1), log_densities(again, points, 1))
    (tmp_path / "flow.safetensors").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"is not the file that flow\.safetensors\.json describes"):
        load_flow(tmp_path / "flow.safetensors")
    with pytest.raises(DataError, match="cannot read"):
        load_flow(tmp_path / "absent.safetensors")
    with pytest.raises(DataError, match="safetensors file"):
        load_flow(tmp_path / "flow.pt")


# Mixture and kernel


@pytest.mark.parametrize("kind", ["mixture", "kernel"])
def test_other_densities_agree_with_scipy(kind: str) -> None:
    stats = pytest.importorskip("scipy.stats")
    rows = np.random.default_rng(0).normal(0.5, 0.1, (60, 2))
    labels = np.zeros(60, dtype=np.int64)
    points = np.random.default_rng(1).random((7, 2))
    if kind == "kernel":
        made = KernelDensity.fit(rows, labels, classes=1, device=CPU)
        width = np.maximum(rows.std(axis=0) * 60 ** (-1 / 6), 0.01)
        each = stats.norm.pdf(points[:, None], rows[None], width).prod(2)
        expected = np.log(each.mean(1))
    else:
        made = GaussianMixture.fit(rows, labels, classes=1, device=CPU, most=1, noise=1e-3)
        cov = np.cov(rows.T, bias=True) + 1e-6 * np.eye(2)
        expected = stats.multivariate_normal(rows.mean(0), cov).logpdf(points)
    assert np.allclose(log_densities(made, points, 0), expected, atol=1e-3)
    assert np.allclose(scores_of(made, points, 0), expected * math.log2(math.e) / 2, atol=1e-3)
    _, slope = made.fixed(0).value_and_gradient(torch.tensor(points, dtype=torch.float32))
    assert torch.isfinite(slope).all()


# Sparsemax


@given(
    st.lists(st.lists(st.floats(-3, 3, width=32), min_size=3, max_size=3), min_size=1, max_size=5)
)
def test_sparsemax_is_the_nearest_point_of_the_simplex(rows: list[list[float]]) -> None:
    values = torch.tensor(rows, dtype=torch.float64)
    found = sparsemax(values)
    assert torch.allclose(found.sum(1), torch.ones(len(values), dtype=torch.float64))
    assert bool((found >= 0).all())
    grid = [(a / 12, b / 12, 1 - a / 12 - b / 12) for a in range(13) for b in range(13 - a)]
    for row, near in zip(values, found, strict=True):
        best = min(float((torch.tensor(g, dtype=torch.float64) - row).square().sum()) for g in grid)
        assert float((near - row).square().sum()) <= best + 1e-12


def test_the_backward_of_sparsemax_equals_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(6, 4, dtype=torch.float64, generator=generator)
    slope = torch.randn(6, 4, dtype=torch.float64, generator=generator)
    found = sparsemax_backward(sparsemax(values), slope)
    for i, j in itertools.product(range(6), range(4)):
        step = torch.zeros_like(values)
        step[i, j] = 1e-6
        up, down = sparsemax(values + step), sparsemax(values - step)
        assert abs(float(((up - down) / 2e-6 * slope).sum()) - float(found[i, j])) < 1e-5


# Terms


def test_terms_are_normalised() -> None:
    half = torch.full((4, 2), 0.5)
    assert float(row_entropy(half)) == pytest.approx(1.0)
    assert float(column_entropy(half)) == pytest.approx(1.0)
    one = torch.eye(2)[torch.zeros(4, dtype=torch.long)]
    assert float(row_entropy(one)) == pytest.approx(0.0)
    assert float(column_entropy(one)) == pytest.approx(0.0, abs=1e-6)
    assert float(diversity(torch.eye(3, 5))) == pytest.approx(0.0, abs=1e-3)
    # One direction twice: half of the Gram matrix is lost, whatever its length.
    assert float(diversity(torch.tensor([[1.0, 0], [2.0, 0]]))) == pytest.approx(0.5, abs=0.05)
    assert float(diversity(torch.zeros(3, 5))) == pytest.approx(1.0, abs=1e-3)
    lead = torch.tensor([-1.0, -0.005, 1.0])
    assert validity(lead, 0.01).tolist() == pytest.approx([0.0, 0.005 / 1.01, 1.0])
    assert plausibility(torch.tensor([1.0, 3.0]), 2.0, 0.5).tolist() == [2.0, 0.0]


def test_the_diversity_of_like_directions_is_larger() -> None:
    alike, apart = torch.tensor([[1.0, 0.1], [1.0, 0.0]]), torch.eye(2)
    assert float(diversity(alike)) > float(diversity(apart))


# Leads


@pytest.mark.parametrize("form", ["probability", "logit"])
def test_a_lead_is_negative_exactly_where_the_target_wins(form: str) -> None:
    model = Perceptron.untrained(3, 4, hidden=(8,), seed=1)
    points = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)) * 4
    said = model.logits(points).argmax(1)
    for target in range(4):
        lead = Lead(model, target, form)  # type: ignore[arg-type]
        assert torch.equal(lead.value(points) < 0, said == target)
        if form == "probability":
            assert bool((lead.value(points).abs() <= 1).all())


def test_a_target_needs_no_positive_logit() -> None:
    model = Perceptron([(torch.zeros(3, 2), torch.tensor([-5.0, -1.0, -2.0]))])
    assert float(Lead(model, 1, "logit").value(torch.zeros(1, 2))) == pytest.approx(-1.0)


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(DataError, match="class 3 is not among"):
        Lead(Perceptron.untrained(2, 2, hidden=(), seed=0), 3)
    with pytest.raises(DataError, match="class 5"):
        random_flow(2, 2).fixed(5)


# Reach and projection


def small_reach() -> tuple[Reach, np.ndarray]:
    space = FeatureSpace.of(
        ["age", "debt", "rate", "job", "a", "b", "c"],
        {
            "age": Integers(lower=18, upper=90),
            "debt": Integers(lower=0, upper=50),
            "rate": Real(lower=0, upper=1),
            "job": Categories(values=("x", "y", "z")),
            "a": Boolean(),
            "b": Boolean(),
            "c": Boolean(),
        },
        groups={"kind": ["a", "b", "c"]},
    )
    data = np.array(
        [[20, 5, 0.1, 0, 1, 0, 0], [70, 40, 0.9, 2, 0, 1, 0], [40, 0, 0.5, 1, 0, 0, 1]], float
    )
    actions = Actions.of(space, up=["age"], down=["debt"])
    return Reach.of(space, data, actions), data


@given(st.lists(st.floats(-200, 200), min_size=7, max_size=7), st.integers(0, 2))
def test_a_snapped_point_is_admissible_and_goes_the_right_way(
    values: list[float], which: int
) -> None:
    reach, data = small_reach()
    row = data[which : which + 1]
    point = reach.snap(row, np.array([values]))
    assert reach.admissible(row, point)[0]
    assert point[0, 0] >= row[0, 0], "age may only rise"
    assert point[0, 1] <= row[0, 1], "debt may only fall"
    assert point[0, 4:].sum() == 1
    reach.space.check(point[0])


def test_projection_is_about_the_resulting_point_and_the_right_way_round() -> None:
    reach, data = small_reach()
    scale = Scale.of(np.vstack([data, data + 1]), [c.name for c in reach.space.columns])
    bounds = Projection(reach, scale, data, CPU)
    unit = torch.tensor(scale.to_unit(data), dtype=torch.float32)
    for sign in (-1.0, 1.0):
        moved = bounds.project(unit + sign)
        assert bool((moved[:, 0] >= unit[:, 0] - 1e-6).all())
        assert bool((moved[:, 1] <= unit[:, 1] + 1e-6).all())
        assert bool(torch.allclose(moved[:, 4:].sum(1), torch.ones(3)))
    outward = bounds.inward(unit, torch.ones_like(unit))
    # A positive slope moves down: what may only rise and stands at its limit feels none.
    assert bool((outward[:, 0] == 0).all())
    assert bool((outward[unit[:, 1] > 0][:, 1] == 1).all())


def test_linear_relations_are_met_by_projection() -> None:
    names = ["paid", "due"]
    plain = FeatureSpace.of(names, {n: Real(lower=0, upper=10) for n in names})
    relation = linear(plain, {"paid": 1, "due": -1}, "<=", 0)
    space = FeatureSpace(plain.columns, plain.features, (relation,))
    data = np.array([[0.0, 10.0], [10.0, 10.0], [2.0, 3.0]])
    reach = Reach.of(space, data)
    scale = Scale.of(np.array([[0.0, 0.0], [10.0, 5.0]]), names)
    bounds = Projection(reach, scale, data, CPU)
    points = bounds.project(torch.rand(3, 2, generator=torch.Generator().manual_seed(1)) * 2)
    found = scale.from_unit(points.double().numpy())
    assert reach.admissible(data, found).all()


def test_contradictory_limits_and_rules_are_named() -> None:
    space = FeatureSpace.of(["age", "debt"], {"age": Integers(lower=18, upper=90)})
    data = np.array([[20.0, 1.0], [30.0, 2.0]])
    with pytest.raises(DataError, match=r"contradictory limits of column 'age'"):
        Reach.of(space, data, box={"age": (95.0, 99.0)})
    with pytest.raises(DataError, match=r"contradictory rules for 'debt'.*50 .. 60"):
        Reach.of(space, data, Actions.of(space, within={"debt": (50.0, 60.0)}))
    with pytest.raises(DataError, match=r"rules for 'age' contradict each other"):
        Actions.of(space, up=["age"], down=["age"])
    first = linear(space, {"age": 1, "debt": 1}, ">=", 25)
    second = linear(space, {"age": 1, "debt": 1}, "<=", 22)
    both = FeatureSpace(space.columns, space.features, (first, second))
    with pytest.raises(DataError, match=r"contradictory constraints: .*>= 25.* and .*<= 22"):
        Reach.of(both, data)


def test_an_unknown_column_in_a_box_is_named() -> None:
    space = FeatureSpace.of(["age", "debt"])
    with pytest.raises(DataError, match=r"no feature 'agee'; did you mean 'age'"):
        Reach.of(space, np.eye(2), box={"agee": (0.0, 1.0)})


# Scale and groups


def test_missing_values_and_constant_columns_are_named() -> None:
    with pytest.raises(DataError, match=r"column 'b' of row 1 holds nan"):
        Scale.of(np.array([[0.0, 1.0], [1.0, np.nan]]), ["a", "b"])
    with pytest.raises(DataError, match=r"column 'b' has the same value in all 2 rows"):
        Scale.of(np.array([[0.0, 1.0], [1.0, 1.0]]), ["a", "b"])


def test_k_means_agrees_with_every_partition_of_few_points() -> None:
    points = np.random.default_rng(3).random((7, 2))

    def cost(label: np.ndarray) -> float:
        return sum(
            float(((points[label == k] - points[label == k].mean(0)) ** 2).sum())
            for k in np.unique(label)
        )

    best = min(cost(np.array(bits)) for bits in itertools.product([0, 1], repeat=7))
    _, label = kmeans(points, 2, restarts=20)
    assert cost(label) == pytest.approx(best)
    with pytest.raises(DataError, match="8 groups of 7 rows"):
        kmeans(points, 8)


def test_rows_that_are_alike_share_centres() -> None:
    points = np.array([[0.0, 1.0], [0.0, 1.0], [2.0, 2.0]])
    centres, label = kmeans(points, 3)
    assert centres.shape == (3, 2)
    assert np.array_equal(centres[label], points)


def test_more_than_one_group_needs_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    points = np.random.default_rng(0).random((5, 2))
    assert np.allclose(kmeans(points, 1)[0], points.mean(axis=0))
    with pytest.raises(MissingExtraError, match=r"scikit-learn .*whyproof\[sklearn\]"):
        kmeans(points, 2)


def test_pruning_keeps_what_is_missed() -> None:
    cost = torch.tensor([[0.0, 5.0, 0.0], [5.0, 0.0, 5.0]])
    assert sorted(prune(cost, 1, 0.1)) in ([0, 1], [1, 2])
    assert len(prune(cost, 1, 100.0)) == 1


def test_settings_refuse_nonsense() -> None:
    from whyproof.plausible.settings import Settings, Weights

    with pytest.raises(InputError, match="weight of distance"):
        Weights(distance=-1)
    with pytest.raises(InputError, match="aim is a quantile"):
        Settings(aim=1.5)
    with pytest.raises(InputError, match="steps must be positive"):
        Settings(steps=0)


class _Shifted(torch.nn.Module):
    """A lazy distribution as zuko has them: a normal one around the class."""

    def __init__(self) -> None:
        super().__init__()
        self.centre = torch.nn.Parameter(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))

    def forward(self, context: torch.Tensor) -> torch.distributions.Distribution:
        normal = torch.distributions.Normal(context @ self.centre, 1.0)
        return torch.distributions.Independent(normal, 1)


def test_a_flow_that_is_called_as_those_of_zuko_is_a_density() -> None:
    from whyproof.plausible.zuko_flow import ZukoFlow

    density = ZukoFlow(_Shifted(), 2, 2)
    value, slope = density.fixed(1).value_and_gradient(torch.zeros(1, 2))
    assert float(value) == pytest.approx(-1.0 - math.log(2 * math.pi), abs=1e-5)
    assert slope.tolist() == [[1.0, 1.0]]
    with pytest.raises(DataError, match="does not take rows of 3 columns"):
        ZukoFlow(_Shifted(), 3, 2)


def test_other_methods_answer_in_the_same_harness() -> None:
    from whyproof.plausible.backend import tensor
    from whyproof.plausible.baselines.glance import glance
    from whyproof.plausible.baselines.globe_ce import globe_ce
    from whyproof.plausible.baselines.neighbour import nearest_unlike
    from whyproof.plausible.baselines.ppcef import ppcef
    from whyproof.plausible.baselines.published import published
    from whyproof.plausible.baselines.two_step import two_step
    from whyproof.plausible.baselines.wachter import wachter
    from whyproof.plausible.search import PlausibleSearch
    from whyproof.plausible.settings import Settings

    rows = np.random.default_rng(0).random((120, 2))
    model = Perceptron([(torch.tensor([[-3.0, 0.0], [3.0, 0.0]]), torch.tensor([1.5, -1.5]))])
    search = PlausibleSearch.fit(model, rows, density="kernel")
    said = model.predict(search.scale.to_unit(rows))
    start, unit = rows[said == 0], search.scale.to_unit(rows)
    origin, others = tensor(unit[said == 0]), tensor(unit[said == 1])
    landscape = search.landscape(Settings())
    bounds = Projection(search.reach, search.scale, start, CPU)
    local = tensor(search.scale.to_unit(search.local(start).relaxed))
    found = {
        "wachter": wachter(landscape, bounds, origin),
        "ppcef": ppcef(landscape, bounds, origin, steps=800, rate=5e-3),
        "globe": globe_ce(landscape, bounds, origin, directions=60),
        "glance": glance(landscape, bounds, origin, others, 2, clusters=8)[0],
        "two-step": two_step(landscape, bounds, origin, local, 2)[0],
        "neighbour": nearest_unlike(bounds, origin, others),
    }
    for name, points in found.items():
        assert points.shape == origin.shape, name
        flips = float((landscape.lead.value(points) < 0).float().mean())
        assert flips > 0.85, name
    # The nearest unlike neighbour is found by looking at all of them.
    apart = torch.cdist(origin, others).min(1).values
    away = (found["neighbour"] - origin).norm(dim=1)
    assert torch.allclose(apart, away, atol=1e-4)
    assert search.density is not None
    for level in ("local", "group", "global"):
        points = published(
            model, search.density, search.threshold.score, 1, origin, level=level, steps=150
        )
        assert float((landscape.lead.value(points) < 0).float().mean()) > 0.8, level


def test_rows_may_be_drawn_anew_while_a_flow_is_trained() -> None:
    from whyproof.plausible.flow_training import FlowTraining, train_flow

    seen: list[torch.Tensor] = []

    def spread(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.clone())
        return x.floor() + torch.rand_like(x)

    rows = np.random.default_rng(0).integers(0, 2, (64, 2)).astype(float)
    how = FlowTraining(2, 8, 1, spread, Fit(batch=32, epochs=3))
    trained = train_flow(rows, np.zeros(64, dtype=np.int64), how)
    assert trained.fitted.epochs == 3
    # Two batches of the 58 rows that are fitted, each pass; the original rows every time.
    assert len(seen) == 6
    assert all(bool((x == x.floor()).all()) for x in seen)


def test_adam_is_that_of_torch_and_rows_leave_with_their_moments() -> None:
    from whyproof.plausible.adam import Adam

    generator = torch.Generator().manual_seed(0)
    slopes = torch.randn(6, 5, 2, generator=generator)
    leaf = torch.zeros(5, 2, requires_grad=True)
    theirs = torch.optim.Adam([leaf], lr=0.1, betas=(0.9, 0.99))
    ours, values = Adam(torch.zeros(5, 2)), torch.zeros(5, 2)
    stay = torch.tensor([0, 3])
    for turn, slope in enumerate(slopes):
        leaf.grad = slope.clone()
        theirs.step()
        before = values.clone()
        if turn == 3:
            ours.keep(stay)
            values = values[stay]
        kept = slope if turn < 3 else slope[stay]
        after = ours.step(values, kept, 0.1)
        assert torch.equal(values, before if turn < 3 else values)
        values = after
    assert torch.allclose(values, leaf.detach()[stay], atol=1e-6)


def test_polishing_never_serves_fewer_rows_and_leaves_its_input() -> None:
    from whyproof.plausible.backend import tensor
    from whyproof.plausible.choices import choose
    from whyproof.plausible.polish import polish
    from whyproof.plausible.search import PlausibleSearch
    from whyproof.plausible.settings import Settings

    rows = np.random.default_rng(0).random((160, 2))
    model = Perceptron([(torch.tensor([[-3.0, 0.0], [3.0, 0.0]]), torch.tensor([1.5, -1.5]))])
    search = PlausibleSearch.fit(model, rows, density="mixture")
    start = rows[model.predict(search.scale.to_unit(rows)) == 0]
    origin = tensor(search.scale.to_unit(start))
    landscape = search.landscape(Settings.everyone())
    bounds = Projection(search.reach, search.scale, start, CPU)
    shifts, grid = torch.tensor([[0.2, 0.3], [0.1, -0.4]]), (0.5, 1.0, 1.5)
    better = polish(landscape, bounds, origin, shifts, grid, tries=25)
    assert torch.equal(shifts, torch.tensor([[0.2, 0.3], [0.1, -0.4]]))

    def cost(values: torch.Tensor) -> float:
        found = choose(landscape, bounds, origin, values, grid)
        return float(found.cost.min(1).values.clamp(max=200).mean())

    assert cost(better) < cost(shifts)
    again = polish(landscape, bounds, origin, shifts, grid, tries=25)
    assert torch.equal(better, again)


def test_a_higher_aim_prefers_density_even_where_it_is_not_reached() -> None:
    from whyproof.plausible.choices import costs_of
    from whyproof.plausible.landscape import Judgement, Landscape, Threshold
    from whyproof.plausible.lead import Lead

    lead = Lead(Perceptron.untrained(2, 2, hidden=(), seed=0), 1)
    judged = Judgement(torch.tensor([-0.5, -0.5]), torch.tensor([1.0, 2.0]))
    far = torch.tensor([0.2, 0.4])
    plain = Landscape(lead, None, Threshold(0.5, 1.0), 2)
    dense = Landscape(lead, None, Threshold(3.0, 1.0), 2, floor=0.5)
    # Both plausible: without an aim the nearer one, with one the denser one.
    assert costs_of(plain, judged, far).argmin() == 0
    assert costs_of(dense, judged, far).argmin() == 1

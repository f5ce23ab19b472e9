"""The last mile: complete search of a lattice, line search, and what is never given up."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from whyproof.encodings.networks.neighbourhood import Neighbourhood  # noqa: E402
from whyproof.encodings.recourse.actions import Actions  # noqa: E402
from whyproof.engine.budget import Budget  # noqa: E402
from whyproof.engine.domain import Integers  # noqa: E402
from whyproof.engine.problem import ExplanationProblem  # noqa: E402
from whyproof.engine.question import ReachClass  # noqa: E402
from whyproof.engine.region import Region  # noqa: E402
from whyproof.engine.space import FeatureSpace  # noqa: E402
from whyproof.networks import load_network  # noqa: E402
from whyproof.plausible.boxes import search_boxes  # noqa: E402
from whyproof.plausible.lattice import Cost, Lattice  # noqa: E402
from whyproof.plausible.lines import corners, search_lines  # noqa: E402
from whyproof.plausible.repair import Outcome  # noqa: E402
from whyproof.plausible.search import PlausibleSearch  # noqa: E402
from whyproof.plausible.settings import Settings  # noqa: E402


def random_net(seed: int, columns: int, classes: int) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    layers = [torch.nn.Linear(columns, 12), torch.nn.ReLU(), torch.nn.Linear(12, classes)]
    for layer in layers[::2]:
        for values in layer.parameters():
            values.data = torch.randn(values.shape, generator=generator)
    return torch.nn.Sequential(*layers).eval()


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(1, 3),
    st.integers(2, 3),
    st.sampled_from([1.0, 0.5, 0.1]),
    st.floats(-3, 3),
)
def test_a_complete_search_agrees_with_asking_every_point(
    seed: int, columns: int, classes: int, width: float, bias: float
) -> None:
    net = random_net(seed, columns, classes)
    # The target class is made rare, so that both answers occur.
    net[2].bias.data[1] -= 4.0 + bias
    row = np.random.default_rng(seed).integers(-3, 4, columns).astype(float)
    lower, upper = row - 4 * width, row + 9 * width
    model = load_network(net, input_shape=(1, columns))
    steps = [np.arange(-4, 10)] * columns
    points = row + width * np.array(list(itertools.product(*steps)), dtype=float)
    reached = model.predict(points) == 1
    names = [f"x{i}" for i in range(columns)]
    if model.predict(row[None])[0] == 1:
        return
    problem = ExplanationProblem(
        model, FeatureSpace.of(names), row, Region.box(lower, upper), ReachClass(1)
    )
    found = search_boxes(
        Neighbourhood(problem),
        np.full(columns, width),
        lambda tried: np.asarray(model.predict(tried) == 1, dtype=np.bool_),
        Budget().start(),
    )
    if reached.any():
        assert found.point is not None
        assert model.predict(found.point[None])[0] == 1
        assert np.abs(points - found.point).max(axis=1).min() < 1e-9
    else:
        assert found.point is None and found.complete


def test_a_search_out_of_time_says_nothing() -> None:
    net = random_net(0, 3, 2)
    model = load_network(net, input_shape=(1, 3))
    row = np.zeros(3)
    target = 1 - int(model.predict(row[None])[0])
    problem = ExplanationProblem(
        model,
        FeatureSpace.of(["a", "b", "c"]),
        row,
        Region.box(-(10.0**4), 10.0**4),
        ReachClass(target),
    )
    found = search_boxes(
        Neighbourhood(problem),
        np.ones(3),
        lambda tried: np.zeros(len(tried), dtype=np.bool_),
        Budget(seconds=0.2).start(),
    )
    assert found.point is None and not found.complete


class Valley(torch.nn.Module):
    """Class 1 only near the far end of both columns; single steps lead away from it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hill = torch.relu(x[:, 0] - 34) + torch.relu(x[:, 1] - 34) - 11.5
        lure = 0.05 * torch.relu(10 - x[:, 0]) - 0.6
        lead = torch.maximum(hill, lure)
        return torch.stack([-lead, lead], dim=1)


def valley(**options: object) -> PlausibleSearch:
    random = np.random.default_rng(0)
    data = random.integers(0, 41, (300, 3)).astype(float)
    data[:20, :2] = 40
    space = FeatureSpace.of(["a", "b", "c"], {n: Integers(lower=0, upper=40) for n in "abc"})
    return PlausibleSearch.fit(
        Valley(),
        data,
        target=1,
        space=space,
        density="mixture",
        **options,  # type: ignore[arg-type]
    )


def test_whole_columns_lead_where_single_steps_do_not() -> None:
    search = valley()
    rows = np.array([[3.0, 3.0, 20.0], [12.0, 30.0, 5.0]])
    landscape = search.landscape(Settings.local())
    lattice = Lattice(search.reach, search.scale, rows)

    def confirm(points: np.ndarray) -> np.ndarray:
        return np.asarray(search.subject.says(points) == 1)

    measure = Cost(landscape, search.scale, "validity", confirm)
    start = corners(measure, lattice, search.device)
    found = search_lines(measure, lattice, start, search.device)
    assert confirm(found).all()
    assert search.reach.admissible(rows, found).all()
    before, _ = measure(lattice, start, search.device)
    after, _ = measure(lattice, found, search.device)
    assert (after <= before).all()
    # The start itself is left as it was.
    assert np.array_equal(start, corners(measure, lattice, search.device))


@pytest.mark.parametrize("level", ["local", "group", "global"])
def test_rows_that_cannot_become_plausible_still_get_a_confirmed_point(level: str) -> None:
    space = FeatureSpace.of(["a", "b", "c"], {n: Integers(lower=0, upper=40) for n in "abc"})
    search = valley(actions=Actions.of(space, up=["a", "b"], stay=["c"]))
    rows = np.array([[a, b, 7.0 * (a % 3)] for a in range(0, 33, 8) for b in range(0, 33, 8)])
    rows = rows[search.subject.says(rows) != 1]
    found = {
        "local": lambda: search.local(rows),
        "group": lambda: search.groups(rows, 2),
        "global": lambda: search.everyone(rows),
    }[level]()
    assert found.valid.all() and found.admissible.all()
    assert set(found.outcomes) <= {Outcome.FOUND, Outcome.MENDED, Outcome.EXACT}


@pytest.mark.slow
def test_every_row_is_either_confirmed_or_proved_impossible() -> None:
    space = FeatureSpace.of(["a", "b", "c"], {n: Integers(lower=0, upper=40) for n in "abc"})
    rules = Actions.of(space, up=["a"], down=["b"], stay=["c"])
    search = valley(actions=rules)
    rows = np.array([[a, b, 3.0] for a in range(2, 41, 9) for b in range(2, 41, 9)], dtype=float)
    rows = rows[search.subject.says(rows) != 1]
    # On a busy machine ten seconds may be few.
    patient = replace(Settings.local(), repair_seconds=600.0)
    found = search.local(rows, settings=patient)
    for row, outcome, point in zip(found.origin, found.outcomes, found.points, strict=True):
        # Every point that the row may become, one by one.
        a, b = np.arange(row[0], 41), np.arange(0, row[1] + 1)
        every = np.array([[i, j, row[2]] for i in a for j in b])
        possible = bool((search.subject.says(every) == 1).any())
        assert (outcome is Outcome.IMPOSSIBLE) == (not possible)
        assert (search.subject.says(point[None])[0] == 1) == possible
    assert Outcome.IMPOSSIBLE in found.outcomes

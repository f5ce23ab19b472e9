"""A reduced network is the network on its set, in value, in bounds and in verdicts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from whyproof.encodings.networks.bounds import reduction  # noqa: E402
from whyproof.encodings.networks.bounds.hidden import hidden_ranges  # noqa: E402
from whyproof.encodings.networks.bounds.reduction import reduced  # noqa: E402
from whyproof.encodings.networks.bounds.sets import Box, Budget  # noqa: E402
from whyproof.encodings.networks.builder import GraphBuilder  # noqa: E402
from whyproof.encodings.networks.network import Network  # noqa: E402

D = torch.float64


def random_network(seed: int) -> Network:
    """Return a residual convolutional network with pooling, or a dense chain."""
    rng = np.random.default_rng(seed)
    if seed % 2:
        b = GraphBuilder("x", (1, 5))
        x = b.input
        for i in range(3):
            z = b.dense(f"d{i}", x, rng.normal(size=(12, x.size)), rng.normal(size=12))
            x = b.relu(f"r{i}", z)
        return Network.of(b.finish(b.dense("o", x, rng.normal(size=(2, 12)), np.zeros(2))))
    b = GraphBuilder("x", (1, 2, 4, 4))
    c = b.convolution("c", b.input, rng.normal(size=(2, 2, 3, 3)), rng.normal(size=2),
                      padding=(1, 1, 1, 1))  # fmt: skip
    s = b.sum("s", (b.relu("r", c), b.input), (1.0, 0.5))
    p = b.positions(s)
    m = b.maximum("m", b.select("i", s, p[..., :2]), b.select("j", s, p[..., 2:]))
    flat = b.reshape(m, (1, -1))
    h = b.relu("q", b.dense("d", flat, rng.normal(size=(7, flat.size)), rng.normal(size=7)))
    return Network.of(b.finish(b.dense("o", h, rng.normal(size=(2, 7)), np.zeros(2))))


def points_in(box: Box, seed: int, count: int = 500) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand((count, box.lower.shape[1]), generator=generator, dtype=D)
    share[: count // 4] = share[: count // 4].round()
    points = box.lower + share * (box.upper - box.lower)
    return points.clamp(box.lower, box.upper)


def random_box(seed: int, n: int, width: float) -> Box:
    rng = np.random.default_rng(seed)
    moves = torch.tensor((rng.random(n) < 0.6).astype(float))
    lower = torch.tensor(-rng.random(n) * width) * moves
    return Box(lower[None], (torch.tensor(rng.random(n) * width) * moves)[None])


@pytest.fixture(autouse=True)
def any_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take reductions that do not pay, too."""
    monkeypatch.setattr(reduction, "_WORTH", 1e9)


@given(seed=st.integers(0, 200), width=st.floats(0.01, 2.0))
@settings(max_examples=40, deadline=None)
def test_the_reduced_network_computes_the_same_within_its_bounds(seed: int, width: float) -> None:
    network = random_network(seed)
    box = random_box(seed, network.n_inputs, width)
    small = reduced(network, box)
    assert small is not None
    points = points_in(box, seed)
    values = small.values(points)
    torch.testing.assert_close(values[-1], network(points), atol=1e-10, rtol=1e-10)
    ranges = hidden_ranges(small, box)
    for value, low, high in zip(values, ranges.lower, ranges.upper, strict=True):
        assert bool((value >= low).all()) and bool((value <= high).all())
    # The bounds of what both networks compute are as tight as before.
    before = hidden_ranges(network, box)
    unsure = [int(((before.lower[a] < 0) & (before.upper[a] > 0)).sum()) for a in network.anchors]
    left = [small.steps[a].size for a in small.anchors]
    assert sum(left) <= sum(unsure)


def test_budgets_reduce_by_what_few_features_can_do() -> None:
    network = random_network(1)
    n = network.n_inputs
    side = torch.full((2, n), 0.3, dtype=D)
    one = torch.ones((2, n), dtype=D)
    budget = Budget(-side, side, torch.arange(n), one * 0, one, torch.tensor([1, 2]))
    small = reduced(network, budget)
    assert small is not None
    rng = np.random.default_rng(0)
    points = torch.zeros((200, n), dtype=D)
    for row in points:
        chosen = rng.choice(n, 2, replace=False)
        row[torch.tensor(chosen)] = torch.tensor(rng.uniform(-0.3, 0.3, 2))
    torch.testing.assert_close(small(points), network(points), atol=1e-10, rtol=1e-10)
    # With both budgets in the batch the network holds for the larger one.
    whole = reduced(network, Box(-side[:1], side[:1]))
    assert whole is not None
    assert sum(small.steps[a].size for a in small.anchors) <= sum(
        whole.steps[a].size for a in whole.anchors
    )


def test_without_unstable_neurons_only_affine_maps_are_left() -> None:
    network = random_network(3)
    tiny = torch.full((1, network.n_inputs), 1e-12, dtype=D)
    small = reduced(network, Box(-tiny, tiny))
    assert small is not None and not small.nonlinear


def test_smooth_networks_and_matrices_beyond_the_limit_are_left_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    b = GraphBuilder("x", (1, 2))
    graph = b.finish(b.sigmoid("s", b.dense("d", b.input, np.eye(2), np.zeros(2))))
    side = torch.ones((1, 2), dtype=D)
    assert reduced(Network.of(graph), Box(-side, side)) is None
    monkeypatch.setattr(reduction, "_MAX_CELLS", 10)
    network = random_network(0)
    side = torch.ones((1, network.n_inputs), dtype=D)
    assert reduced(network, Box(-side, side)) is None

"""Bounds enclose what networks compute; trees decide what sampling can refute."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from whyproof.encodings.networks.bounds.backward import enclosures  # noqa: E402
from whyproof.encodings.networks.bounds.goals import (  # noqa: E402
    Deletions,
    Extensions,
    Single,
)
from whyproof.encodings.networks.bounds.hidden import hidden_ranges  # noqa: E402
from whyproof.encodings.networks.bounds.local import Localiser  # noqa: E402
from whyproof.encodings.networks.bounds.sets import Ball, Box, Budget  # noqa: E402
from whyproof.encodings.networks.bounds.slopes import Ascent, optimise_slopes  # noqa: E402
from whyproof.encodings.networks.bounds.targets import Case, Target  # noqa: E402
from whyproof.encodings.networks.bounds.tree import Tree, TreeOptions  # noqa: E402
from whyproof.encodings.networks.builder import GraphBuilder  # noqa: E402
from whyproof.encodings.networks.network import Network  # noqa: E402
from whyproof.encodings.networks.operators.smooth import (  # noqa: E402
    SigmoidActivation,
    TanhActivation,
)

D = torch.float64


def random_network(seed: int, activation: str, n: int = 4, hidden: int = 6) -> Network:
    rng = np.random.default_rng(seed)
    b = GraphBuilder("x", (1, n))
    x = b.input
    for i in range(2):
        x = b.dense(f"d{i}", x, rng.normal(size=(hidden, x.size)), rng.normal(size=hidden) * 0.3)
        if activation == "leaky":
            x = b.sum("l", (x, b.relu("r", x)), (0.1, 0.9))
        else:
            x = getattr(b, activation)(f"a{i}", x)
    return Network.of(b.finish(b.dense("o", x, rng.normal(size=(3, hidden)), np.zeros(3))))


def random_conv(seed: int) -> Network:
    rng = np.random.default_rng(seed)
    b = GraphBuilder("x", (1, 2, 5, 4))
    c = b.convolution(
        "c", b.input, rng.normal(size=(4, 1, 2, 2)), rng.normal(size=4),
        stride=(2, 1), padding=(1, 0, 0, 1), groups=2,
    )  # fmt: skip
    r = b.relu("r", c)
    e = b.relu("e", b.convolution("k", r, rng.normal(size=(4, 4, 1, 1)), rng.normal(size=4)))
    s = b.sum("s", (r, e), (1.0, -0.5))
    p = b.maximum("m", b.select("i", s, b.positions(s)[:, :2]),
                  b.select("j", s, b.positions(s)[:, 2:]))  # fmt: skip
    flat = b.reshape(p, (1, -1))
    return Network.of(b.finish(b.dense("o", flat, rng.normal(size=(3, flat.size)), np.zeros(3))))


def target_for(network: Network, point: torch.Tensor, joint: bool = False) -> Target:
    scores = network(point[None])[0]
    k = int(scores.argmax())
    unit = np.eye(3)
    if joint:
        wanted = (k + 1) % 3
        rest = [j for j in range(3) if j != wanted]
        return Target([Case(unit[rest] - unit[[wanted]], np.zeros(2))], D)
    return Target([Case(unit[[k]] - unit[[j]], np.zeros(1)) for j in range(3) if j != k], D)


def samples(n: int, epsilon: float, seed: int, count: int = 20_000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    points = (torch.rand(count, n, generator=generator, dtype=D) * 2 - 1) * epsilon
    points[: count // 4] = points[: count // 4].sign() * epsilon
    return points


@pytest.mark.parametrize("activation", ["relu", "leaky", "sigmoid", "tanh", "conv"])
@pytest.mark.parametrize("steps", [0, 6])
def test_bounds_of_every_step_enclose_its_values(activation: str, steps: int) -> None:
    for seed in range(3):
        network = random_conv(seed) if activation == "conv" else random_network(seed, activation)
        n = network.n_inputs
        center = torch.tensor(np.random.default_rng(seed).normal(size=n))
        columns = torch.arange(0, n, 2)
        local = Localiser(network, center).restricted(columns)
        d = samples(len(columns), 0.4, seed, 3000)
        whole = center.repeat(len(d), 1)
        whole[:, columns] += d
        values = local.values(d)
        torch.testing.assert_close(values[-1], network(whole), atol=1e-9, rtol=1e-9)
        side = torch.full((1, len(columns)), 0.4, dtype=D)
        inputs = Box(-side, side)
        ranges = hidden_ranges(local, inputs, ascent=Ascent(steps=steps))
        for value, low, high in zip(values, ranges.lower, ranges.upper, strict=True):
            assert bool((value >= low).all()) and bool((value <= high).all())
        target = target_for(network, center)
        rows, offset = target.rows[:, 0], target.offset[:, 0]
        lines = enclosures(local, ranges.bounds(local))
        start = {len(local.steps) - 1: rows[None]}
        best, _, form = optimise_slopes(
            local, start, offset, lines, inputs, ranges.weights, Ascent(steps=steps)
        )
        assert form.slack is not None and float(form.slack.max()) < 1e-9
        assert bool(((values[-1] @ rows.T).min(0).values >= best[0]).all())


@pytest.mark.parametrize("activation", [SigmoidActivation(), TanhActivation()])
@given(
    ends=st.tuples(st.floats(-20, 20), st.floats(-20, 20)),
    position=st.floats(0, 1),
    at=st.floats(0, 1),
)
@settings(max_examples=300, deadline=None)
def test_lines_of_s_shaped_functions_enclose_them(
    activation: SigmoidActivation, ends: tuple[float, float], position: float, at: float
) -> None:
    low, high = torch.tensor([[min(ends)]], dtype=D), torch.tensor([[max(ends)]], dtype=D)
    line = activation.enclose(low, high).lines(torch.full((1, 1, 1), position, dtype=D))
    x = low + at * (high - low)
    value = activation.forward(x)
    assert line.lower_shift is not None
    assert bool((line.lower_slope * x + line.lower_shift <= value).all())
    assert bool((line.upper_slope * x + line.upper_shift >= value).all())


def test_minima_over_budgets_and_balls_are_those_of_brute_force() -> None:
    rng = np.random.default_rng(3)
    owner = torch.tensor([0, 0, 1, 2, 3, 3])
    lower, upper = -torch.tensor(rng.random((1, 6))), torch.tensor(rng.random((1, 6)))
    free, candidates = torch.tensor([[1.0, 0, 0, 0]]).to(D), torch.tensor([[0.0, 1, 1, 1]]).to(D)
    rows = torch.tensor(rng.normal(size=(1, 5, 6)))
    terms = torch.minimum(rows * lower, rows * upper)[0]
    for m in range(4):
        budget = Budget(lower, upper, owner, free, candidates, torch.tensor([m]))
        best = torch.full((5,), float("inf"), dtype=D)
        for chosen in itertools.combinations((1, 2, 3), m):
            kept = [i for i in range(6) if owner[i] in (0, *chosen)]
            best = torch.minimum(best, terms[:, kept].sum(-1))
        torch.testing.assert_close(budget.minimum(rows)[0], best)
    for norm in ("l1", "l2"):
        side = torch.ones((1, 6), dtype=D)
        ball = Ball(-side, side, norm, 0.7)
        d = samples(6, 1.0, 1)
        d = d * (0.7 / d.norm(p=int(norm[1]), dim=1, keepdim=True).clamp(min=0.7))
        assert bool(((d @ rows[0].T).min(0).values >= ball.minimum(rows)[0] - 1e-12).all())


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "leaky", "tanh"])
def test_trees_agree_with_dense_sampling(activation: str) -> None:
    decided = 0
    for seed in range(3):
        network = random_network(seed, activation)
        center = torch.tensor(np.random.default_rng(seed).normal(size=4))
        local = Localiser(network, center).restricted(torch.arange(4))
        target = target_for(network, center, joint=seed % 3 == 2)
        epsilon = (0.2, 0.5, 1.0)[seed % 3]
        d = samples(4, epsilon, seed)
        side = torch.full((1, 4), epsilon, dtype=D)
        own = torch.arange(4)

        def lowest(
            mask: torch.Tensor,
            target: Target = target,
            local: Network = local,
            d: torch.Tensor = d,
        ) -> float:
            return float(target.margin(local(d * mask)).min())

        free = torch.tensor([[1.0, 0, 0, 1]]).to(D)
        rest = torch.tensor([[0.0, 1, 1, 0]]).to(D)
        extra = Budget(-side, side, own, free, rest, torch.tensor([1]))
        cases = [
            (Single(Box(-side, side)), {0: torch.ones(4)}),
            (Deletions(Box(-side, side), own, 4), {i: (own != i).to(D) for i in range(4)}),
            (Extensions(extra), {i: free[0] + (own == i) for i in (1, 2)}),
        ]
        for goal, parts in cases:
            tree = Tree(local, goal, target, lambda p, s: [True] * len(p), TreeOptions())
            result = tree.run(0.6)
            for deviation in result.refuted.values():
                assert float(target.margin(local(deviation[None]))) <= 0
                decided += 1
            if result.refuted and goal.stop_at_first:
                continue
            for statement, mask in parts.items():
                if statement not in result.refuted and not bool(result.open[statement]):
                    decided += 1
                    assert lowest(mask) > 0
    assert decided > 5


def test_a_budget_of_m_features_is_proved_or_refuted() -> None:
    for seed in range(5):
        network = random_network(seed, "relu")
        center = torch.tensor(np.random.default_rng(seed).normal(size=4))
        local = Localiser(network, center).restricted(torch.arange(4))
        target = target_for(network, center)
        side = torch.full((1, 4), 0.6, dtype=D)
        d = samples(4, 0.6, seed)
        pairs = [
            float(target.margin(local(d * torch.tensor([i in p for i in range(4)]))).min())
            for p in itertools.combinations(range(4), 2)
        ]
        none, all_ = torch.zeros((1, 4), dtype=D), torch.ones((1, 4), dtype=D)
        sets = Budget(-side, side, torch.arange(4), none, all_, torch.tensor([2]))
        tree = Tree(local, Single(sets), target, lambda p, s: [True] * len(p), TreeOptions())
        result = tree.run(1.0)
        if result.proved:
            assert min(pairs) > 0
        for deviation in result.refuted.values():
            assert int((deviation != 0).sum()) <= 2
            assert float(target.margin(local(deviation[None]))) <= 0


def test_margins_in_single_precision_are_numbers() -> None:
    """Regression: cases with fewer rows than others made every margin NaN, so no attack hit."""
    unit = np.eye(3)
    cases = [Case(unit[[0]] - unit[[1]], np.zeros(1)), Case(unit[[0, 1]] - unit[[2]], np.zeros(2))]
    scores = torch.tensor([[3.0, 1.0, 2.0]])
    assert Target(cases, torch.float32).margins(scores).tolist() == [[2.0, 1.0]]

"""Climbing bounds: no step back, and what is proved is proved by what is kept."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from whyproof.encodings.networks.bounds.climbing import climb  # noqa: E402
from whyproof.encodings.networks.bounds.goals import Deletions, Single  # noqa: E402
from whyproof.encodings.networks.bounds.local import Localiser  # noqa: E402
from whyproof.encodings.networks.bounds.nodes import Nodes  # noqa: E402
from whyproof.encodings.networks.bounds.sets import Box  # noqa: E402
from whyproof.encodings.networks.bounds.targets import Case, Target  # noqa: E402
from whyproof.encodings.networks.bounds.tree import Tree, TreeOptions  # noqa: E402
from whyproof.encodings.networks.builder import GraphBuilder  # noqa: E402
from whyproof.encodings.networks.network import Network  # noqa: E402

D = torch.float64
FEATURES = 6


def tree_of(seed: int, epsilon: float, *, single: bool, options: TreeOptions | None = None) -> Tree:
    rng = np.random.default_rng(seed)
    b = GraphBuilder("x", (1, FEATURES))
    x = b.input
    for i in range(3):
        x = b.relu(f"r{i}", b.dense(f"d{i}", x, rng.normal(size=(8, x.size)), rng.normal(size=8)))
    network = Network.of(b.finish(b.dense("o", x, rng.normal(size=(3, 8)), np.zeros(3))))
    center = torch.tensor(rng.normal(size=FEATURES))
    own = torch.arange(FEATURES)
    local = Localiser(network, center).restricted(own)
    k = int(network(center[None])[0].argmax())
    unit = np.eye(3)
    target = Target([Case(unit[[k]] - unit[[j]], np.zeros(1)) for j in range(3) if j != k], D)
    side = torch.full((1, FEATURES), epsilon, dtype=D)
    box = Box(-side, side)
    goal = Single(box) if single else Deletions(box, own, FEATURES)
    chosen = options if options is not None else TreeOptions(precision=1e-9)
    return Tree(local, goal, target, lambda p, s: [True] * len(p), chosen)


@pytest.mark.parametrize("rate", [0.05, 0.3, 5.0])
@pytest.mark.parametrize("single", [True, False])
def test_a_climb_never_ends_below_its_start_and_keeps_what_proves(
    rate: float, single: bool
) -> None:
    """Regression: a multiplier that overshot weakened the whole subtree below it."""
    proofs, kept = 0, 0
    for seed in range(24):
        tree = tree_of(seed, 0.1 + 0.05 * (seed % 8), single=single)
        roots = tree._roots()
        if not roots:
            continue
        nodes = Nodes.stack(roots, torch.device("cpu"))
        at = tree.bounds.loose(nodes).float().argmax(1)
        nodes = nodes.with_cut(
            at, torch.zeros(len(roots), dtype=D), torch.ones(len(roots), dtype=D)
        )
        before = tree.bounds.values(nodes)
        found = climb(tree.bounds, nodes, 9, rate, rate)
        after = tree.bounds.values(found.nodes)
        asked = nodes.open
        # Where nothing was proved on the way, all that is asked counted at every step.
        same = (found.nodes.open == asked).all(1)
        gain = after.clamp(max=0.5) - before.clamp(max=0.5)
        assert bool(((gain * asked).sum(1)[same] >= -1e-9).all())
        kept += int(same.sum())
        assert torch.allclose(after, found.values)
        assert not bool((found.nodes.open & ~nodes.open).any())
        if single:
            closed = asked & ~found.nodes.open
            proofs += int(closed.sum())
            assert bool((after[closed] > 1e-9).all())
    assert kept
    assert proofs or not single or rate > 1


@pytest.mark.parametrize("single", [True, False])
def test_options_change_the_way_and_not_the_answer(single: bool) -> None:
    ways = (
        TreeOptions(precision=1e-9),
        TreeOptions(precision=1e-9, rebound=2, look_ahead=1, batch=3),
        TreeOptions(precision=1e-9, rebound=100, steps=8),
        TreeOptions(precision=1e-9, batch=2, memory=1),
    )
    kinds = set()
    for seed in range(6):
        answers = []
        for options in ways:
            result = tree_of(seed, 0.5, single=single, options=options).run(20.0)
            assert result.finished
            assert not bool(result.open.any())
            answers.append(result.proved)
        assert len(set(answers)) == 1
        kinds.add(answers[0])
    assert kinds == {True, False}

"""Explanations of real networks: proved, small, replayed, and decided again."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from whyproof.encodings.networks.classifier import NetworkClassifier
from whyproof.encodings.networks.spaces import image_space
from whyproof.engine.answers import Counterexample, Entailed
from whyproof.engine.budget import Meter
from whyproof.engine.enumerate import enumerate_explanations
from whyproof.engine.explanation import Kind, Status
from whyproof.engine.minimise import minimise
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.region import Region

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from whyproof.encodings.networks.milp import MilpOracle, confirm_answer  # noqa: E402
from whyproof.encodings.networks.oracle import NetworkOracle  # noqa: E402

DATA = Path(os.environ.get("WHYPROOF_DATA", Path(__file__).parents[2] / "../shared/data"))
NETS = DATA / "nets/mnist"

pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif(not NETS.is_dir(), reason="no networks: set WHYPROOF_DATA"),
]


def problem_of(net: str, row: int, epsilon: float) -> ExplanationProblem:
    classifier = NetworkClassifier.load(next(NETS.glob(f"{net}*.onnx")))
    image = np.load(DATA / "images/mnist.npz")["x_test"][row].reshape(-1) / 255.0
    space = image_space(classifier.input_shape)
    return ExplanationProblem(classifier, space, image, Region.ball(epsilon))


@pytest.mark.parametrize(("row", "epsilon"), [(0, 0.05), (2, 0.1)])
def test_contrastive_sets_of_a_dense_network_are_proved_minimal(row: int, epsilon: float) -> None:
    problem = problem_of("mnist-net_256x2", row, epsilon)
    oracle = NetworkOracle(problem)
    found = minimise(problem, oracle, Kind.CXP)
    assert found is not None and found.status is Status.MINIMAL
    assert len(found) < 120 and oracle.tally.rounds <= 10
    assert isinstance(found.evidence, Counterexample)
    assert problem.changed(found.evidence.point[None])[0]
    chosen = sorted(found.members)[:: len(found) // 4]
    second = MilpOracle(problem, place=oracle.place)
    for answer in second.decide([found.members - {i} for i in chosen], Meter()):
        assert isinstance(answer, Entailed)


def test_abductive_sets_are_proved_minimal_and_hit_contrastive_ones() -> None:
    problem = problem_of("verix_mnist-10x2", 1, 0.05)
    oracle = NetworkOracle(problem)
    why = minimise(problem, oracle, Kind.AXP)
    assert why is not None and why.status is Status.MINIMAL and len(why) < 120
    for i, witness in why.necessity.items():
        assert isinstance(witness, Counterexample)
        problem.replay(witness.point, problem.universe - why.members | {i})
    (answer,) = MilpOracle(problem, place=oracle.place).decide(
        [problem.universe - why.members], Meter()
    )
    assert isinstance(answer, Entailed)
    found = enumerate_explanations(problem, oracle, kinds=[Kind.CXP], bias=Kind.AXP)
    for _, why_not in zip(range(4), found, strict=False):
        assert why_not.status is Status.MINIMAL
        assert why_not.members & why.members


def test_random_free_sets_are_decided_like_the_mixed_integer_program() -> None:
    rng = np.random.default_rng(0)
    for row in range(3):
        problem = problem_of("verix_mnist-10x2", row, 0.04)
        oracle = NetworkOracle(problem)
        sets = [frozenset(np.flatnonzero(rng.random(784) < 0.5).tolist()) for _ in range(6)]
        first = oracle.decide(sets, Meter())
        second = MilpOracle(problem, place=oracle.place).decide(sets, Meter())
        assert all(confirm_answer(a, b) for a, b in zip(first, second, strict=True))

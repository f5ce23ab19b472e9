"""Published explanations that a counterexample refutes are refuted."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from whyproof.encodings.networks.classifier import NetworkClassifier
from whyproof.encodings.networks.spaces import image_space
from whyproof.engine.answers import Counterexample
from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.region import Region

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from whyproof.encodings.networks.oracle import NetworkOracle  # noqa: E402
from whyproof.encodings.networks.recheck import Claim, recheck  # noqa: E402

sys.path.append(str(Path(__file__).parents[2]))
from benchmarks.fame_nets import fame_images, fame_model  # noqa: E402

DATA = Path(os.environ.get("WHYPROOF_DATA", Path(__file__).parents[2] / "../shared/data"))
PUBLISHED = json.loads((Path(__file__).parent / "published_fame.json").read_text())


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "nets/fame").is_dir(), reason="no networks: set WHYPROOF_DATA")
@pytest.mark.parametrize("index", [int(i) for i in PUBLISHED["explanations"]])
def test_published_sets_that_do_not_force_the_decision_are_refuted(index: int) -> None:
    classifier = NetworkClassifier(fame_model(DATA / "nets/fame/mnist-10x2.npz"))
    image = fame_images(DATA / "images/mnist.npz", [index], test=False)[0].astype(np.float64)
    space = image_space(classifier.input_shape)
    region = Region.ball(PUBLISHED["epsilon"])
    problem = ExplanationProblem(classifier, space, image, region)
    members = frozenset(PUBLISHED["explanations"][str(index)])
    found = recheck(NetworkOracle(problem), Kind.AXP, members, seconds=20.0)
    assert found.claim is Claim.REFUTED
    witness = found.answer
    assert isinstance(witness, Counterexample) and not witness.moved & members
    problem.replay(witness.point, problem.universe - members)

"""Certificates pass the independent checker; damaged ones do not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from whyproof.encodings.networks.certificate import NetworkCertificate, check_certificate
from whyproof.encodings.networks.classifier import NetworkClassifier
from whyproof.encodings.networks.spaces import image_space
from whyproof.engine.errors import DataError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.region import Region

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from whyproof.encodings.networks.certify import certify  # noqa: E402
from whyproof.encodings.networks.oracle import NetworkOracle  # noqa: E402


def problem_of(seed: int, epsilon: float) -> ExplanationProblem:
    rng = np.random.default_rng(seed)

    def constant(name: str, *shape: int) -> object:
        return numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)

    node = helper.make_node
    nodes = [
        node("Conv", ["x", "k", "c"], ["z"], strides=[2, 1], pads=[1, 0, 0, 1]),
        node("LeakyRelu", ["z"], ["r"], alpha=0.1),
        node("MaxPool", ["r"], ["p"], kernel_shape=[1, 2]),
        node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "w", "b"], ["y"]),
    ]
    constants = [constant("k", 2, 1, 2, 2), constant("c", 2), constant("w", 12, 3)]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [*constants, constant("b", 3)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    classifier = NetworkClassifier(model)
    space = image_space((1, 1, 4, 4))
    return ExplanationProblem(classifier, space, rng.random(16), Region.ball(epsilon))


def test_certificates_of_convolutions_and_pooling_are_checked_without_the_search() -> None:
    split = 0
    for seed in range(3):
        problem = problem_of(seed, 0.15)
        oracle = NetworkOracle(problem)
        for free in (problem.universe, frozenset(range(0, 16, 2)), frozenset({1, 5})):
            found = certify(oracle, free, seconds=2)
            if found is None:
                continue
            text = json.dumps(found.as_json())
            again = NetworkCertificate.from_json(json.loads(text))
            assert check_certificate(problem.classifier.structure, again) > 0  # type: ignore[arg-type]
            split += len(found.leaves) > len(found.cases)
            points = np.random.default_rng(0).uniform(again.lower, again.upper, (300, 16))
            assert not problem.changed(points).any()
            if len(found.leaves) > len(found.cases):
                longest = max(found.leaves, key=lambda leaf: len(leaf.path))
                rest = tuple(leaf for leaf in found.leaves if leaf is not longest)
                with pytest.raises(DataError, match=r"tree|gap"):
                    check_certificate(problem.classifier.structure, replace(found, leaves=rest))  # type: ignore[arg-type]
    assert split


def test_damaged_certificates_are_refused() -> None:
    problem = problem_of(1, 0.02)
    found = certify(NetworkOracle(problem), frozenset({1, 5}), seconds=2)
    assert found is not None
    graph = problem.classifier.structure
    wide = replace(found, lower=found.lower - 50, upper=found.upper + 50)
    with pytest.raises(DataError, match="not proved"):
        check_certificate(graph, wide)  # type: ignore[arg-type]
    steep = replace(found.leaves[0], slopes=tuple(s + 2 for s in found.leaves[0].slopes))
    with pytest.raises(DataError, match="out of range"):
        check_certificate(graph, replace(found, leaves=(steep, *found.leaves[1:])))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no certificate"):
        NetworkCertificate.from_json({"kind": "network"})

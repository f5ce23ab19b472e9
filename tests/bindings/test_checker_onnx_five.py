"""ONNX's newest tree operator in the checker: as onnxruntime runs it, certified, and refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from whyproof.certificates import certify
from whyproof.checker import Refused
from whyproof.checker.reading import library_of, read_model
from whyproof.explainer import Explainer
from whyproof.models import load_model


def five(argmax: bool = True, **changes: object) -> bytes:
    attributes: dict[str, object] = {
        "n_targets": 3,
        "aggregate_function": 1,
        "nodes_featureids": [0, 1, 2, 0],
        "nodes_splits": numpy_helper.from_array(np.array([1.5, 0.0, 2.5, 0.25], np.float32)),
        "nodes_modes": numpy_helper.from_array(np.array([0, 6, 1, 3], np.uint8)),
        "nodes_truenodeids": [1, 0, 2, 4],
        "nodes_trueleafs": [0, 1, 1, 1],
        "nodes_falsenodeids": [2, 1, 3, 5],
        "nodes_falseleafs": [0, 1, 1, 1],
        "leaf_targetids": [0, 1, 2, 0, 1, 2],
        "leaf_weights": numpy_helper.from_array(np.array([1, 2, 3, 4, 2.5, -1], np.float32)),
        "tree_roots": [0, 3],
        "membership_values": numpy_helper.from_array(np.array([2, 5, 40, np.nan], np.float32)),
    } | changes
    nodes = [helper.make_node("TreeEnsemble", ["X"], ["S"], domain="ai.onnx.ml", **attributes)]
    output = helper.make_tensor_value_info("S", TensorProto.FLOAT, [None, 1])
    if argmax:
        nodes.append(helper.make_node("ArgMax", ["S"], ["L"], axis=1, keepdims=0))
        output = helper.make_tensor_value_info("L", TensorProto.INT64, [None])
    row = helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 3])
    made = helper.make_model(
        helper.make_graph(nodes, "g", [row], [output]),
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 5)],
        ir_version=10,
    )
    return bytes(made.SerializeToString())


def test_the_checker_reads_it_as_it_runs() -> None:
    payload = five()
    model = read_model(payload, ["a", "b", "c"], 3, None)
    library, predict = library_of(model, payload)
    assert library.startswith("onnxruntime")
    assert predict is not None
    draw = np.random.default_rng(0)
    for _ in range(200):
        point = [
            float(draw.choice([0.0, 0.25, 1.5, 1.6, np.nan])),
            float(draw.choice([0.0, 2.0, 5.0, 7.0, 40.0])),
            float(draw.choice([2.4, 2.5, 2.6, np.nan])),
        ]
        sums = model.sums(model.leaves(point))
        assert predict(point) == max(range(3), key=lambda k: (sums[k], -k))


def test_its_explanations_are_certified(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(five())
    explainer = Explainer(load_model(path))
    row = np.array([1.0, 2.0, 3.0])
    found = [explainer.explain(row, kind) for kind in ("axp", "cxp")]
    verdict = certify([f for f in found if f is not None], path, tmp_path / "c.json")
    assert verdict.claims
    assert verdict.replayed


def test_a_regressor_of_one_target() -> None:
    payload = five(argmax=False, n_targets=1, leaf_targetids=[0] * 6, aggregate_function=0)
    model = read_model(payload, ["a", "b", "c"], 0, None)
    assert (model.rule, model.divisor) == ("value", 2)
    assert model.sums(model.leaves([1.0, 2.0, 3.0])) == [model.unit * 3.5 / 2]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"aggregate_function": 2}, "this form of TreeEnsemble"),
        ({"argmax": False}, "before ArgMax only"),
        ({"nodes_truenodeids": [0, 0, 2, 4]}, "more than one way"),
        ({"nodes_truenodeids": [9, 0, 2, 4]}, "does not exist"),
        ({"nodes_falsenodeids": [2, 77, 3, 5]}, "does not exist"),
        ({"leaf_targetids": [0, 1, 2, 0, 1, 3]}, "target that does not exist"),
        (
            {"membership_values": numpy_helper.from_array(np.array([2.5], np.float32))},
            "not understood",
        ),
    ],
)
def test_what_is_damaged_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(Refused, match=said):
        read_model(five(**changes), ["a", "b", "c"], 3, None)  # type: ignore[arg-type]

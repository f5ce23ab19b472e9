"""``whyproof verify`` and ``whyproof recheck``: answers, exit codes, one line for errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from whyproof.cli import main

torch = pytest.importorskip("torch")
torch.set_num_threads(1)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """Two pixels of which the first decides: score 1 wins above 0.5."""
    weight = numpy_helper.from_array(np.array([[-1.0, 1.0], [0.0, 0.0]], np.float32), "w")
    bias = numpy_helper.from_array(np.array([0.5, -0.5], np.float32), "b")
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["z"]),
        helper.make_node("Relu", ["z"], ["r"]),
        helper.make_node("Gemm", ["r", "i"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 1, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
        [weight, bias, numpy_helper.from_array(np.eye(2, dtype=np.float32), "i")],
    )
    graph.node.insert(0, helper.make_node("Flatten", ["x"], ["f"]))
    graph.node[1].input[0] = "f"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    path = tmp_path / "net.onnx"
    onnx.save(model, str(path))
    return path


def test_verify_prints_the_verdict_and_its_witness(
    net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "".join(f"(declare-const {v} Real)" for v in ("X_0", "X_1", "Y_0", "Y_1"))
    text += "".join(f"(assert (>= X_{i} 0))(assert (<= X_{i} 0.7))" for i in range(2))
    spec = tmp_path / "p.vnnlib"
    spec.write_text(text + "(assert (>= Y_1 (+ Y_0 0.1)))")
    assert main(["verify", str(net), str(spec), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["result"] == "sat" and answer["input"][0] >= 0.599
    spec.write_text(text + "(assert (>= Y_1 0.3))")
    assert main(["verify", str(net), str(spec)]) == 0
    assert capsys.readouterr().out.startswith("unsat")
    spec.write_text(text + "(assert (>= Y_1 0.3)")
    assert main(["verify", str(net), str(spec)]) == 2
    assert "bracket" in capsys.readouterr().err


def test_recheck_tells_proved_from_refuted(
    net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, members = tmp_path / "image.npy", tmp_path / "set.txt"
    np.save(image, np.array([[0.4, 0.9]], np.float32))
    for text, claim, minimal in (("0", "proved", "proved"), ("[1]", "refuted", "refuted"),
                                 ("0, 1", "proved", "refuted")):  # fmt: skip
        members.write_text(text)
        arguments = ["recheck", str(net), str(image), str(members), "--epsilon", "0.3", "--json"]
        assert main(arguments) == 0
        answer = json.loads(capsys.readouterr().out)
        assert (answer["claim"], answer["minimal"]) == (claim, minimal)
    members.write_text("one")
    assert main(arguments) == 2

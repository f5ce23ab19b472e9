"""ONNX and NNet files become graphs that compute what onnxruntime computes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from whyproof.encodings.networks.classifier import NetworkClassifier
from whyproof.encodings.networks.importing.nnet import read_nnet
from whyproof.encodings.networks.importing.onnx_file import graph_of_onnx, read_onnx
from whyproof.engine.errors import ModelError, UnsupportedError

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from whyproof.encodings.networks.network import Network  # noqa: E402

DATA = Path(os.environ.get("WHYPROOF_DATA", Path(__file__).parents[2] / "../shared/data"))
NETS = DATA / "nets"
RNG = np.random.default_rng(7)


def model_of(
    nodes: Any, shape: Any, constants: Any = (), opset: int = 13, outputs: Any = ("y",)
) -> onnx.ModelProto:
    initial = [
        numpy_helper.from_array(np.asarray(value), name) for name, value in dict(constants).items()
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        initial,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model


def agree(model: onnx.ModelProto, rows: int = 4, scale: float = 1.0) -> None:
    classifier = NetworkClassifier(model)
    network = Network.of(classifier.graph)
    points = (RNG.normal(size=(rows, classifier.n_columns)) * scale).astype(np.float32)
    wanted = classifier.outputs(points)
    found = network(torch.tensor(points, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4, rtol=1e-4)


def f32(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


N = helper.make_node
ONES = {"starts": [1], "ends": [3], "axes": [2], "steps": [1]}

CASES = {
    "gemm": (
        [N("Gemm", ["x", "w", "b"], ["y"], alpha=0.5, beta=2.0, transB=1)],
        [1, 6], {"w": f32(4, 6), "b": f32(4)},
    ),
    "gemm transposed": ([N("Gemm", ["x", "w"], ["y"], transA=1)], [6, 1], {"w": f32(6, 3)}),
    "matmul left": ([N("MatMul", ["w", "x"], ["y"])], [1, 3, 5], {"w": f32(2, 3)}),
    "matmul batched": ([N("MatMul", ["x", "w"], ["y"])], [1, 3, 5], {"w": f32(5, 2)}),
    "matmul vector": ([N("MatMul", ["x", "w"], ["y"])], [1, 5], {"w": f32(5)}),
    "conv": (
        [N("Conv", ["x", "w", "b"], ["y"], strides=[2, 1], pads=[1, 0, 2, 1], dilations=[1, 2])],
        [1, 3, 9, 8], {"w": f32(4, 3, 3, 2), "b": f32(4)},
    ),
    "conv groups": (
        [N("Conv", ["x", "w"], ["y"], group=2, auto_pad="SAME_UPPER", strides=[2, 2])],
        [1, 4, 7, 7], {"w": f32(6, 2, 3, 3)},
    ),
    "conv same lower": (
        [N("Conv", ["x", "w"], ["y"], auto_pad="SAME_LOWER")],
        [1, 1, 6, 5], {"w": f32(2, 1, 2, 4)},
    ),
    "conv 1d": (
        [N("Conv", ["x", "w"], ["y"], strides=[2], pads=[1, 1])], [1, 2, 9], {"w": f32(3, 2, 3)},
    ),
    "batch norm": (
        [N("Conv", ["x", "w"], ["c"]), N("BatchNormalization", ["c", "s", "b", "m", "v"], ["y"])],
        [1, 2, 4, 4],
        {"w": f32(3, 2, 2, 2), "s": f32(3), "b": f32(3), "m": f32(3), "v": np.abs(f32(3)) + 0.1},
    ),
    "max pool": (
        [N("MaxPool", ["x"], ["y"], kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])],
        [1, 2, 7, 6], {},
    ),
    "max pool ceil": (
        [N("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)],
        [1, 1, 6, 6], {},
    ),
    "max pool 1d": ([N("MaxPool", ["x"], ["y"], kernel_shape=[3])], [1, 2, 7], {}),
    "average pool": (
        [N("AveragePool", ["x"], ["y"], kernel_shape=[2, 3], pads=[1, 1, 0, 1])],
        [1, 2, 5, 5], {},
    ),
    "average pool padded": (
        [N("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], pads=[1, 1, 1, 1],
           count_include_pad=1)],
        [1, 2, 5, 5], {},
    ),
    "global pools": (
        [N("GlobalAveragePool", ["x"], ["a"]), N("GlobalMaxPool", ["x"], ["m"]),
         N("Concat", ["a", "m"], ["y"], axis=1)],
        [1, 3, 4, 5], {},
    ),
    "elementwise": (
        [N("Sub", ["x", "m"], ["a"]), N("Div", ["a", "s"], ["b"]), N("Mul", ["b", "k"], ["c"]),
         N("Sub", ["k", "c"], ["d"]), N("Neg", ["d"], ["e"]), N("Add", ["e", "m"], ["y"])],
        [1, 3, 4], {"m": f32(3, 1), "s": np.abs(f32(4)) + 0.5, "k": f32(1)},
    ),
    "residual": (
        [N("Relu", ["x"], ["r"]), N("Add", ["x", "r"], ["a"]), N("Sub", ["a", "r"], ["b"]),
         N("Sum", ["b", "r", "k"], ["y"])],
        [1, 5], {"k": f32(5)},
    ),
    "activations": (
        [N("LeakyRelu", ["x"], ["a"], alpha=0.2), N("Sigmoid", ["x"], ["b"]),
         N("Tanh", ["x"], ["c"]), N("Abs", ["x"], ["d"]), N("PRelu", ["x", "p"], ["e"]),
         N("Clip", ["x", "lo", "hi"], ["f"]), N("Clip", ["x", "", "hi"], ["g"]),
         N("Max", ["a", "b", "z"], ["h"]), N("Min", ["a", "c"], ["i"]),
         N("Concat", ["a", "b", "c", "d", "e", "f", "g", "h", "i"], ["y"], axis=0)],
        [1, 6],
        {"p": f32(6), "lo": np.float32(-0.3), "hi": np.float32(0.6), "z": np.zeros(6, np.float32)},
    ),
    "moving": (
        [N("Transpose", ["x"], ["a"], perm=[0, 2, 3, 1]), N("Slice", ["a", "s", "e", "ax"], ["b"]),
         N("Pad", ["b", "pads", "fill"], ["c"]), N("Gather", ["c", "idx"], ["d"], axis=1),
         N("Squeeze", ["d", "zero"], ["f"]), N("Unsqueeze", ["f", "zero"], ["g"]),
         N("Flatten", ["g"], ["h"]), N("Identity", ["h"], ["i"]),
         N("Split", ["i", "parts"], ["j", "k"], axis=1),
         N("Concat", ["k", "j", "q"], ["y"], axis=1)],
        [1, 2, 3, 4],
        {"s": np.array([-1, 1]), "e": np.array([-9, 4]), "ax": np.array([1, 2]),
         "pads": np.array([0, 1, 0, 0, 0, 0, 2, 0]), "fill": np.float32(0.7),
         "idx": np.array([2, 0]), "zero": np.array([0]), "parts": np.array([4, 16]),
         "q": f32(1, 2)},
    ),
    "shape arithmetic": (
        [N("Shape", ["x"], ["s"]), N("Gather", ["s", "zero"], ["n"]),
         N("Unsqueeze", ["n", "axis"], ["u"]), N("Concat", ["u", "rest"], ["t"], axis=0),
         N("Reshape", ["x", "t"], ["r"]), N("Softmax", ["r"], ["y"])],
        [1, 2, 3], {"zero": np.array(0), "axis": np.array([0]), "rest": np.array([-1])},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("moving", "shape arithmetic")])
def test_each_operator_computes_what_onnxruntime_computes(name: Any) -> None:
    nodes, shape, constants = CASES[name]
    agree(model_of(nodes, shape, constants))


def test_operators_that_move_numbers_about() -> None:
    nodes, shape, constants = CASES["moving"]
    constants = {**constants, "steps": np.array([-1, 1])}
    nodes = [*nodes]
    nodes[1] = N("Slice", ["a", "s", "e", "ax", "steps"], ["b"])
    model = model_of([*nodes[:7], N("Identity", ["h"], ["y"])], shape, constants)
    n = NetworkClassifier(model).graph.n_outputs
    constants["parts"] = np.array([4, n - 4])
    agree(model_of(nodes, shape, constants))


def test_a_final_softmax_is_left_out_and_shape_arithmetic_disappears() -> None:
    nodes, shape, constants = CASES["shape arithmetic"]
    classifier = NetworkClassifier(model_of(nodes, shape, constants))
    assert [type(n).__name__ for n in classifier.graph.nodes] == ["Input", "Affine"]
    points = f32(3, 6)
    assert (classifier.predict(points) == points.argmax(1)).all()


def test_nodes_out_of_order_and_several_outputs() -> None:
    nodes = [N("Relu", ["a"], ["z"]), N("Gemm", ["x", "w"], ["a"])]
    model = model_of(nodes, ["batch", 3], {"w": f32(3, 2)}, outputs=("a", "z"))
    graph = graph_of_onnx(model, output="z")
    assert graph.n_nonlinear == 2 and graph.input_shape == (1, 3)
    assert graph_of_onnx(model).n_nonlinear == 0
    with pytest.raises(ModelError, match=r"no output 'zz'.*'z'"):
        graph_of_onnx(model, output="zz")


@pytest.mark.parametrize(
    ("nodes", "shape", "constants", "words"),
    [
        ([N("Erf", ["x"], ["y"], name="act")], [1, 2], {}, "node 'act': operator Erf.*opset 13"),
        ([N("Mul", ["x", "x"], ["y"], name="sq")], [1, 2], {}, "'sq'.*depend on the input"),
        (
            [N("Softmax", ["x"], ["s"], name="sm"), N("Relu", ["s"], ["y"])],
            [1, 2],
            {},
            "'sm'.*last",
        ),
        ([N("Foo", ["x"], ["y"], name="f", domain="acme")], [1, 2], {}, "'f'.*domain 'acme'"),
        ([N("Cast", ["x"], ["y"], to=7, name="c")], [1, 2], {}, "'c': operator Cast"),
        ([N("Reshape", ["x", "s"], ["y"], name="r")], [1, 6], {"s": np.array([4, 4])}, "'r'"),
    ],
)
def test_unsupported_nodes_are_named(nodes: Any, shape: Any, constants: Any, words: Any) -> None:
    with pytest.raises(UnsupportedError, match=words):
        graph_of_onnx(model_of(nodes, shape, constants))


def test_dynamic_axes_can_be_given_and_are_refused_otherwise() -> None:
    model = model_of([N("GlobalAveragePool", ["x"], ["y"])], ["n", 2, "h", 4])
    with pytest.raises(ModelError, match=r"axis 2.*dynamic \(h\)"):
        graph_of_onnx(model)
    assert graph_of_onnx(model, dimensions={"h": 3}).n_inputs == 24


def test_weights_that_are_not_numbers_are_refused() -> None:
    weight = f32(2, 2)
    weight[0, 1] = np.nan
    with pytest.raises(ModelError, match="weight that is not finite"):
        graph_of_onnx(model_of([N("Gemm", ["x", "w"], ["y"])], [1, 2], {"w": weight}))


def test_files_that_are_no_models_are_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"not a model at all")
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        read_onnx(bad)
    with pytest.raises(ModelError, match="cannot be opened"):
        read_onnx(tmp_path / "absent.onnx")
    with pytest.raises(ModelError, match="NNet"):
        (tmp_path / "short.nnet").write_text("// c\n1,2,1,2,\n2,1,\n")
        read_nnet(tmp_path / "short.nnet")


def test_nnet_files_apply_means_and_ranges(tmp_path: Path) -> None:
    path = tmp_path / "net.nnet"
    path.write_text(
        "// header\n2,2,1,2,\n2,2,1,\n0,\n-1,-1,\n1,1,\n0.5,0.0,10.0,\n2.0,1.0,4.0,\n"
        "1.0,0.0,\n0.0,-1.0,\n0.25,\n0.5,\n1.0,2.0,\n-1.0,\n"
    )
    network = Network.of(read_nnet(path))
    # ((3 - .5) / 2 + .25, -(-.5) + .5) = (1.5, 1); 1.5 + 2 - 1 = 2.5; times 4 plus 10
    assert network(torch.tensor([[3.0, -0.5]], dtype=torch.float64)).item() == 20.0
    raw = Network.of(read_nnet(path, normalise=False))
    assert raw(torch.tensor([[3.0, -0.5]], dtype=torch.float64)).item() == 3.25 + 2.0 - 1.0


ALL = sorted(NETS.glob("*/*.onnx"))


@pytest.mark.data
@pytest.mark.skipif(not ALL, reason="no networks: set WHYPROOF_DATA")
def test_every_network_at_hand_loads_and_agrees() -> None:
    assert len(ALL) == 33
    for path in ALL:
        agree(read_onnx(path), rows=2)


@pytest.mark.data
@pytest.mark.skipif(not ALL, reason="no networks: set WHYPROOF_DATA")
def test_the_nnet_file_at_hand_recognises_digits() -> None:
    images = np.load(DATA / "images/mnist.npz")
    network = Network.of(read_nnet(NETS / "mnist/marabou_mnist10x10.nnet.gz"))
    points = torch.tensor(images["x_test"][:200].reshape(200, -1) / 255.0, dtype=torch.float64)
    right = (network(points).argmax(1).numpy() == images["y_test"][:200]).mean()
    assert right > 0.9

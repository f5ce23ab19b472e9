"""Write an NNet network as an ONNX model, so that onnxruntime runs what is explained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from whyproof.engine.errors import ModelError

from ..graph import Affine, Dense, NetworkGraph, Relu
from .nnet import read_nnet

__all__ = ["onnx_of_nnet"]


def onnx_of_nnet(path: str | Path, *, normalise: bool = True) -> onnx.ModelProto:
    """Load an NNet file as an ONNX model in float32.

    Parameters
    ----------
    path, normalise
        As for `read_nnet`.
    """
    return _written(read_nnet(path, normalise=normalise))


def _written(graph: NetworkGraph) -> onnx.ModelProto:
    nodes, constants, at = [], [], "x"

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(value.astype(np.float32), name))
        return name

    for i, node in enumerate(graph.nodes[1:]):
        result = f"v{i}"
        match node:
            case Dense():
                names = [at, constant(f"w{i}", node.weight), constant(f"b{i}", node.bias)]
                nodes.append(helper.make_node("Gemm", names, [result], transB=1))
            case Affine():
                scaled = f"s{i}"
                factor = constant(f"f{i}", node.scale)
                nodes.append(helper.make_node("Mul", [at, factor], [scaled]))
                shift = constant(f"c{i}", node.shift)
                nodes.append(helper.make_node("Add", [scaled, shift], [result]))
            case Relu():
                nodes.append(helper.make_node("Relu", [at], [result]))
            case _:
                raise ModelError(f"node {node.name!r} does not occur in NNet files")
        at = result
    shape = ["batch", graph.n_inputs]
    written = helper.make_graph(
        nodes,
        "nnet",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(at, TensorProto.FLOAT, ["batch", graph.n_outputs])],
        constants,
    )
    model = helper.make_model(written, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model

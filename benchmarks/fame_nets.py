"""The published networks and results of FAME (ICLR 2026) as ONNX models and tables."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["fame_images", "fame_model", "published"]


def fame_model(path: Path) -> onnx.ModelProto:
    """Write released weights (Keras layout) as an ONNX model over flat images.

    Parameters
    ----------
    path
        An npz file with keys ``layers__NAME__vars__0`` (kernel) and ``__1`` (bias); ReLU
        follows every dense layer but the last, nothing follows the convolutions.
    """
    weights = np.load(path)
    names = list(dict.fromkeys(key.split("__")[1] for key in weights))
    nodes, constants = [], []
    channels = 3 if "gtsrb" in path.name else 1
    side = 32 if channels == 3 else 28
    shape = [1, side, side, channels]

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    at = "x"
    convolutional = any("conv" in name for name in names)
    if convolutional:
        nodes.append(helper.make_node("Transpose", [at], ["nchw"], perm=[0, 3, 1, 2]))
        at = "nchw"
    flat = False
    for name in names:
        kernel = weights[f"layers__{name}__vars__0"]
        bias = constant(f"{name}_b", weights[f"layers__{name}__vars__1"])
        if kernel.ndim == 4:
            w = constant(f"{name}_w", np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
            nodes.append(helper.make_node("Conv", [at, w, bias], [name], strides=[2, 2]))
            at = name
            continue
        if not flat:
            if convolutional:
                nodes.append(helper.make_node("Transpose", [at], ["nhwc"], perm=[0, 2, 3, 1]))
                at = "nhwc"
            nodes.append(helper.make_node("Flatten", [at], ["flat"]))
            at, flat = "flat", True
        w = constant(f"{name}_w", kernel)
        nodes.append(helper.make_node("Gemm", [at, w, bias], [name]))
        at = name
        if name != names[-1]:
            nodes.append(helper.make_node("Relu", [at], [f"{name}_relu"]))
            at = f"{name}_relu"
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(at, TensorProto.FLOAT, None)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model


def fame_images(images: Path, indices: list[int], *, test: bool) -> np.ndarray:
    """Return MNIST images by index as flat float32 values in [0, 1]."""
    data = np.load(images)
    chosen = data["x_test" if test else "x_train"][indices]
    return chosen.reshape(len(indices), -1).astype(np.float32) / np.float32(255)


def published(path: Path) -> list[dict[str, str]]:
    """Read one of the published tables."""
    with path.open() as file:
        return list(csv.DictReader(file))

"""ONNX operators that multiply by weights: Gemm, MatMul, Conv, BatchNormalization."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..builder import GraphBuilder, Tensor
from ..graph import Array
from .translation import Value, View, translates
from .windows import windows_of

__all__ = ["batch_normalization", "convolution", "gemm", "matmul"]


@translates("Gemm")
def gemm(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """``alpha * A' @ B' + beta * C``."""
    x = view.tensor(0)
    alpha, beta = view.number("alpha", 1.0), view.number("beta", 1.0)
    if view.whole("transA", 0):
        x = builder.rearrange(view.name, x, builder.positions(x).T)
    weight = view.real(1)
    if not view.whole("transB", 0):
        weight = weight.T
    if x.shape[-1] != weight.shape[1]:
        raise view.refuse(f"multiplies shapes {x.shape} and {weight.T.shape}")
    out = weight.shape[0]
    shift = beta * view.real(2, np.zeros(out))
    whole = x.shape[:-1] == (1,) * (len(x.shape) - 1)
    if whole or shift.ndim == 1 or shift.shape[0] == 1:
        bias = np.broadcast_to(shift, (1, out)).ravel()
        return [builder.dense(view.name, x, alpha * weight, bias)]
    product = builder.dense(view.name, x, alpha * weight, np.zeros(out))
    return [builder.affine(view.name, product, np.ones(()), shift)]


@translates("MatMul")
def matmul(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Product with a constant matrix on either side."""
    left, right = view.value(0), view.value(1)
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        raise view.refuse("multiplies two values that both depend on the input")
    if isinstance(left, Tensor):
        return [_times(builder, view, left, view.real(1).T)]
    # W @ x is (x.T @ W.T).T over the last two axes; a vector x needs no turning.
    x, weight = view.tensor(1), view.real(0)
    if weight.ndim == 1:
        weight = weight[None]
    if len(x.shape) == 1:
        return [_times(builder, view, x, weight)]
    turned = builder.rearrange(view.name, x, np.swapaxes(builder.positions(x), -1, -2))
    product = _times(builder, view, turned, weight)
    back = np.swapaxes(builder.positions(product), -1, -2)
    return [builder.rearrange(view.name, product, back)]


def _times(builder: GraphBuilder, view: View, x: Tensor, weight: Array) -> Tensor:
    squeezed = weight.ndim == 1
    if squeezed:
        weight = weight[None]
    if weight.ndim != 2:
        raise view.refuse(f"multiplies by a constant of {weight.ndim} axes")
    if not x.shape or x.shape[-1] != weight.shape[1]:
        raise view.refuse(f"multiplies shapes {x.shape} and {weight.T.shape}")
    product = builder.dense(view.name, x, weight, np.zeros(weight.shape[0]))
    return builder.reshape(product, product.shape[:-1]) if squeezed else product


@translates("Conv")
def convolution(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """One- and two-dimensional convolutions."""
    x, weight = view.tensor(0), view.real(1)
    if len(x.shape) not in (3, 4) or x.shape[0] != 1:
        raise view.refuse(f"is supported for one image at a time, found shape {x.shape}")
    windows = windows_of(view, x.shape[2:], weight.shape[2:])
    image = builder.reshape(x, (*x.shape[:2], *windows.extent))
    kernel = weight.reshape(*weight.shape[:2], *windows.kernel)
    result = builder.convolution(
        view.name,
        image,
        kernel,
        view.real(2, np.zeros(len(weight))),
        stride=windows.stride,
        dilation=windows.dilation,
        padding=windows.padding,
        groups=view.whole("group", 1),
    )
    return (
        [builder.reshape(result, (1, *result.shape[1 : len(x.shape) - 1], result.shape[-1]))]
        if len(x.shape) == 4
        else [builder.reshape(result, (1, result.shape[1], result.shape[3]))]
    )


@translates("BatchNormalization")
def batch_normalization(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Inference form: a scale and a shift per channel."""
    x = view.tensor(0)
    if view.whole("training_mode", 0):
        raise view.refuse("is in training mode; export the model for inference")
    gain, offset, mean, variance = (view.real(i) for i in range(1, 5))
    scale = gain / np.sqrt(variance + view.number("epsilon", 1e-5))
    shift = offset - mean * scale
    per_channel = (1, -1) + (1,) * (len(x.shape) - 2)
    return [builder.affine(view.name, x, scale.reshape(per_channel), shift.reshape(per_channel))]

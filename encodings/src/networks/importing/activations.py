"""ONNX activation functions; the piecewise linear ones are written with ReLUs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..builder import GraphBuilder, Tensor
from .translation import Value, View, translates

__all__ = ["absolute", "clip", "leaky_relu", "maximum", "minimum", "relu", "sigmoid", "tanh"]


@translates("Relu")
def relu(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Rectifier."""
    return [builder.relu(view.name, view.tensor())]


@translates("LeakyRelu")
def leaky_relu(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Write it as ``a x + (1 - a) relu(x)``."""
    x, slope = view.tensor(), view.number("alpha", 0.01)
    return [builder.sum(view.name, (x, builder.relu(view.name, x)), (slope, 1.0 - slope))]


@translates("PRelu")
def parametric_relu(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Write it as a leaky ReLU with one slope per entry or channel."""
    x, slope = view.tensor(), view.real(1)
    kept = builder.affine(view.name, x, slope, np.zeros(()))
    cut = builder.affine(view.name, builder.relu(view.name, x), 1.0 - slope, np.zeros(()))
    return [builder.sum(view.name, (kept, cut), (1.0, 1.0))]


@translates("Sigmoid")
def sigmoid(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Logistic function."""
    return [builder.sigmoid(view.name, view.tensor())]


@translates("Tanh")
def tanh(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Hyperbolic tangent."""
    return [builder.tanh(view.name, view.tensor())]


@translates("Abs")
def absolute(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """``2 relu(x) - x``."""
    x = view.tensor()
    return [builder.sum(view.name, (builder.relu(view.name, x), x), (2.0, -1.0))]


@translates("Clip")
def clip(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Cut below and above."""
    x = view.tensor()
    bounds: list[float | None] = []
    for position, attribute in ((1, "min"), (2, "max")):
        if position < len(view.inputs) and view.inputs[position] is not None:
            bounds.append(float(view.real(position).item()))
        else:
            found = view.attributes.get(attribute)
            bounds.append(None if found is None else float(found))
    lower, upper = bounds
    if lower is not None:
        x = _above(builder, view.name, x, lower)
    if upper is not None:
        flipped = builder.affine(view.name, x, -np.ones(()), np.zeros(()))
        cut = _above(builder, view.name, flipped, -upper)
        x = builder.affine(view.name, cut, -np.ones(()), np.zeros(()))
    return [x]


def _above(builder: GraphBuilder, name: str, x: Tensor, floor: float) -> Tensor:
    one = np.ones(())
    moved = builder.affine(name, x, one, np.asarray(-floor)) if floor else x
    cut = builder.relu(name, moved)
    return builder.affine(name, cut, one, np.asarray(floor)) if floor else cut


@translates("Max")
def maximum(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Largest of several values."""
    return [_fold(builder, view, 1.0)]


@translates("Min")
def minimum(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Smallest of several values."""
    return [_fold(builder, view, -1.0)]


def _fold(builder: GraphBuilder, view: View, sign: float) -> Tensor:
    tensors = [v for v in view.inputs if isinstance(v, Tensor)]
    constants = [view.real(i) for i, v in enumerate(view.inputs) if not isinstance(v, Tensor)]
    shape = np.broadcast_shapes(*(t.shape for t in tensors), *(c.shape for c in constants))

    def turned(x: Tensor) -> Tensor:
        return x if sign > 0 else builder.affine(view.name, x, -np.ones(()), np.zeros(()))

    best = turned(builder.broadcast(view.name, tensors[0], shape))
    for tensor in tensors[1:]:
        spread = turned(builder.broadcast(view.name, tensor, shape))
        best = builder.maximum(view.name, best, spread)
    for constant in constants:
        floor = sign * np.broadcast_to(constant, shape)
        moved = builder.affine(view.name, best, np.ones(()), -floor)
        best = builder.affine(view.name, builder.relu(view.name, moved), np.ones(()), floor)
    return turned(best)

"""ONNX arithmetic between a value and a constant, and sums of two values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..builder import GraphBuilder, Tensor
from ..graph import Array
from .translation import Value, View, translates

__all__ = ["add", "divide", "multiply", "negate", "subtract", "summation"]


def _spread(builder: GraphBuilder, view: View, x: Tensor, other: Array) -> Tensor:
    return builder.broadcast(view.name, x, np.broadcast_shapes(x.shape, other.shape))


@translates("Add")
def add(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Residual connections and biases."""
    left, right = view.value(0), view.value(1)
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return [builder.sum(view.name, (left, right), (1.0, 1.0))]
    which = 0 if isinstance(left, Tensor) else 1
    shift = view.real(1 - which)
    x = _spread(builder, view, view.tensor(which), shift)
    return [builder.affine(view.name, x, np.ones(()), shift)]


@translates("Sum")
def summation(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Sum of any number of values."""
    tensors = [value for value in view.inputs if isinstance(value, Tensor)]
    total = builder.sum(view.name, tensors, [1.0] * len(tensors))
    for position, value in enumerate(view.inputs):
        if value is not None and not isinstance(value, Tensor):
            shift = view.real(position)
            total = builder.affine(
                view.name, _spread(builder, view, total, shift), np.ones(()), shift
            )
    return [total]


@translates("Sub")
def subtract(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Differences."""
    left, right = view.value(0), view.value(1)
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return [builder.sum(view.name, (left, right), (1.0, -1.0))]
    if isinstance(left, Tensor):
        shift = view.real(1)
        x = _spread(builder, view, left, shift)
        return [builder.affine(view.name, x, np.ones(()), -shift)]
    shift = view.real(0)
    x = _spread(builder, view, view.tensor(1), shift)
    return [builder.affine(view.name, x, -np.ones(()), shift)]


@translates("Mul")
def multiply(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Products with a constant."""
    left, right = view.value(0), view.value(1)
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        raise view.refuse("multiplies two values that both depend on the input")
    which = 0 if isinstance(left, Tensor) else 1
    scale = view.real(1 - which)
    x = _spread(builder, view, view.tensor(which), scale)
    return [builder.affine(view.name, x, scale, np.zeros(()))]


@translates("Div")
def divide(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Quotients by a constant."""
    if isinstance(view.value(1), Tensor):
        raise view.refuse("divides by a value that depends on the input")
    divisor = view.real(1)
    if not bool(divisor.all()):
        raise view.refuse("divides by zero")
    x = _spread(builder, view, view.tensor(0), divisor)
    return [builder.affine(view.name, x, 1.0 / divisor, np.zeros(()))]


@translates("Neg")
def negate(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Sign change."""
    return [builder.affine(view.name, view.tensor(0), -np.ones(()), np.zeros(()))]

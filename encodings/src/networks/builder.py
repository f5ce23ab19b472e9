"""Build a network graph node by node; neighbouring linear maps are merged on the way.

A value is a `Tensor`: a node of the graph seen in a shape.  Reshaping costs nothing, and
whatever permutes, repeats or drops entries becomes a `Select`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .graph import (
    Affine,
    Array,
    Concatenate,
    Convolution,
    Dense,
    Indices,
    Input,
    NetworkGraph,
    Node,
    Relu,
    Select,
    Sigmoid,
    Sum,
    Tanh,
    size_of,
)

__all__ = ["GraphBuilder", "Tensor"]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A node's vector read in a shape.

    Parameters
    ----------
    node
        Position of the node.
    shape
        Row-major shape; its product is the node's size.
    """

    node: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of entries."""
        return size_of(self.shape)


class GraphBuilder:
    """Grows a graph; `finish` drops what the output does not need.

    Examples
    --------
    >>> builder = GraphBuilder("x", (1, 2))
    >>> hidden = builder.relu("h", builder.dense("d", builder.input, np.eye(2), np.zeros(2)))
    >>> builder.finish(hidden).describe()
    '2 inputs, 2 outputs, 2 nonlinear neurons: dense relu'
    """

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self._nodes: list[Node] = [Input(name, (), size_of(shape))]
        self.input = Tensor(0, shape)

    def _add(self, node: Node, shape: tuple[int, ...]) -> Tensor:
        self._nodes.append(node)
        return Tensor(len(self._nodes) - 1, shape)

    def dense(self, name: str, x: Tensor, weight: Array, bias: Array) -> Tensor:
        """Multiply the last axis: ``x @ weight.T + bias``."""
        rows = x.size // weight.shape[1]
        shape = (*x.shape[:-1], weight.shape[0])
        source, node = x.node, self._nodes[x.node]
        if rows == 1 and isinstance(node, Select) and _is_injective(node.index):
            bias = bias + weight @ np.where(node.index < 0, node.fill, 0.0)
            kept = node.index >= 0
            source = node.inputs[0]
            spread = np.zeros((weight.shape[0], self._nodes[source].size))
            spread[:, node.index[kept]] = weight[:, kept]
            weight = spread
        return self._add(Dense(name, (source,), rows * len(bias), weight, bias, rows), shape)

    def convolution(
        self,
        name: str,
        x: Tensor,
        weight: Array,
        bias: Array,
        *,
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        groups: int = 1,
    ) -> Tensor:
        """Convolve an image of shape ``(1, channels, height, width)``."""
        _, channels, height, width = x.shape
        extent = [
            (size + before + after - step * (kernel - 1) - 1) // jump + 1
            for size, before, after, step, kernel, jump in zip(
                (height, width),
                padding[:2],
                padding[2:],
                dilation,
                weight.shape[2:],
                stride,
                strict=True,
            )
        ]
        output = (weight.shape[0], extent[0], extent[1])
        node = Convolution(
            name, (x.node,), size_of(output), weight, bias, (channels, height, width), output,
            stride, dilation, padding, groups,
        )  # fmt: skip
        return self._add(node, (1, *output))

    def affine(self, name: str, x: Tensor, scale: Array, shift: Array) -> Tensor:
        """Scale and shift number by number; merged into a linear map right before."""
        scale = np.ascontiguousarray(np.broadcast_to(scale, x.shape).ravel())
        shift = np.ascontiguousarray(np.broadcast_to(shift, x.shape).ravel())
        node = self._nodes[x.node]
        if isinstance(node, Dense) and node.rows == 1:
            weight, bias = node.weight * scale[:, None], node.bias * scale + shift
            return self._add(replace(node, name=name, weight=weight, bias=bias), x.shape)
        if isinstance(node, Convolution):
            per = scale.reshape(node.output[0], -1), shift.reshape(node.output[0], -1)
            if all(bool((values == values[:, :1]).all()) for values in per):
                by, add = per[0][:, 0], per[1][:, 0]
                weight, bias = node.weight * by[:, None, None, None], node.bias * by + add
                return self._add(replace(node, name=name, weight=weight, bias=bias), x.shape)
        return self._add(Affine(name, (x.node,), x.size, scale, shift), x.shape)

    def sum(self, name: str, terms: Sequence[Tensor], coefficients: Sequence[float]) -> Tensor:
        """Add tensors, broadcasting their shapes."""
        shape = np.broadcast_shapes(*(term.shape for term in terms))
        spread = [self.broadcast(name, term, shape) for term in terms]
        nodes = tuple(term.node for term in spread)
        return self._add(Sum(name, nodes, size_of(shape), tuple(coefficients)), shape)

    def select(
        self, name: str, x: Tensor, index: npt.NDArray[np.integer[Any]], fill: Array | float = 0.0
    ) -> Tensor:
        """Pick entries by flat index, -1 for the fill; the shape is that of `index`."""
        flat = np.asarray(index, dtype=np.intp).ravel()
        shape = tuple(index.shape)
        if len(flat) == x.size and bool((flat == np.arange(x.size)).all()):
            return Tensor(x.node, shape)
        values = np.ascontiguousarray(np.broadcast_to(fill, shape).ravel(), dtype=np.float64)
        return self._add(Select(name, (x.node,), len(flat), flat, values), shape)

    def rearrange(self, name: str, x: Tensor, arranged: npt.NDArray[np.integer[Any]]) -> Tensor:
        """Apply what a numpy operation did to ``positions(x)``."""
        return self.select(name, x, arranged)

    @staticmethod
    def positions(x: Tensor) -> Indices:
        """Return the flat index of each entry, in the tensor's shape."""
        return np.arange(x.size, dtype=np.intp).reshape(x.shape)

    def broadcast(self, name: str, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Repeat entries to reach a shape."""
        return self.select(name, x, np.broadcast_to(self.positions(x), shape))

    def concatenate(self, name: str, parts: Sequence[Tensor], axis: int) -> Tensor:
        """Join tensors along an axis."""
        starts = np.cumsum([0] + [part.size for part in parts])
        order = np.concatenate(
            [self.positions(p) + start for p, start in zip(parts, starts, strict=False)], axis=axis
        )
        nodes = tuple(part.node for part in parts)
        joined = self._add(Concatenate(name, nodes, int(starts[-1])), (int(starts[-1]),))
        return self.select(name, joined, order)

    def reshape(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Read the same vector in another shape; one axis may be -1."""
        if -1 in shape:
            known = -size_of(shape)
            shape = tuple(x.size // known if axis == -1 else axis for axis in shape)
        return Tensor(x.node, shape)

    def relu(self, name: str, x: Tensor) -> Tensor:
        """Cut at zero."""
        return self._add(Relu(name, (x.node,), x.size), x.shape)

    def sigmoid(self, name: str, x: Tensor) -> Tensor:
        """Squash to (0, 1)."""
        return self._add(Sigmoid(name, (x.node,), x.size), x.shape)

    def tanh(self, name: str, x: Tensor) -> Tensor:
        """Squash to (-1, 1)."""
        return self._add(Tanh(name, (x.node,), x.size), x.shape)

    def maximum(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        """Return the larger of two tensors as ``a + relu(b - a)``."""
        step = self.relu(name, self.sum(name, (b, a), (1.0, -1.0)))
        return self.sum(name, (a, step), (1.0, 1.0))

    def finish(self, output: Tensor) -> NetworkGraph:
        """Return the graph of everything that `output` needs."""
        if output.node == 0:
            output = self._add(
                Affine("output", (0,), output.size, np.ones(output.size), np.zeros(output.size)),
                output.shape,
            )
        needed = {0, output.node}
        for position in range(output.node, 0, -1):
            if position in needed:
                needed.update(self._nodes[position].inputs)
        kept = sorted(needed)
        place = {old: new for new, old in enumerate(kept)}
        nodes = tuple(
            replace(self._nodes[old], inputs=tuple(place[i] for i in self._nodes[old].inputs))
            for old in kept
        )
        return NetworkGraph(nodes, self.input.shape, output.shape)


def _is_injective(index: Indices) -> bool:
    kept = index[index >= 0]
    return len(np.unique(kept)) == len(kept)

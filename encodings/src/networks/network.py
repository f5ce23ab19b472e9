"""A network graph that torch runs: forward for attacks, operators for bounds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from whyproof.engine.errors import UnsupportedError

from .graph import (
    Affine,
    Array,
    Concatenate,
    Convolution,
    Dense,
    Input,
    NetworkGraph,
    Node,
    Relu,
    Select,
    Sigmoid,
    Sum,
    Tanh,
)
from .operators.arrange import (
    AffineOperator,
    ConcatenateOperator,
    SelectOperator,
    SumOperator,
)
from .operators.base import Activation, LinearOperator
from .operators.convolution import ConvolutionOperator
from .operators.dense import DenseOperator
from .operators.relu import ReluActivation
from .operators.smooth import SigmoidActivation, TanhActivation

__all__ = ["Network", "Step"]


class Step:
    """One node of a network with its operator.

    Parameters
    ----------
    operator
        `None` for the input.
    inputs
        Positions of the steps that it reads.
    size
        Length of its vector.
    """

    __slots__ = ("activation", "inputs", "linear", "size")

    def __init__(
        self, operator: LinearOperator | Activation | None, inputs: tuple[int, ...], size: int
    ) -> None:
        self.linear = operator if isinstance(operator, LinearOperator) else None
        self.activation = operator if isinstance(operator, Activation) else None
        self.inputs = inputs
        self.size = size


class Network:
    """Steps in order; the last one is the output.

    Parameters
    ----------
    steps
        The first one is the input.
    dtype, device
        Of all constants.

    Examples
    --------
    >>> import numpy as np
    >>> from .builder import GraphBuilder
    >>> builder = GraphBuilder("x", (1, 2))
    >>> scores = builder.dense("d", builder.input, np.array([[1.0, -1.0]]), np.zeros(1))
    >>> network = Network.of(builder.finish(scores))
    >>> network(torch.tensor([[3.0, 1.0]], dtype=torch.float64)).tolist()
    [[2.0]]
    """

    def __init__(self, steps: Sequence[Step], dtype: torch.dtype, device: torch.device) -> None:
        self.steps = tuple(steps)
        self.dtype = dtype
        self.device = device
        self.nonlinear = tuple(i for i, s in enumerate(self.steps) if s.activation is not None)
        #: Position of the vector that enters each activation.
        self.entering = {i: self.steps[i].inputs[0] for i in self.nonlinear}
        #: Those vectors in order: bounds are kept for them.
        self.anchors = tuple(sorted(set(self.entering.values())))

    @classmethod
    def of(
        cls,
        graph: NetworkGraph,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> Network:
        """Move the constants of a graph to a device."""
        place = torch.device(device)
        sizes = [node.size for node in graph.nodes]
        steps = [
            Step(_operator_of(node, sizes, dtype, place), node.inputs, node.size)
            for node in graph.nodes
        ]
        return cls(steps, dtype, place)

    @property
    def n_inputs(self) -> int:
        """Length of a point."""
        return self.steps[0].size

    @property
    def n_outputs(self) -> int:
        """Number of scores."""
        return self.steps[-1].size

    @property
    def is_double(self) -> bool:
        """Whether it is computed in double precision on the processor."""
        return self.dtype == torch.float64 and self.device.type == "cpu"

    @property
    def is_piecewise_linear(self) -> bool:
        """Whether branching on signs makes the network linear."""
        return all(isinstance(self.steps[i].activation, ReluActivation) for i in self.nonlinear)

    def __call__(self, points: Tensor) -> Tensor:
        """Return the scores, shapes ``(batch, inputs)`` to ``(batch, outputs)``."""
        return self.values(points)[-1]

    def values(self, points: Tensor) -> list[Tensor]:
        """Return the vector of every step."""
        values: list[Tensor] = [points]
        for step in self.steps[1:]:
            inputs = [values[i] for i in step.inputs]
            if step.linear is not None:
                values.append(step.linear.forward(*inputs))
            elif step.activation is not None:
                values.append(step.activation.forward(inputs[0]))
        return values


def _operator_of(
    node: Node, sizes: Sequence[int], dtype: torch.dtype, device: torch.device
) -> LinearOperator | Activation | None:
    def tensor(values: Array) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    like = torch.zeros(node.size, dtype=dtype, device=device)
    match node:
        case Input():
            return None
        case Dense():
            return DenseOperator(tensor(node.weight), tensor(node.bias), node.rows)
        case Convolution():
            return ConvolutionOperator(node, tensor(node.weight), tensor(node.bias))
        case Affine():
            return AffineOperator(tensor(node.scale), tensor(node.shift))
        case Sum():
            return SumOperator(node.coefficients, like)
        case Select():
            index = torch.tensor(node.index, device=device)
            return SelectOperator(index, tensor(node.fill), sizes[node.inputs[0]])
        case Concatenate():
            return ConcatenateOperator(tuple(sizes[i] for i in node.inputs), like)
        case Relu():
            return ReluActivation()
        case Sigmoid():
            return SigmoidActivation()
        case Tanh():
            return TanhActivation()
        case _:
            raise UnsupportedError(f"node {node.name!r} is of the unknown kind {type(node)}")

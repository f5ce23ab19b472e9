"""Networks as data: a small graph of flat vectors that every importer produces.

Ten kinds of node are enough.  Whatever only moves numbers about (reshape, transpose,
slice, pad, gather) is one `Select` over the flat vector or nothing at all, and whatever
is piecewise linear (leaky ReLU, clip, max pooling, absolute value) is written with ReLUs:

    leaky(x) = a x + (1 - a) relu(x)        max(a, b) = a + relu(b - a)

so that bounds, branching, exact encodings and the certificate checker need to know the
ReLU only.  Constants are the model's own float32 numbers, held exactly as float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import ModelError

__all__ = [
    "Affine",
    "Array",
    "Concatenate",
    "Convolution",
    "Dense",
    "Indices",
    "Input",
    "NetworkGraph",
    "Node",
    "Relu",
    "Select",
    "Sigmoid",
    "Sum",
    "Tanh",
]

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Node:
    """One vector that the network computes.

    Parameters
    ----------
    name
        Name in the model file, for error messages.
    inputs
        Positions of the nodes that it reads, all smaller than its own.
    size
        Length of the vector.
    """

    name: str
    inputs: tuple[int, ...]
    size: int


@dataclass(frozen=True, eq=False)
class Input(Node):
    """The model's input, flattened in the model's own order."""


@dataclass(frozen=True, eq=False)
class Dense(Node):
    """``weight @ x + bias``, applied to each of `rows` equal parts of the input.

    Shapes: weight ``(out, in)``, bias ``(out,)``; node size ``rows * out``.
    """

    weight: Array
    bias: Array
    rows: int = 1


@dataclass(frozen=True, eq=False)
class Convolution(Node):
    """Two-dimensional cross-correlation over channels first images.

    Parameters
    ----------
    weight
        Shape ``(out channels, in channels / groups, height, width)``.
    bias
        Shape ``(out channels,)``.
    image
        Channels, height and width of the input.
    output
        Channels, height and width of the result.
    stride, dilation
        Vertical and horizontal.
    padding
        Zeros added above, left, below, right.
    groups
        Channel groups.
    """

    weight: Array
    bias: Array
    image: tuple[int, int, int]
    output: tuple[int, int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1


@dataclass(frozen=True, eq=False)
class Affine(Node):
    """``scale * x + shift``, number by number; both of shape ``(size,)``."""

    scale: Array
    shift: Array


@dataclass(frozen=True, eq=False)
class Sum(Node):
    """Weighted sum of equally long vectors; one coefficient per input."""

    coefficients: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Select(Node):
    """Entry ``j`` is ``x[index[j]]``, or ``fill[j]`` where the index is -1."""

    index: Indices
    fill: Array


@dataclass(frozen=True, eq=False)
class Concatenate(Node):
    """The input vectors one behind the other."""


@dataclass(frozen=True, eq=False)
class Relu(Node):
    """``max(x, 0)``, the only piecewise linear function."""


@dataclass(frozen=True, eq=False)
class Sigmoid(Node):
    """``1 / (1 + exp(-x))``."""


@dataclass(frozen=True, eq=False)
class Tanh(Node):
    """``tanh(x)``."""


@dataclass(frozen=True, eq=False)
class NetworkGraph:
    """A network: nodes in order of computation, the last one its output.

    Parameters
    ----------
    nodes
        Node 0 is the only `Input`.
    input_shape
        Shape of one input in the model file, batch axis included where it has one.
    output_shape
        Shape of one output.

    Raises
    ------
    ModelError
        For constants that are not finite or nodes out of order.

    Examples
    --------
    >>> import numpy as np
    >>> line = Dense("line", (0,), 1, np.array([[2.0]]), np.array([1.0]))
    >>> NetworkGraph((Input("x", (), 1), line), (1, 1), (1, 1)).n_nonlinear
    0
    """

    nodes: tuple[Node, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.nodes or not isinstance(self.nodes[0], Input):
            raise ModelError("a network needs an input as its first node")
        for position, node in enumerate(self.nodes):
            if any(not 0 <= i < position for i in node.inputs):
                raise ModelError(f"node {node.name!r} reads a node that does not come before it")
            for field in ("weight", "bias", "scale", "shift", "fill"):
                values = getattr(node, field, None)
                if values is not None and not bool(np.isfinite(values).all()):
                    raise ModelError(
                        f"node {node.name!r} has a {field} that is not finite (NaN or infinite); "
                        "repair the model file"
                    )

    @property
    def n_inputs(self) -> int:
        """Number of columns of a point."""
        return self.nodes[0].size

    @property
    def n_outputs(self) -> int:
        """Number of scores."""
        return self.nodes[-1].size

    @cached_property
    def nonlinear(self) -> tuple[int, ...]:
        """Positions of the activations."""
        kinds = (Relu, Sigmoid, Tanh)
        return tuple(i for i, node in enumerate(self.nodes) if isinstance(node, kinds))

    @property
    def n_nonlinear(self) -> int:
        """Number of nonlinear neurons."""
        return sum(self.nodes[i].size for i in self.nonlinear)

    @property
    def is_piecewise_linear(self) -> bool:
        """Whether all activations are ReLUs, so that branching can be exact."""
        return all(isinstance(self.nodes[i], Relu) for i in self.nonlinear)

    def describe(self) -> str:
        """Summarise the network in one line."""
        kinds = [type(node).__name__.lower() for node in self.nodes[1:]]
        return (
            f"{self.n_inputs} inputs, {self.n_outputs} outputs, "
            f"{self.n_nonlinear} nonlinear neurons: {' '.join(kinds)}"
        )


def size_of(shape: tuple[int, ...]) -> int:
    """Return the number of entries of a shape."""
    return prod(shape)

"""Turn an ONNX file into a torch module whose gradients are those of the network.

For whoever needs the gradient of a classifier that came as a file, a visual search for
example: the same graph that bounds are computed on, as a module on any device and type.

    model = torch_module("mnist.onnx")
    scores = model(images)                    # (batch, ...) -> (batch, scores)
    scores[:, 3].sum().backward()
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from .classifier import NetworkClassifier
from .graph import NetworkGraph
from .network import Network

__all__ = ["GraphModule", "torch_module"]


class GraphModule(torch.nn.Module):
    """A network graph as a module; its constants are frozen, its inputs are not.

    Parameters
    ----------
    graph
        What it computes.
    dtype, device
        Of the computation.
    """

    def __init__(
        self,
        graph: NetworkGraph,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        self.graph = graph
        self.network = Network.of(graph, dtype, device)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the scores, shape ``(batch, scores)``.

        Parameters
        ----------
        inputs
            Shape ``(batch, ...)``; each entry has as many numbers as one input of the file, in
            the file's order of axes.
        """
        rows = inputs.reshape(len(inputs), -1)
        return self.network(rows.to(self.network.dtype))


def torch_module(
    source: str | Path | NetworkClassifier,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> GraphModule:
    """Return a network as a differentiable module.

    A softmax at the very end is left out: scores are those before it.

    Parameters
    ----------
    source
        An ONNX file, or a classifier that was read from one.
    dtype, device
        Of the computation.

    Raises
    ------
    UnsupportedError
        Naming node, operator and opset that cannot be followed.

    Examples
    --------
    >>> import numpy as np
    >>> from .builder import GraphBuilder
    >>> builder = GraphBuilder("x", (1, 2))
    >>> graph = builder.finish(builder.dense("d", builder.input, np.eye(2), np.zeros(2)))
    >>> x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    >>> GraphModule(graph)(x).sum().backward()
    >>> x.grad.tolist()
    [[1.0, 1.0]]
    """
    classifier = (
        source if isinstance(source, NetworkClassifier) else NetworkClassifier.load(Path(source))
    )
    return GraphModule(classifier.structure, dtype, device)

"""Networks in: ONNX and NNet files, and live torch modules, each run by onnxruntime.

network = load_network("mnist.onnx")
explainer = Explainer(network, image_space(network.input_shape), region=Region.ball(0.05))
why_not = explainer.explain(image, "cxp")
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from whyproof.encodings.networks.spaces import ImageLayout, flat_space, image_space
from whyproof.engine.errors import InputError, MissingExtraError, UnsupportedError

if TYPE_CHECKING:
    from whyproof.encodings.networks.classifier import NetworkClassifier

__all__ = ["ImageLayout", "flat_space", "image_space", "load_network"]


def load_network(
    source: str | os.PathLike[str] | object,
    *,
    input_shape: Sequence[int] | None = None,
    classes: Sequence[Hashable] | None = None,
    decision: str | None = None,
    output: str | None = None,
    dimensions: Mapping[str, int] | None = None,
) -> NetworkClassifier:
    """Import a neural network from a file or a live torch module.

    Parameters
    ----------
    source
        Path to an ONNX or NNet file (``.nnet``, ``.nnet.gz``), or a `torch.nn.Module`, which
        is exported to ONNX as it stands, in evaluation mode.
    input_shape
        For a torch module: shape of one input with a leading batch axis of 1.
    classes
        Labels by index.
    decision
        ``"largest"`` or ``"smallest"`` score wins, or ``"value"`` for a regressor.
    output
        Name of the ONNX output, where there are several.
    dimensions
        Sizes of named ONNX dimensions other than the batch axis.

    Raises
    ------
    ModelError
        If the file cannot be read or holds weights that are no numbers.
    UnsupportedError
        If an operator cannot be reasoned about; node, operator and opset are named.
    """
    from whyproof.encodings.networks.classifier import NetworkClassifier
    from whyproof.encodings.networks.importing.nnet_model import onnx_of_nnet
    from whyproof.encodings.networks.importing.onnx_file import read_onnx

    if decision not in (None, "largest", "smallest", "value"):
        raise InputError(f"decision must be largest, smallest or value, found {decision!r}")
    if isinstance(source, str | os.PathLike):
        path = os.fspath(cast("str | os.PathLike[str]", source))
        nnet = path.endswith((".nnet", ".nnet.gz"))
        model = onnx_of_nnet(path) if nnet else read_onnx(path)
    else:
        model = _exported(source, input_shape)
    return NetworkClassifier(
        model,
        classes=classes,
        decision=cast(Any, decision),
        output=output,
        dimensions=dimensions,
    )


def _exported(module: object, shape: Sequence[int] | None) -> Any:  # noqa: ANN401
    """Export a torch module to ONNX in memory."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "neural", "read torch modules") from error
    if not isinstance(module, torch.nn.Module):
        raise UnsupportedError(
            f"a network comes as a file or a torch module, not as {type(module).__name__}"
        )
    if shape is None:
        raise InputError("give the input_shape of the torch module, for example (1, 1, 28, 28)")
    import onnx

    net: Any = module
    training: bool = net.training
    buffer = io.BytesIO()
    example = torch.zeros(tuple(shape))
    net.eval()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(net, (example,), cast(Any, buffer), dynamo=False)
    except Exception as error:
        raise UnsupportedError(f"torch cannot export the module to ONNX: {error}") from error
    finally:
        net.train(training)
    return onnx.load_model_from_string(buffer.getvalue())

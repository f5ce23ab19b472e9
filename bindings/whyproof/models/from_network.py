"""ONNX files that hold a neural network, through the same door as every other model.

What comes out is a `NetworkClassifier`, which has all that the users of a model ask for:
classes, columns, predictions, scores, fingerprint, structure.  Only what tree models have
beyond that, a library's version for example, is not there.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import cast

from whyproof.engine.errors import DataError

from .model import Model

__all__ = ["load_network_bytes", "looks_like_network"]


def looks_like_network(payload: bytes) -> bool:
    """Tell whether an ONNX file holds operators, and none of classical machine learning."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        graph = onnx.load_model_from_string(payload).graph
    except (DecodeError, ValueError, RecursionError):
        return False
    names: list[object] = [node.op_type for node in graph.node]
    # What is not UTF-8 comes as bytes.
    whole = all(isinstance(name, str) for name in names)
    return bool(names) and whole and all(node.domain != "ai.onnx.ml" for node in graph.node)


def load_network_bytes(payload: bytes, source: str, classes: Sequence[Hashable] | None) -> Model:
    """Import a network from the contents of an ONNX file.

    Parameters
    ----------
    payload
        The file's bytes.
    source
        Its name, for messages.
    classes
        Labels by index.

    Raises
    ------
    ModelError
        If weights are no numbers.
    UnsupportedError
        For an operator that cannot be followed; node, operator and opset are named.
    """
    import onnx

    from whyproof.encodings.networks.classifier import NetworkClassifier

    proto = onnx.load_model_from_string(payload)
    try:
        network = NetworkClassifier(proto, classes=classes)
    except DataError as error:
        raise DataError(f"{source}: {error}") from None
    network.source = source
    return cast(Model, network)

"""What a translator of one ONNX operator sees, and the registry of translators.

A value is either a constant array, computed while the file is read, or a `Tensor` of the
graph under construction.  A translator receives the node with its inputs and returns one
value per output that it fills.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import UnsupportedError

from ..builder import GraphBuilder, Tensor
from ..graph import Array

__all__ = ["TRANSLATORS", "Constant", "Translator", "Value", "View", "translates"]

Constant = npt.NDArray[Any]
Value: TypeAlias = Constant | Tensor


@dataclass(frozen=True)
class View:
    """One ONNX node on its way into the graph.

    Parameters
    ----------
    operator, name, opset
        What the error messages name.
    inputs
        Values, `None` where an optional input is left out.
    attributes
        Decoded attributes.
    n_outputs
        Number of outputs that the file uses.
    """

    operator: str
    name: str
    opset: int
    inputs: Sequence[Value | None]
    attributes: Mapping[str, Any]
    n_outputs: int = 1

    def refuse(self, reason: str) -> UnsupportedError:
        """Return the error for something that cannot be reasoned about."""
        return UnsupportedError(
            f"node {self.name!r}: operator {self.operator} (opset {self.opset}) {reason}"
        )

    def value(self, position: int) -> Value:
        """Return an input that has to be there."""
        found = self.inputs[position] if position < len(self.inputs) else None
        if found is None:
            raise self.refuse(f"lacks its input number {position}")
        return found

    def tensor(self, position: int = 0) -> Tensor:
        """Return an input that has to depend on the network's input."""
        found = self.value(position)
        if not isinstance(found, Tensor):
            raise self.refuse(f"has a constant as its input number {position}")
        return found

    def constant(self, position: int, default: Constant | None = None) -> Constant:
        """Return an input that has to be constant."""
        found = self.inputs[position] if position < len(self.inputs) else None
        if found is None:
            if default is None:
                raise self.refuse(f"lacks its input number {position}")
            return default
        if isinstance(found, Tensor):
            raise self.refuse(
                f"computes its input number {position} from the network's input; "
                "only constants are supported there"
            )
        return found

    def real(self, position: int, default: Constant | None = None) -> Array:
        """Return a constant input as float64."""
        return np.asarray(self.constant(position, default), dtype=np.float64)

    def integers(self, position: int, attribute: str) -> list[int] | None:
        """Return whole numbers from an input (new opsets) or an attribute (old ones)."""
        if position < len(self.inputs) and self.inputs[position] is not None:
            return [int(i) for i in self.constant(position).ravel()]
        if attribute in self.attributes:
            return [int(i) for i in self.attributes[attribute]]
        return None

    def number(self, attribute: str, default: float) -> float:
        """Return a numeric attribute; ONNX holds it as float32."""
        return float(cast(float, self.attributes.get(attribute, default)))

    def whole(self, attribute: str, default: int) -> int:
        """Return an integer attribute."""
        return int(cast(int, self.attributes.get(attribute, default)))


Translator = Callable[[GraphBuilder, View], Sequence[Value]]

TRANSLATORS: dict[str, Translator] = {}
"""Operator name to translator."""


def translates(*operators: str) -> Callable[[Translator], Translator]:
    """Register a translator for operators of the standard ONNX domain."""

    def register(translator: Translator) -> Translator:
        for operator in operators:
            TRANSLATORS[operator] = translator
        return translator

    return register

"""Read an ONNX model into a network graph.

The file is walked once.  What does not depend on the input is computed on the spot (the
reference evaluator of the onnx package), so shape arithmetic disappears; what does is
translated, one operator family per file.  Batch axes fixed to 1 stay part of the shapes,
named or missing ones are set to 1: the graph works on one flat vector per point, and
batches are added by whoever runs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from whyproof.engine.errors import InputError, ModelError, UnsupportedError
from whyproof.engine.names import did_you_mean

from ..builder import GraphBuilder, Tensor
from ..graph import NetworkGraph
from . import activations, elementwise, linear, pooling, shapes
from .translation import TRANSLATORS, Value, View

__all__ = ["graph_of_onnx", "read_onnx"]

_FAMILIES = (activations, elementwise, linear, pooling, shapes)
_FINAL = ("Softmax", "LogSoftmax")
_MAX_BYTES = 2 << 30
_MAX_CONSTANT = 100_000_000


def read_onnx(path: str | Path) -> onnx.ModelProto:
    """Load an ONNX file.

    Raises
    ------
    ModelError
        If it cannot be read as ONNX, or is larger than 2 GiB.
    """
    place = Path(path)
    try:
        if place.stat().st_size > _MAX_BYTES:
            raise ModelError(f"{place} is larger than 2 GiB; networks of this size are refused")
        return onnx.load(str(place))
    except OSError as error:
        raise ModelError(f"{place} cannot be opened: {error.strerror or error}") from error
    except InputError:
        raise
    except Exception as error:  # protobuf raises its own kinds
        raise ModelError(f"{place} is not an ONNX model: {error}") from error


def graph_of_onnx(
    model: onnx.ModelProto,
    *,
    output: str | None = None,
    dimensions: Mapping[str, int] | None = None,
) -> NetworkGraph:
    """Translate an ONNX model.

    A softmax right before the output is left out: it does not change which score is the
    largest, and bounds are taken on the scores before it.

    Parameters
    ----------
    model
        With one input that is not a constant.
    output
        Name of the output to read; the first one by default.
    dimensions
        Values for named dimensions other than the batch axis.

    Raises
    ------
    UnsupportedError
        Naming node, operator and opset.
    ModelError
        For dimensions that are not known and weights that are not finite.
    """
    walk = _Walk(model, dimensions or {})
    return walk.run(output)


class _Walk:
    def __init__(self, model: onnx.ModelProto, dimensions: Mapping[str, int]) -> None:
        self._proto = model
        graph = model.graph
        self._opset = next(
            (o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1
        )
        self._values: dict[str, Value] = {}
        for initializer in graph.initializer:
            self._values[initializer.name] = numpy_helper.to_array(initializer)
        inputs = [value for value in graph.input if value.name not in self._values]
        if len(inputs) != 1:
            names = ", ".join(value.name for value in inputs) or "none"
            raise UnsupportedError(f"the model must have one input, found {len(inputs)}: {names}")
        shape = _shape_of(inputs[0], dimensions)
        self._builder = GraphBuilder(inputs[0].name, shape)
        self._values[inputs[0].name] = self._builder.input

    def run(self, output: str | None) -> NetworkGraph:
        names = [value.name for value in self._proto.graph.output]
        if not names:
            raise ModelError("the model has no output")
        wanted = names[0] if output is None else output
        if wanted not in names:
            raise ModelError(f"the model has no output {wanted!r}{did_you_mean(wanted, names)}")
        for node in self._needed(wanted):
            self._visit(node, final=wanted in node.output)
        result = self._values[wanted]
        if not isinstance(result, Tensor):
            raise ModelError(f"the output {wanted!r} does not depend on the input")
        return self._builder.finish(result)

    def _needed(self, wanted: str) -> list[onnx.NodeProto]:
        """Return the nodes behind an output, each after those that it reads.

        Files in the wild are not always in order, as the standard asks.
        """
        maker = {name: node for node in self._proto.graph.node for name in node.output if name}
        order: list[onnx.NodeProto] = []
        state: dict[str, bool] = {}
        stack = [(wanted, False)]
        while stack:
            name, ready = stack.pop()
            node = maker.get(name)
            if node is None:
                if name not in self._values:
                    raise ModelError(f"nothing in the model computes {name!r}")
                continue
            key = node.output[0]
            if ready:
                if not state[key]:
                    state[key] = True
                    order.append(node)
            elif key not in state:
                state[key] = False
                stack.append((name, True))
                stack.extend((source, False) for source in reversed(node.input) if source)
            elif not state[key] and (name, True) not in stack:
                raise ModelError(f"node {node.name or key!r} depends on its own result")
        return order

    def _visit(self, node: onnx.NodeProto, *, final: bool) -> None:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        inputs = [self._values[name] if name else None for name in node.input]
        name = node.name or (node.output[0] if node.output else node.op_type)
        view = View(node.op_type, name, self._opset, inputs, attributes, len(node.output))
        if node.domain not in ("", "ai.onnx"):
            raise view.refuse(f"of domain {node.domain!r} is not supported")
        if not any(isinstance(value, Tensor) for value in inputs):
            outputs: Sequence[Value] = self._fold(node, view)
        elif node.op_type in _FINAL:
            if not final:
                raise view.refuse("is supported as the last operator only")
            outputs = [view.tensor()]
        else:
            translator = TRANSLATORS.get(node.op_type)
            if translator is None:
                known = ", ".join(sorted(TRANSLATORS))
                raise view.refuse(f"is not supported; supported are {known}")
            outputs = translator(self._builder, view)
        self._values.update(zip(node.output, outputs, strict=False))

    def _fold(self, node: onnx.NodeProto, view: View) -> list[Value]:
        """Compute a node whose inputs are all constant."""
        if any(d.op_type == "Loop" for d in (node,)):
            raise view.refuse("is not supported")
        feeds: dict[str, Any] = {
            name: value for name, value in zip(node.input, view.inputs, strict=True) if name
        }
        try:
            typed = [
                helper.make_tensor_value_info(
                    name, helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype), None
                )
                for name, value in feeds.items()
            ]
            outs = [onnx.ValueInfoProto(name=name) for name in node.output]
            graph = helper.make_graph([node], "constant", typed, outs)
            model = helper.make_model(graph, opset_imports=list(self._proto.opset_import))
            found = ReferenceEvaluator(model).run(None, feeds)
        except Exception as error:
            raise view.refuse(f"cannot be computed from its constants: {error}") from error
        arrays = [np.asarray(value) for value in found]
        if sum(a.size for a in arrays) > _MAX_CONSTANT:
            raise view.refuse("makes a constant of more than 100 million entries")
        return list(arrays)


def _shape_of(value: onnx.ValueInfoProto, dimensions: Mapping[str, int]) -> tuple[int, ...]:
    shape: list[int] = []
    for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
        if dimension.HasField("dim_value") and dimension.dim_value > 0:
            shape.append(int(dimension.dim_value))
        elif dimension.dim_param in dimensions:
            shape.append(int(dimensions[dimension.dim_param]))
        elif axis == 0:
            shape.append(1)
        else:
            known = dimension.dim_param or "without a name"
            raise ModelError(
                f"axis {axis} of the input {value.name!r} is dynamic ({known}); "
                "give its size, for example dimensions={'" + (dimension.dim_param or "N") + "': 28}"
            )
    return tuple(shape)

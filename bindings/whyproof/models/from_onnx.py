"""ONNX files with one tree ensemble, run by onnxruntime.

The file is the model: its float32 constants, compared as onnxruntime compares them, may
differ from the model that it was converted from.  What decides a class, read from
onnxruntime's kernel and checked against it at each import:

* three classes or more: first largest sum, before any probability is formed;
* two classes with the weights of one: class 1 where the sum is above zero, or above one
  half if no weight is negative;
* sums start at zero and the base comes last, in the type of the thresholds.

Nodes that converters add behind the trees are followed: identities, casts, maps and
normalisers for labels and probabilities; products, sums and exponentials with constants
for values.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.ensemble import DecisionRule, InputType, Tree, TreeEnsemble
from whyproof.engine.domain import Domain, Integers
from whyproof.engine.errors import ModelError, UnsupportedError

from .model import Model
from .onnx_library import OnnxRuntime
from .onnx_trees import OnnxTrees, attributes_of, read_trees
from .rounding import UNIT, deciding_slack, summation_errors, sums_are_exact

__all__ = ["load_onnx_bytes", "looks_like_onnx"]

_TREE_OPERATORS = ("TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble")
_PASSING = ("Identity", "Cast", "Reshape", "Flatten", "Squeeze")
_TYPES: dict[int, InputType] = {1: "float32", 11: "float64"}


def looks_like_onnx(head: bytes) -> bool:
    """Tell whether a file begins like an ONNX model: its version of the format first."""
    return len(head) > 2 and head[0] == 0x08 and 0 < head[1] < 0x40


def load_onnx_bytes(payload: bytes, source: str) -> Model:
    """Import the contents of an ONNX file.

    Parameters
    ----------
    payload
        The file's bytes.
    source
        Its name, for messages.

    Raises
    ------
    ModelError
        If it is incomplete.
    UnsupportedError
        For a graph without a tree ensemble, with several, or with an operator that
        cannot be followed; the message names operator, node and version.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        proto = onnx.load_model_from_string(payload)
    except (DecodeError, ValueError, RecursionError):
        raise ModelError(f"{source} is no complete ONNX model; export it again") from None
    if not proto.graph.node:
        raise ModelError(f"{source} is no ONNX model: its graph has no nodes")
    return _Graph(proto, payload, source).load()


@dataclass(frozen=True)
class _Columns:
    """How rows enter the graph."""

    inputs: tuple[str, ...]
    n_columns: int
    input_type: InputType
    names: tuple[str, ...]
    one_row: bool


@dataclass(frozen=True)
class _Reading:
    """What becomes of the sums."""

    rule: DecisionRule
    base: npt.NDArray[np.float64]
    output: str
    classes: tuple[Hashable, ...] = ()
    keep: tuple[int, ...] = ()
    shift: float = 0.0
    factor: float = 1.0
    link: Literal["identity", "exp", "sigmoid"] = "identity"
    before_link: str = ""
    roundings: int = 0


@dataclass
class _Graph:
    proto: Any
    payload: bytes
    source: str
    nodes: list[Any] = field(init=False)
    constants: dict[str, npt.NDArray[Any]] = field(init=False)

    def __post_init__(self) -> None:
        import onnx

        graph = self.proto.graph
        for node in graph.node:
            # What is not UTF-8 comes as bytes.
            if not isinstance(node.op_type, str) or not isinstance(node.name, str):
                raise ModelError(f"{self.source} is a damaged ONNX model; export it again")
        self.nodes = [node for node in graph.node if node.op_type != "Constant"]
        self.constants = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                value = attributes_of(node).get("value")
                self.constants[node.output[0]] = np.asarray(value)

    def load(self) -> Model:
        trees = [node for node in self.nodes if node.op_type in _TREE_OPERATORS]
        if len(trees) != 1:
            found = ", ".join(sorted({node.op_type for node in self.nodes}))
            raise UnsupportedError(
                f"{self.source} has {len(trees)} tree ensembles, one is needed; "
                f"its operators are {found}"
            )
        node = trees[0]
        attributes = attributes_of(node)
        columns = self._columns(node, attributes)
        labels = attributes.get("classlabels_strings") or attributes.get("classlabels_int64s")
        outputs = len(labels or ()) or int(attributes.get("n_targets", 1))
        ensemble = read_trees(node.op_type, attributes, outputs, columns.input_type, self.source)
        if node.op_type == "TreeEnsembleClassifier":
            reading = self._read_classifier(node, attributes, ensemble, tuple(labels or ()))
        else:
            reading = self._read_regressor(node, attributes, outputs)
        structure = _structure(columns, ensemble, reading)
        runtime = OnnxRuntime(
            payload=self.payload,
            sums_payload=self._sums_graph(node, attributes, reading),
            inputs=columns.inputs,
            output=reading.output,
            classes=reading.classes,
            input_type=columns.input_type,
            one_row=columns.one_row,
            shift=reading.shift,
        )
        domains: dict[int, Domain] = {column: Integers(lower=0.0) for column in ensemble.coded}
        model = Model(
            structure=structure,
            runtime=runtime,
            library="onnx",
            version=f"ai.onnx.ml {self._version('ai.onnx.ml')}",
            names=columns.names,
            domains=domains,
            source=self.source,
        )
        # The operators write float32 whatever they compute in.
        model.verify(resolution=4.0 * UNIT["float32"])
        return model

    def _version(self, domain: str) -> int:
        return max((i.version for i in self.proto.opset_import if i.domain == domain), default=0)

    def _unsupported(self, node: Any, why: str) -> UnsupportedError:  # noqa: ANN401
        name = f" ({node.name})" if node.name else ""
        domain = node.domain or "ai.onnx"
        version = self._version(node.domain)
        return UnsupportedError(
            f"{self.source}: operator {node.op_type}{name} of {domain} {version} {why}"
        )

    def _columns(self, node: Any, attributes: Mapping[str, Any]) -> _Columns:  # noqa: ANN401
        """Follow the trees' input back to the graph's."""
        graph_inputs = {i.name: i for i in self.proto.graph.input if i.name not in self.constants}
        name = node.input[0]
        producers = {output: n for n in self.nodes for output in n.output}
        while name not in graph_inputs:
            producer = producers.get(name)
            if producer is None:
                raise ModelError(f"{self.source}: tensor {name!r} comes from nowhere")
            if producer.op_type == "Identity":
                name = producer.input[0]
            elif producer.op_type == "Concat" and all(i in graph_inputs for i in producer.input):
                return self._joined([graph_inputs[i] for i in producer.input], node)
            else:
                raise self._unsupported(producer, "before the trees is not supported")
        if len(graph_inputs) != 1:
            raise UnsupportedError(f"{self.source} has inputs that the trees do not use")
        tensor = graph_inputs[name].type.tensor_type
        dims = [d.dim_value for d in tensor.shape.dim]
        tested = max(attributes.get("nodes_featureids", ()), default=0) + 1
        n_columns = dims[1] if len(dims) == 2 and dims[1] > 0 else tested
        return _Columns(
            (name,), n_columns, self._input_type(tensor, node), (), bool(dims and dims[0] == 1)
        )

    def _joined(self, inputs: list[Any], node: Any) -> _Columns:  # noqa: ANN401
        widths = [i.type.tensor_type.shape.dim[-1].dim_value for i in inputs]
        if any(width != 1 for width in widths):
            raise UnsupportedError(f"{self.source} joins inputs of several columns")
        types: set[InputType] = {self._input_type(i.type.tensor_type, node) for i in inputs}
        if len(types) != 1:
            raise UnsupportedError(f"{self.source} joins inputs of different types")
        names = tuple(str(i.name) for i in inputs)
        one_row = inputs[0].type.tensor_type.shape.dim[0].dim_value == 1
        return _Columns(names, len(names), types.pop(), names, one_row)

    def _input_type(self, tensor: Any, node: Any) -> InputType:  # noqa: ANN401
        found = _TYPES.get(tensor.elem_type)
        if found is None:
            raise self._unsupported(node, "with inputs that are neither float nor double")
        return found

    def _follow(self, name: str, passing: tuple[str, ...]) -> str:
        """Follow a tensor through passing nodes to a graph output; empty if it is not one."""
        outputs = {o.name for o in self.proto.graph.output}
        while name not in outputs:
            users = [n for n in self.nodes if name in n.input]
            onward = [n for n in users if n.op_type in passing]
            if not onward:
                return ""
            name = onward[0].output[0]
        return name

    def _read_classifier(
        self,
        node: Any,  # noqa: ANN401
        attributes: Mapping[str, Any],
        ensemble: OnnxTrees,
        labels: tuple[Hashable, ...],
    ) -> _Reading:
        output = self._follow(node.output[0], ("Identity", "Cast"))
        if not output:
            users = [n for n in self.nodes if set(node.output[:2]) & set(n.input)] or [node]
            raise self._unsupported(users[0], "makes labels in a way that is not supported")
        base = _base(attributes)
        if ensemble.average:
            raise self._unsupported(node, "with averaged classes is not supported")
        if len(labels) < 2:
            raise self._unsupported(node, f"with {len(labels)} classes is not supported")
        if len(labels) > 2:
            if len(base) not in (0, len(labels)):
                raise self._unsupported(node, f"with {len(base)} base values is not supported")
            scored = len(base) > 0 or ensemble.weighted == frozenset(range(len(labels)))
            if not scored and not ensemble.positive:
                raise self._unsupported(node, "leaves classes without any score")
            start = base if len(base) else np.zeros(len(labels))
            keep = tuple(range(len(labels)))
            return _Reading(DecisionRule.ARGMAX, start, output, labels, keep)
        if len(ensemble.ids) == 1:
            (only,) = ensemble.ids
            if len(base) and only == 1:
                raise self._unsupported(node, "with base values and weights of class 1 only")
            shift = 0.5 if ensemble.positive else 0.0
            start = base[:1] if len(base) else np.zeros(1)
            return _Reading(DecisionRule.POSITIVE, start, output, labels, (only,), shift=shift)
        if len(base) or 1 not in ensemble.weighted or labels not in ((0, 1),):
            raise self._unsupported(node, "with two classes and weights of both is not supported")
        return _Reading(DecisionRule.POSITIVE, np.zeros(1), output, labels, (1,))

    def _read_regressor(
        self,
        node: Any,  # noqa: ANN401
        attributes: Mapping[str, Any],
        outputs: int,
    ) -> _Reading:
        if attributes.get("post_transform", "NONE") not in ("NONE", 0):
            raise self._unsupported(node, f"with {attributes['post_transform']} is not supported")
        base = _base(attributes)
        if len(base) not in (0, outputs):
            raise self._unsupported(node, f"with {len(base)} base values is not supported")
        start = base if len(base) else np.zeros(outputs)
        name = node.output[0]
        if outputs > 1:
            return self._read_argmax(node, name, start)
        finals = {o.name for o in self.proto.graph.output}
        factor, roundings = 1.0, 0
        link: Literal["identity", "exp", "sigmoid"] = "identity"
        before = name
        while name not in finals:
            users = [n for n in self.nodes if name in n.input]
            if len(users) != 1:
                raise self._unsupported((users or [node])[0], "behind the trees is not supported")
            user = users[0]
            if link != "identity" and user.op_type not in _PASSING:
                raise self._unsupported(user, "behind a link function is not supported")
            if user.op_type in ("Mul", "Add", "Div", "Sub"):
                others = [i for i in user.input if i != name]
                constant = self.constants.get(others[0]) if others else None
                if constant is None or constant.size != 1 or user.input[0] != name:
                    raise self._unsupported(user, "without one constant is not supported")
                value = float(constant.reshape(-1)[0])
                if user.op_type in ("Mul", "Div"):
                    step = value if user.op_type == "Mul" else 1.0 / value
                    factor, start = factor * step, start * step
                else:
                    start = start + (value if user.op_type == "Add" else -value)
                roundings += 2
                before = user.output[0]
            elif user.op_type in ("Exp", "Sigmoid"):
                link = "exp" if user.op_type == "Exp" else "sigmoid"
            elif user.op_type in _PASSING:
                roundings += 1
                before = user.output[0] if link == "identity" else before
            else:
                raise self._unsupported(user, "behind the trees is not supported")
            name = user.output[0]
        return _Reading(
            DecisionRule.VALUE,
            start,
            name,
            keep=(0,),
            factor=factor,
            link=link,
            before_link=before,
            roundings=roundings,
        )

    def _read_argmax(self, node: Any, name: str, base: npt.NDArray[np.float64]) -> _Reading:  # noqa: ANN401
        users = [n for n in self.nodes if name in n.input and n.op_type == "ArgMax"]
        label = self._follow(users[0].output[0], ("Identity", "Cast", "Squeeze")) if users else ""
        settings = attributes_of(users[0]) if users else {}
        if not label or settings.get("axis", 0) not in (1, -1) or settings.get("select_last_index"):
            raise self._unsupported(node, f"with {len(base)} targets is not supported")
        classes = tuple(range(len(base)))
        return _Reading(DecisionRule.ARGMAX, base, label, classes, classes, before_link=name)

    def _sums_graph(
        self,
        node: Any,  # noqa: ANN401
        attributes: Mapping[str, Any],
        reading: _Reading,
    ) -> bytes:
        """Return a graph of the same trees whose output ``sums`` holds their sums."""
        import onnx

        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        graph = proto.graph
        if node.op_type != "TreeEnsembleClassifier":
            graph.node.append(onnx.helper.make_node("Identity", [reading.before_link], ["sums"]))
        else:
            trees = onnx.NodeProto()
            trees.CopyFrom(node)
            trees.op_type = "TreeEnsembleRegressor"
            del trees.attribute[:]
            trees.attribute.extend(_as_regressor(node, attributes, reading))
            del trees.output[:]
            trees.output.append("sums")
            kept = [n for n in graph.node if n.op_type in ("Identity", "Concat", "Constant")]
            before = [n for n in kept if set(n.output) & set(node.input)]
            del graph.node[:]
            graph.node.extend([*before, trees])
        del graph.output[:]
        # Without a type: onnxruntime infers it.
        graph.output.append(onnx.ValueInfoProto(name="sums"))
        del graph.value_info[:]
        return bytes(proto.SerializeToString())


def _as_regressor(node: Any, attributes: Mapping[str, Any], reading: _Reading) -> list[Any]:  # noqa: ANN401
    """Return a classifier's attributes as those of a regressor over the kept outputs."""
    import onnx

    made: list[Any] = []
    position = {output: i for i, output in enumerate(reading.keep)}
    listed = [i for i, output in enumerate(attributes["class_ids"]) if output in position]
    for attribute in node.attribute:
        if attribute.name.startswith("nodes_"):
            made.append(attribute)
    for name in ("class_nodeids", "class_treeids", "class_ids"):
        values = [attributes[name][i] for i in listed]
        if name == "class_ids":
            values = [position[value] for value in values]
        made.append(onnx.helper.make_attribute(name.replace("class", "target"), values))
    tensor = attributes.get("class_weights_as_tensor")
    if tensor is None:
        weights = [attributes["class_weights"][i] for i in listed]
        made.append(onnx.helper.make_attribute("target_weights", weights))
    else:
        chosen = onnx.numpy_helper.from_array(
            np.asarray(tensor)[listed], "target_weights_as_tensor"
        )
        made.append(onnx.helper.make_attribute("target_weights_as_tensor", chosen))
    made.append(onnx.helper.make_attribute("n_targets", len(reading.keep)))
    if bool(reading.base.any()):
        made.append(onnx.helper.make_attribute("base_values", reading.base.tolist()))
    return made


def _base(attributes: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    tensor = attributes.get("base_values_as_tensor")
    values = attributes.get("base_values", ()) if tensor is None else tensor
    return np.asarray(values, dtype=np.float64).reshape(-1)


def _structure(columns: _Columns, ensemble: OnnxTrees, reading: _Reading) -> TreeEnsemble:
    trees = tuple(_kept(tree, reading) for tree in ensemble.trees)
    divisor = max(1, len(trees)) if ensemble.average else 1
    zeros = np.zeros(len(reading.base))
    precision = columns.input_type
    errors = zeros
    if reading.roundings or not sums_are_exact(trees, reading.base, precision, spare=3):
        # With several threads, onnxruntime adds partial sums in any grouping.
        last = Tree.constant(reading.base * divisor)
        errors = summation_errors(
            (*trees, last), zeros, precision, roundings=reading.roundings, ordered=False
        )
        errors = errors / divisor
        if ensemble.average:
            size = sum(float(np.abs(tree.values).max()) for tree in trees) / divisor
            errors = errors + 2.0 * UNIT[precision] * size
    slack = deciding_slack(errors)
    if reading.rule is DecisionRule.VALUE and precision == "float64":
        size = sum(float(np.abs(tree.values).max()) for tree in trees) / divisor
        slack += UNIT["float32"] * (size + float(np.abs(reading.base).max()))
    return TreeEnsemble(
        n_columns=columns.n_columns,
        trees=trees,
        base=reading.base - reading.shift,
        rule=reading.rule,
        classes=reading.classes,
        divisor=divisor,
        input_type=columns.input_type,
        slack=slack,
        link=reading.link,
    )


def _kept(tree: Tree, reading: _Reading) -> Tree:
    values = tree.values[:, list(reading.keep)] * reading.factor
    return Tree(
        tree.column,
        tree.boundary,
        tree.left,
        tree.right,
        tree.missing_left,
        values,
        tree.categories,
        tree.zero_missing,
    )

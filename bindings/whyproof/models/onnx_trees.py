"""Tree ensemble operators of ``ai.onnx.ml``, versions 1 to 5, read into trees.

All their modes become ``cast(x) < boundary``: ``>=`` and ``>`` by swapping children,
tests for equality as splits over a set of codes.  A missing value passes a comparison
only where the node says so, except that it always passes ``!=``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.ensemble import InputType, Tree
from whyproof.engine.errors import ModelError, UnsupportedError

from .build import boundaries_below, boundaries_up_to, build_tree

__all__ = ["OnnxTrees", "attributes_of", "read_trees"]

_MODES = ("LEQ", "LT", "GTE", "GT", "EQ", "NEQ", "MEMBER", "LEAF")


@dataclass(frozen=True)
class OnnxTrees:
    """Trees of one operator, and how their leaves add up.

    Parameters
    ----------
    trees
        Leaf values of shape ``(nodes, outputs)``.
    weighted
        Outputs that have a weight in every leaf of some tree, and so always a score.
    ids
        Outputs that have any weight.
    positive
        Whether no weight is negative.
    coded
        Columns that are tested for equality only.
    average
        Whether sums are divided by the number of trees.
    """

    trees: tuple[Tree, ...]
    weighted: frozenset[int]
    ids: frozenset[int]
    positive: bool
    coded: frozenset[int]
    average: bool


def attributes_of(node: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a node's attributes as Python values; tensors as arrays, text as `str`."""
    import onnx

    found: dict[str, Any] = {}
    for attribute in node.attribute:
        # Names that are not UTF-8 come as bytes.
        if not isinstance(attribute.name, str):
            raise ModelError(f"an attribute of operator {node.op_type} has no readable name")
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, onnx.TensorProto):
            value = onnx.numpy_helper.to_array(value)
        elif isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        elif isinstance(value, list) and value and isinstance(value[0], bytes):
            value = [item.decode("utf-8", "replace") for item in value if isinstance(item, bytes)]
        if isinstance(value, list) and any(isinstance(item, bytes) for item in value):
            raise ModelError(f"attribute {attribute.name!r} of {node.op_type} is no text")
        found[attribute.name] = value
    return found


def read_trees(
    kind: str, attributes: Mapping[str, Any], outputs: int, input_type: InputType, source: str
) -> OnnxTrees:
    """Read the trees of a ``TreeEnsembleClassifier``, ``...Regressor`` or ``TreeEnsemble``.

    Parameters
    ----------
    kind
        Operator name.
    attributes
        From `attributes_of`.
    outputs
        Number of classes or targets.
    input_type
        Type of the operator's input.
    source
        For messages.

    Raises
    ------
    ModelError
        If arrays do not fit each other.
    UnsupportedError
        For minimum or maximum aggregation, or a column that is tested both for equality
        and for order.
    """
    aggregate = attributes.get("aggregate_function", 1 if kind == "TreeEnsemble" else "SUM")
    if aggregate not in (0, 1, "AVERAGE", "SUM"):
        raise UnsupportedError(
            f"{source}: {kind} with aggregate_function {aggregate} is not supported"
        )
    try:
        tables = _tables_5(attributes) if kind == "TreeEnsemble" else _tables(kind, attributes)
        built = [_build(number, table, outputs, input_type) for number, table in enumerate(tables)]
    except (KeyError, IndexError, ValueError, TypeError, OverflowError) as error:
        if isinstance(error, ModelError | UnsupportedError):
            raise
        what = f"{type(error).__name__} {error}".strip()
        raise ModelError(f"{source}: the attributes of {kind} do not fit ({what})") from None
    coded = frozenset().union(*(table.coded for table in tables)) if tables else frozenset[int]()
    ordered = frozenset().union(*(table.ordered for table in tables)) if tables else frozenset()
    if coded & ordered:
        raise UnsupportedError(
            f"{source}: column {min(coded & ordered)} is tested both for equality and for order"
        )
    present = [table.present for table in tables]
    return OnnxTrees(
        trees=tuple(built),
        weighted=frozenset(
            k for k in range(outputs) if any(bool(p.size) and bool(p[:, k].all()) for p in present)
        ),
        ids=frozenset(k for k in range(outputs) if any(bool(p[:, k].any()) for p in present)),
        positive=all(table.positive for table in tables),
        coded=coded,
        average=aggregate in (0, "AVERAGE"),
    )


class _Table:
    """Nodes of one tree in file order, root first."""

    def __init__(self, size: int, outputs: int) -> None:
        self.mode = ["LEAF"] * size
        self.column = np.full(size, -1, dtype=np.int64)
        self.split = np.zeros(size)
        self.true = np.full(size, -1, dtype=np.int64)
        self.false = np.full(size, -1, dtype=np.int64)
        self.tracks = np.zeros(size, dtype=np.bool_)
        self.members: dict[int, frozenset[int]] = {}
        self.values = np.zeros((size, outputs))
        self.weighted = np.zeros((size, outputs), dtype=np.bool_)
        self.positive = True

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        leaves = np.array([mode == "LEAF" for mode in self.mode])
        return np.asarray(self.weighted[leaves], dtype=np.bool_)

    @property
    def coded(self) -> frozenset[int]:
        return self._tested("EQ", "NEQ", "MEMBER")

    @property
    def ordered(self) -> frozenset[int]:
        return self._tested("LEQ", "LT", "GTE", "GT")

    def add(self, node: int, output: int, weight: float) -> None:
        self.values[node, output] += weight
        self.weighted[node, output] = True
        self.positive = self.positive and weight >= 0

    def _tested(self, *modes: str) -> frozenset[int]:
        return frozenset(
            int(column)
            for mode, column in zip(self.mode, self.column, strict=True)
            if mode in modes
        )


def _tables(kind: str, attributes: Mapping[str, Any]) -> list[_Table]:
    """Group the parallel arrays of versions 1 to 4 by tree."""
    prefix = "class" if kind == "TreeEnsembleClassifier" else "target"
    tree_ids, node_ids = attributes["nodes_treeids"], attributes["nodes_nodeids"]
    splits = _either(attributes, "nodes_values")
    weights = _either(attributes, f"{prefix}_weights")
    tracks = attributes.get("nodes_missing_value_tracks_true") or [0] * len(tree_ids)
    outputs = _outputs(kind, attributes)
    for name in ("nodeids", "featureids", "modes", "truenodeids", "falsenodeids"):
        if len(attributes[f"nodes_{name}"]) != len(tree_ids):
            raise ValueError(f"nodes_{name} differs in length")
    if len(splits) != len(tree_ids) or len(tracks) != len(tree_ids):
        raise ValueError("nodes_values or nodes_missing_value_tracks_true differs in length")
    members: dict[int, list[int]] = {}
    for row, tree in enumerate(tree_ids):
        members.setdefault(tree, []).append(row)
    tables: dict[int, _Table] = {}
    place: dict[tuple[int, int], int] = {}
    for tree, rows in members.items():
        tables[tree] = _Table(len(rows), outputs)
        place.update({(tree, node_ids[row]): i for i, row in enumerate(rows)})
    for tree, rows in members.items():
        table = tables[tree]
        for i, row in enumerate(rows):
            mode = str(attributes["nodes_modes"][row]).removeprefix("BRANCH_")
            if mode not in _MODES:
                raise UnsupportedError(f"tree node mode {mode!r} is not supported")
            table.mode[i] = mode
            if mode == "LEAF":
                continue
            table.column[i] = attributes["nodes_featureids"][row]
            table.split[i] = splits[row]
            table.true[i] = place[tree, attributes["nodes_truenodeids"][row]]
            table.false[i] = place[tree, attributes["nodes_falsenodeids"][row]]
            table.tracks[i] = tracks[row] == 1
    for tree, node, output, weight in zip(
        attributes[f"{prefix}_treeids"],
        attributes[f"{prefix}_nodeids"],
        attributes[f"{prefix}_ids"],
        weights,
        strict=True,
    ):
        table, row = tables[tree], place[tree, node]
        if table.mode[row] == "LEAF":
            table.add(row, output, float(weight))
    return list(tables.values())


def _tables_5(attributes: Mapping[str, Any]) -> list[_Table]:
    """Split the shared node array of version 5 by root; leaves become nodes of their own."""
    columns, splits = attributes["nodes_featureids"], attributes["nodes_splits"]
    modes = np.asarray(attributes["nodes_modes"]).tolist()
    tracks = attributes.get("nodes_missing_value_tracks_true") or [0] * len(columns)
    sets = _member_sets(attributes, modes)
    outputs = _outputs("TreeEnsemble", attributes)
    tables: list[_Table] = []
    for root in attributes["tree_roots"]:
        order: dict[tuple[bool, int], int] = {}
        pending = [(False, root)]
        while pending:
            entry = pending.pop()
            if entry in order:
                raise ModelError("a tree reaches a node on two ways; it is not a tree")
            order[entry] = len(order)
            leaf, node = entry
            if leaf:
                continue
            truth = (
                bool(attributes["nodes_trueleafs"][node]),
                attributes["nodes_truenodeids"][node],
            )
            other = (
                bool(attributes["nodes_falseleafs"][node]),
                attributes["nodes_falsenodeids"][node],
            )
            # A root whose two branches are one leaf stands for a tree that is a leaf.
            pending.extend([truth] if truth == other and truth[0] else [truth, other])
        table = _Table(len(order), outputs)
        for (leaf, node), i in order.items():
            if leaf:
                output = attributes["leaf_targetids"][node]
                table.add(i, output, float(attributes["leaf_weights"][node]))
                continue
            table.mode[i] = _MODES[modes[node]]
            table.column[i], table.split[i] = columns[node], splits[node]
            table.tracks[i] = tracks[node] == 1
            truth = (
                bool(attributes["nodes_trueleafs"][node]),
                attributes["nodes_truenodeids"][node],
            )
            other = (
                bool(attributes["nodes_falseleafs"][node]),
                attributes["nodes_falsenodeids"][node],
            )
            table.true[i], table.false[i] = order[truth], order[other]
            if table.mode[i] == "MEMBER":
                table.members[i] = sets[node]
        if len(order) == 2:
            only = _Table(1, outputs)
            only.values, only.weighted = table.values[1:], table.weighted[1:]
            only.positive = table.positive
            table = only
        tables.append(table)
    return tables


def _build(number: int, table: _Table, outputs: int, input_type: InputType) -> Tree:
    mode = np.array(table.mode)
    strict = np.isin(mode, ["LT", "GTE"])
    above = boundaries_up_to(table.split, input_type)
    boundary = np.where(strict, boundaries_below(table.split, input_type), above)
    left, right = table.true.copy(), table.false.copy()
    missing_left = table.tracks | (mode == "NEQ")
    swap = np.isin(mode, ["GTE", "GT", "NEQ"])
    left[swap], right[swap] = table.false[swap], table.true[swap]
    missing_left ^= swap
    categories: dict[int, frozenset[int]] = dict(table.members)
    for node in np.flatnonzero(np.isin(mode, ["EQ", "NEQ"])).tolist():
        code = float(table.split[node])
        if code != int(code):
            raise UnsupportedError(
                f"tree {number} tests column {int(table.column[node])} for equality with {code!r}, "
                "which is no whole number"
            )
        categories[node] = frozenset({int(code)})
    return build_tree(
        number,
        table.column,
        boundary,
        left,
        right,
        missing_left,
        table.values,
        categories=categories,
        always=np.isposinf(table.split) & np.isin(mode, ["LEQ", "GT"]),
    )


def _either(attributes: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401
    tensor = attributes.get(f"{name}_as_tensor")
    return attributes[name] if tensor is None else tensor.tolist()


def _outputs(kind: str, attributes: Mapping[str, Any]) -> int:
    if kind == "TreeEnsembleClassifier":
        labels = attributes.get("classlabels_strings") or attributes.get("classlabels_int64s")
        return len(labels or ())
    return int(attributes.get("n_targets", 1))


def _member_sets(attributes: Mapping[str, Any], modes: list[int]) -> dict[int, frozenset[int]]:
    """Cut the list of members, in which NaN ends a set, in the order of member nodes."""
    sets: dict[int, frozenset[int]] = {}
    stream = iter(np.asarray(attributes.get("membership_values", ())).tolist())
    for node, mode in enumerate(modes):
        if _MODES[mode] != "MEMBER":
            continue
        codes: set[int] = set()
        for value in stream:
            if value != value:
                break
            if value != int(value):
                raise UnsupportedError(f"a set holds {value!r}, which is no whole number")
            codes.add(int(value))
        sets[node] = frozenset(codes)
    return sets

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

from whyproof.encodings.trees.ensemble import InputType, Tree
from whyproof.engine.errors import ModelError, UnsupportedError

from .build import boundaries_below, boundaries_up_to, build_tree
from .onnx_tables import NodeTable, tables_of_nodes, tables_of_roots

__all__ = ["OnnxTrees", "attributes_of", "read_trees"]


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
        Outputs that weights are listed for.
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
        if value is None:
            raise ModelError(f"attribute {attribute.name!r} of {node.op_type} has no value")
        if isinstance(value, onnx.TensorProto):
            value = onnx.numpy_helper.to_array(value)
        elif isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        elif isinstance(value, list) and value and isinstance(value[0], bytes):
            value = [item.decode("utf-8", "replace") for item in value if isinstance(item, bytes)]
        texts = attribute.type == onnx.AttributeProto.STRINGS
        if texts and any(isinstance(item, bytes) for item in value):
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
        if kind == "TreeEnsemble":
            tables, positive = tables_of_roots(attributes)
        else:
            tables, positive = tables_of_nodes(kind, attributes)
        built = [_build(number, table, input_type) for number, table in enumerate(tables)]
    except (KeyError, IndexError, ValueError, TypeError, OverflowError) as error:
        if isinstance(error, ModelError | UnsupportedError):
            raise
        what = f"{type(error).__name__} {error}".strip()
        raise ModelError(f"{source}: the attributes of {kind} do not fit ({what})") from None
    coded: set[int] = set()
    ordered: set[int] = set()
    for table in tables:
        coded |= table.tested("EQ", "NEQ", "MEMBER")
        ordered |= table.tested("LEQ", "LT", "GTE", "GT")
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
        ids=frozenset(attributes.get("class_ids", range(outputs))),
        positive=positive,
        coded=frozenset(coded),
        average=aggregate in (0, "AVERAGE"),
    )


def _build(number: int, table: NodeTable, input_type: InputType) -> Tree:
    strict = table.has_mode("LT", "GTE")
    above = boundaries_up_to(table.split, input_type)
    boundary = np.where(strict, boundaries_below(table.split, input_type), above)
    left, right = table.true.copy(), table.false.copy()
    missing_left = table.tracks | table.has_mode("NEQ")
    swap = table.has_mode("GTE", "GT", "NEQ")
    left[swap], right[swap] = table.false[swap], table.true[swap]
    missing_left ^= swap
    categories: dict[int, frozenset[int]] = dict(table.members)
    for node in np.flatnonzero(table.has_mode("EQ", "NEQ")).tolist():
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
        always=np.isposinf(table.split) & table.has_mode("LEQ", "GT"),
    )

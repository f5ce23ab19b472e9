"""ONNX files with one tree ensemble of ``ai.onnx.ml``, read by the checker.

Two classes with the weights of one: class 1 where the sum is above zero, or above one half
if no weight is negative.  More classes: the first largest sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .model import Leaf, Node, Precision, Rule, TreeModel
from .onnx_branch import branch
from .onnx_five import read_onnx_five
from .refusal import Refused

__all__ = ["read_onnx"]


def read_onnx(payload: bytes, n_columns: int) -> TreeModel:
    """Read a model file over the certificate's number of columns."""
    import onnx

    try:
        graph = onnx.load_model_from_string(payload).graph
        nodes = [n for n in graph.node if n.op_type.startswith("TreeEnsemble")]
        if len(nodes) != 1:
            raise Refused("the checker reads ONNX files with one tree ensemble")
        given = {a.name: onnx.helper.get_attribute_value(a) for a in nodes[0].attribute}
        types = {i.type.tensor_type.elem_type for i in graph.input}
        precisions: dict[int, Precision] = {1: "float32", 11: "float64"}
        precision = precisions.get(types.pop()) if len(types) == 1 else None
        if precision is None:
            raise Refused("the checker reads ONNX files whose inputs are all float or double")
        if nodes[0].op_type == "TreeEnsemble":
            return read_onnx_five(graph, nodes[0], given, n_columns, precision)
        if nodes[0].op_type == "TreeEnsembleRegressor":
            return _regressor(graph, nodes[0], given, n_columns, precision)
        return _classifier(given, n_columns, precision)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"the model file is damaged ({type(error).__name__}: {error})") from None
    except Exception as error:  # whatever protobuf raises on damaged bytes
        raise Refused(f"the model file is no ONNX model ({type(error).__name__})") from None


def _classifier(given: dict[str, Any], n_columns: int, precision: Precision) -> TreeModel:
    labels = given.get("classlabels_strings") or given.get("classlabels_int64s") or []
    names = tuple(x.decode() if isinstance(x, bytes) else str(x) for x in labels)
    weights, base = _numbers(given, "class_weights"), _numbers(given, "base_values")
    kept = sorted({int(k) for k in given["class_ids"]})
    shift = 0.0
    rule: Rule
    if len(names) > 2:
        rule, kept = "argmax", list(range(len(names)))
        if len(base) not in (0, len(names)):
            raise Refused("the model's base values do not fit its classes")
    elif len(names) == 2 and len(kept) == 1 and (not base or kept == [0]):
        rule, base = "positive", base[:1]
        shift = 0.0 if any(weight < 0 for weight in weights) else 0.5
    elif len(names) == 2 and not base and labels == [0, 1]:
        rule, kept = "positive", [1]
        if not _in_every_leaf(given):
            raise Refused("the checker does not read this form of two classes")
    else:
        raise Refused("the checker does not read this form of a classifier")
    return TreeModel(
        kind="ONNX",
        n_columns=n_columns,
        trees=_trees(given, "class", kept, weights, precision),
        base=tuple(base or [0.0] * len(kept)),
        rule=rule,
        n_classes=len(names),
        labels=names,
        shift=shift,
        precision=precision,
        ordered=False,
    )


def _regressor(
    graph: Any,  # noqa: ANN401
    node: Any,  # noqa: ANN401
    given: dict[str, Any],
    n_columns: int,
    precision: Precision,
) -> TreeModel:
    outputs = {o.name for o in graph.output}
    aggregate = given.get("aggregate_function", b"SUM")
    plain = given.get("post_transform", b"NONE") == b"NONE" and node.output[0] in outputs
    if int(given.get("n_targets", 1)) != 1 or not plain or aggregate not in (b"SUM", b"AVERAGE"):
        raise Refused("the checker does not read this form of a regressor")
    trees = _trees(given, "target", [0], _numbers(given, "target_weights"), precision)
    return TreeModel(
        kind="ONNX",
        n_columns=n_columns,
        trees=trees,
        base=tuple(_numbers(given, "base_values") or [0.0]),
        rule="value",
        n_classes=0,
        divisor=len(trees) if aggregate == b"AVERAGE" else 1,
        precision=precision,
        ordered=False,
    )


def _numbers(given: dict[str, Any], name: str) -> list[float]:
    import onnx

    tensor = given.get(f"{name}_as_tensor")
    values = (
        given.get(name, ()) if tensor is None else onnx.numpy_helper.to_array(tensor).reshape(-1)
    )
    return [float(value) for value in values]


def _in_every_leaf(given: dict[str, Any]) -> bool:
    """Tell whether some tree weighs class 1 in every leaf."""
    weighed: dict[int, set[int]] = {}
    for tree, node, k in zip(
        given["class_treeids"], given["class_nodeids"], given["class_ids"], strict=True
    ):
        if k == 1:
            weighed.setdefault(tree, set()).add(node)
    leaves: dict[int, set[int]] = {}
    for tree, node, mode in zip(
        given["nodes_treeids"], given["nodes_nodeids"], given["nodes_modes"], strict=True
    ):
        if mode == b"LEAF":
            leaves.setdefault(tree, set()).add(node)
    return any(weighed.get(tree, set()) >= found for tree, found in leaves.items())


def _trees(
    given: dict[str, Any],
    prefix: str,
    kept: Sequence[int],
    weights: Sequence[float],
    precision: Precision,
) -> tuple[tuple[Node, ...], ...]:
    rows: dict[int, list[int]] = {}
    for row, tree in enumerate(given["nodes_treeids"]):
        rows.setdefault(tree, []).append(row)
    ids = given["nodes_nodeids"]
    place = {(t, ids[row]): i for t, members in rows.items() for i, row in enumerate(members)}
    values: dict[tuple[int, int], list[float]] = {}
    slot = {output: i for i, output in enumerate(kept)}
    for tree, node, output, weight in zip(
        given[f"{prefix}_treeids"],
        given[f"{prefix}_nodeids"],
        given[f"{prefix}_ids"],
        weights,
        strict=True,
    ):
        if output in slot:
            values.setdefault((tree, node), [0.0] * len(kept))[slot[output]] += weight
    splits = _numbers(given, "nodes_values")
    tracks = given.get("nodes_missing_value_tracks_true") or [0] * len(ids)
    made: list[tuple[Node, ...]] = []
    for tree, members in rows.items():
        nodes: list[Node] = []
        for row in members:
            mode = given["nodes_modes"][row].decode().removeprefix("BRANCH_")
            if mode == "LEAF":
                nodes.append(Leaf(tuple(values.get((tree, ids[row]), [0.0] * len(kept)))))
                continue
            yes = place[tree, given["nodes_truenodeids"][row]]
            no = place[tree, given["nodes_falsenodeids"][row]]
            column = int(given["nodes_featureids"][row])
            nodes.append(
                branch(mode, column, splits[row], bool(tracks[row] == 1), yes, no, precision)
            )
        made.append(tuple(nodes))
    return tuple(made)

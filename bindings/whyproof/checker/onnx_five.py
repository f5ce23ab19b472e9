"""The operator ``TreeEnsemble`` of ``ai.onnx.ml`` version 5, read by the checker.

Two forms: one target whose sum is the graph's output, and several followed by ``ArgMax``, where
the first largest sum is the class.
"""

from __future__ import annotations

import math
from typing import Any

from .model import Branch, Leaf, Node, Precision, Test, TreeModel
from .onnx_branch import branch
from .refusal import Refused

__all__ = ["read_onnx_five"]

_MODES = ("LEQ", "LT", "GTE", "GT", "EQ", "NEQ", "MEMBER")


def read_onnx_five(
    graph: Any,  # noqa: ANN401
    node: Any,  # noqa: ANN401
    given: dict[str, Any],
    n_columns: int,
    precision: Precision,
) -> TreeModel:
    """Read a graph with this operator.

    Parameters
    ----------
    graph, node, given
        The graph, the operator and its attributes.
    n_columns
        Columns of the certificate.
    precision
        Type of the inputs.
    """
    targets, aggregate = int(given.get("n_targets", 1)), int(given.get("aggregate_function", 1))
    if aggregate not in (0, 1) or int(given.get("post_transform", 0)) != 0:
        raise Refused("the checker does not read this form of TreeEnsemble")
    trees = _Reader(given, targets, precision).trees()
    return TreeModel(
        kind="ONNX",
        n_columns=n_columns,
        trees=trees,
        base=(0.0,) * targets,
        rule="value" if targets == 1 else "argmax",
        n_classes=0 if targets == 1 else targets,
        labels=() if targets == 1 else _labels(graph, node, targets),
        divisor=len(trees) if aggregate == 0 else 1,
        precision=precision,
        ordered=False,
    )


def _labels(graph: Any, node: Any, targets: int) -> tuple[str, ...]:  # noqa: ANN401
    """Name classes by their numbers, if what follows is the first largest sum."""
    import onnx

    users = [n for n in graph.node if node.output[0] in n.input]
    asked = {a.name: onnx.helper.get_attribute_value(a) for n in users for a in n.attribute}
    plain = (
        len(users) == 1
        and users[0].op_type == "ArgMax"
        and asked.get("axis", 0) in (1, -1)
        and asked.get("select_last_index", 0) == 0
        and users[0].output[0] == graph.output[0].name
    )
    if not plain:
        raise Refused("the checker reads several targets of TreeEnsemble before ArgMax only")
    return tuple(str(k) for k in range(targets))


class _Reader:
    """The operator's arrays."""

    def __init__(self, given: dict[str, Any], targets: int, precision: Precision) -> None:
        self._given, self._targets = given, targets
        self._precision: Precision = precision
        self._modes = [int(mode) for mode in _array(given, "nodes_modes")]
        self._splits = _array(given, "nodes_splits")
        self._weights = _array(given, "leaf_weights")
        self._members = self._sets()

    def trees(self) -> tuple[tuple[Node, ...], ...]:
        """Return all trees; each leaf stands for itself wherever it is named."""
        count = 0
        made: list[tuple[Node, ...]] = []
        for root in self._given["tree_roots"]:
            nodes: list[Node | None] = [None]
            pending = [(int(root), False, 0)]
            while pending:
                at, is_leaf, place = pending.pop()
                count += 1
                if count > 2 * len(self._modes) + len(made) + 1:
                    raise Refused("the model's nodes are reached in more than one way")
                if is_leaf:
                    nodes[place] = self._leaf(at)
                    continue
                if not 0 <= at < len(self._modes):
                    raise Refused("the model names a node that does not exist")
                yes, no = len(nodes), len(nodes) + 1
                nodes += [None, None]
                for side, child in (("true", yes), ("false", no)):
                    ends = bool(self._given[f"nodes_{side}leafs"][at])
                    pending.append((int(self._given[f"nodes_{side}nodeids"][at]), ends, child))
                nodes[place] = self._branch(at, yes, no)
            made.append(tuple(node for node in nodes if node is not None))
        return tuple(made)

    def _leaf(self, at: int) -> Leaf:
        if not 0 <= at < len(self._weights):
            raise Refused("the model names a leaf that does not exist")
        target = int(self._given["leaf_targetids"][at])
        if not 0 <= target < self._targets:
            raise Refused("a leaf of the model adds to a target that does not exist")
        return Leaf(tuple(self._weights[at] * (k == target) for k in range(self._targets)))

    def _branch(self, at: int, yes: int, no: int) -> Branch:
        mode = self._modes[at]
        if not 0 <= mode < len(_MODES):
            raise Refused(f"the checker does not read tree nodes of mode {mode}")
        column = int(self._given["nodes_featureids"][at])
        tracked = self._given.get("nodes_missing_value_tracks_true") or [0] * len(self._modes)
        missing = bool(tracked[at])
        if _MODES[mode] == "MEMBER":
            return Branch(Test(column, codes=self._members[at], missing=missing), yes, no)
        return branch(_MODES[mode], column, self._splits[at], missing, yes, no, self._precision)

    def _sets(self) -> dict[int, frozenset[int]]:
        """Share the members out: one set for each node that asks, each ended by NaN."""
        sets: list[list[float]] = [[]]
        for value in _array(self._given, "membership_values"):
            if math.isnan(value):
                sets.append([])
            else:
                sets[-1].append(value)
        asking = [at for at, mode in enumerate(self._modes) if mode == _MODES.index("MEMBER")]
        if len(asking) > len(sets) or any(v != int(v) for s in sets for v in s):
            raise Refused("the members of the model's sets are not understood")
        return {at: frozenset(int(v) for v in sets[i]) for i, at in enumerate(asking)}


def _array(given: dict[str, Any], name: str) -> list[float]:
    import onnx

    if name not in given:
        return []
    return [float(value) for value in onnx.numpy_helper.to_array(given[name]).reshape(-1)]

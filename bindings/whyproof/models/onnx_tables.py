"""The parallel arrays of ``ai.onnx.ml``'s tree operators, grouped into one table per tree.

Versions 1 to 4 list nodes with the number of their tree; version 5 has one node array
with the trees' roots, and leaves of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import ModelError, UnsupportedError

__all__ = ["MODES", "NodeTable", "output_count", "tables_of_nodes", "tables_of_roots"]

MODES = ("LEQ", "LT", "GTE", "GT", "EQ", "NEQ", "MEMBER", "LEAF")
"""Node modes, numbered as in version 5; ``LEAF`` is ours there."""

_LEAF = MODES.index("LEAF")
_MEMBER = MODES.index("MEMBER")


@dataclass
class NodeTable:
    """Nodes of one tree, root first; arrays of shape ``(nodes,)`` if nothing else is said.

    Parameters
    ----------
    mode
        Positions in `MODES`.
    column, split
        What inner nodes compare.
    true, false
        Children by position in the table; -1 at leaves.
    tracks
        Whether the missing value passes the comparison.
    values, weighted
        Sum of the weights of a leaf, and whether it has one, per output; shape
        ``(nodes, outputs)``.
    members
        Codes of nodes that test for membership.
    """

    mode: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    split: npt.NDArray[np.float64]
    true: npt.NDArray[np.int64]
    false: npt.NDArray[np.int64]
    tracks: npt.NDArray[np.bool_]
    values: npt.NDArray[np.float64]
    weighted: npt.NDArray[np.bool_]
    members: dict[int, frozenset[int]] = field(default_factory=dict[int, frozenset[int]])

    @classmethod
    def empty(cls, size: int, outputs: int) -> NodeTable:
        """Return a table of leaves without weights."""
        return cls(
            mode=np.full(size, _LEAF),
            column=np.full(size, -1),
            split=np.zeros(size),
            true=np.full(size, -1),
            false=np.full(size, -1),
            tracks=np.zeros(size, dtype=np.bool_),
            values=np.zeros((size, outputs)),
            weighted=np.zeros((size, outputs), dtype=np.bool_),
        )

    def has_mode(self, *names: str) -> npt.NDArray[np.bool_]:
        """Tell which nodes have one of the modes."""
        return np.isin(self.mode, [MODES.index(name) for name in names])

    def tested(self, *names: str) -> frozenset[int]:
        """Return the columns that nodes of these modes test."""
        return frozenset(np.unique(self.column[self.has_mode(*names)]).tolist())

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Whether each leaf has a weight, shape ``(leaves, outputs)``."""
        return np.asarray(self.weighted[self.mode == _LEAF], dtype=np.bool_)


def output_count(kind: str, attributes: Mapping[str, Any]) -> int:
    """Return the number of classes or targets of an operator."""
    if kind == "TreeEnsembleClassifier":
        labels = attributes.get("classlabels_strings") or attributes.get("classlabels_int64s")
        return len(labels or ())
    return int(attributes.get("n_targets", 1))


def tables_of_nodes(kind: str, attributes: Mapping[str, Any]) -> tuple[list[NodeTable], bool]:
    """Group the arrays of versions 1 to 4 by tree.

    Returns
    -------
    tables
        In order of first appearance.
    positive
        Whether no weight of a leaf is negative.

    Raises
    ------
    KeyError, ValueError
        If something is absent or does not fit.
    """
    prefix = "class" if kind == "TreeEnsembleClassifier" else "target"
    trees = np.asarray(attributes["nodes_treeids"], dtype=np.int64)
    size = len(trees)

    def column(name: str, kind: type[np.generic] = np.int64) -> npt.NDArray[Any]:
        found = np.asarray(attributes[f"nodes_{name}"], dtype=kind)
        if len(found) != size:
            raise ValueError(f"nodes_{name} differs in length")
        return found

    nodes, tested = column("nodeids"), column("featureids")
    mode = _modes(attributes["nodes_modes"], size)
    inner = mode != _LEAF
    split = np.asarray(_either(attributes, "nodes_values"), dtype=np.float64)
    tracks = np.asarray(
        attributes.get("nodes_missing_value_tracks_true") or np.zeros(size), dtype=np.int64
    )
    if len(split) != size or len(tracks) != size:
        raise ValueError("nodes_values or nodes_missing_value_tracks_true differs in length")
    find = _Finder(trees, nodes)
    children: list[npt.NDArray[np.int64]] = []
    for name in ("truenodeids", "falsenodeids"):
        rows = np.full(size, -1)
        rows[inner] = find.rows(trees[inner], column(name)[inner])
        children.append(rows)
    outputs = output_count(kind, attributes)
    values = np.zeros((size, outputs))
    weighted = np.zeros((size, outputs), dtype=np.bool_)
    at = find.rows(
        np.asarray(attributes[f"{prefix}_treeids"], dtype=np.int64),
        np.asarray(attributes[f"{prefix}_nodeids"], dtype=np.int64),
    )
    ids = np.asarray(attributes[f"{prefix}_ids"], dtype=np.int64)
    weights = np.asarray(_either(attributes, f"{prefix}_weights"), dtype=np.float64)
    if not len(at) == len(ids) == len(weights):
        raise ValueError(f"{prefix}_ids or {prefix}_weights differs in length")
    if bool(((ids < 0) | (ids >= outputs)).any()):
        raise ValueError(f"{prefix}_ids names an output that does not exist")
    # Weights of inner nodes, which some converters write, are not used.
    used = ~inner[at]
    np.add.at(values, (at[used], ids[used]), weights[used])
    weighted[at[used], ids[used]] = True
    tables = [
        NodeTable(
            mode=mode[rows],
            column=np.where(inner[rows], tested[rows], -1),
            split=split[rows],
            true=find.within(children[0][rows], rows),
            false=find.within(children[1][rows], rows),
            tracks=tracks[rows] == 1,
            values=values[rows],
            weighted=weighted[rows],
        )
        for rows in _rows_by_tree(trees)
    ]
    return tables, not bool((weights < 0).any())


class _Finder:
    """Finds rows of a node array by tree and node number."""

    def __init__(self, trees: npt.NDArray[np.int64], nodes: npt.NDArray[np.int64]) -> None:
        if bool(((nodes < 0) | (nodes >= 2**31)).any()):
            raise ValueError("nodes_nodeids holds a number that is not allowed")
        keys = trees * 2**31 + nodes
        self.order = np.argsort(keys, kind="stable")
        self.keys = keys[self.order]
        if bool((self.keys[1:] == self.keys[:-1]).any()):
            raise ValueError("a node is listed twice")
        self.local = np.zeros(len(trees), dtype=np.int64)
        for rows in _rows_by_tree(trees):
            self.local[rows] = np.arange(len(rows))

    def rows(
        self, trees: npt.NDArray[np.int64], nodes: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        keys = trees * 2**31 + nodes
        if len(trees) != len(nodes):
            raise ValueError("numbers of trees and nodes differ in length")
        if not len(self.keys):
            raise ValueError("there are no nodes")
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        if bool((self.keys[places] != keys).any()):
            raise ValueError("a node is referred to that does not exist")
        return np.asarray(self.order[places], dtype=np.int64)

    def within(
        self, children: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Turn rows of the whole array into positions within their own tree."""
        return np.where(children < 0, -1, self.local[np.where(children < 0, rows, children)])


def _rows_by_tree(trees: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    if not len(trees):
        return []
    _, first, group = np.unique(trees, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))[group]
    order = np.argsort(rank, kind="stable")
    ends = np.cumsum(np.bincount(rank))
    return np.split(order, ends[:-1])


def _modes(names: list[str], size: int) -> npt.NDArray[np.int64]:
    if len(names) != size:
        raise ValueError("nodes_modes differs in length")
    numbers = {f"BRANCH_{name}": number for number, name in enumerate(MODES)} | {"LEAF": _LEAF}
    for name in set(names):
        if name not in numbers or name == "BRANCH_LEAF":
            raise UnsupportedError(f"tree node mode {name!r} is not supported")
    return np.array([numbers[name] for name in names], dtype=np.int64)


def _either(attributes: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401
    tensor = attributes.get(f"{name}_as_tensor")
    return attributes[name] if tensor is None else tensor


def tables_of_roots(attributes: Mapping[str, Any]) -> tuple[list[NodeTable], bool]:
    """Cut the node array of version 5 at its roots; the result is as in `tables_of_nodes`."""
    modes = np.asarray(attributes["nodes_modes"]).tolist()
    sets = _member_sets(attributes, modes)
    outputs = output_count("TreeEnsemble", attributes)
    tables = [
        _table_of_root(root, attributes, modes, sets, outputs) for root in attributes["tree_roots"]
    ]
    return tables, not bool((np.asarray(attributes["leaf_weights"]) < 0).any())


def _table_of_root(
    root: int,
    attributes: Mapping[str, Any],
    modes: list[int],
    sets: Mapping[int, frozenset[int]],
    outputs: int,
) -> NodeTable:
    def child(node: int, side: str) -> tuple[bool, int]:
        return bool(attributes[f"nodes_{side}leafs"][node]), attributes[f"nodes_{side}nodeids"][
            node
        ]

    order: dict[tuple[bool, int], int] = {}
    pending = [(False, root)]
    while pending:
        entry = pending.pop()
        if entry in order or entry[1] < 0:
            raise ModelError("a tree reaches a node on two ways; it is not a tree")
        order[entry] = len(order)
        if entry[0]:
            continue
        pair = child(entry[1], "true"), child(entry[1], "false")
        if pair[0] == pair[1] and pair[0][0] and len(order) == 1:
            # A root whose two branches are one leaf stands for a tree that is a leaf.
            order = {pair[0]: 0}
            break
        pending.extend(pair)
    table = NodeTable.empty(len(order), outputs)
    tracks = attributes.get("nodes_missing_value_tracks_true")
    for (leaf, node), i in order.items():
        if leaf:
            output = attributes["leaf_targetids"][node]
            if not 0 <= output < outputs:
                raise ValueError("leaf_targetids names an output that does not exist")
            table.values[i, output] = float(attributes["leaf_weights"][node])
            table.weighted[i, output] = True
            continue
        table.mode[i] = modes[node]
        table.column[i] = attributes["nodes_featureids"][node]
        table.split[i] = attributes["nodes_splits"][node]
        table.tracks[i] = tracks is not None and tracks[node] == 1
        table.true[i], table.false[i] = order[child(node, "true")], order[child(node, "false")]
        if modes[node] == _MEMBER:
            table.members[i] = sets[node]
    return table


def _member_sets(attributes: Mapping[str, Any], modes: list[int]) -> dict[int, frozenset[int]]:
    """Cut the list of members, in which NaN ends a set, in the order of member nodes."""
    sets: dict[int, frozenset[int]] = {}
    stream = iter(np.asarray(attributes.get("membership_values", ())).tolist())
    for node, mode in enumerate(modes):
        if mode != _MEMBER:
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

"""XGBoost's text dumps: trees without objective, base score or number of classes.

A dump (`Booster.dump_model`) is meant for people.  It leaves out what decides, so that
the caller has to say it: the classes, and the base score if it is not 0.5.  Trees take
turns over the classes.  XGBoost cannot read dumps back; predictions are a simulation of
its float32 sums, leaf after leaf from the base, which on saved models gives the same
bits as XGBoost itself (the tests compare them).  Numbers are printed with nine digits,
which identify a float32 exactly.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.errors import ModelError
from whyproof.engine.names import did_you_mean

from .build import build_tree
from .model import Model
from .rounding import deciding_slack, summation_errors, sums_are_exact
from .simulate import SimulatedRuntime

__all__ = ["load_xgboost_text", "looks_like_xgboost_text"]

_HEADER = re.compile(r"booster\[(\d+)\]:?$")
_LEAF = re.compile(r"(\d+):leaf=([^,\s]+)")
_SPLIT = re.compile(
    r"(\d+):\[(.+?)(?:<([^\]<]+)|:\{([\d,]*)\})\]\s*yes=(\d+),no=(\d+)(?:,missing=(\d+))?"
)
_POSITION = re.compile(r"f(\d+)$")


@dataclass
class _Nodes:
    column: dict[int, int] = field(default_factory=dict[int, int])
    threshold: dict[int, float] = field(default_factory=dict[int, float])
    yes: dict[int, int] = field(default_factory=dict[int, int])
    no: dict[int, int] = field(default_factory=dict[int, int])
    missing: dict[int, int] = field(default_factory=dict[int, int])
    leaf: dict[int, float] = field(default_factory=dict[int, float])
    categories: dict[int, frozenset[int]] = field(default_factory=dict[int, frozenset[int]])


def looks_like_xgboost_text(head: bytes) -> bool:
    """Tell whether a file begins like a text dump."""
    return head.lstrip().startswith(b"booster[")


def load_xgboost_text(
    payload: bytes,
    source: str,
    *,
    classes: Sequence[Hashable] | None,
    names: Sequence[str] | None = None,
    base_score: float | None = None,
) -> Model:
    """Import a text dump.

    Parameters
    ----------
    payload
        The file's bytes.
    source
        Its name, for messages.
    classes
        Labels by index: two for one margin whose sign decides, more for one sum each;
        empty for a regressor.
    names
        Column names in the model's order; required if the dump does not use ``f0``,
        ``f1``, ...  Without them, columns end with the last one that is tested.
    base_score
        As XGBoost stores it: a probability for two classes.  0.5 if not given, as
        XGBoost had it by default before version 2.

    Raises
    ------
    ModelError
        For a line that is not understood, with its number, or a missing argument.
    """
    if classes is None:
        raise ModelError(
            f"{source} is an XGBoost text dump, which does not say its classes: give "
            "classes=[...], or save the model as .json"
        )
    trees = _parse(payload, source, _Columns(names, source))
    outputs = len(classes) if len(classes) > 2 else 1
    if len(classes) == 1:
        raise ModelError(f"{source}: a classifier needs at least two classes")
    if outputs > 1 and len(trees) % outputs:
        raise ModelError(f"{source} has {len(trees)} trees, not a multiple of {outputs} classes")
    widest = max((max(tree.column.values(), default=-1) for tree in trees), default=-1) + 1
    n_columns = len(names) if names else max(1, widest)
    if widest > n_columns:
        raise ModelError(f"{source} tests column {widest - 1}, but {n_columns} names were given")
    base = np.full(outputs, _margin(base_score, classes))
    built = tuple(_tree(number, nodes, outputs, source) for number, nodes in enumerate(trees))
    errors = np.zeros(outputs)
    if not sums_are_exact(built, base, "float32"):
        errors = summation_errors(built, base, "float32")
    rule = DecisionRule.POSITIVE if outputs == 1 else DecisionRule.ARGMAX
    structure = TreeEnsemble(
        n_columns=n_columns,
        trees=built,
        base=base,
        rule=rule if classes else DecisionRule.VALUE,
        classes=tuple(classes),
        input_type="float32",
        slack=deciding_slack(errors),
    )
    notes = ["predictions are a float32 simulation of XGBoost's sums; a text dump cannot be run"]
    if base_score is None:
        notes.append("the dump does not state base_score; 0.5 was assumed")
    return Model(
        structure=structure,
        runtime=SimulatedRuntime(structure, "float32", "XGBoost"),
        library="xgboost",
        names=tuple(names or ()),
        source=source,
        notes=tuple(notes),
    )


class _Columns:
    """Positions of the columns that a dump names."""

    def __init__(self, names: Sequence[str] | None, source: str) -> None:
        self.names = list(names) if names else None
        self.position = {name: i for i, name in enumerate(self.names or [])}
        self.source = source

    def find(self, name: str, line: int) -> int:
        if name in self.position:
            return self.position[name]
        numbered = _POSITION.match(name)
        if numbered:
            return int(numbered[1])
        if self.names is None:
            raise ModelError(
                f"{self.source}, line {line}: column {name!r} has no position; "
                "give names=[...] in the model's order"
            )
        raise ModelError(
            f"{self.source}, line {line}: no column {name!r}{did_you_mean(name, self.names)}"
        )


def _parse(payload: bytes, source: str, columns: _Columns) -> list[_Nodes]:
    trees: list[_Nodes] = []
    for number, raw in enumerate(payload.decode("utf-8", "replace").splitlines(), start=1):
        line = raw.strip()
        if not line:
            continue
        header = _HEADER.match(line)
        if header:
            if int(header[1]) != len(trees):
                raise ModelError(f"{source}, line {number}: tree {len(trees)} was expected")
            trees.append(_Nodes())
        elif not trees or not _read_node(line, trees[-1], columns, number):
            raise ModelError(f"{source}, line {number}: {line[:60]!r} is no node of a text dump")
    return trees


def _read_node(line: str, nodes: _Nodes, columns: _Columns, number: int) -> bool:
    leaf = _LEAF.match(line)
    try:
        if leaf:
            nodes.leaf[int(leaf[1])] = float(np.float32(leaf[2]))
            return True
        split = _SPLIT.match(line)
        if not split:
            return False
        node = int(split[1])
        nodes.column[node] = columns.find(split[2], number)
        nodes.yes[node], nodes.no[node] = int(split[5]), int(split[6])
        # Dumps of data without missing values may leave the direction out.
        nodes.missing[node] = int(split[7] or split[5])
        if split[4] is not None:
            nodes.categories[node] = frozenset(int(code) for code in split[4].split(",") if code)
        else:
            nodes.threshold[node] = float(np.float32(split[3]))
    except ModelError:
        raise
    except ValueError:
        return False
    return True


def _tree(number: int, nodes: _Nodes, outputs: int, source: str) -> Tree:
    count = max([*nodes.leaf, *nodes.column], default=-1) + 1
    if count > 2 * (len(nodes.leaf) + len(nodes.column)) + 1024:
        raise ModelError(f"{source}: tree {number} numbers its nodes up to {count - 1}")
    column = np.full(count, -1, dtype=np.int64)
    boundary = np.full(count, np.nan)
    left = np.full(count, -1, dtype=np.int64)
    right = np.full(count, -1, dtype=np.int64)
    missing_left = np.zeros(count, dtype=np.bool_)
    # Nodes that are referred to but not listed keep a value that is refused.
    values = np.full((count, outputs), np.nan)
    for node, value in nodes.leaf.items():
        values[node] = 0.0
        values[node, number % outputs] = value
    for node, tested in nodes.column.items():
        column[node] = tested
        boundary[node] = nodes.threshold.get(node, np.nan)
        # "yes" of a categorical split is a listed category, as left is in a `Tree`.
        left[node], right[node] = nodes.yes[node], nodes.no[node]
        missing_left[node] = nodes.missing[node] == nodes.yes[node]
    try:
        return build_tree(
            number,
            column,
            boundary,
            left,
            right,
            missing_left,
            values,
            categories=nodes.categories,
        )
    except ModelError as error:
        raise ModelError(f"{source} is no complete text dump: {error}") from None


def _margin(base_score: float | None, classes: Sequence[Hashable]) -> float:
    if base_score is None:
        return 0.5 if not classes else 0.0
    if len(classes) != 2:
        return float(np.float32(base_score))
    if not 0.0 < base_score < 1.0:
        raise ModelError(f"base_score must lie between 0 and 1 for two classes, found {base_score}")
    odds = np.float32(1.0) / np.float32(base_score) - np.float32(1.0)
    return float(np.float32(-np.log(float(odds))))

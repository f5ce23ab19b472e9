"""LightGBM's ``.txt`` model files, read by the checker.

Float64 values up to the threshold go left; tiny values are zero before any comparison;
each test has its own way with the missing value; listed categories go left.
"""

from __future__ import annotations

import math
from fractions import Fraction

from .model import ZERO, Branch, Leaf, Node, Rule, Test, TreeModel
from .refusal import Refused

__all__ = ["read_lightgbm_text"]

_ZONE = Fraction(1, 2**49)
_VALUES = ("regression", "regression_l1", "huber", "fair", "quantile", "mape")


def read_lightgbm_text(payload: bytes) -> TreeModel:
    """Read a model file."""
    body, ended, _ = payload.decode("utf-8", "replace").partition("\nend of trees")
    if not ended:
        raise Refused("the model file ends early")
    head, *blocks = body.split("\nTree=")
    header = _fields(head)
    try:
        return _read(header, [_fields("Tree=" + block) for block in blocks])
    except (KeyError, IndexError, ValueError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"the model file is damaged ({type(error).__name__}: {error})") from None


def _read(header: dict[str, str], blocks: list[dict[str, str]]) -> TreeModel:
    outputs = int(header["num_tree_per_iteration"])
    words = header.get("objective", "").split()
    name = words[0] if words else ""
    options: dict[str, str] = {}
    for word in words[1:]:
        option, _, setting = word.partition(":")
        options[option] = setting
    rule: Rule
    if name == "multiclass":
        rule, zone = "argmax", _ZONE
    elif name == "binary":
        rule, zone = "positive", _ZONE / Fraction(float(options.get("sigmoid", "1")))
    elif name in _VALUES and "sqrt" not in options:
        rule, zone = "value", Fraction(0)
    else:
        raise Refused(f"the checker does not read LightGBM's objective {' '.join(words)!r}")
    averaged = "average_output" in header
    return TreeModel(
        kind="LightGBM .txt",
        n_columns=int(header["max_feature_idx"]) + 1,
        trees=tuple(_tree(block, i % outputs, outputs) for i, block in enumerate(blocks)),
        base=(0.0,) * outputs,
        rule=rule,
        n_classes=0 if rule == "value" else max(2, outputs),
        divisor=max(1, len(blocks) // outputs) if averaged else 1,
        precision="float64",
        zone=zone,
    )


def _fields(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _tree(block: dict[str, str], group: int, outputs: int) -> tuple[Node, ...]:
    if block.get("is_linear", "0") not in ("", "0"):
        raise Refused("the checker does not read LightGBM's linear trees")
    leaves: list[Node] = [
        Leaf(tuple(float(value) * (k == group) for k in range(outputs)))
        for value in block["leaf_value"].split()
    ]
    if len(leaves) == 1:
        return tuple(leaves)
    columns = [int(part) for part in block["split_feature"].split()]
    inner = len(columns)

    def child(number: str) -> int:
        place = int(number)
        return place if place >= 0 else inner - place - 1

    nodes: list[Node] = []
    for i, column in enumerate(columns):
        decision = int(block["decision_type"].split()[i])
        threshold = float(block["threshold"].split()[i])
        yes = child(block["left_child"].split()[i])
        no = child(block["right_child"].split()[i])
        if decision & 1:
            nodes.append(Branch(Test(column, codes=_codes(block, int(threshold))), yes, no))
            continue
        kind, to_left = (decision >> 2) & 3, bool(decision & 2)
        if kind == 0:
            to_left = 0.0 <= threshold
        below = math.nextafter(threshold, math.inf)
        # What is read as zero compares as zero does.
        if 0.0 <= threshold < ZERO:
            below = math.nextafter(ZERO, math.inf)
        elif -ZERO <= threshold < 0.0:
            below = -ZERO
        nodes.append(Branch(Test(column, below, None, to_left, kind == 1), yes, no))
    return (*nodes, *leaves)


def _codes(block: dict[str, str], index: int) -> frozenset[int]:
    bounds = [int(part) for part in block["cat_boundaries"].split()]
    words = [int(part) for part in block["cat_threshold"].split()]
    if not 0 <= index < len(bounds) - 1:
        raise Refused("a tree of the model refers to categories that do not exist")
    chosen = words[bounds[index] : bounds[index + 1]]
    bits = (32 * place + bit for place in range(len(chosen)) for bit in range(32))
    return frozenset(code for code in bits if chosen[code // 32] >> (code % 32) & 1)

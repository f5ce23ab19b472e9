"""XGBoost's ``.json`` and ``.ubj`` model files, read by the checker.

Float32 values below the threshold go left; listed categories go right.  The base score is
kept in the unit of the prediction; class 1 is a float32 sigmoid above one half.
"""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

from .model import Branch, Leaf, Node, Rule, Test, TreeModel, round_to
from .refusal import Refused
from .ubjson import read_ubjson

__all__ = ["LINK_ZONE", "logit", "read_xgboost_json", "xgboost_document"]

LINK_ZONE = Fraction(1, 2**21)
"""Margins nearer to a tie may be rounded into one by a float32 sigmoid or softmax."""

_VALUES = ("reg:squarederror", "reg:linear", "reg:absoluteerror", "reg:pseudohubererror")


def read_xgboost_json(payload: bytes) -> TreeModel:
    """Read a model file."""
    try:
        kind = "XGBoost .ubj" if _is_binary(payload) else "XGBoost .json"
        return _read(xgboost_document(payload)["learner"], kind)
    except (KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"the model file is damaged ({type(error).__name__}: {error})") from None


def xgboost_document(payload: bytes) -> dict[str, Any]:
    """Return what a file holds, whichever of the two forms it has."""
    found = read_ubjson(payload) if _is_binary(payload) else json.loads(payload)
    if not isinstance(found, dict):
        raise Refused("the model file holds no XGBoost model")
    return found


def _is_binary(payload: bytes) -> bool:
    return payload[1:2] in (b"L", b"i", b"U", b"I", b"l", b"$", b"#", b"N")


def _read(learner: dict[str, Any], kind: str) -> TreeModel:
    parameters, booster = learner["learner_model_param"], learner["gradient_booster"]
    objective = str(learner["objective"]["name"])
    attributes: dict[str, Any] = learner.get("attributes") or {}
    weights = [round_to(float(w), "float32") for w in booster.get("weight_drop", ())]
    model: dict[str, Any] = (booster["gbtree"] if "gbtree" in booster else booster)["model"]
    if booster.get("name") not in ("gbtree", "dart") or int(parameters.get("num_target", 1)) > 1:
        raise Refused("the checker reads XGBoost's gbtree and dart with one target")
    outputs = max(1, int(parameters.get("num_class", 0)))
    text = str(parameters.get("base_score", "0.5")).strip("[] ")
    base = [round_to(float(part), "float32") for part in text.split(",")]
    base = base * outputs if len(base) == 1 else base
    rule, zone, start = _objective(objective, base, outputs, "scikit_learn" in attributes)
    used = _used_trees(model, attributes, outputs)
    trees = tuple(
        _tree(
            model["trees"][i], int(model["tree_info"][i]), outputs, weights[i] if weights else 1.0
        )
        for i in range(used)
    )
    if len(start) != outputs:
        raise Refused("the model's base score does not fit its outputs")
    return TreeModel(
        kind=kind,
        n_columns=int(parameters["num_feature"]),
        trees=trees,
        base=tuple(start),
        rule=rule,
        n_classes=0 if rule == "value" else max(2, outputs),
        zone=zone,
        term_roundings=3 if weights else 0,
        base_roundings=2,
    )


def _objective(
    objective: str, base: list[float], outputs: int, wrapped: bool
) -> tuple[Rule, Fraction, list[float]]:
    if objective == "multi:softprob":
        return "argmax", LINK_ZONE, base
    if objective == "multi:softmax":
        return "argmax", Fraction(0), base
    if outputs == 1 and objective == "binary:logistic":
        return "positive", LINK_ZONE, [logit(base[0])]
    if outputs == 1 and (objective == "binary:logitraw" and not wrapped):
        return "positive", Fraction(0), base
    if outputs == 1 and objective in _VALUES:
        return "value", Fraction(0), base
    raise Refused(f"the checker does not read XGBoost's objective {objective!r}")


def logit(probability: float) -> float:
    """Return the margin of a base score as XGBoost computes it, in float32."""
    if not 0 < probability < 1:
        raise Refused(f"the base score {probability!r} is no probability")
    odds = round_to(round_to(1.0 / probability, "float32") - 1.0, "float32")
    return round_to(-math.log(odds), "float32") + 0.0


def _used_trees(model: dict[str, Any], attributes: dict[str, Any], outputs: int) -> int:
    """Return how many trees predict: scikit-learn's wrapper stops at its best iteration."""
    best = str(attributes.get("best_iteration", ""))
    total = len(model["trees"])
    if "scikit_learn" not in attributes or not best.isdecimal():
        return total
    starts = model.get("iteration_indptr") or []
    rounds = int(best) + 1
    parallel = max(1, int(model["gbtree_model_param"].get("num_parallel_tree", 1)))
    return min(total, int(starts[rounds]) if rounds < len(starts) else rounds * outputs * parallel)


def _tree(entry: dict[str, Any], group: int, outputs: int, weight: float) -> tuple[Node, ...]:
    if str(entry["tree_param"].get("size_leaf_vector", "1")) not in ("0", "1"):
        raise Refused("the checker does not read XGBoost's trees with vector leaves")
    if not 0 <= group < outputs:
        raise Refused("a tree of the model adds to an output that does not exist")
    listed: dict[int, frozenset[int]] = {}
    for node, start, size in zip(
        entry.get("categories_nodes", ()),
        entry.get("categories_segments", ()),
        entry.get("categories_sizes", ()),
        strict=True,
    ):
        listed[int(node)] = frozenset(int(c) for c in entry["categories"][start : start + size])
    nodes: list[Node] = []
    for i, left in enumerate(entry["left_children"]):
        condition = round_to(float(entry["split_conditions"][i]), "float32")
        if left == -1:
            nodes.append(Leaf(tuple(condition * weight * (k == group) for k in range(outputs))))
            continue
        right, to_left = int(entry["right_children"][i]), bool(entry["default_left"][i])
        column = int(entry["split_indices"][i])
        if i in listed:
            nodes.append(
                Branch(Test(column, codes=listed[i], missing=not to_left), right, int(left))
            )
        else:
            nodes.append(Branch(Test(column, condition, missing=to_left), int(left), right))
    return tuple(nodes)

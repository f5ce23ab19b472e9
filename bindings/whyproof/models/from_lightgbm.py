"""LightGBM models: live objects and ``.txt`` files.

What differs from the plain sum of trees, and where it is settled:

* inputs are float64 and compared with ``<=``; values up to 1e-35 in size are read as
  zero before any comparison, which moves boundaries near zero;
* each split treats the missing value in its own way: as zero (none), with zero itself
  (zero), or by its own direction (NaN);
* listed categories go left, everything else, the missing value included, right;
* sums are float64, without a base; random forest mode divides by the number of rounds;
* class 1 is ``p > 1 - p`` for ``p = 1 / (1 + exp(-sigmoid * sum))``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.ensemble import ZERO_SIZE, DecisionRule, Tree, TreeEnsemble
from whyproof.engine.domain import Categories, Domain, Integers
from whyproof.engine.errors import MissingExtraError, ModelError, UnsupportedError

from .build import boundaries_up_to, build_tree
from .lightgbm_document import LightGBMDocument, LightGBMTree
from .lightgbm_library import LightGBMRuntime, Outcome, lightgbm_is_installed
from .model import Model, Runtime
from .rounding import UNIT, deciding_slack, summation_errors, sums_are_exact
from .simulate import SimulatedRuntime

__all__ = ["load_lightgbm_bytes", "load_lightgbm_object"]

LINK_ZONE = 2.0**-49
"""Margins nearer to a tie than this may be rounded into one by float64 sigmoid or softmax."""

_CLASSES = re.compile(r"num_class:[0-9]{1,9}")
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_NONE, _ZERO, _NAN = 0, 1, 2

_VALUES: dict[str, Literal["identity", "exp", "sigmoid"]] = {
    "regression": "identity",
    "regression_l1": "identity",
    "huber": "identity",
    "fair": "identity",
    "quantile": "identity",
    "mape": "identity",
    "lambdarank": "identity",
    "rank_xendcg": "identity",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
    "cross_entropy": "sigmoid",
}


@dataclass(frozen=True)
class _Reading:
    """What an objective makes of raw scores."""

    rule: DecisionRule
    outcome: Outcome
    zone: float = 0.0
    link: Literal["identity", "exp", "sigmoid"] = "identity"


def load_lightgbm_object(source: Any) -> Model:  # noqa: ANN401
    """Import a live `Booster`, `LGBMClassifier` or `LGBMRegressor`.

    Raises
    ------
    ModelError
        If it is not fitted.
    UnsupportedError
        For linear trees or an objective that is not known; the message names it.
    """
    kind = type(source).__name__
    classes: tuple[Hashable, ...] = ()
    names: tuple[str, ...] = ()
    booster = source
    if hasattr(source, "booster_") or hasattr(source, "fit"):
        if not getattr(source, "__sklearn_is_fitted__", lambda: True)():
            raise ModelError(f"the {kind} is not fitted; fit it first")
        booster = source.booster_
        if hasattr(source, "predict_proba"):
            classes = tuple(np.asarray(source.classes_).tolist())
        names = tuple(str(name) for name in source.feature_name_)
        if all(name == f"Column_{i}" for i, name in enumerate(names)):
            names = ()
    if not hasattr(booster, "model_to_string"):
        raise UnsupportedError(f"a LightGBM {kind} is not a model; give the Booster")
    return _load(booster.model_to_string().encode(), kind, classes, names)


def load_lightgbm_bytes(payload: bytes, source: str) -> Model:
    """Import the contents of a ``.txt`` file that LightGBM saved."""
    return _load(payload, source, (), ())


def _load(
    payload: bytes, source: str, classes: tuple[Hashable, ...], names: tuple[str, ...]
) -> Model:
    document = LightGBMDocument(payload, source)
    outputs = document.integer("num_tree_per_iteration")
    n_columns = document.integer("max_feature_idx") + 1
    if outputs < 1 or n_columns < 1 or document.n_trees % outputs:
        raise ModelError(
            f"{source}: {document.n_trees} trees, {outputs} a round, over {n_columns} columns"
        )
    # LightGBM writes as many numbers as each of these says.
    stated = {outputs, document.integer("num_class")}
    stated |= {int(word[10:]) for word in document.objective if _CLASSES.fullmatch(word)}
    if len(stated) != 1:
        raise ModelError(f"{source}: numbers of classes {sorted(stated)} do not fit each other")
    trees = tuple(_tree(document, number, outputs, n_columns) for number in range(document.n_trees))
    divisor = max(1, document.n_trees // outputs) if document.averages else 1
    base = np.zeros(outputs)
    reading = _read_objective(document, trees, divisor)
    errors = np.zeros(outputs)
    if not sums_are_exact(trees, base, "float64", spare=3 if divisor > 1 else 0):
        errors = summation_errors(trees, base, "float64") / divisor
        if divisor > 1:
            largest = sum(float(np.abs(tree.values).max()) for tree in trees) / divisor
            errors = errors + UNIT["float64"] * largest
    if reading.rule is DecisionRule.VALUE:
        classes = ()
    elif not classes:
        classes = tuple(range(max(2, outputs)))
    structure = TreeEnsemble(
        n_columns=n_columns,
        trees=trees,
        base=base,
        rule=reading.rule,
        classes=classes,
        divisor=divisor,
        input_type="float64",
        slack=deciding_slack(errors, reading.zone),
        link=reading.link,
    )
    model = Model(
        structure=structure,
        runtime=_runtime(payload, structure, reading),
        library="lightgbm",
        version=document.version,
        names=names or document.names,
        domains=_domains(document),
        source=source,
    )
    model.verify()
    return model


def _runtime(payload: bytes, structure: TreeEnsemble, reading: _Reading) -> Runtime:
    if lightgbm_is_installed():
        return LightGBMRuntime(payload, reading.outcome, structure.n_outputs, structure.divisor)
    if reading.rule is DecisionRule.VALUE and reading.link != "identity":
        raise MissingExtraError("lightgbm", "boosting", "run this LightGBM model")
    return SimulatedRuntime(structure, "float64", "LightGBM")


def _read_objective(document: LightGBMDocument, trees: tuple[Tree, ...], divisor: int) -> _Reading:
    words = document.objective
    name = words[0] if words else ""
    options: dict[str, str] = {}
    for word in words[1:]:
        option, _, setting = word.partition(":")
        options[option] = setting
    if name == "multiclass":
        return _Reading(DecisionRule.ARGMAX, "argmax", LINK_ZONE)
    if name == "multiclassova":
        # Sigmoids of large sums round to the same probability.
        highest = sum(float(np.abs(tree.values).max()) for tree in trees) / divisor
        zone = _sigmoid_zone(highest, options)
        return _Reading(DecisionRule.ARGMAX, "argmax", zone)
    if name == "binary":
        slope = float(options.get("sigmoid", "1"))
        return _Reading(DecisionRule.POSITIVE, "half", LINK_ZONE / slope)
    if name in _VALUES and "sqrt" not in options:
        link = _VALUES[name]
        zone = {"identity": 0.0, "exp": LINK_ZONE, "sigmoid": 0.0}[link]
        if link == "sigmoid":
            zone = _sigmoid_zone(sum(float(tree.values.max()) for tree in trees) / divisor, options)
        return _Reading(DecisionRule.VALUE, "value", zone, link)
    shown = " ".join(words) or "none"
    raise UnsupportedError(
        f"{document.source}: LightGBM's objective {shown!r} is not supported; known are "
        + ", ".join(["binary", "multiclass", "multiclassova", *_VALUES])
    )


def _sigmoid_zone(highest: float, options: dict[str, str]) -> float:
    slope = float(options.get("sigmoid", "1"))
    return 8.0 * UNIT["float64"] * (1.0 + math.exp(min(highest * slope, 600.0))) / slope


def _domains(document: LightGBMDocument) -> dict[int, Domain]:
    columns = document.categorical_columns
    labels = document.pandas_categories
    if len(labels) == len(columns):
        return {
            column: Categories(values=known) if known else Integers(lower=0.0)
            for column, known in zip(columns, labels, strict=True)
        }
    return {column: Integers(lower=0.0) for column in columns}


def _tree(document: LightGBMDocument, number: int, outputs: int, n_columns: int) -> Tree:
    stored = document.tree(number)
    inner = len(stored.column)
    if inner and (int(stored.column.max()) >= n_columns or int(stored.column.min()) < 0):
        raise ModelError(f"{document.source}: tree {number} tests a column that does not exist")
    size = inner + len(stored.leaves)
    values = np.zeros((size, outputs))
    values[inner:, number % outputs] = stored.leaves
    if not inner:
        return Tree.constant(values[0])

    def child(side: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.concatenate(
            [np.where(side < 0, inner - side - 1, side), np.full(size - inner, -1)]
        )

    def padded(array: npt.NDArray[Any], fill: object) -> npt.NDArray[Any]:
        return np.concatenate([array, np.full(size - inner, fill, dtype=array.dtype)])

    boundary, missing_left, zero_missing, categories = _decisions(document, number, stored)
    return build_tree(
        number,
        padded(stored.column, -1),
        padded(boundary, np.nan),
        child(stored.left),
        child(stored.right),
        padded(missing_left, False),
        values,
        categories=categories,
        zero_missing=padded(zero_missing, False),
        always=padded(np.isposinf(stored.threshold), False),
    )


def _decisions(
    document: LightGBMDocument, number: int, stored: LightGBMTree
) -> tuple[
    npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_], dict[int, frozenset[int]]
]:
    """Translate decision types: boundaries, missing directions, zero flags, categories."""
    categorical = stored.decision & _CATEGORICAL > 0
    missing = (stored.decision >> 2) & 3
    threshold = stored.threshold
    boundary = boundaries_up_to(threshold, "float64")
    # Whatever is read as zero compares as zero does.
    after = np.nextafter(ZERO_SIZE, np.inf)
    boundary = np.where((threshold >= 0.0) & (threshold < ZERO_SIZE), after, boundary)
    boundary = np.where((threshold < 0.0) & (threshold >= -ZERO_SIZE), -ZERO_SIZE, boundary)
    default_left = stored.decision & _DEFAULT_LEFT > 0
    missing_left = np.where(missing == _NONE, threshold >= 0.0, default_left)
    missing_left &= ~categorical
    zero_missing = (missing == _ZERO) & ~categorical
    categories: dict[int, frozenset[int]] = {}
    for node in np.flatnonzero(categorical).tolist():
        index = int(threshold[node])
        if not 0 <= index < len(stored.categories):
            raise ModelError(
                f"{document.source}: tree {number} refers to categories that do not exist"
            )
        categories[node] = stored.categories[index]
    return boundary, missing_left, zero_missing, categories

"""XGBoost models: live objects, ``.json`` and ``.ubj`` files.

What differs from the plain sum of trees, and where it is settled:

* splits send float32 ``x < threshold`` left; listed categories go *right*;
* ``base_score`` is stored in the unit of the prediction (a probability for logistic
  objectives) and as a vector since 3.1; margins start there;
* DART multiplies each tree with its weight, in float32;
* class 1 is ``sigmoid(margin) > 0.5`` in float32, which margins up to about 1e-7 do
  not reach; softmax may merge margins that differ by less: both are part of the slack;
* an `XGBClassifier` or `XGBRegressor`, live or saved, predicts with its best iteration
  if it was stopped early; a plain booster with all.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.errors import ModelError, UnsupportedError

from .build import boundaries_below, build_tree
from .model import Model, Runtime
from .rounding import UNIT, deciding_slack, summation_errors, sums_are_exact
from .simulate import SimulatedRuntime
from .xgboost_document import XGBoostDocument, best_iteration
from .xgboost_library import Outcome, XGBoostRuntime, xgboost_is_installed

__all__ = ["LINK_ZONE", "load_xgboost_bytes", "load_xgboost_object"]

Link = Literal["identity", "exp", "sigmoid"]

LINK_ZONE = 2.0**-21
"""Margins nearer to a tie than this may be rounded into one by float32 sigmoid or softmax.

The exponential errs by a unit in the last place; the sum, the quotient and the
comparison add three roundings of 2**-24 each; the bound leaves a factor of two.
"""

_VALUES: dict[str, Link] = {
    "reg:squarederror": "identity",
    "reg:linear": "identity",
    "reg:squaredlogerror": "identity",
    "reg:pseudohubererror": "identity",
    "reg:absoluteerror": "identity",
    "reg:quantileerror": "identity",
    "reg:logistic": "sigmoid",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
    "count:poisson": "exp",
    "survival:cox": "exp",
    "survival:aft": "exp",
    "rank:pairwise": "identity",
    "rank:ndcg": "identity",
    "rank:map": "identity",
}


@dataclass(frozen=True)
class _Wrapper:
    """How scikit-learn's wrapper around a booster changes its prediction."""

    classifier: bool = False
    classes: tuple[Hashable, ...] = ()
    iterations: int = 0


@dataclass(frozen=True)
class _Reading:
    """What an objective makes of margins."""

    rule: DecisionRule
    outcome: Outcome
    base: npt.NDArray[np.float64]
    zone: float = 0.0
    shift: float = 0.0
    link: Link = "identity"


def load_xgboost_object(source: Any) -> Model:  # noqa: ANN401
    """Import a live `Booster`, `XGBClassifier`, `XGBRegressor` or forest variant.

    Raises
    ------
    ModelError
        If it is not fitted.
    UnsupportedError
        For ``gblinear``, several targets, a missing value other than NaN or an unknown
        objective; the message names it.
    """
    kind = type(source).__name__
    if not hasattr(source, "get_booster"):
        if not hasattr(source, "save_raw"):
            raise UnsupportedError(f"an XGBoost {kind} is not a model; give the Booster")
        return _load(bytes(source.save_raw("ubj")), kind, _Wrapper(), ())
    from sklearn.exceptions import NotFittedError

    try:
        booster = source.get_booster()
    except NotFittedError:
        raise ModelError(f"the {kind} is not fitted; fit it first") from None
    missing = source.missing
    if missing is not None and not math.isnan(missing):
        raise UnsupportedError(
            f"the {kind} treats {missing!r} as missing; train it with NaN for missing values"
        )
    classifier = hasattr(source, "predict_proba")
    classes = tuple(np.asarray(source.classes_).tolist()) if classifier else ()
    wrapper = _Wrapper(classifier, classes, best_iteration(booster.attributes()))
    names = tuple(str(name) for name in getattr(source, "feature_names_in_", ()))
    return _load(bytes(booster.save_raw("ubj")), kind, wrapper, names)


def load_xgboost_bytes(payload: bytes, source: str) -> Model:
    """Import the contents of a ``.json`` or ``.ubj`` file.

    Predictions are XGBoost's own if its library is installed, else a float32
    simulation, which the model's `notes` say.

    Parameters
    ----------
    payload
        The file's bytes.
    source
        Its name, for messages.
    """
    return _load(payload, source, None, ())


def _load(payload: bytes, source: str, wrapper: _Wrapper | None, names: tuple[str, ...]) -> Model:
    document = XGBoostDocument(payload, source)
    if wrapper is None:
        wrapper = _saved_wrapper(document)
    reading = _read_objective(document, wrapper)
    structure = _structure(document, wrapper, reading)
    runtime: Runtime
    notes: tuple[str, ...] = ()
    if xgboost_is_installed():
        runtime = XGBoostRuntime(payload, reading.outcome, reading.shift, wrapper.iterations)
    else:
        runtime = SimulatedRuntime(structure, "float32", "XGBoost")
        notes = (
            "XGBoost is not installed: replays run on a float32 simulation of its sums; "
            "pip install 'whyproof[boosting]' to replay on XGBoost itself",
        )
    model = Model(
        structure=structure,
        runtime=runtime,
        library="xgboost",
        version=document.version,
        names=names or document.names,
        domains=document.domains,
        source=source,
        notes=notes,
    )
    model.verify()
    return model


def _saved_wrapper(document: XGBoostDocument) -> _Wrapper:
    """Tell whether scikit-learn's wrapper saved the file, and how it predicts."""
    attributes = document.attributes
    if "scikit_learn" not in attributes:
        return _Wrapper()
    classifier = "classifier" in str(attributes["scikit_learn"])
    return _Wrapper(classifier, (), best_iteration(attributes))


def _read_objective(document: XGBoostDocument, wrapper: _Wrapper) -> _Reading:
    source, objective = document.source, document.objective
    if document.integer("num_target", 1) > 1:
        raise UnsupportedError(f"{source}: models with several targets are not supported")
    outputs = max(1, document.integer("num_class"))
    base = document.base_score
    if len(base) not in (1, outputs):
        raise ModelError(f"{source}: base_score has {len(base)} values for {outputs} outputs")
    base = np.broadcast_to(base, (outputs,)).copy()
    reading: _Reading | None = None
    if objective == "multi:softprob":
        reading = _Reading(DecisionRule.ARGMAX, "argmax", base, LINK_ZONE)
    elif objective == "multi:softmax":
        reading = _Reading(DecisionRule.ARGMAX, "class", base)
    elif outputs > 1:
        raise UnsupportedError(
            f"{source}: objective {objective!r} with {outputs} outputs is not supported"
        )
    elif objective == "binary:logistic":
        reading = _Reading(DecisionRule.POSITIVE, "half", _logit(base), LINK_ZONE)
    elif objective == "binary:hinge":
        reading = _Reading(DecisionRule.POSITIVE, "half", base)
    elif objective == "binary:logitraw":
        # The wrapper compares the prediction with one half, and here that is the margin.
        shift = 0.5 if wrapper.classifier else 0.0
        outcome: Outcome = "half" if wrapper.classifier else "positive"
        reading = _Reading(DecisionRule.POSITIVE, outcome, base, shift=shift)
    elif objective in _VALUES and wrapper.classifier:
        raise UnsupportedError(
            f"{source}: a classifier with objective {objective!r} is not supported; "
            "use binary:logistic or multi:softprob"
        )
    elif objective in _VALUES:
        link = _VALUES[objective]
        start = {"identity": base, "exp": _log(base), "sigmoid": _logit(base)}[link]
        reading = _Reading(DecisionRule.VALUE, "value", start, link=link)
    if reading is None:
        raise UnsupportedError(
            f"{source}: XGBoost's objective {objective!r} is not supported; known are "
            + ", ".join(["binary:logistic", "multi:softprob", *_VALUES])
        )
    if not bool(np.isfinite(reading.base).all()):
        raise ModelError(f"{source}: base_score {base.tolist()} is not usable for {objective}")
    return reading


def _structure(document: XGBoostDocument, wrapper: _Wrapper, reading: _Reading) -> TreeEnsemble:
    n_columns = document.integer("num_feature")
    if n_columns <= 0:
        raise ModelError(f"{document.source}: the model has no columns")
    outputs = len(reading.base)
    weights = document.weights
    trees = _trees(document, wrapper.iterations, outputs)
    errors = np.zeros(outputs)
    if len(weights) or not sums_are_exact(trees, reading.base, "float32"):
        # A base that was transformed may differ by a unit in the last place.
        errors = summation_errors(
            trees, reading.base, "float32", roundings=3 if len(weights) else 0, base_roundings=2
        )
    slack = deciding_slack(errors, reading.zone)
    if reading.link != "identity":
        slack += _link_slack(reading.link, trees, reading.base)
    classes: tuple[Hashable, ...] = ()
    if reading.rule is not DecisionRule.VALUE:
        classes = wrapper.classes or tuple(range(max(2, outputs)))
    return TreeEnsemble(
        n_columns=n_columns,
        trees=trees,
        base=reading.base - reading.shift,
        rule=reading.rule,
        classes=classes,
        input_type="float32",
        slack=slack,
        link=reading.link,
    )


def _trees(document: XGBoostDocument, iterations: int, outputs: int) -> tuple[Tree, ...]:
    groups, weights = document.numbers("tree_info"), document.weights
    used = document.n_trees
    if len(groups) != used or len(weights) not in (0, used):
        raise ModelError(
            f"{document.source}: {used} trees, but tree_info has {len(groups)} entries "
            f"and weight_drop {len(weights)}"
        )
    if iterations:
        starts = document.numbers("iteration_indptr")
        # Files before 2.0 have no such list: every round has the same number of trees.
        regular = iterations * outputs * document.parallel_trees
        used = min(used, int(starts[iterations]) if iterations < len(starts) else regular)
    return tuple(
        _tree(
            document,
            number,
            int(groups[number]),
            float(weights[number]) if len(weights) else 1.0,
            outputs,
        )
        for number in range(used)
    )


def _tree(
    document: XGBoostDocument,
    number: int,
    group: int,
    weight: float,
    outputs: int,
) -> Tree:
    stored = document.tree(number)
    leaf = stored.left == -1
    column = np.where(leaf, -1, stored.column)
    values = np.zeros((len(leaf), outputs))
    if stored.vectors is not None:
        # A leaf's vector has its number in the right child's place.
        index = stored.right[leaf]
        if bool(((index < 0) | (index >= len(stored.vectors))).any()):
            raise ModelError(f"{document.source}: tree {number} has leaves without values")
        values[leaf] = stored.vectors[index]
    elif 0 <= group < outputs:
        values[leaf, group] = stored.condition[leaf]
    else:
        raise ModelError(f"{document.source}: tree {number} belongs to output {group}")
    left, right, missing_left = stored.left, stored.right, stored.default_left
    if stored.categories:
        # Listed categories go right in XGBoost; in a `Tree` they go left.
        swap = np.zeros(len(leaf), dtype=np.bool_)
        swap[list(stored.categories)] = True
        left, right = np.where(swap, right, left), np.where(swap, left, right)
        missing_left = missing_left ^ swap
    return build_tree(
        number,
        column,
        boundaries_below(stored.condition, "float32"),
        left,
        right,
        missing_left,
        # A product of two float32 numbers is exact in float64.
        values * weight,
        categories=stored.categories,
    )


def _link_slack(link: Link, trees: tuple[Tree, ...], base: npt.NDArray[np.float64]) -> float:
    """Translate a few float32 roundings of the linked value into units of the sum."""
    relative = 4.0 * UNIT["float32"]
    if link == "exp":
        return relative
    highest = float(base[0]) + sum(float(tree.values.max()) for tree in trees)
    # d(sum) = d(value) / (value (1 - value)), and 1 / (1 - value) = 1 + exp(sum).
    return relative * (1.0 + math.exp(min(highest, 60.0)))


def _log(base: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(base).astype(np.float32).astype(np.float64)


def _logit(base: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the margin of a probability as XGBoost computes it: in float32."""
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = np.float32(1.0) / base.astype(np.float32) - np.float32(1.0)
        return (-np.log(odds.astype(np.float64))).astype(np.float32).astype(np.float64)

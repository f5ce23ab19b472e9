"""XGBoost models: live objects, ``.json`` and ``.ubj`` files.

What differs from the plain sum of trees, and where it is settled:

* splits send float32 ``x < threshold`` left; listed categories go *right*;
* ``base_score`` is stored in the unit of the prediction (a probability for logistic
  objectives) since version 1, as a vector since 3.1; margins start there;
* DART multiplies each tree with its weight, in float32;
* class 1 is ``sigmoid(margin) > 0.5`` in float32, which margins up to about 1e-7 do
  not reach; softmax may merge margins that differ by less: both are part of the slack;
* an `XGBClassifier` or `XGBRegressor`, live or saved, predicts with its best iteration
  if it was stopped early; a plain booster with all.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.domain import Categories, Domain, Integers
from whyproof.engine.errors import ModelError, UnsupportedError

from .build import boundaries_below, build_tree
from .model import Model, Runtime
from .rounding import deciding_slack, summation_errors, sums_are_exact
from .simulate import SimulatedRuntime
from .ubjson import read_ubjson
from .xgboost_library import Outcome, XGBoostRuntime, xgboost_is_installed

__all__ = ["load_xgboost_bytes", "load_xgboost_object"]

Link = Literal["identity", "exp", "sigmoid"]

LINK_ZONE = 2.0**-21
"""Margins nearer to a tie than this may be rounded into one by float32 sigmoid or softmax.

``expf`` errs by at most one unit in the last place; 1 + e, the division and the
comparison add three more roundings of 2**-24 each; the bound leaves a factor of two.
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

    classifier: bool | None = None
    classes: tuple[Hashable, ...] = ()
    iterations: int = 0


def load_xgboost_object(source: object) -> Model:
    """Import a live `Booster`, `XGBClassifier`, `XGBRegressor` or their forest variants.

    Raises
    ------
    ModelError
        If it is not fitted.
    UnsupportedError
        For ``gblinear``, several targets, a missing value other than NaN or an unknown
        objective; the message names it.
    """
    wrapper = _Wrapper()
    booster = source
    names: tuple[str, ...] = ()
    if hasattr(source, "get_booster"):
        from sklearn.exceptions import NotFittedError

        try:
            booster = source.get_booster()
        except NotFittedError:
            raise ModelError(f"the {type(source).__name__} is not fitted; fit it first") from None
        missing = getattr(source, "missing", math.nan)
        if missing is not None and not math.isnan(missing):
            raise UnsupportedError(
                f"the {type(source).__name__} treats {missing!r} as missing; train it with NaN "
                "for missing values"
            )
        classifier = hasattr(source, "predict_proba")
        classes: tuple[Hashable, ...] = ()
        if classifier:
            classes = tuple(label.item() for label in np.asarray(source.classes_))
        wrapper = _Wrapper(classifier, classes, _best_iteration(booster.attributes()))
        names = tuple(str(name) for name in getattr(source, "feature_names_in_", ()))
    payload = bytes(booster.save_raw("ubj"))  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    return _load(payload, type(source).__name__, wrapper, names)


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
    document = _Document(_decode(payload, source), source)
    if wrapper is None:
        wrapper = document.wrapper()
    structure, outcome, shift = _structure(document, wrapper)
    runtime: Runtime
    notes: tuple[str, ...] = ()
    if xgboost_is_installed():
        runtime = XGBoostRuntime(payload, outcome, shift, wrapper.iterations)
    else:
        runtime = SimulatedRuntime(structure, "float32", "XGBoost")
        notes = (
            "XGBoost is not installed: replays ran on a float32 simulation of its sums, "
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


def _decode(payload: bytes, source: str) -> object:
    binary = payload[:2] in (b"{L", b"{i", b"{U", b"{I", b"{l")
    try:
        return read_ubjson(payload) if binary else msgspec.json.decode(payload)
    except (msgspec.DecodeError, ModelError) as error:
        raise ModelError(f"{source} is not a complete XGBoost model: {error}") from None


class _Document:
    """Reads fields of the decoded model and names what is absent or malformed."""

    def __init__(self, content: object, source: str) -> None:
        self.source = source
        self.learner = self.mapping(self.mapping({"": content}, "").get("learner"), "learner")
        version = content.get("version") if isinstance(content, dict) else None
        self.version = ".".join(str(int(part)) for part in version) if _listed(version) else ""
        self.parameters = self.mapping(
            self.learner.get("learner_model_param"), "learner_model_param"
        )
        self.objective = str(self.mapping(self.learner.get("objective"), "objective").get("name"))
        booster = self.mapping(self.learner.get("gradient_booster"), "gradient_booster")
        self.booster = str(booster.get("name"))
        if self.booster not in ("gbtree", "dart"):
            raise UnsupportedError(f"{source}: XGBoost's booster {self.booster!r} is no tree model")
        inner = self.mapping(booster.get("gbtree", booster), "gbtree")
        self.model = self.mapping(inner.get("model"), "model")
        self.weights = self.numbers(booster.get("weight_drop", ()), "weight_drop", np.float32)

    def mapping(self, value: object, name: str) -> dict[str, object]:
        if name == "" and isinstance(value, dict):
            value = value[""]
        if not isinstance(value, dict):
            raise ModelError(f"{self.source} is no XGBoost model: it has no {name or 'learner'!r}")
        return {str(k): v for k, v in value.items()}

    def numbers(self, value: object, name: str, kind: type[np.generic]) -> npt.NDArray[np.float64]:
        try:
            return np.asarray(value, dtype=kind).astype(np.float64).reshape(-1)
        except (TypeError, ValueError):
            raise ModelError(f"{self.source}: field {name!r} does not hold numbers") from None

    def integer(self, name: str, default: int = 0) -> int:
        try:
            return int(str(self.parameters.get(name, default)))
        except ValueError:
            raise ModelError(f"{self.source}: field {name!r} is not a whole number") from None

    @property
    def n_columns(self) -> int:
        return self.integer("num_feature")

    @property
    def names(self) -> tuple[str, ...]:
        names = self.learner.get("feature_names", ())
        return tuple(str(name) for name in names) if _listed(names) else ()

    @property
    def base_score(self) -> npt.NDArray[np.float64]:
        text = str(self.parameters.get("base_score", "0.5")).strip("[] ")
        parts = [part for part in text.split(",") if part.strip()]
        return self.numbers([float(part) for part in parts], "base_score", np.float32)

    @property
    def domains(self) -> dict[int, Domain]:
        """Categorical columns: stored labels if there are some, else the codes seen."""
        kinds = self.learner.get("feature_types", ())
        stored = self.model.get("cats")
        encoders = stored.get("enc", ()) if isinstance(stored, dict) else ()
        found: dict[int, Domain] = {}
        for column, kind in enumerate(kinds if _listed(kinds) else ()):
            if kind != "c":
                continue
            labels = _labels(encoders[column]) if column < len(encoders) else ()
            found[column] = Categories(values=labels) if labels else Integers(lower=0.0)
        return found

    def wrapper(self) -> _Wrapper:
        """Tell whether scikit-learn's wrapper saved the file, and how it predicts."""
        attributes = self.learner.get("attributes")
        attributes = attributes if isinstance(attributes, dict) else {}
        if "scikit_learn" not in attributes:
            return _Wrapper()
        kind = str(attributes["scikit_learn"])
        return _Wrapper(True if "classifier" in kind else None, (), _best_iteration(attributes))


def _structure(document: _Document, wrapper: _Wrapper) -> tuple[TreeEnsemble, Outcome, float]:
    source, objective = document.source, document.objective
    n_columns = document.n_columns
    if n_columns <= 0:
        raise ModelError(f"{source}: the model has no columns")
    if document.integer("num_target", 1) > 1:
        raise UnsupportedError(f"{source}: models with several targets are not supported")
    outputs = max(1, document.integer("num_class"))
    trees = _trees(document, wrapper, outputs, n_columns)
    base = document.base_score
    if len(base) not in (1, outputs):
        raise ModelError(f"{source}: base_score has {len(base)} values for {outputs} outputs")
    base = np.broadcast_to(base, (outputs,)).copy()
    shift, zone = 0.0, 0.0
    link: Link = "identity"
    outcome: Outcome
    if objective in ("multi:softprob", "multi:softmax"):
        rule, zone = DecisionRule.ARGMAX, LINK_ZONE if objective == "multi:softprob" else 0.0
        outcome = "argmax" if objective == "multi:softprob" else "class"
    elif outputs > 1:
        raise UnsupportedError(
            f"{source}: objective {objective!r} with {outputs} outputs is not supported"
        )
    elif objective in ("binary:logistic", "binary:logitraw", "binary:hinge"):
        rule, outcome = DecisionRule.POSITIVE, "half"
        if objective == "binary:logistic":
            base, zone = _logit(base), LINK_ZONE
        elif objective == "binary:logitraw":
            # Both the wrapper and a reader of probabilities compare the prediction with
            # one half; for this objective the prediction is the margin itself.
            shift = 0.5
    elif objective in _VALUES and wrapper.classifier:
        raise UnsupportedError(
            f"{source}: a classifier with objective {objective!r} is not supported; "
            "use binary:logistic or multi:softprob"
        )
    elif objective in _VALUES:
        rule, outcome, link = DecisionRule.VALUE, "value", _VALUES[objective]
        base = {"identity": lambda b: b, "exp": _log, "sigmoid": _logit}[link](base)
    else:
        raise UnsupportedError(
            f"{source}: XGBoost's objective {objective!r} is not supported; known are "
            + ", ".join(["binary:logistic", "multi:softprob", *_VALUES])
        )
    if not bool(np.isfinite(base).all()):
        raise ModelError(
            f"{source}: base_score {document.parameters.get('base_score')} is unusable"
        )
    exact = not len(document.weights) and sums_are_exact(trees, base, "float32")
    errors = np.zeros(outputs)
    if not exact:
        errors = summation_errors(
            trees, base, "float32", roundings=3 if len(document.weights) else 0, base_roundings=2
        )
    classes = wrapper.classes or tuple(range(max(2, outputs)))
    structure = TreeEnsemble(
        n_columns=n_columns,
        trees=trees,
        base=base - shift,
        rule=rule,
        classes=() if rule is DecisionRule.VALUE else classes,
        input_type="float32",
        slack=deciding_slack(errors, zone),
        link=link,
    )
    return structure, outcome, shift


def _trees(
    document: _Document, wrapper: _Wrapper, outputs: int, n_columns: int
) -> tuple[Tree, ...]:
    listed = document.model.get("trees")
    if not _listed(listed):
        raise ModelError(f"{document.source} is no XGBoost model: it has no 'trees'")
    groups = document.numbers(document.model.get("tree_info", ()), "tree_info", np.int64)
    weights = document.weights
    for name, values in (("tree_info", groups), ("weight_drop", weights)):
        if len(values) != len(listed) and (name == "tree_info" or len(values)):
            raise ModelError(
                f"{document.source}: {name} has {len(values)} entries for {len(listed)} trees"
            )
    used = len(listed)
    if wrapper.iterations:
        starts = document.numbers(
            document.model.get("iteration_indptr", ()), "iteration_indptr", np.int64
        )
        if wrapper.iterations < len(starts):
            used = int(starts[wrapper.iterations])
    trees: list[Tree] = []
    for number in range(used):
        group = int(groups[number])
        if not 0 <= group < outputs:
            raise ModelError(f"{document.source}: tree {number} belongs to output {group}")
        weight = float(weights[number]) if len(weights) else 1.0
        entry = document.mapping(listed[number], f"tree {number}")
        trees.append(_tree(document, number, entry, group, weight, outputs, n_columns))
    return tuple(trees)


def _tree(
    document: _Document,
    number: int,
    entry: Mapping[str, object],
    group: int,
    weight: float,
    outputs: int,
    n_columns: int,
) -> Tree:
    def integers(name: str) -> npt.NDArray[np.int64]:
        return document.numbers(entry.get(name, ()), name, np.int64).astype(np.int64)

    left, right = integers("left_children"), integers("right_children")
    split, default = integers("split_indices"), integers("default_left")
    condition = document.numbers(entry.get("split_conditions", ()), "split_conditions", np.float32)
    n = len(left)
    if not n == len(right) == len(split) == len(default) == len(condition):
        raise ModelError(f"{document.source}: the arrays of tree {number} differ in length")
    leaf = left == -1
    column = np.where(leaf, -1, split)
    if n and int(column.max()) >= n_columns:
        raise ModelError(
            f"{document.source}: tree {number} tests column {int(column.max())}, "
            f"the model has {n_columns}"
        )
    values = np.zeros((n, outputs))
    vector = document.mapping(entry.get("tree_param"), "tree_param").get("size_leaf_vector", "1")
    if int(str(vector)) > 1:
        values = _vector_leaves(document, number, entry, right, leaf, outputs)
    else:
        values[leaf, group] = condition[leaf]
    missing_left = default != 0
    kinds = integers("split_type")
    categories = _categories(integers, number) if bool((kinds == 1).any()) else {}
    if categories:
        # Listed categories go right in XGBoost; in a `Tree` they go left.
        swap = np.zeros(n, dtype=np.bool_)
        swap[list(categories)] = True
        left, right = np.where(swap, right, left), np.where(swap, left, right)
        missing_left = np.where(swap, ~missing_left, missing_left)
    return build_tree(
        number,
        column,
        boundaries_below(condition, "float32"),
        left,
        right,
        missing_left,
        # A product of two float32 numbers is exact in float64.
        values * weight,
        categories=categories,
    )


def _vector_leaves(
    document: _Document,
    number: int,
    entry: Mapping[str, object],
    right: npt.NDArray[np.int64],
    leaf: npt.NDArray[np.bool_],
    outputs: int,
) -> npt.NDArray[np.float64]:
    """Read leaves that hold one value per output; their number stands in the right child."""
    stored = document.numbers(entry.get("leaf_weights", ()), "leaf_weights", np.float32)
    if not len(stored) or len(stored) % outputs:
        raise UnsupportedError(
            f"{document.source}: tree {number} has vector leaves of an XGBoost version that is "
            "not supported; save it again with XGBoost 3.2 or later"
        )
    rows = stored.reshape(-1, outputs)
    values = np.zeros((len(leaf), outputs))
    index = right[leaf]
    if bool(((index < 0) | (index >= len(rows))).any()):
        raise ModelError(f"{document.source}: tree {number} refers to a leaf that does not exist")
    values[leaf] = rows[index]
    return values


def _categories(integers: object, number: int) -> dict[int, frozenset[int]]:
    read = integers
    if not callable(read):
        raise TypeError("integers must be a function")
    codes, nodes = read("categories"), read("categories_nodes")
    starts, sizes = read("categories_segments"), read("categories_sizes")
    if not len(nodes) == len(starts) == len(sizes):
        raise ModelError(f"the categories of tree {number} differ in length")
    found: dict[int, frozenset[int]] = {}
    for node, start, size in zip(nodes.tolist(), starts.tolist(), sizes.tolist(), strict=True):
        if start < 0 or size < 0 or start + size > len(codes):
            raise ModelError(f"tree {number} refers to categories that do not exist")
        found[node] = frozenset(codes[start : start + size].tolist())
    return found


def _best_iteration(attributes: Mapping[str, object]) -> int:
    best = attributes.get("best_iteration")
    try:
        return 0 if best is None else int(str(best)) + 1
    except ValueError:
        return 0


def _labels(encoder: object) -> tuple[Hashable, ...]:
    """Decode stored category labels: offsets and bytes for text, numbers otherwise."""
    if not isinstance(encoder, dict):
        return ()
    values = np.asarray(encoder.get("values", ()))
    if "offsets" not in encoder:
        return tuple(values.tolist())
    offsets = np.asarray(encoder["offsets"], dtype=np.int64).tolist()
    text = values.astype(np.uint8).tobytes()
    return tuple(
        text[start:end].decode("utf-8", "replace") for start, end in itertools.pairwise(offsets)
    )


def _listed(value: object) -> bool:
    return isinstance(value, list | tuple | np.ndarray)


def _log(base: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(base).astype(np.float32).astype(np.float64)


def _logit(base: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the margin of a probability as XGBoost computes it: in float32."""
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = np.float32(1.0) / base.astype(np.float32) - np.float32(1.0)
        return (-np.log(odds.astype(np.float64))).astype(np.float32).astype(np.float64)

"""Scikit-learn's gradient boosting, classic and histogram-based.

Classic: float32 inputs, ``<=``; float64 sums of ``learning_rate * leaf`` that start with
the initial prediction; class 1 where the sum is *at least* zero; no missing values.

Histogram-based: float64 inputs, ``<=``; class 1 where the sum is *above* zero.  Each
split has a direction for the missing value, and an infinite threshold tests for nothing
else.  Categorical columns are encoded and moved to the front before the trees see them;
points hold the codes of that encoding, 0, 1, 2, ... over the sorted categories.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.classifier import Predictions
from whyproof.engine.domain import Categories, Domain
from whyproof.engine.errors import ModelError, UnsupportedError
from whyproof.engine.space import Points

from .build import boundaries_up_to, build_tree
from .from_sklearn_forest import sklearn_tree
from .model import Model
from .rounding import UNIT, deciding_slack, summation_errors, sums_are_exact

__all__ = ["BOOSTING_NAMES", "HISTOGRAM_NAMES", "load_sklearn_boosting", "load_sklearn_histogram"]

BOOSTING_NAMES = frozenset({"GradientBoostingClassifier", "GradientBoostingRegressor"})
HISTOGRAM_NAMES = frozenset({"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"})


@dataclass(frozen=True, eq=False)
class BoostingRuntime:
    """Scikit-learn's compiled `predict_stages`, without its input checks.

    Parameters
    ----------
    estimators
        Regression trees, shape ``(rounds, outputs)``.
    learning_rate
        Factor of every tree.
    base
        Initial prediction, shape ``(outputs,)``.
    regressor
        Whether outcomes are values.
    version
        Of scikit-learn.
    """

    estimators: npt.NDArray[np.object_]
    learning_rate: float
    base: npt.NDArray[np.float64]
    regressor: bool
    version: str

    @property
    def name(self) -> str:
        """Name the library and its version."""
        return f"scikit-learn {self.version}"

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return raw predictions, shape ``(rows, outputs)``."""
        from sklearn.ensemble._gradient_boosting import predict_stages

        with np.errstate(over="ignore"):
            cast = np.ascontiguousarray(points, dtype=np.float32)
        sums = np.repeat(self.base[None, :], len(points), axis=0)
        if len(self.estimators):
            predict_stages(self.estimators, cast, self.learning_rate, sums)
        return sums

    def predict(self, points: Points) -> Predictions:
        """Return class indices or values."""
        sums = self.sums(points)
        if self.regressor:
            return sums[:, 0]
        if sums.shape[1] == 1:
            return np.asarray(sums[:, 0] >= 0, dtype=np.int64)
        return np.asarray(sums.argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class HistogramRuntime:
    """Scikit-learn's compiled histogram predictors, on already encoded columns.

    Parameters
    ----------
    predictors
        One list of predictors per round.
    base
        Baseline prediction, shape ``(outputs,)``.
    order
        Positions of the model's columns as the trees see them.
    known, column_map
        Bit sets of known categories and which column has which.
    link
        Inverse link of a regressor; `None` for a classifier.
    version
        Of scikit-learn.
    """

    predictors: tuple[tuple[Any, ...], ...]
    base: npt.NDArray[np.float64]
    order: npt.NDArray[np.int64]
    known: npt.NDArray[np.uint32]
    column_map: npt.NDArray[np.uint32]
    link: Any
    version: str

    @property
    def name(self) -> str:
        """Name the library and its version."""
        return f"scikit-learn {self.version}"

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return raw predictions, shape ``(rows, outputs)``."""
        encoded = np.ascontiguousarray(points[:, self.order])
        sums = np.repeat(self.base[None, :], len(points), axis=0)
        for round_ in self.predictors:
            for k, predictor in enumerate(round_):
                sums[:, k] += predictor.predict(encoded, self.known, self.column_map, 1)
        return sums

    def predict(self, points: Points) -> Predictions:
        """Return class indices or values."""
        sums = self.sums(points)
        if self.link is not None:
            return np.asarray(self.link.inverse(sums.ravel()), dtype=np.float64)
        if sums.shape[1] == 1:
            return np.asarray(sums[:, 0] > 0, dtype=np.int64)
        return np.asarray(sums.argmax(axis=1), dtype=np.int64)


def load_sklearn_boosting(source: Any) -> Model:  # noqa: ANN401
    """Import a fitted `GradientBoostingClassifier` or `GradientBoostingRegressor`.

    Raises
    ------
    ModelError
        If it is not fitted.
    UnsupportedError
        If its initial prediction is a model of its own.
    """
    import sklearn

    kind = type(source).__name__
    if not hasattr(source, "estimators_"):
        raise ModelError(f"the {kind} is not fitted; fit it first")
    initial = source.init_
    if not isinstance(initial, str) and type(initial).__name__ not in (
        "DummyClassifier",
        "DummyRegressor",
    ):
        raise UnsupportedError(
            f"a {kind} that starts from a {type(initial).__name__} is not supported; "
            "use init='zero' or none"
        )
    n_columns = int(source.n_features_in_)
    base = np.asarray(source._raw_predict_init(np.zeros((1, n_columns), np.float32))[0])
    base = base.astype(np.float64)
    rate = float(source.learning_rate)
    trees: list[Tree] = []
    for round_ in source.estimators_:
        for k, estimator in enumerate(round_):
            values = np.zeros((estimator.tree_.node_count, len(base)))
            values[:, k] = rate * np.asarray(estimator.tree_.value, dtype=np.float64)[:, 0, 0]
            trees.append(sklearn_tree(len(trees), estimator.tree_, values))
    errors = np.zeros(len(base))
    if rate != 1.0 or not sums_are_exact(trees, base, "float64"):
        # The product with the learning rate may be rounded or fused with the addition.
        errors = summation_errors(trees, base, "float64", roundings=1)
    classes = tuple(np.asarray(getattr(source, "classes_", ())).tolist())
    rule = DecisionRule.VALUE
    if classes:
        rule = DecisionRule.NONNEGATIVE if len(base) == 1 else DecisionRule.ARGMAX
    structure = TreeEnsemble(
        n_columns=n_columns,
        trees=tuple(trees),
        base=base,
        rule=rule,
        classes=classes,
        input_type="float32",
        slack=deciding_slack(errors),
    )
    runtime = BoostingRuntime(source.estimators_, rate, base, not classes, sklearn.__version__)
    return _model(source, structure, runtime, missing=False)


def load_sklearn_histogram(source: Any) -> Model:  # noqa: ANN401
    """Import a fitted `HistGradientBoostingClassifier` or `...Regressor`.

    Raises
    ------
    ModelError
        If it is not fitted.
    UnsupportedError
        For a link function or a version of scikit-learn that is not known.
    """
    import sklearn

    kind = type(source).__name__
    if not hasattr(source, "_predictors"):
        raise ModelError(f"the {kind} is not fitted; fit it first")
    if not hasattr(source, "_preprocessor"):
        raise UnsupportedError(
            f"a {kind} of scikit-learn {sklearn.__version__} is not supported; use 1.4 or later"
        )
    n_columns = int(source.n_features_in_)
    categorical = source.is_categorical_
    mask = np.zeros(n_columns, dtype=np.bool_) if categorical is None else np.asarray(categorical)
    order = np.concatenate([np.flatnonzero(mask), np.flatnonzero(~mask)]).astype(np.int64)
    base = np.asarray(source._baseline_prediction, dtype=np.float64).reshape(-1)
    classes = tuple(np.asarray(getattr(source, "classes_", ())).tolist())
    rule, link, zone = DecisionRule.VALUE, _link(source), 0.0
    if classes:
        rule, link = DecisionRule.POSITIVE, "identity"
        if len(base) > 1:
            rule = DecisionRule.ARGMAX
    elif link == "exp":
        zone = 4.0 * UNIT["float64"]
    domains = _domains(source, mask)
    known_codes = {column: frozenset(range(len(d.values))) for column, d in domains.items()}
    trees = tuple(
        _histogram_tree(number, predictor, number % len(base), len(base), order, known_codes)
        for number, predictor in enumerate(p for round_ in source._predictors for p in round_)
    )
    errors = np.zeros(len(base))
    if not sums_are_exact(trees, base, "float64"):
        errors = summation_errors(trees, base, "float64")
    structure = TreeEnsemble(
        n_columns=n_columns,
        trees=trees,
        base=base,
        rule=rule,
        classes=classes,
        input_type="float64",
        slack=deciding_slack(errors, zone),
        link=link,
    )
    known, column_map = source._bin_mapper.make_known_categories_bitsets()
    runtime = HistogramRuntime(
        tuple(tuple(round_) for round_ in source._predictors),
        base,
        order,
        known,
        column_map,
        None if classes else source._loss.link,
        sklearn.__version__,
    )
    return _model(source, structure, runtime, missing=True, domains=domains)


def _model(
    source: Any,  # noqa: ANN401
    structure: TreeEnsemble,
    runtime: BoostingRuntime | HistogramRuntime,
    *,
    missing: bool,
    domains: Mapping[int, Domain] | None = None,
) -> Model:
    model = Model(
        structure=structure,
        runtime=runtime,
        library="scikit-learn",
        version=runtime.version,
        names=tuple(str(name) for name in getattr(source, "feature_names_in_", ())),
        domains=dict(domains or {}),
        accepts_missing=missing,
        source=type(source).__name__,
    )
    model.verify()
    return model


def _link(source: Any) -> Literal["identity", "exp"]:  # noqa: ANN401
    name = type(source._loss.link).__name__
    if name == "LogLink":
        return "exp"
    if name == "IdentityLink" or hasattr(source, "classes_"):
        return "identity"
    raise UnsupportedError(f"a {type(source).__name__} with link {name} is not supported")


def _histogram_tree(
    number: int,
    predictor: Any,  # noqa: ANN401
    output: int,
    outputs: int,
    order: npt.NDArray[np.int64],
    known: Mapping[int, frozenset[int]],
) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(np.bool_)
    column = np.where(leaf, -1, order[np.where(leaf, 0, nodes["feature_idx"])])
    threshold = np.where(leaf, 0.0, nodes["num_threshold"].astype(np.float64))
    values = np.zeros((len(nodes), outputs))
    values[:, output] = nodes["value"]
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    missing_left = nodes["missing_go_to_left"].astype(np.bool_)
    categorical = nodes["is_categorical"].astype(np.bool_) & ~leaf
    categories: dict[int, frozenset[int]] = {}
    for node in np.flatnonzero(categorical).tolist():
        words = predictor.raw_left_cat_bitsets[int(nodes["bitset_idx"][node])]
        bits = np.unpackbits(words.astype("<u4").view(np.uint8), bitorder="little")
        codes = frozenset(np.flatnonzero(bits).tolist())
        if missing_left[node]:
            # Unknown codes follow the missing value; in a `Tree` they go right.
            codes = known[int(column[node])] - codes
            left[node], right[node] = right[node], left[node]
            missing_left[node] = False
        categories[node] = codes
    return build_tree(
        number,
        column,
        boundaries_up_to(threshold, "float64"),
        left,
        right,
        missing_left,
        values,
        categories=categories,
        always=np.isposinf(threshold) & ~categorical,
    )


def _domains(source: Any, mask: npt.NDArray[np.bool_]) -> dict[int, Categories]:  # noqa: ANN401
    if not bool(mask.any()):
        return {}
    encoder = source._preprocessor.named_transformers_["encoder"]
    found: dict[int, Categories] = {}
    for column, listed in zip(np.flatnonzero(mask).tolist(), encoder.categories_, strict=True):
        values: list[Hashable] = [value for value in np.asarray(listed).tolist() if value == value]
        found[column] = Categories(values=tuple(v for v in values if v is not None))
    return found

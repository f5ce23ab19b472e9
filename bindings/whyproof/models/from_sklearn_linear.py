"""Scikit-learn's linear models: one weighted sum for two classes, one for each class beyond.

All linear classifiers share one decision: class 1 where the score is positive, or the
class with the largest score, ties to the lowest index, whether the scores were fitted
jointly (multinomial) or one against the rest.  Link functions (logistic, softmax) do not
change it.  Scores are float64 sums whose order is up to the linear algebra library.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from whyproof.encodings.linear.additive import AdditiveModel, ColumnTerm
from whyproof.encodings.trees.ensemble import DecisionRule
from whyproof.engine.errors import ModelError, UnsupportedError

from .model import Model
from .sklearn_runtime import EstimatorRuntime, column_names_of

__all__ = [
    "LINEAR_CLASSIFIER_NAMES",
    "LINEAR_REGRESSOR_NAMES",
    "load_sklearn_linear",
    "sklearn_linear",
]

LINEAR_CLASSIFIER_NAMES = frozenset(
    {
        "LinearDiscriminantAnalysis",
        "LinearSVC",
        "LogisticRegression",
        "LogisticRegressionCV",
        "PassiveAggressiveClassifier",
        "Perceptron",
        "RidgeClassifier",
        "RidgeClassifierCV",
        "SGDClassifier",
    }
)

LINEAR_REGRESSOR_NAMES = frozenset(
    {
        "ARDRegression",
        "BayesianRidge",
        "ElasticNet",
        "ElasticNetCV",
        "HuberRegressor",
        "Lars",
        "LarsCV",
        "Lasso",
        "LassoCV",
        "LassoLars",
        "LassoLarsCV",
        "LassoLarsIC",
        "LinearRegression",
        "LinearSVR",
        "OrthogonalMatchingPursuit",
        "PassiveAggressiveRegressor",
        "QuantileRegressor",
        "Ridge",
        "RidgeCV",
        "SGDRegressor",
        "TheilSenRegressor",
    }
)


def sklearn_linear(source: Any) -> AdditiveModel:  # noqa: ANN401
    """Translate a fitted linear model of scikit-learn.

    Raises
    ------
    ModelError
        If it is not fitted.
    UnsupportedError
        For several outputs.
    """
    kind = type(source).__name__
    if not hasattr(source, "coef_"):
        raise ModelError(f"the {kind} is not fitted; fit it first")
    regressor = kind in LINEAR_REGRESSOR_NAMES
    slopes = np.asarray(source.coef_, dtype=np.float64)
    base = np.atleast_1d(np.asarray(source.intercept_, dtype=np.float64))
    if regressor and (slopes.ndim > 1 and slopes.shape[0] > 1):
        raise UnsupportedError(f"a {kind} with {slopes.shape[0]} outputs is not supported")
    slopes = np.atleast_2d(slopes)
    base = np.broadcast_to(base, (len(slopes),)).copy()
    classes: tuple[Hashable, ...] = ()
    rule = DecisionRule.VALUE
    if not regressor:
        classes = tuple(np.asarray(source.classes_).tolist())
        if getattr(source, "_label_binarizer", None) is not None and (
            source._label_binarizer.y_type_.startswith("multilabel")
        ):
            raise UnsupportedError(f"a {kind} with several labels at once is not supported")
        rule = DecisionRule.ARGMAX if len(classes) > 2 else DecisionRule.POSITIVE
    if not bool(np.isfinite(slopes).all()):
        raise ModelError(f"the {kind} has a coefficient that is not finite")
    return AdditiveModel(
        n_columns=slopes.shape[1],
        terms=tuple(ColumnTerm.linear(i, slopes[:, i]) for i in range(slopes.shape[1])),
        base=base,
        rule=rule,
        classes=classes,
        steady=len(slopes) == 1,
        family="linear",
    )


def load_sklearn_linear(source: Any) -> Model:  # noqa: ANN401
    """Import a fitted linear classifier or regressor of scikit-learn; see `sklearn_linear`."""
    import sklearn

    model = Model(
        structure=sklearn_linear(source),
        runtime=EstimatorRuntime.of(source),
        library="scikit-learn",
        version=sklearn.__version__,
        names=column_names_of(source),
        accepts_missing=False,
        source=type(source).__name__,
    )
    model.verify()
    return model

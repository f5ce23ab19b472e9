"""Scikit-learn's naive Bayes: the joint log-likelihood is a sum over columns.

====================  ==========================================================
Gaussian              a parabola in each column
Categorical           a table of log-probabilities for each column
Bernoulli             a step at the binarising threshold (a line without one)
multinomial           a line in each count
complement            a line in each count, without the prior
====================  ==========================================================

The constants are the logarithms that the model itself computes, as float64.  Ties go to
the lowest class index.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.encodings.linear.additive import AdditiveModel, ColumnTerm
from whyproof.encodings.trees.ensemble import DecisionRule
from whyproof.engine.domain import Categories, Domain, Real
from whyproof.engine.errors import ModelError

from .model import Model
from .sklearn_runtime import EstimatorRuntime, column_names_of

__all__ = ["BAYES_NAMES", "bayes_domains", "load_sklearn_bayes", "sklearn_bayes"]

BAYES_NAMES = frozenset(
    {"BernoulliNB", "CategoricalNB", "ComplementNB", "GaussianNB", "MultinomialNB"}
)

_Floats = npt.NDArray[np.float64]


def sklearn_bayes(source: Any) -> AdditiveModel:  # noqa: ANN401
    """Translate a fitted naive Bayes classifier of scikit-learn.

    Raises
    ------
    ModelError
        If it is not fitted, or a likelihood is not finite.
    """
    kind = type(source).__name__
    if not hasattr(source, "classes_"):
        raise ModelError(f"the {kind} is not fitted; fit it first")
    translate = {
        "GaussianNB": _gaussian,
        "CategoricalNB": _categorical,
        "BernoulliNB": _bernoulli,
    }.get(kind, _counts)
    terms, base, sizes = translate(source)
    classes: tuple[Hashable, ...] = tuple(np.asarray(source.classes_).tolist())
    finite = all(bool(np.isfinite(term.coefficients).all()) for term in terms)
    if not finite or not bool(np.isfinite(base).all()):
        raise ModelError(
            f"the {kind} has a class or a category of probability zero; fit it with smoothing"
        )
    return AdditiveModel(
        n_columns=int(source.n_features_in_),
        terms=tuple(terms),
        base=base,
        rule=DecisionRule.ARGMAX,
        classes=classes,
        base_sizes=sizes,
        family="naive Bayes",
    )


def bayes_domains(source: Any) -> dict[int, Domain]:  # noqa: ANN401
    """Return what a naive Bayes classifier demands of its columns, by position."""
    match type(source).__name__:
        case "CategoricalNB":
            return {
                i: Categories(values=tuple(range(np.asarray(table).shape[1])))
                for i, table in enumerate(source.feature_log_prob_)
            }
        case "MultinomialNB" | "ComplementNB":
            return {i: Real(lower=0.0) for i in range(int(source.n_features_in_))}
        case _:
            return {}


def load_sklearn_bayes(source: Any) -> Model:  # noqa: ANN401
    """Import a fitted naive Bayes classifier of scikit-learn; see `sklearn_bayes`."""
    import sklearn

    model = Model(
        structure=sklearn_bayes(source),
        runtime=EstimatorRuntime.of(source),
        library="scikit-learn",
        version=sklearn.__version__,
        names=column_names_of(source),
        domains=bayes_domains(source),
        accepts_missing=False,
        source=type(source).__name__,
    )
    model.verify()
    return model


def _gaussian(source: Any) -> tuple[list[ColumnTerm], _Floats, _Floats]:  # noqa: ANN401
    means = np.asarray(source.theta_, dtype=np.float64)
    variances = np.asarray(source.var_, dtype=np.float64)
    with np.errstate(divide="ignore"):
        priors = np.log(np.asarray(source.class_prior_, dtype=np.float64))
    norms = np.log(2.0 * math.pi * variances)
    terms: list[ColumnTerm] = []
    for column in range(means.shape[1]):
        center = float(means[:, column].mean())
        offset = means[:, column] - center
        curve = -0.5 / variances[:, column]
        coefficients = np.stack([curve * offset**2, -2 * curve * offset, curve], axis=1)
        terms.append(
            ColumnTerm(column, np.array([-np.inf]), np.array([np.inf]), coefficients[None], center)
        )
    base = priors - 0.5 * norms.sum(axis=1)
    return terms, base, np.abs(priors) + 0.5 * np.abs(norms).sum(axis=1)


def _categorical(source: Any) -> tuple[list[ColumnTerm], _Floats, _Floats]:  # noqa: ANN401
    tables = [np.asarray(table, dtype=np.float64).T for table in source.feature_log_prob_]
    terms = [ColumnTerm.table(i, table) for i, table in enumerate(tables)]
    base = np.asarray(source.class_log_prior_, dtype=np.float64)
    return terms, base, np.abs(base)


def _bernoulli(source: Any) -> tuple[list[ColumnTerm], _Floats, _Floats]:  # noqa: ANN401
    present = np.asarray(source.feature_log_prob_, dtype=np.float64)
    absent = np.log(1 - np.exp(present))
    gains = (present - absent).T
    priors = np.asarray(source.class_log_prior_, dtype=np.float64)
    base = priors + absent.sum(axis=1)
    sizes = np.abs(priors) + np.abs(absent).sum(axis=1)
    if source.binarize is None:
        return [ColumnTerm.linear(i, gain) for i, gain in enumerate(gains)], base, sizes
    threshold = float(source.binarize)
    lower = np.array([-np.inf, math.nextafter(threshold, math.inf)])
    upper = np.array([threshold, np.inf])
    terms: list[ColumnTerm] = []
    for i, gain in enumerate(gains):
        coefficients = np.zeros((2, len(gain), 3))
        coefficients[1, :, 0] = gain
        terms.append(ColumnTerm(i, lower, upper, coefficients))
    return terms, base, sizes


def _counts(source: Any) -> tuple[list[ColumnTerm], _Floats, _Floats]:  # noqa: ANN401
    gains = np.asarray(source.feature_log_prob_, dtype=np.float64).T
    base = np.zeros(gains.shape[1])
    if type(source).__name__ == "MultinomialNB" or len(source.classes_) == 1:
        base = np.asarray(source.class_log_prior_, dtype=np.float64)
    return [ColumnTerm.linear(i, gain) for i, gain in enumerate(gains)], base, np.abs(base)

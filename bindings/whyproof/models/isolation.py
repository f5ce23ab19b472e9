"""Scikit-learn's isolation forest as trees whose score is the mean depth of a point.

An isolation forest says how easily a point is told apart from the data: outliers end at small
depths (Liu, Ting, Zhou, Isolation Forest, ICDM 2008).  A leaf counts its depth plus the
expected depth of a tree over the data that it still holds.  The library's own score is
``-2 ** -(mean depth / c)``, with `c` the expected depth of its whole sample, so that a floor
on the mean depth is a floor on the score.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.encodings.recourse.plausible import Floor
from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.errors import DataError, MissingExtraError, ModelError
from whyproof.engine.space import Points

from .from_sklearn_forest import sklearn_tree

__all__ = ["fitted_isolation", "isolation_depths", "isolation_floor"]


def isolation_depths(forest: Any) -> TreeEnsemble:  # noqa: ANN401  # ships untyped
    """Return an isolation forest as an ensemble whose score is the mean depth.

    Parameters
    ----------
    forest
        A fitted `sklearn.ensemble.IsolationForest`.

    Raises
    ------
    ModelError
        If it is something else, or not fitted.

    Examples
    --------
    >>> from sklearn.ensemble import IsolationForest
    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> depths = isolation_depths(IsolationForest(n_estimators=10, random_state=0).fit(x))
    >>> bool(depths.sums(np.zeros((1, 2)))[0, 0] > depths.sums(np.full((1, 2), 9.0))[0, 0])
    True
    """
    if type(forest).__name__ != "IsolationForest" or not hasattr(forest, "estimators_"):
        raise ModelError(f"a fitted IsolationForest is needed, found {type(forest).__name__}")
    trees: list[Tree] = []
    n_columns = int(forest.n_features_in_)
    for number, (estimator, used) in enumerate(
        zip(forest.estimators_, forest.estimators_features_, strict=True)
    ):
        raw = estimator.tree_
        tree = sklearn_tree(number, raw, _depths(raw)[:, None])
        columns = np.where(
            tree.column >= 0, np.asarray(used)[np.maximum(tree.column, 0)], tree.column
        ).astype(np.int32)
        trees.append(
            Tree(
                columns,
                tree.boundary,
                tree.left,
                tree.right,
                tree.missing_left,
                tree.values,
                tree.categories,
                tree.zero_missing,
            )
        )
    return TreeEnsemble(
        n_columns,
        tuple(trees),
        np.zeros(1),
        DecisionRule.VALUE,
        divisor=len(trees),
        input_type="float32",
    )


def isolation_floor(forest: Any, data: Points, share: float) -> Floor:  # noqa: ANN401
    """Ask that a point is no more of an outlier than most of the data.

    Parameters
    ----------
    forest
        A fitted `sklearn.ensemble.IsolationForest`.
    data
        Points, shape ``(rows, columns)``.
    share
        Share of the data, between 0 and 1, that may be more of an outlier than the point.

    Raises
    ------
    DataError
        If the share is out of range.
    """
    if not 0 < share < 1:
        raise DataError(f"the share of outliers is between 0 and 1, found {share!r}")
    depths = isolation_depths(forest)
    least = float(np.quantile(depths.sums(data)[:, 0], share))
    text = f"no more of an outlier than {1 - share:.4g} of the data (mean depth {least:.4g})"
    return Floor(depths, least, text)


def fitted_isolation(data: Points, *, seed: int = 0) -> Any:  # noqa: ANN401
    """Fit an isolation forest of 20 trees.

    Parameters
    ----------
    data
        Points without missing values, shape ``(rows, columns)``.
    seed
        Of the random splits.

    Raises
    ------
    MissingExtraError
        If scikit-learn is not installed.
    DataError
        If values are missing.
    """
    try:
        from sklearn.ensemble import IsolationForest
    except ImportError as error:
        raise MissingExtraError("sklearn", "sklearn", "fit an isolation forest") from error
    if bool(np.isnan(data).any()):
        raise DataError("an isolation forest needs data without missing values")
    make: Any = IsolationForest  # its stubs know names of sample sizes only
    samples = min(64, len(data))
    return make(n_estimators=20, max_samples=samples, random_state=seed, n_jobs=1).fit(data)


def _depths(raw: Any) -> npt.NDArray[np.float64]:  # noqa: ANN401
    """Return what each node counts if it is a leaf: its depth and that of the rest."""
    left, right = np.asarray(raw.children_left), np.asarray(raw.children_right)
    depth = np.zeros(len(left))
    for node in range(len(left)):
        for child in (int(left[node]), int(right[node])):
            if child >= 0:
                depth[child] = depth[node] + 1
    held = np.asarray(raw.n_node_samples)
    rest = np.array([_expected(int(count)) for count in held])
    return np.where(left < 0, depth + rest, 0.0)


def _expected(count: int) -> float:
    """Return the mean depth of unsuccessful searches in a binary tree over so many points."""
    if count <= 1:
        return 0.0
    if count == 2:
        return 1.0
    return 2.0 * (math.log(count - 1) + np.euler_gamma) - 2.0 * (count - 1) / count

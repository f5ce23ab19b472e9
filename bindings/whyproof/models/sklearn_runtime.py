"""Scikit-learn's own prediction as a runtime: labels become class indices."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.engine.classifier import Predictions
from whyproof.engine.space import Points

__all__ = ["EstimatorRuntime", "class_indices", "column_names_of"]


@dataclass(frozen=True, eq=False)
class EstimatorRuntime:
    """An estimator that predicts for itself.

    Parameters
    ----------
    estimator
        Fitted; asked by `predict` and, for scores, by its decision function, its joint
        log-likelihood or its prediction.
    version
        Of scikit-learn.
    """

    estimator: Any
    version: str

    @classmethod
    def of(cls, estimator: Any) -> EstimatorRuntime:  # noqa: ANN401
        """Take a fitted estimator; it will be given rows without column names."""
        import sklearn

        nameless = copy.copy(estimator)
        if hasattr(nameless, "feature_names_in_"):
            # Rows come as arrays in the fitted order, about which it would warn each time.
            del nameless.feature_names_in_
        return cls(nameless, sklearn.__version__)

    @property
    def name(self) -> str:
        """Name the library and its version."""
        return f"scikit-learn {self.version}"

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return scores, shape ``(rows, outputs)``."""
        for method in ("decision_function", "predict_joint_log_proba", "predict"):
            if hasattr(self.estimator, method):
                found = np.asarray(getattr(self.estimator, method)(points), dtype=np.float64)
                return found.reshape(len(points), -1)
        raise TypeError(f"a {type(self.estimator).__name__} does not predict")

    def predict(self, points: Points) -> Predictions:
        """Return class indices, or values."""
        found = self.estimator.predict(points)
        if not hasattr(self.estimator, "classes_"):
            return np.asarray(found, dtype=np.float64).reshape(len(points))
        return class_indices(np.asarray(self.estimator.classes_), found)


def class_indices(classes: npt.NDArray[Any], labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the position of each label among sorted classes."""
    return np.asarray(np.searchsorted(classes, labels), dtype=np.int64)


def column_names_of(estimator: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Return the column names an estimator was fitted with, or nothing."""
    return tuple(str(name) for name in getattr(estimator, "feature_names_in_", ()))

"""The model that runs, as the engine sees it.

The engine never looks inside a model.  Encoders do, through `structure`; the engine
only replays points through `predict`, which must be the model's own prediction
function (the library's, or onnxruntime), not a re-implementation.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from .space import Points

__all__ = ["Classifier", "Predictions"]

Predictions = npt.NDArray[np.int64] | npt.NDArray[np.float64]
"""Class indices, or values of a regressor, shape ``(rows,)``."""


@runtime_checkable
class Classifier(Protocol):
    """A model that can be asked for outcomes."""

    @property
    def n_columns(self) -> int:
        """Number of inputs."""
        ...

    @property
    def classes(self) -> tuple[Hashable, ...]:
        """Class labels by class index; empty for a regressor."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of the model, ``sha256:`` and 64 hexadecimal digits."""
        ...

    @property
    def structure(self) -> object:
        """What encoders read, such as a tree ensemble; `None` for a black box."""
        ...

    def predict(self, points: Points) -> Predictions:
        """Return the outcome of each row as the model itself decides it.

        Parameters
        ----------
        points
            Shape ``(rows, columns)``.
        """
        ...

    def scores(self, points: Points) -> npt.NDArray[np.float64]:
        """Return one score per class and row, shape ``(rows, classes)``.

        The predicted class has the largest score, up to the model's tie rule.  A
        binary margin ``m`` is reported as ``(0, m)``; a regressor's value as one column.
        """
        ...

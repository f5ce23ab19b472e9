"""A model that is asked about many rows at once, and then answers about each.

Libraries spend most of a prediction of one row on the call itself.  A worker knows the rows of
its unit beforehand: the model that runs sees them together, and what it said is handed
out row by row.  All other questions go to the model.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable

import numpy as np
import numpy.typing as npt

from whyproof.engine.classifier import Classifier, Predictions
from whyproof.engine.errors import WhyproofError
from whyproof.engine.space import Points

from .row import ExplainerLike

__all__ = ["Foresight", "foreseeing"]


class Foresight:
    """A classifier in front of another one that remembers some of its answers.

    Parameters
    ----------
    model
        The model that runs.
    points
        Rows that will be asked about, shape ``(rows, columns)``.
    """

    def __init__(self, model: Classifier, points: Points) -> None:
        self._model = model
        predictions, scores = model.predict(points), model.scores(points)
        self._known = {
            point.tobytes(): (predictions[i : i + 1], scores[i : i + 1])
            for i, point in enumerate(points)
        }

    @property
    def n_columns(self) -> int:
        """Number of inputs."""
        return self._model.n_columns

    @property
    def classes(self) -> tuple[Hashable, ...]:
        """Class labels by class index."""
        return self._model.classes

    @property
    def fingerprint(self) -> str:
        """Hash of the model."""
        return self._model.fingerprint

    @property
    def structure(self) -> object:
        """What encoders read."""
        return self._model.structure

    def predict(self, points: Points) -> Predictions:
        """Return outcomes, remembered or fresh."""
        known = self._known.get(points.tobytes()) if len(points) == 1 else None
        return self._model.predict(points) if known is None else known[0]

    def scores(self, points: Points) -> npt.NDArray[np.float64]:
        """Return scores, remembered or fresh."""
        known = self._known.get(points.tobytes()) if len(points) == 1 else None
        return self._model.scores(points) if known is None else known[1]

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)


def foreseeing(explainer: ExplainerLike, points: Points) -> ExplainerLike:
    """Return an explainer whose model has seen these rows; as it is where that fails."""
    model = getattr(explainer, "model", None)
    if model is None or len(points) < 2 or not hasattr(model, "structure"):
        return explainer
    try:
        seeing = copy.copy(explainer)
        foresight = Foresight(model, points)
    except WhyproofError:
        return explainer  # one of the rows is not for this model; it will say so itself
    seeing.model = foresight  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    return seeing

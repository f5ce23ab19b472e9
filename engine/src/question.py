"""Questions: which outcomes count as a change of the decision.

Every question is monotone in the free features, because it only asks whether a point
of a certain kind exists: freeing more features can only add points.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .classifier import Classifier, Predictions
from .errors import DataError
from .space import Points

__all__ = ["AnyOther", "KeepMargin", "LeaveInterval", "MoveBeyond", "Question", "ReachClass"]


@dataclass(frozen=True, slots=True)
class Question(ABC):
    """Which outcomes change the decision, given the outcome of the instance."""

    @abstractmethod
    def evaluate(
        self, classifier: Classifier, points: Points, prediction: float
    ) -> tuple[Predictions, npt.NDArray[np.bool_]]:
        """Return the model's outcome at each point, and whether it is a change.

        Parameters
        ----------
        classifier
            The model that runs.
        points
            Shape ``(rows, columns)``.
        prediction
            Outcome of the instance: a class index, or the value of a regressor.

        Returns
        -------
        outcomes, changed
            Shape ``(rows,)`` each.
        """

    def changed(
        self, classifier: Classifier, points: Points, prediction: float
    ) -> npt.NDArray[np.bool_]:
        """Tell for each point whether the model's outcome there is a change."""
        return self.evaluate(classifier, points, prediction)[1]

    @abstractmethod
    def check(self, classifier: Classifier, prediction: float) -> None:
        """Refuse a question that makes no sense for this model and instance.

        Raises
        ------
        DataError
            With the reason, such as an unknown class.
        """

    @abstractmethod
    def describe(self, classifier: Classifier, prediction: float) -> str:
        """Complete the sentence "the decision changes when the model says ..."."""


@dataclass(frozen=True, slots=True)
class AnyOther(Question):
    """The decision changes when the model predicts any other class."""

    def evaluate(
        self, classifier: Classifier, points: Points, prediction: float
    ) -> tuple[Predictions, npt.NDArray[np.bool_]]:
        """Compare predicted classes."""
        outcomes = classifier.predict(points)
        return outcomes, np.asarray(outcomes != prediction, dtype=np.bool_)

    def check(self, classifier: Classifier, prediction: float) -> None:
        """Refuse regressors: their question needs an interval."""
        _require_classes(classifier)

    def describe(self, classifier: Classifier, prediction: float) -> str:
        """Name the class that is left."""
        return f"any class other than {classifier.classes[int(prediction)]!s}"


@dataclass(frozen=True, slots=True)
class ReachClass(Question):
    """The decision changes when the model predicts one given class.

    Parameters
    ----------
    target
        Index of the class to reach.
    """

    target: int

    def evaluate(
        self, classifier: Classifier, points: Points, prediction: float
    ) -> tuple[Predictions, npt.NDArray[np.bool_]]:
        """Look for the target class."""
        outcomes = classifier.predict(points)
        return outcomes, np.asarray(outcomes == self.target, dtype=np.bool_)

    def check(self, classifier: Classifier, prediction: float) -> None:
        """Refuse unknown classes and a target that is already predicted."""
        _require_classes(classifier)
        if not 0 <= self.target < len(classifier.classes):
            raise DataError(
                f"class index {self.target} does not exist; the model has "
                f"{len(classifier.classes)} classes"
            )
        if prediction == self.target:
            raise DataError(
                f"the model already predicts the target class {classifier.classes[self.target]!s}"
            )

    def describe(self, classifier: Classifier, prediction: float) -> str:
        """Name the class to reach."""
        return str(classifier.classes[self.target])


@dataclass(frozen=True, slots=True)
class LeaveInterval(Question):
    """A regressor's decision changes when its value leaves ``[lower, upper]``."""

    lower: float
    upper: float

    def evaluate(
        self, classifier: Classifier, points: Points, prediction: float
    ) -> tuple[Predictions, npt.NDArray[np.bool_]]:
        """Compare predicted values with the closed interval."""
        values = classifier.predict(points)
        left = (values < self.lower) | (values > self.upper)
        return values, np.asarray(left, dtype=np.bool_)

    def check(self, classifier: Classifier, prediction: float) -> None:
        """Refuse classifiers and intervals that do not hold the prediction."""
        if classifier.classes:
            raise DataError("an interval question needs a regressor, this model has classes")
        if not self.lower <= prediction <= self.upper:
            raise DataError(
                f"the prediction {prediction:g} lies outside [{self.lower:g}, {self.upper:g}]"
            )

    def describe(self, classifier: Classifier, prediction: float) -> str:
        """Name the interval that is left."""
        return f"a value outside [{self.lower:g}, {self.upper:g}]"


@dataclass(frozen=True, slots=True)
class MoveBeyond(Question):
    """A regressor's decision changes when its value moves further than a distance.

    Parameters
    ----------
    distance
        From the prediction for the instance, in the units of the outcome; not negative.
    """

    distance: float

    def evaluate(
        self, classifier: Classifier, points: Points, prediction: float
    ) -> tuple[Predictions, npt.NDArray[np.bool_]]:
        """Compare predicted values with the interval around the prediction."""
        return self.interval(prediction).evaluate(classifier, points, prediction)

    def interval(self, prediction: float) -> LeaveInterval:
        """Return the same question with both ends stated."""
        return LeaveInterval(prediction - self.distance, prediction + self.distance)

    def check(self, classifier: Classifier, prediction: float) -> None:
        """Refuse classifiers and negative distances."""
        if not self.distance >= 0:
            raise DataError(f"the distance must not be negative, found {self.distance!r}")
        self.interval(prediction).check(classifier, prediction)

    def describe(self, classifier: Classifier, prediction: float) -> str:
        """Name the interval that is left."""
        return self.interval(prediction).describe(classifier, prediction)


@dataclass(frozen=True, slots=True)
class KeepMargin(Question):
    """The decision changes when the lead over the best rival falls below a floor.

    With a floor of zero this is `AnyOther` up to ties.  A positive floor asks for
    explanations that guarantee more than the class: "it stays this sure".

    Parameters
    ----------
    floor
        In the units of the model's scores (margins of boosted trees before the link
        function, averaged probabilities or votes of forests); not negative.
    """

    floor: float

    def evaluate(
        self, classifier: Classifier, points: Points, prediction: float
    ) -> tuple[Predictions, npt.NDArray[np.bool_]]:
        """Compare the lead of the predicted class with the floor."""
        scores = classifier.scores(points)
        kept = scores[:, int(prediction)]
        rivals = np.delete(scores, int(prediction), axis=1)
        lead = kept - rivals.max(axis=1)
        return classifier.predict(points), np.asarray(lead < self.floor, dtype=np.bool_)

    def check(self, classifier: Classifier, prediction: float) -> None:
        """Refuse regressors and negative floors."""
        _require_classes(classifier)
        if not self.floor >= 0:
            raise DataError(f"the floor of a margin must not be negative, found {self.floor!r}")

    def describe(self, classifier: Classifier, prediction: float) -> str:
        """Name the floor."""
        label = classifier.classes[int(prediction)]
        return f"a lead of {label!s} below {self.floor:g}"


def _require_classes(classifier: Classifier) -> None:
    if not classifier.classes:
        raise DataError(
            "the model is a regressor: say which values are as good, "
            "with LeaveInterval or MoveBeyond"
        )

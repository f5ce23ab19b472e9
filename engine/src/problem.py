"""An explanation problem: a model, a space, an instance, a region and a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .classifier import Classifier, Predictions
from .errors import DataError, ReplayError
from .question import AnyOther, KeepMargin, Question
from .region import Region
from .space import Constraint, FeatureSet, FeatureSpace, Point, Points

__all__ = ["ExplanationProblem"]


@dataclass(frozen=True, eq=False)
class ExplanationProblem:
    """What is to be explained.

    Parameters
    ----------
    classifier
        The model that runs.
    space
        Its inputs.
    instance
        The point whose decision is explained, shape ``(columns,)``.
    region
        Where free features may go; everywhere by default.
    question
        Which outcomes count as a change; any other class by default.

    Raises
    ------
    DataError
        If the instance is not in the space or the parts do not fit each other.
    """

    classifier: Classifier
    space: FeatureSpace
    instance: Point
    region: Region = field(default_factory=Region.everywhere)
    question: Question = field(default_factory=AnyOther)

    def __post_init__(self) -> None:
        if self.classifier.n_columns != self.space.n_columns:
            raise DataError(
                f"the model has {self.classifier.n_columns} inputs, "
                f"the space {self.space.n_columns} columns"
            )
        instance = np.array(self.instance, dtype=np.float64)
        instance.flags.writeable = False
        object.__setattr__(self, "instance", instance)
        self.space.check(instance)
        self.space.check_constraints(self.constraints, instance)
        self.region.check(self.space, instance)
        self.question.check(self.classifier, self.prediction)
        # Only a floor on the lead can already be broken by the instance itself.
        if isinstance(self.question, KeepMargin) and bool(self.changed(instance[None])[0]):
            wanted = self.question.describe(self.classifier, self.prediction)
            raise DataError(f"nothing has to change: the instance already has {wanted}")

    @cached_property
    def constraints(self) -> tuple[Constraint, ...]:
        """Background knowledge, with what it says about changes put to the instance."""
        return self.space.constraints_at(self.instance)

    @cached_property
    def limits(self) -> tuple[Point, Point]:
        """Smallest box around the region, see `Region.limits`; not to be written to."""
        return self.region.limits(self.space, self.instance)

    @cached_property
    def prediction(self) -> float:
        """Outcome of the instance: a class index, or the value of a regressor."""
        return float(self.classifier.predict(self.instance[None])[0])

    @property
    def label(self) -> object:
        """Outcome of the instance as the user knows it."""
        return self.label_of(self.prediction)

    def label_of(self, outcome: float) -> object:
        """Return an outcome as the user knows it: a class label, or the value."""
        classes = self.classifier.classes
        return classes[int(outcome)] if classes else outcome

    @property
    def universe(self) -> FeatureSet:
        """Features that may be freed at all: those that are not immutable."""
        return self.space.mutable

    def changed(self, points: Points) -> npt.NDArray[np.bool_]:
        """Tell for each point whether the model's outcome there changes the decision."""
        return self.question.changed(self.classifier, points, self.prediction)

    def replay(self, point: Point, free: FeatureSet) -> float:
        """Run one would-be counterexample through the model; see `replay_all`."""
        return float(self.replay_all(point[None], [free])[0])

    def replay_all(self, points: Points, free_sets: Sequence[FeatureSet]) -> Predictions:
        """Run would-be counterexamples through the model and return its outcomes.

        Parameters
        ----------
        points
            Shape ``(rows, columns)``.
        free_sets
            For each point the features that it may have moved.

        Raises
        ------
        ReplayError
            If one moves a fixed feature, leaves the space or the region, or does not
            change the decision.
        """
        outcomes, changed = self.question.evaluate(self.classifier, points, self.prediction)
        if bool(changed.all()) and self._in_order(points, free_sets):
            return outcomes
        for point, free, outcome, flips in zip(points, free_sets, outcomes, changed, strict=True):
            fault = self._fault(point, free)
            if not fault and not flips:
                fault = f"the model still answers {outcome:g} there"
            if fault:
                raise ReplayError(
                    f"a counterexample failed its replay: {fault}",
                    {
                        "instance": self.instance.tolist(),
                        "point": point.tolist(),
                        "free": sorted(free),
                        "prediction": self.prediction,
                        "outcome": float(outcome),
                        "model": self.classifier.fingerprint,
                        "fault": fault,
                    },
                )
        return outcomes

    def _in_order(self, points: Points, free_sets: Sequence[FeatureSet]) -> bool:
        """Tell whether no point has a fault, for all of them at once."""
        if self.region.norm is not None:
            return False
        if not all(bool(constraint.holds(points).all()) for constraint in self.constraints):
            return False
        free = np.zeros((len(points), self.space.n_features), dtype=np.bool_)
        for row, features in enumerate(free_sets):
            free[row, np.fromiter(features, dtype=np.intp, count=len(features))] = True
        same = (points == self.instance) | (np.isnan(points) & np.isnan(self.instance))
        lower, upper = self.limits
        with np.errstate(invalid="ignore"):
            within = (lower <= points) & (points <= upper)
        if self.space.has_discrete:
            within &= self.space.admissible(points)
        return bool((same | (within & free[:, self.space.owner])).all())

    def _fault(self, point: Point, free: FeatureSet) -> str:
        """Say what is wrong with a point, apart from the model's outcome; empty if nothing."""
        moved = self.space.moved(self.instance, point)
        if not moved <= free:
            names = ", ".join(self.space.names[i] for i in sorted(moved - free))
            return f"it moves fixed features: {names}"
        if not self.region.contains(self.space, self.instance, point):
            return "it lies outside the region"
        try:
            self.space.check(point, "the counterexample")
            self.space.check_constraints(self.constraints, point, "the counterexample")
        except DataError as error:
            return str(error)
        return ""

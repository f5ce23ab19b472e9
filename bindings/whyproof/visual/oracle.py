"""The generator as an oracle: it can show a plausible counterexample, and never say "none".

A free set of cells becomes a region of the image, many free sets become one batch of the
walk.  A repainted image that changes the decision, checked on the model that runs, is a
counterexample that moves those cells only; every other end is `Unknown(INCOMPLETE)`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from whyproof.engine.answers import Answer, Counterexample, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.errors import DataError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, ReachClass
from whyproof.engine.space import FeatureSet

from .cells import Grid
from .classifiers import ImageClassifier
from .generators import Generator
from .pixels import Pixels
from .repainting import Attempts, repaint
from .sampler import SamplerOptions

__all__ = ["GeneratorOracle", "image_problem"]


def image_problem(
    classifier: ImageClassifier, image: Pixels, cell: int, target: int | None = None
) -> ExplanationProblem:
    """Return the question about one image over its cells.

    Parameters
    ----------
    classifier
        Of an imported network.
    image
        Shape ``(1, height, width, channels)`` or ``(height, width, channels)``.
    cell
        Side of the cells in pixels.
    target
        Class index to reach; any other class by default.
    """
    batch = image if image.ndim == 4 else image[None]
    if classifier.network is None or len(batch) != 1:
        raise DataError("exact questions are about one image and an imported network")
    question = AnyOther() if target is None else ReachClass(target)
    space = classifier.space(cell)
    return ExplanationProblem(
        classifier.network, space, classifier.points(batch)[0], question=question
    )


class GeneratorOracle:
    """Decides free sets of cells by repainting them.

    Parameters
    ----------
    problem
        From `image_problem`.
    bridge, classifier
        The generator, and the model that runs.
    image
        The image of the problem.
    cell
        Side of the cells in pixels.
    options, attempts
        How to walk, and how often.
    targets
        Classes to try for a question about any other class; the runner-up by default.
    """

    name = "generator"

    def __init__(
        self,
        problem: ExplanationProblem,
        bridge: Generator,
        classifier: ImageClassifier,
        image: Pixels,
        cell: int,
        *,
        options: SamplerOptions | None = None,
        attempts: Attempts | None = None,
        targets: Sequence[int] | None = None,
    ) -> None:
        self.problem = problem
        self.bridge, self.classifier = bridge, classifier
        self.image = image if image.ndim == 4 else image[None]
        self.grid = Grid(self.image.shape[1], self.image.shape[2], cell)
        if problem.space.n_features != self.grid.count:
            raise DataError(
                f"the problem has {problem.space.n_features} features, "
                f"the image {self.grid.describe()}"
            )
        if not np.array_equal(classifier.points(self.image)[0], problem.instance):
            raise DataError("the image is not the one that the problem is about")
        self.options = options if options is not None else SamplerOptions()
        self.attempts = attempts if attempts is not None else Attempts()
        self.lanes = self.attempts.batch
        self.targets = self._targets(targets)
        self.walked = 0

    def _targets(self, targets: Sequence[int] | None) -> tuple[int, ...]:
        question = self.problem.question
        if isinstance(question, ReachClass):
            return (question.target,)
        if targets:
            return tuple(targets)
        scores = self.classifier.scores(self.image)[0].copy()
        scores[int(self.problem.prediction)] = -np.inf
        return (int(scores.argmax()),)

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Repaint each free set; yes with a witness, or not known."""
        answers: list[Answer] = [
            Unknown(UnknownReason.INCOMPLETE, "the generator found no change")
        ] * len(free_sets)
        movable = [free & self.problem.universe for free in free_sets]
        waiting = [i for i, free in enumerate(movable) if free]
        for target in self.targets:
            for begin in range(0, len(waiting), self.lanes):
                reason = meter.exhausted()
                some = waiting[begin : begin + self.lanes]
                if reason is not None:
                    for i in some:
                        answers[i] = Unknown(reason)
                    continue
                witnesses = self._paint([movable[i] for i in some], target)
                for i, witness in zip(some, witnesses, strict=True):
                    answers[i] = witness or answers[i]
            waiting = [i for i in waiting if not isinstance(answers[i], Counterexample)]
        return answers

    def _paint(self, free_sets: list[FeatureSet], target: int) -> list[Counterexample | None]:
        count = len(free_sets)
        self.walked += count
        regions = np.stack([self.grid.pixels(free) for free in free_sets])
        images = np.repeat(self.image, count, axis=0)
        found = repaint(
            self.bridge,
            self.classifier,
            images,
            regions,
            np.full(count, target),
            options=self.options,
            attempts=self.attempts,
            control=False,
        )
        points = self.classifier.points(np.stack([result.image for result in found]))
        outcomes, changed = self.problem.question.evaluate(
            self.problem.classifier, points, self.problem.prediction
        )
        return [
            self._witness(point, float(outcome)) if flips else None
            for point, outcome, flips in zip(points, outcomes, changed, strict=True)
        ]

    def _witness(self, point: npt.NDArray[np.float64], outcome: float) -> Counterexample:
        moved = self.problem.space.moved(self.problem.instance, point)
        return Counterexample(point, moved, outcome)

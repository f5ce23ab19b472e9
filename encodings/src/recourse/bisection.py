"""Nearest counterfactuals by the largest step, of any model that has an exact oracle.

Whether the decision can change within a ball is what oracles decide.  The radius is doubled until
it can, then halved towards the smallest such ball: each "no" is a proof that nothing is
nearer, each "yes" a point that may be nearer still than its ball (as in minimal adversarial
perturbations: Carlini, Katz, Barrett, Dill, Provably Minimally-Distorted Adversarial Examples,
2017).  Works for networks, linear and additive models and trees alike, with all their
constraints; the answer is a point and a bound, as near to each other as was asked for.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from whyproof.engine.answers import Counterexample, Entailed
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.classifier import Classifier
from whyproof.engine.domain import Categories
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.oracle import Oracle
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, Question, ReachClass
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSpace, Point

from .answer import Nearest, NearestStatus
from .distance import Distance

__all__ = ["BisectionSearch"]

_DOUBLINGS = 80


class BisectionSearch:
    """Looks for nearest counterfactuals in the norm ``linf``.

    Parameters
    ----------
    model
        The model that runs.
    space
        Its inputs.
    oracles
        Makes the exact oracle of a problem.
    distance
        In the norm ``linf``.
    question
        What counts as a change.
    precision
        Share of the distance by which the bound may fall short.

    Raises
    ------
    UnsupportedError
        For other norms, categories of more than two values, and columns that may be missing.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from whyproof.encodings.oracles import prepare_oracles
    >>> from whyproof.models import load_model
    >>> x, y = load_iris(return_X_y=True)
    >>> model = load_model(LogisticRegression(max_iter=500).fit(x, y))
    >>> space = FeatureSpace.of("abcd")
    >>> search = BisectionSearch(
    ...     model, space, prepare_oracles(model.structure, space), Distance.of(space, "linf"))
    >>> found = search.nearest(x[0])
    >>> str(found.status), found.gap <= 1e-4 * found.distance
    ('optimal', True)
    """

    def __init__(
        self,
        model: Classifier,
        space: FeatureSpace,
        oracles: Callable[[ExplanationProblem], Oracle],
        distance: Distance,
        *,
        question: Question | None = None,
        precision: float = 1e-4,
    ) -> None:
        if distance.norm != "linf":
            raise UnsupportedError(
                f"nearest changes of such a model are found in the norm linf, not {distance.norm}"
            )
        for column in space.columns:
            many = isinstance(column.domain, Categories) and len(column.domain.values) > 2
            if many or column.domain.nullable:
                what = "has categories" if many else "may be missing"
                raise UnsupportedError(
                    f"column {column.name!r} {what}, which balls do not measure; nearest changes "
                    "of such a model are found among numbers"
                )
        self.models, self.space, self.distance = (model,), space, distance
        self.question, self.precision = question or AnyOther(), precision
        self._oracles = oracles

    def nearest(
        self, instance: Point, *, budget: Budget | None = None, meter: Meter | None = None
    ) -> Nearest:
        """Find a nearest counterfactual of an instance, up to the precision.

        Parameters
        ----------
        instance
            Shape ``(columns,)``.
        budget, meter
            Limits, or those of a run that has begun.
        """
        meter = meter or (budget or Budget()).start()
        began, began_cpu = time.monotonic(), time.process_time()
        found = self._search(np.asarray(instance, dtype=np.float64), meter)
        return replace(
            found,
            seconds=time.monotonic() - began,
            cpu_seconds=time.process_time() - began_cpu,
        )

    def _search(self, instance: Point, meter: Meter) -> Nearest:
        model, question = self.models[0], self.question
        self.space.check(instance)
        prediction = float(model.predict(instance[None])[0])
        if isinstance(question, ReachClass) and prediction == question.target:
            return Nearest(
                NearestStatus.ALREADY, instance, instance, 0.0, 0.0, outcomes=(prediction,)
            )
        calls, low, high = 0, 0.0, self._widest(instance)
        best: Counterexample | None = None
        reach, radius = math.inf, self._first(instance)
        for _ in range(_DOUBLINGS):
            if meter.exhausted() is not None:
                break
            everywhere = radius >= high
            answer = self._ask(instance, high if everywhere else radius, everywhere, meter)
            calls += 1
            if isinstance(answer, Counterexample):
                best, reach = answer, self.distance.between(instance, answer.point)
                break
            if not isinstance(answer, Entailed):
                break
            low = high if everywhere else radius
            if everywhere:
                return Nearest(NearestStatus.NONE, instance, None, math.inf, math.inf, nodes=calls)
            radius *= 4
        while best is not None and reach - low > self.precision * reach:
            if meter.exhausted() is not None:
                break
            middle = (low + reach) / 2
            answer = self._ask(instance, middle, False, meter)
            calls += 1
            if isinstance(answer, Counterexample):
                near = self.distance.between(instance, answer.point)
                best, reach = answer, min(near, middle)
            elif isinstance(answer, Entailed):
                low = middle
            else:
                break
        if best is None:
            return Nearest(NearestStatus.UNKNOWN, instance, None, math.inf, low, nodes=calls)
        reach = self.distance.between(instance, best.point)
        near_enough = reach - low <= 2 * self.precision * reach
        return Nearest(
            NearestStatus.OPTIMAL if near_enough else NearestStatus.BEST_SO_FAR,
            instance,
            best.point,
            reach,
            min(low, reach),
            self.space.moved(instance, best.point),
            (float(model.predict(best.point[None])[0]),),
            nodes=calls,
        )

    def _ask(
        self, instance: Point, radius: float, everywhere: bool, meter: Meter
    ) -> Counterexample | Entailed | object:
        """Decide a ball, scaled by the weights of the columns."""
        region = Region.everywhere()
        if not everywhere:
            region = Region.ball(radius / self.distance.factors)
        problem = ExplanationProblem(self.models[0], self.space, instance, region, self.question)
        answer = self._oracles(problem).decide([problem.universe], meter)[0]
        if isinstance(answer, Counterexample):
            problem.replay(answer.point, problem.universe)
        return answer

    def _widest(self, instance: Point) -> float:
        """Return the radius beyond which nothing is left of the space; maybe infinite."""
        low, high = self.space.bounds
        width = np.maximum(high - instance, instance - low) * self.distance.factors
        return float(np.nanmax(width))

    def _first(self, instance: Point) -> float:
        """Return a small radius to begin with."""
        size = np.nanmax(np.abs(instance) * self.distance.factors, initial=1.0)
        widest = self._widest(instance)
        return min(float(size), widest if math.isfinite(widest) else math.inf) / 64

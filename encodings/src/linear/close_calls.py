"""Close calls: what to do where rounding decides.

A score whose best value lies within rounding error of zero may or may not change the
decision of the model that runs.  Three cases can still be settled:

* the model adds one rounded product for each column, and rounding is monotone, so that no
  admissible point gets a larger rounded score than the best corner, which was tried;
* all free columns that matter have finitely many values, and few combinations come
  near: each of these is run;
* otherwise the answer is unknown for want of precision.
"""

from __future__ import annotations

import heapq
import math

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.objective import Objective
from whyproof.engine.answers import Counterexample, Unknown, UnknownReason
from whyproof.engine.problem import ExplanationProblem

from .additive import AdditiveModel
from .contest import Contest
from .pieces import Floats, Pieces

__all__ = ["MOST_CLOSE_CALLS", "CloseCalls"]

MOST_CLOSE_CALLS = 4096
"""Points within rounding error that are run before the answer is unknown."""


class CloseCalls:
    """Settles close calls of one instance.

    Parameters
    ----------
    problem, model, pieces
        As for the oracle.
    """

    def __init__(self, problem: ExplanationProblem, model: AdditiveModel, pieces: Pieces) -> None:
        self._problem, self._model, self._whole = problem, model, pieces

    def decide(
        self, objective: Objective, contest: Contest, free: npt.NDArray[np.bool_]
    ) -> Counterexample | Unknown | None:
        """Decide one objective whose best corner did not change the decision.

        Parameters
        ----------
        objective
            What is close to zero.
        contest
            Its bounds.
        free
            Features that may move, shape ``(features,)``.

        Returns
        -------
        Counterexample, Unknown or None
            `None` if it is out of reach.
        """
        finite = bool(np.isfinite(contest.upper[free]).all())
        if finite and self._model.steady and self._model.n_outputs == 1:
            return None
        options = self._options(objective, contest, free)
        if options is None:
            return Unknown(
                UnknownReason.PRECISION, "the best value lies within rounding error of a tie"
            )
        return self._run(options, contest, free)

    def _options(
        self, objective: Objective, contest: Contest, free: npt.NDArray[np.bool_]
    ) -> list[tuple[int, Floats, Floats]] | None:
        """Return column, values and losses against the best, where all are finite."""
        reach = self._whole.within_region(self._problem)
        polynomials, _ = reach.weighted(objective.weights, 0.0)
        found: list[tuple[int, Floats, Floats]] = []
        for slot, column in enumerate(reach.columns.tolist()):
            if not free[self._problem.space.owner[column]]:
                continue
            values: list[float] = []
            added: list[float] = []
            for piece in np.flatnonzero(reach.slot == slot).tolist():
                codes = _codes(reach, piece)
                if codes is None:
                    return None
                y = np.nan_to_num(codes - reach.center[piece])
                c = polynomials[piece]
                values += codes.tolist()
                added += (c[0] + y * (c[1] + y * c[2])).tolist()
            gains = np.array(added)
            order = np.argsort(-gains, kind="stable")
            found.append((column, np.array(values)[order], (gains.max() - gains)[order]))
        return found

    def _run(
        self,
        options: list[tuple[int, Floats, Floats]],
        contest: Contest,
        free: npt.NDArray[np.bool_],
    ) -> Counterexample | Unknown | None:
        """Run all combinations that lose less than the room, the nearest first."""
        upper, _ = contest.bounds(free[None])
        room = float(upper[0]) * 1.001 + 1e-300
        start = tuple(0 for _ in options)
        heap: list[tuple[float, tuple[int, ...]]] = [(0.0, start)]
        seen = {start}
        points: list[Floats] = []
        while heap:
            loss, chosen = heapq.heappop(heap)
            if len(points) >= MOST_CLOSE_CALLS:
                return Unknown(
                    UnknownReason.PRECISION,
                    f"more than {MOST_CLOSE_CALLS} points lie within rounding error",
                )
            point = self._problem.instance.copy()
            for (column, values, _), i in zip(options, chosen, strict=True):
                point[column] = values[i]
            points.append(point)
            for at, (_, values, losses) in enumerate(options):
                following = (*chosen[:at], chosen[at] + 1, *chosen[at + 1 :])
                if following[at] >= len(values) or following in seen:
                    continue
                next_loss = loss + float(losses[following[at]] - losses[chosen[at]])
                if next_loss <= room:
                    seen.add(following)
                    heapq.heappush(heap, (next_loss, following))
        if not points:
            return None
        changed = np.flatnonzero(self._problem.changed(np.array(points)))
        if not len(changed):
            return None
        point = points[int(changed[0])]
        moved = self._problem.space.moved(self._problem.instance, point)
        return Counterexample(point, moved, math.nan)


def _codes(reach: Pieces, piece: int) -> Floats | None:
    """Return the values of a piece, `None` if they are too many."""
    low, high = float(reach.lower[piece]), float(reach.upper[piece])
    if math.isnan(low) or low == high:
        return np.array([low])
    if low > high:
        return np.zeros(0)
    if not reach.discrete[piece] or not high - low < MOST_CLOSE_CALLS:
        return None
    return np.arange(low, high + 1)

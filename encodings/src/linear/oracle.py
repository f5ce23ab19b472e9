"""The additive oracle: free sets decided by adding up one number for each feature.

Every objective (usually the lead of a rival class) is a contest, see `contest`.  If its
upper bound stays below zero, or its lower bound rises above it, that is the answer, with
the smallest core or the fewest moves read off a sorted order.  What lies in between, by
rounding, is settled on the model that runs: at the best corner, or at all combinations
near it where these are few; where neither is conclusive the answer is unknown.

To reach one class among several, all rivals have to be beaten together, which no longer
falls apart into columns; see `joint`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.objective import Objective, objectives
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet, Point

from .additive import AdditiveModel
from .close_calls import CloseCalls
from .contest import Contest
from .joint import JointSearch
from .pieces import Floats, Pieces
from .sorting import least_abductive, least_contrastive

__all__ = ["AdditiveGoal", "AdditiveOracle"]

Sets = npt.NDArray[np.bool_]
"""Sets of features, shape ``(sets, features)``."""

_MANY = 1_000_000
"""Numbers in a table over sets and features that is made at once."""


@dataclass(frozen=True, eq=False)
class AdditiveGoal:
    """An objective and its contests: one, or one for each rival that has to be beaten.

    Parameters
    ----------
    objective
        What changes the decision.
    contests
        Bounds of each score.
    rows
        Weights of each score.
    """

    objective: Objective
    contests: tuple[Contest, ...]
    rows: tuple[tuple[float, ...], ...]


class AdditiveOracle:
    """Decides free sets of one explanation problem about an additive model.

    Parameters
    ----------
    problem
        Its classifier's `structure` is an `AdditiveModel`.
    pieces
        The model over the space, to share between instances; made here if not given.

    Attributes
    ----------
    focus
        Which kind of explanation the evidence is for; cores are grown unless it is a CXp.
    relevant
        Features on which some score depends; freeing others changes nothing.

    Raises
    ------
    UnsupportedError
        If the region is not a box, or the question does not fit.
    """

    def __init__(self, problem: ExplanationProblem, pieces: Pieces | None = None) -> None:
        model = problem.classifier.structure
        if not isinstance(model, AdditiveModel):
            raise UnsupportedError("the additive oracle needs a model that is a sum over columns")
        if not problem.region.is_box:
            raise UnsupportedError(
                f"the additive oracle knows boxes and linf balls, not {problem.region.norm} balls"
            )
        self.problem, self.model = problem, model
        self.focus: Kind | None = None
        self.pieces = pieces or Pieces.of(model, problem.space)
        owners = problem.space.owner[self.pieces.columns]
        self.relevant: FeatureSet = frozenset(owners.tolist()) & problem.universe
        self._relevant = np.zeros(problem.space.n_features, dtype=np.bool_)
        self._relevant[list(self.relevant)] = True
        self.goals = [
            self._goal(objective)
            for objective in objectives(model, problem.question, problem.prediction)
        ]
        self._close_calls = CloseCalls(problem, model, self.pieces)

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return "additive"

    @property
    def lanes(self) -> int:
        """How many sets are decided at about the price of one."""
        return max(1, min(64, _MANY // (4 * self.problem.space.n_features)))

    @property
    def contests(self) -> tuple[Contest, ...]:
        """One contest for each objective; empty if objectives need several together."""
        if any(goal.objective.against for goal in self.goals):
            return ()
        return tuple(goal.contests[0] for goal in self.goals)

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set."""
        n = max(1, _MANY // self.problem.space.n_features)
        answers: list[Answer] = []
        for start in range(0, len(free_sets), n):
            answers += self._decide(free_sets[start : start + n], meter)
        return answers

    def guaranteed_margin(self, free: FeatureSet, meter: Meter) -> float | None:
        """Bound the smallest lead of the decision while only `free` may move.

        Returns
        -------
        float or None
            The lead is at least this, in score units; `None` if nothing above zero can be
            shown.
        """
        upper, _ = self._bounds(self._table([free]))
        lead = -float(upper.max(initial=-math.inf))
        return lead if 0 <= lead < math.inf else None

    def least(self, kind: Kind, allowed: FeatureSet) -> tuple[FeatureSet, int] | None:
        """Propose an explanation of least size by sorting; see `sorting`.

        Parameters
        ----------
        kind
            Abductive or contrastive.
        allowed
            Features that may occur.

        Returns
        -------
        members, lower bound
            `None` where several rivals have to be beaten together, or none exists.
        """
        choice = np.zeros_like(self._relevant)
        choice[np.fromiter(allowed, dtype=np.intp, count=len(allowed))] = True
        contests = self.contests
        if not contests:
            return None
        least = least_abductive if kind is Kind.AXP else least_contrastive
        found = least(contests, choice & self._relevant, self._relevant)
        if found is None:
            return None
        return frozenset(np.flatnonzero(found[0]).tolist()), found[1]

    def _goal(self, objective: Objective) -> AdditiveGoal:
        rows = [objective.weights]
        if objective.against:
            rows = [
                tuple(w - float(k == rival) for k, w in enumerate(objective.weights))
                for rival in objective.against
            ]
        return AdditiveGoal(
            objective,
            tuple(
                Contest.of(
                    self.model, self.pieces, self.problem, row, objective.constant, objective.slack
                )
                for row in rows
            ),
            tuple(rows),
        )

    def _table(self, free_sets: Sequence[FeatureSet]) -> Sets:
        table = np.zeros((len(free_sets), self.problem.space.n_features), dtype=np.bool_)
        for row, free in zip(table, free_sets, strict=True):
            row[np.fromiter(free, dtype=np.intp, count=len(free))] = True
        return table & self._relevant

    def _bounds(self, free: Sets) -> tuple[Floats, Floats]:
        """Bound each objective for each set, shape ``(sets, goals)`` each.

        Where several contests have to be won together the lower bound is of no use.
        """
        upper = np.empty((len(free), len(self.goals)))
        lower = np.empty_like(upper)
        for j, goal in enumerate(self.goals):
            pairs = [contest.bounds(free) for contest in goal.contests]
            upper[:, j] = np.min([pair[0] for pair in pairs], axis=0)
            lower[:, j] = pairs[0][1] if len(pairs) == 1 else -math.inf
        return upper, lower

    def _decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        free = self._table(free_sets)
        upper, lower = self._bounds(free)
        moving = free.any(axis=1)
        # With nothing free that matters the instance is all that there is.
        safe = (upper < 0).all(axis=1) | ~moving
        lost = (lower > 0).any(axis=1) & moving
        answers: list[Answer] = [Unknown(UnknownReason.INCOMPLETE)] * len(free_sets)
        for row, answer in zip(
            np.flatnonzero(safe).tolist(), self._entailed(free[safe], upper[safe]), strict=True
        ):
            answers[row] = answer
        for row, found in zip(
            np.flatnonzero(lost).tolist(),
            self._counterexamples(free[lost], lower[lost] > 0),
            strict=True,
        ):
            answers[row] = found
        for row in np.flatnonzero(~safe & ~lost).tolist():
            answers[row] = self._settle(free[row], upper[row], meter)
        return answers

    def _entailed(self, free: Sets, upper: Floats) -> list[Answer]:
        """Return proofs, with more features freed while they last."""
        if self.focus is not Kind.CXP and len(free):
            free, upper = self._grown(free, upper)
        margins = -upper.max(axis=1, initial=-math.inf)
        return [
            Entailed(
                frozenset(np.flatnonzero(self._relevant & ~row).tolist()),
                max(0.0, float(margin)) if math.isfinite(margin) else None,
            )
            for row, margin in zip(free, margins, strict=True)
        ]

    def _grown(self, free: Sets, upper: Floats) -> tuple[Sets, Floats]:
        """Free those that add least; with one objective no other choice frees more."""
        contests = [contest for goal in self.goals for contest in goal.contests]
        if len(contests) > len(self.goals) or not contests:
            return free, upper
        gains = np.stack([contest.upper for contest in contests])
        room = np.array([[max(-contest.start_upper, 1e-300)] for contest in contests])
        order = np.argsort((gains / room).max(axis=0), kind="stable")
        closed = (~free & self._relevant)[:, order]
        fits = np.ones_like(closed)
        for gain, bound in zip(gains[:, order], upper.T, strict=True):
            with np.errstate(invalid="ignore"):
                total = np.cumsum(np.where(closed, gain, 0.0), axis=1) + bound[:, None]
            fits &= total < 0
        more = np.zeros_like(free)
        more[:, order] = closed & np.logical_and.accumulate(fits, axis=1)
        # A row that was safe for want of anything to move has bounds that may not be below zero.
        more[~(upper < 0).all(axis=1)] = False
        free = free | more
        return free, self._bounds(free)[0]

    def _counterexamples(self, free: Sets, sure: npt.NDArray[np.bool_]) -> list[Counterexample]:
        """Return the counterexamples of the objective that needs the fewest moves."""
        best = np.zeros_like(free)
        count = np.full(len(free), free.shape[1] + 1)
        points = np.repeat(self.problem.instance[None], len(free), axis=0)
        owner = self.problem.space.owner
        for j, goal in enumerate(self.goals):
            rows = np.flatnonzero(sure[:, j])
            if not len(rows):
                continue
            contest = goal.contests[0]
            kept = contest.fewest(free[rows])
            fewer = kept.sum(axis=1) < count[rows]
            rows, kept = rows[fewer], kept[fewer]
            best[rows], count[rows] = kept, kept.sum(axis=1)
            points[rows] = np.where(kept[:, owner], contest.target, self.problem.instance)
        return [
            Counterexample(point.copy(), frozenset(np.flatnonzero(row).tolist()), math.nan)
            for point, row in zip(points, best, strict=True)
        ]

    def _settle(self, free: npt.NDArray[np.bool_], upper: Floats, meter: Meter) -> Answer:
        """Decide a set that rounding, or several rivals at once, leave open."""
        unknown: Unknown | None = None
        for j in np.argsort(-upper).tolist():
            if upper[j] < 0:
                continue
            answer = self._settle_goal(self.goals[j], free, meter)
            if isinstance(answer, Counterexample):
                return answer
            if isinstance(answer, Unknown):
                unknown = answer
        if unknown is not None:
            return unknown
        return Entailed(frozenset(np.flatnonzero(self._relevant & ~free).tolist()), 0.0)

    def _settle_goal(
        self, goal: AdditiveGoal, free: npt.NDArray[np.bool_], meter: Meter
    ) -> Answer | None:
        """Decide one objective; `None` means that it is out of reach."""
        if goal.objective.against:
            return JointSearch(
                self.problem, self.model, self.pieces, goal.objective, goal.contests
            ).decide(free, meter)
        contest = goal.contests[0]
        columns = free[self.problem.space.owner]
        for target in (contest.nominal, contest.target):
            point = np.where(columns, target, self.problem.instance)
            found = self._confirmed(point)
            if found is not None:
                return found
        return self._close_calls.decide(goal.objective, contest, free)

    def _confirmed(self, point: Point) -> Counterexample | None:
        if not bool(self.problem.changed(point[None])[0]):
            return None
        moved = self.problem.space.moved(self.problem.instance, point)
        return Counterexample(point, moved, math.nan)

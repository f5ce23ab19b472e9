"""The tree oracle: interval bound first, then best-first search over leaf boxes.

Idea: with some features free, the decision can change exactly if the largest value of
an objective (usually the lead of a rival class) over the remaining box is beyond zero.
Veritas (Devos, Meert, Davis: Versatile Verification of Tree Ensembles, ICML 2021)
searches that maximum best-first over the cliques of overlapping leaves.  Ours differs in
what surrounds it: the search runs in cell coordinates, where casts, strictness, missing
values and categories have been settled; it ignores everything below zero, so that both
answers come early; values within the rounding slack are never trusted but replayed on
the model that runs, leaf box by leaf box, in which its outcome is constant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import veritas

from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import KeepMargin, ReachClass
from whyproof.engine.space import FeatureSet

from .bound import IntervalBound, blocking_features, feature_matrix
from .boxes import LeafBoxes
from .ensemble import DecisionRule, TreeEnsemble
from .objective import Objective, objectives
from .program import TreeProgram, WeightedScore
from .reach import within_region
from .revert import Reverter

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["MARGIN_STEPS", "TreeGoal", "TreeOracle"]

MARGIN_STEPS = 2_000
"""Search steps for a guaranteed margin, some milliseconds."""

_LOOK_STEPS = 2_000
_LOOK_SECONDS = 0.2
"""How much is searched between two looks at the budget."""
_PAUSES = (veritas.StopReason.NONE, veritas.StopReason.OUT_OF_TIME)
_MOST_CLOSE_CALLS = 5_000
"""Leaf boxes within the slack that are replayed before the answer is `Unknown`."""


@dataclass(frozen=True, slots=True)
class TreeGoal:
    """An objective in the units of the search: a weighted score beyond a threshold.

    Several scores (against each rival) have to be beyond it together.

    Parameters
    ----------
    objective
        What changes the decision.
    scores
        One, or one against each rival.
    threshold, slack
        What each score has to exceed, and how far rounding may be off.
    """

    objective: Objective
    scores: tuple[WeightedScore, ...]
    threshold: float
    slack: float

    def sure(self, sums: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Tell which rows of scores, shape ``(rows, scores)``, change it beyond doubt."""
        lowest = sums[:, 0] if sums.shape[1] == 1 else sums.min(axis=1)
        excess = lowest - self.threshold
        if self.slack == 0 and self.objective.at_zero is True:
            return np.asarray(excess >= 0, dtype=np.bool_)
        return np.asarray(excess > self.slack, dtype=np.bool_)

    def surely_beyond(self, excess: float) -> bool:
        """Tell whether a score that exceeds the threshold by `excess` changes it."""
        if self.slack == 0 and self.objective.at_zero is True:
            return excess >= 0
        return excess > self.slack

    @property
    def cut(self) -> float:
        """Smallest excess over the threshold that is worth a look."""
        if self.slack == 0 and self.objective.at_zero is False:
            return math.nextafter(0.0, math.inf)
        return -self.slack


class TreeOracle:
    """Decides free sets of one explanation problem about a tree ensemble.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `TreeEnsemble`.
    program
        The compiled ensemble, to share between instances; made here if not given.

    Attributes
    ----------
    focus
        Which kind of explanation the evidence is for: cores are grown unless it is a
        CXp, counterexamples made sparse unless it is an AXp.
    relevant
        Features that keep some leaf of the region out; freeing others changes nothing.

    Raises
    ------
    UnsupportedError
        If the region is not a box, or the question does not fit.
    """

    def __init__(self, problem: ExplanationProblem, program: TreeProgram | None = None) -> None:
        ensemble = problem.classifier.structure
        if not isinstance(ensemble, TreeEnsemble):
            raise UnsupportedError("the tree oracle needs a model that is a tree ensemble")
        if not problem.region.is_box:
            raise UnsupportedError(
                f"the tree oracle knows boxes and linf balls, not {problem.region.norm} balls"
            )
        self.problem = problem
        self.focus: Kind | None = None
        program = program or TreeProgram(LeafBoxes.of(ensemble, problem.space))
        narrow = within_region(program.boxes, problem)
        # A region that leaves gaps between cells gets boxes of its own.
        self.program = program if narrow.boxes is program.boxes else TreeProgram(narrow.boxes)
        boxes, lower, upper = narrow.boxes, narrow.lower, narrow.upper
        self._divisor = ensemble.divisor
        self._cells = narrow.cells
        self._limits = problem.limits
        blocks, dead = blocking_features(boxes, self._cells, lower, upper)
        self._goals = self._all_goals(ensemble)
        self._bound = IntervalBound(
            self.program, blocks, dead, [s for g in self._goals for s in g.scores]
        )
        self._first = np.cumsum([0, *(len(goal.scores) for goal in self._goals)])[:-1]
        self._thresholds = np.array([goal.threshold for goal in self._goals])
        self._floors = np.array([goal.cut for goal in self._goals])
        self._open = np.zeros(len(self._goals)), np.ones(len(self._goals), dtype=np.bool_)
        self._reverter = Reverter(boxes, blocks)
        # Only these features keep some reachable leaf out; freeing others changes nothing.
        living = blocks[~dead] if dead.any() else blocks
        blocking = frozenset(np.flatnonzero(living.any(axis=0)).tolist())
        self.relevant = blocking & problem.universe
        whole = self.program.whole
        self._at: list[int] = self._cells.tolist()
        self._fixed = [self.program.unit(z) for z in self._at]
        self._free = (
            [
                everything if a == 0 and b == n else veritas.Interval(a, b)
                for everything, a, b, n in zip(
                    whole, lower.tolist(), upper.tolist(), boxes.n_cells.tolist(), strict=True
                )
            ]
            if problem.region.restricted(problem.space).any()
            else whole
        )

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return "tree search"

    @property
    def _bound_is_idle(self) -> bool:
        """Whether the bound is not worth its time for one more free set.

        With one objective there are no rivals to put in order, and an AXp search starts
        from a core that the bound could not make smaller.
        """
        return len(self._goals) == 1 and self.focus is Kind.AXP

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set: by bound if that is enough, by search otherwise."""
        relevant = [free & self.relevant for free in free_sets]
        if self._bound_is_idle and len(relevant) == 1 and relevant[0]:
            return [self._search(relevant[0], self._open[0], self._open[1], meter)]
        excess, possible = self._bounds(feature_matrix(self.problem.space, relevant))
        answers: list[Answer] = []
        for i, free in enumerate(relevant):
            if possible[i].any():
                answers.append(self._search(free, excess[i], possible[i], meter))
            elif len(relevant) == 1 and self.focus is not Kind.CXP:
                answers.append(self._grown(free, excess[i]))
            else:
                answers.append(self._entailed(free, excess[i]))
        return answers

    def guaranteed_margin(
        self, free: FeatureSet, meter: Meter, steps: int = MARGIN_STEPS
    ) -> float | None:
        """Bound the smallest lead of the decision while only `free` may move.

        Parameters
        ----------
        free
            Features that may move.
        meter
            Budget of the run.
        steps
            Search steps for each objective.  The limit is no time, so that equal
            questions get equal answers.

        Returns
        -------
        float or None
            The lead is at least this, in score units: the weakest confidence that an
            abductive explanation guarantees, exactly so if the search reached its
            optimum.  `None` if nothing above zero was shown.
        """
        worst = -math.inf
        for goal in self._goals:
            if meter.exhausted() is not None:
                return None
            search = self._start(goal, free & self.relevant, -math.inf, meter)
            search.steps(steps)
            found = [float(search.get_solution(0).output)] if search.num_solutions() else []
            still = [float(search.current_bounds().top_of_open)] if search.num_open() else []
            rounding = max(score.rounding for score in goal.scores)
            worst = max(worst, *(value + rounding for value in found + still))
        lead = -worst / self._divisor
        return lead if 0 <= lead < math.inf else None

    def _all_goals(self, ensemble: TreeEnsemble) -> list[TreeGoal]:
        """Translate the question, once for a model and an outcome."""
        question, prediction = self.problem.question, self.problem.prediction
        known = self.program.goals.get((question, prediction))
        if known is None:
            known = [self._goal(ensemble, o) for o in objectives(ensemble, question, prediction)]
            if ensemble.classes:
                self.program.goals[question, prediction] = known
        return cast("list[TreeGoal]", known)

    def _goal(self, ensemble: TreeEnsemble, objective: Objective) -> TreeGoal:
        if objective.against:
            rows = [
                tuple(w - float(k == rival) for k, w in enumerate(objective.weights))
                for rival in objective.against
            ]
        else:
            rows = [objective.weights]
        scores = tuple(self.program.score(row) for row in rows)
        threshold = -objective.constant * ensemble.divisor
        slack = ensemble.divisor * (ensemble.slack + objective.slack)
        slack += max(score.rounding for score in scores)
        if objective.constant:
            slack += 4 * math.ulp(threshold)
        return TreeGoal(objective, scores, threshold, slack)

    def _bounds(
        self, fixed: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Bound how far each objective goes beyond zero, ``(sets, objectives)`` each."""
        upper = self._bound.upper(fixed)
        if len(self._first) < upper.shape[1]:
            # An objective of several scores reaches as far as the lowest of them.
            upper = np.minimum.reduceat(upper, self._first, axis=1)
        excess = upper - self._thresholds
        return excess, excess >= self._floors

    def _grown(self, free: FeatureSet, excess: npt.NDArray[np.float64]) -> Entailed:
        """Free more features while the bound suffices, so that the core is small.

        All single features are valued at once, then all prefixes of their order.  A
        second round hardly ever finds more.
        """
        fixed = feature_matrix(self.problem.space, [free])[:, 0]
        closed = np.array(sorted(self.relevant - free), dtype=np.intp)
        if len(closed):
            single, possible = self._bounds(_without_each(fixed, closed))
            good = np.flatnonzero(~possible.any(axis=1))
            order = closed[good[np.argsort(single[good].max(axis=1), kind="stable")]]
            if len(order):
                bounds, possible = self._bounds(_without_prefixes(fixed, order))
                longest = int(np.flatnonzero(~possible.any(axis=1))[-1])
                free, excess = free | frozenset(order[: longest + 1].tolist()), bounds[longest]
        return self._entailed(free, excess)

    def _entailed(self, free: FeatureSet, excess: npt.NDArray[np.float64]) -> Entailed:
        worst = float(excess.max(initial=-math.inf))
        margin = None if math.isinf(worst) else max(0.0, -worst) / self._divisor
        return Entailed(self.relevant - free, margin)

    def _search(
        self,
        free: FeatureSet,
        excess: npt.NDArray[np.float64],
        possible: npt.NDArray[np.bool_],
        meter: Meter,
    ) -> Answer:
        """Search the objectives that the bound left open, the most promising first.

        With nothing free that matters no other leaf is reachable, whatever the slack.
        """
        for j in np.argsort(-excess) if free else ():
            if not possible[j]:
                continue
            answer = self._search_goal(self._goals[j], free, meter)
            if answer is not None:
                return answer
        return self._entailed(free, np.where(possible, 0.0, excess))

    def _search_goal(self, goal: TreeGoal, free: FeatureSet, meter: Meter) -> Answer | None:
        """Search one objective; `None` means that it is out of reach."""
        if not any(len(score.trees) for score in goal.scores):
            return None  # these sums never vary, so neither does what follows from them
        search = self._start(goal, free, goal.cut, meter)
        seen, dive = 0, True
        while True:
            reason = self._run(search, meter, seen)
            found = int(search.num_solutions())
            for number in range(seen, found):
                solution = search.get_solution(number)
                witness = self._witness(goal, solution, free)
                if witness is not None:
                    return witness
            if reason is not None:
                return Unknown(reason)
            if dive and found:
                # A dive is over with its first solution, see `TreeProgram.config`.
                dive, found = False, 0
                search = self._start(goal, free, goal.cut, meter, dive=False)
            elif not search.num_open():
                return None
            seen = found
            if seen > _MOST_CLOSE_CALLS:
                return Unknown(
                    UnknownReason.PRECISION,
                    f"more than {_MOST_CLOSE_CALLS} leaf boxes lie within the rounding slack",
                )

    def _start(
        self, goal: TreeGoal, free: FeatureSet, cut: float, meter: Meter, *, dive: bool = True
    ) -> veritas.Search:
        """Set up a search for one objective beyond `cut`, where zero is the threshold."""
        contest = bool(goal.objective.against)
        trees = self._trees_of(goal, free)
        config = self.program.config(cut, contest, meter.budget.memory, dive)
        box, features = list(self._fixed), self.problem.space.features
        for feature in free:
            for column in features[feature].columns:
                box[column] = self._free[column]
        return config.get_search(trees, box[: trees.get_maximum_feat_id() + 1])

    def _trees_of(self, goal: TreeGoal, free: FeatureSet) -> veritas.AddTree:
        """Return the trees to search for an objective."""
        objective = goal.objective
        if objective.against:
            return self.program.contest(objective.weights.index(1.0))
        return self.program.weighted_sum(objective.weights, goal.threshold)

    def _run(self, search: veritas.Search, meter: Meter, seen: int) -> UnknownReason | None:
        """Step until a new solution or the end; return why it stopped early, if it did."""
        while True:
            reason = meter.exhausted()
            if reason is not None:
                return reason
            stopped = search.step_for(min(meter.remaining, _LOOK_SECONDS), _LOOK_STEPS)
            if stopped == veritas.StopReason.OUT_OF_MEMORY:
                return UnknownReason.MEMORY
            if stopped not in _PAUSES or search.num_solutions() > seen:
                return None

    def _witness(
        self, goal: TreeGoal, solution: veritas.Solution, free: FeatureSet
    ) -> Counterexample | None:
        """Turn a leaf box into a point; `None` if the model that runs disagrees there."""
        features, box = self.problem.space.features, solution.box()
        cells = self._cells.copy()
        moved: list[int] = []
        for feature in sorted(free):
            before = len(moved)
            for column in features[feature].columns:
                interval = box.get(column)
                if interval is None or interval.lo <= self._at[column] < interval.hi:
                    continue
                nearest = interval.lo if self._at[column] < interval.lo else interval.hi - 1
                cells[column] = int(nearest)
                if len(moved) == before:
                    moved.append(feature)
        sure = goal.surely_beyond(float(solution.output))
        if sure and len(moved) > 1 and self.focus is not Kind.AXP:
            moved = self._reverter.shrink(cells, moved, goal.scores, goal.sure)
        columns = [c for feature in moved for c in features[feature].columns]
        point = self.program.boxes.enter(
            self.problem.instance, self._cells, cells, columns, self._limits
        )
        if not sure and not bool(self.problem.changed(point[None])[0]):
            return None
        return Counterexample(point, frozenset(moved), self._outcome())

    def _outcome(self) -> float:
        """Return the outcome as far as it is known; the replay of answers settles it."""
        rule, kept = self.program.boxes.ensemble.rule, self.problem.prediction
        if rule in (DecisionRule.POSITIVE, DecisionRule.NONNEGATIVE):
            return kept if isinstance(self.problem.question, KeepMargin) else 1 - kept
        if isinstance(self.problem.question, ReachClass):
            return float(self.problem.question.target)
        return math.nan


def _without_each(
    fixed: npt.NDArray[np.float32], features: npt.NDArray[np.intp]
) -> npt.NDArray[np.float32]:
    """Free each feature alone, shape ``(features of the space, features)``."""
    matrix = np.repeat(fixed[:, None], len(features), axis=1)
    matrix[features, np.arange(len(features))] = 0.0
    return matrix


def _without_prefixes(
    fixed: npt.NDArray[np.float32], features: npt.NDArray[np.intp]
) -> npt.NDArray[np.float32]:
    """Free the first, the first two, ... features, shape as in `_without_each`."""
    matrix = np.repeat(fixed[:, None], len(features), axis=1)
    matrix[features] = np.tri(len(features), k=-1, dtype=np.float32)
    return matrix

"""One decision tree: every question about it answered by its leaves.

A leaf can be reached from the instance exactly if the features whose tests the instance
violates on the way are all free.  So the contrastive explanations of a tree are the minimal
ones among at most as many sets as it has leaves: all of them in polynomial time (Huang,
Izza, Ignatiev, Marques-Silva, On Efficiently Explaining Graph-Based Classifiers, KR 2021).

Ours differs in two things.  Leaves are boxes of cells, so that a column that is tested
again and again, categories and missing values are no special cases.  And which leaves change
the decision is asked of the model that runs, at one point of each: nothing rests on our own
sums, and every kind of question is answered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.encodings.trees.ensemble import TreeEnsemble
from whyproof.encodings.trees.objective import Objective, objectives
from whyproof.encodings.trees.reach import Reach, within_region
from whyproof.engine.answers import Answer, Counterexample, Entailed
from whyproof.engine.budget import Meter
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet, Points

__all__ = ["SingleTreeOracle", "minimal_rows"]

Flags = npt.NDArray[np.bool_]


class SingleTreeOracle:
    """Decides free sets of one problem about a single tree, and knows all its CXps.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `TreeEnsemble` of one tree.
    boxes
        The tree in cells, to share between instances; made here if not given.

    Attributes
    ----------
    focus
        Which kind of explanation the evidence is for; cores are made small unless a CXp.
    relevant
        Features that the tree tests.

    Raises
    ------
    UnsupportedError
        If there are more trees, or the region is not a box.
    """

    def __init__(self, problem: ExplanationProblem, boxes: LeafBoxes | None = None) -> None:
        tree = problem.classifier.structure
        if not isinstance(tree, TreeEnsemble) or len(tree.trees) != 1:
            raise UnsupportedError("this oracle needs a model that is one decision tree")
        if not problem.region.is_box:
            raise UnsupportedError(
                f"decision trees are explained in boxes and linf balls, not "
                f"{problem.region.norm} balls"
            )
        self.problem = problem
        self.focus: Kind | None = None
        reach = within_region(boxes or LeafBoxes.of(tree, problem.space), problem)
        self._boxes = reach.boxes
        reachable, violated = _leaves(problem, reach)
        self._violated = violated
        owner = problem.space.owner
        self.relevant: FeatureSet = problem.universe & frozenset(
            owner[[c for c in tree.trees[0].column.tolist() if c >= 0]].tolist()
        )
        self._rows = np.flatnonzero(reachable)
        points = _points(problem, reach, self._rows)
        changes = problem.changed(points) if len(points) else np.zeros(0, dtype=np.bool_)
        kept = minimal_rows(violated[self._rows[changes]])
        self._masks = violated[self._rows[changes]][kept]
        self._targets = points[changes][kept]

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return "leaves"

    @property
    def lanes(self) -> int:
        """How many sets are decided at about the price of one."""
        return 64

    @property
    def contrastive(self) -> tuple[FeatureSet, ...]:
        """All contrastive explanations, smallest first."""
        return tuple(frozenset(np.flatnonzero(row).tolist()) for row in self._masks)

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set."""
        return [self._decide(free & self.problem.universe) for free in free_sets]

    def least(self, kind: Kind, allowed: FeatureSet) -> tuple[FeatureSet, int] | None:
        """Return a smallest contrastive explanation among the `allowed` features.

        `None` for abductive ones, which are hitting sets, and where there is none.
        """
        if kind is Kind.AXP:
            return None
        for found in self.contrastive:
            if found <= allowed:
                return found, len(found)
        return None

    def guaranteed_margin(self, free: FeatureSet, meter: Meter) -> float | None:
        """Return the smallest lead of the decision while only `free` may move.

        `None` if it is not above zero, or the question has no scores.
        """
        fixed = np.ones(self.problem.space.n_features, dtype=np.bool_)
        fixed[list(free)] = False
        within = ~(self._violated[self._rows] & fixed).any(axis=1)
        lead = float(self._leads[within].min(initial=math.inf))
        return lead + 0.0 if 0 <= lead < math.inf else None

    def _decide(self, free: FeatureSet) -> Answer:
        fixed = np.ones(self.problem.space.n_features, dtype=np.bool_)
        fixed[list(free)] = False
        blocked = self._masks & fixed
        open_rows = np.flatnonzero(~blocked.any(axis=1))
        if len(open_rows):
            row = int(open_rows[0])  # rows are sorted: the fewest moves
            moved = frozenset(np.flatnonzero(self._masks[row]).tolist())
            return Counterexample(self._targets[row].copy(), moved, math.nan)
        if self.focus is Kind.CXP:
            return Entailed(frozenset(np.flatnonzero(blocked.any(axis=0)).tolist()))
        return Entailed(frozenset(_hitting(blocked)))

    @cached_property
    def _leads(self) -> npt.NDArray[np.float64]:
        """Lead of the decision at each reachable leaf."""
        tree, problem = self.problem.classifier.structure, self.problem
        if not isinstance(tree, TreeEnsemble):
            return np.zeros(0)
        sums = self._boxes.values[self._rows] / tree.divisor + tree.base
        goals = objectives(tree, problem.question, problem.prediction)
        beyond = [_values(goal, sums) for goal in goals]
        return -np.max(beyond, axis=0) if beyond else np.full(len(sums), math.inf)


def minimal_rows(masks: Flags) -> npt.NDArray[np.intp]:
    """Return the rows that contain no other row, one of equal ones, smallest first.

    Parameters
    ----------
    masks
        Sets as flags, shape ``(sets, features)``.

    Examples
    --------
    >>> minimal_rows(np.array([[1, 1, 0], [0, 1, 0], [0, 1, 0], [1, 0, 1]], dtype=bool)).tolist()
    [1, 3]
    """
    order = np.argsort(masks.sum(axis=1), kind="stable")
    kept: list[int] = []
    for row in order.tolist():
        if kept:
            inside = ~(masks[kept] & ~masks[row]).any(axis=1)
            if bool(inside.any()):
                continue
        kept.append(row)
    return np.array(kept, dtype=np.intp)


def _leaves(problem: ExplanationProblem, reach: Reach) -> tuple[Flags, Flags]:
    """Return which leaves the region leaves, and the features each needs to be free."""
    boxes, space = reach.boxes, problem.space
    outside = (reach.cells < boxes.lower) | (reach.cells >= boxes.upper)
    left = np.maximum(boxes.lower, reach.lower) < np.minimum(boxes.upper, reach.upper)
    reachable = (left | ~outside).all(axis=1)
    violated = np.zeros((boxes.n_leaves, space.n_features), dtype=np.bool_)
    for column, feature in enumerate(space.owner.tolist()):
        violated[:, feature] |= outside[:, column]
    immutable = [f for f, feature in enumerate(space.features) if feature.immutable]
    pinned = np.asarray(violated[:, immutable].any(axis=1), dtype=np.bool_)
    return np.asarray(reachable & ~pinned, dtype=np.bool_), violated


def _points(problem: ExplanationProblem, reach: Reach, rows: npt.NDArray[np.intp]) -> Points:
    """Return a point in each of some leaves, as near to the instance as cells allow."""
    boxes = reach.boxes
    points = np.empty((len(rows), problem.space.n_columns))
    for i, row in enumerate(rows.tolist()):
        low = np.maximum(boxes.lower[row], reach.lower)
        high = np.minimum(boxes.upper[row], reach.upper)
        inside = (boxes.lower[row] <= reach.cells) & (reach.cells < boxes.upper[row])
        target = np.where(inside, reach.cells, np.clip(reach.cells, low, high - 1))
        moved = np.flatnonzero(~inside).tolist()
        points[i] = boxes.enter(
            problem.instance, reach.cells, target.astype(np.int32), moved, problem.limits
        )
    return points


def _values(goal: Objective, sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    value = sums @ np.array(goal.weights) + goal.constant
    if goal.against:
        value = value - sums[:, list(goal.against)].max(axis=1)
    return np.asarray(value)


def _hitting(rows: Flags) -> list[int]:
    """Return features, none of them dispensable, of which every row has one."""
    chosen: list[int] = []
    open_rows = np.ones(len(rows), dtype=np.bool_)
    while bool(open_rows.any()):
        best = int(rows[open_rows].sum(axis=0).argmax())
        chosen.append(best)
        open_rows &= ~rows[:, best]
    for feature in chosen[:-1]:
        others = [f for f in chosen if f != feature]
        if bool(rows[:, others].any(axis=1).all()):
            chosen = others
    return chosen

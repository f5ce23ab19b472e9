"""Tree ensembles under constraints, exactly: what constraints exclude is learnt as boxes.

The search for leaf boxes knows nothing of constraints.  A leaf box that it finds, in which
the decision changes, is handed to the background solver: it holds an admissible point, which
is the witness, or it clashes with the constraints, and the sides that clash span a larger
box without any.  Such a box becomes a further tree of the ensemble, with one leaf of minus
"far too much" inside and zero outside, and the search goes on where no box has been excluded.
There are finitely many boxes of cells, so this ends, with constraints of any kind.

Boxes that clash because of fixed features serve all later questions in which these are
fixed: cores of constraints are reused as in satisfiability modulo theories.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import veritas

from whyproof.encodings.constraints.background import Background, Clash, Found
from whyproof.encodings.constraints.boxes import free_box
from whyproof.encodings.constraints.oracle import witness
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet, Point

from .oracle import TreeGoal, TreeOracle
from .program import TreeProgram
from .refined import Excluded, Refiner

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["ConstrainedTreeOracle"]

_MOST_BOXES = 20_000


class ConstrainedTreeOracle(TreeOracle):
    """Decides free sets of a tree ensemble under the constraints of its space.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `TreeEnsemble`.
    program
        The compiled ensemble, to share between instances; made here if not given.
    background
        Solver of the constraints; made here if not given.

    Raises
    ------
    UnsupportedError
        If the region is not a box, or the question does not fit.
    """

    def __init__(
        self,
        problem: ExplanationProblem,
        program: TreeProgram | None = None,
        background: Background | None = None,
    ) -> None:
        super().__init__(problem, program)
        self._refiner = Refiner(problem, self.program.boxes, background)
        self.background = self._refiner.background
        self._in_trees = self.relevant
        self.relevant = self.relevant | self._refiner.bound
        self._excluded: dict[Excluded, None] = {}
        self._grown_trees: dict[object, tuple[veritas.AddTree, tuple[Excluded, ...]]] = {}
        self._meter = Meter()
        self._used: set[int] = set()
        self._doubt: Unknown | None = None

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return "tree search under constraints"

    def _entailed(self, free: FeatureSet, excess: npt.NDArray[np.float64]) -> Entailed:
        """Name what the trees need; `_search` adds what constraints need."""
        return replace(super()._entailed(free, excess), core=self._in_trees - free)

    def _search(
        self,
        free: FeatureSet,
        excess: npt.NDArray[np.float64],
        possible: npt.NDArray[np.bool_],
        meter: Meter,
    ) -> Answer:
        self._meter, self._doubt = meter, None
        self._used.clear()
        answer = super()._search(free, excess, possible, meter)
        if not isinstance(answer, Entailed):
            return answer
        if self._doubt is not None:
            return self._doubt
        if not self._used:
            return answer
        names = tuple(self.background.constraints[i].name for i in sorted(self._used))
        return replace(answer, core=self.relevant - free, constraints=names)

    def _search_goal(self, goal: TreeGoal, free: FeatureSet, meter: Meter) -> Answer | None:
        """Search one objective; start again without each leaf box that turned out empty.

        A search is not stepped on behind its first solution, see `TreeProgram.config`.
        """
        if not any(len(score.trees) for score in goal.scores):
            return None
        plain = goal
        for _ in range(_MOST_BOXES):
            goal = replace(plain, slack=plain.slack + self._blur())
            search = self._start(goal, free, goal.cut, meter)
            reason = self._run(search, meter, 0)
            if search.num_solutions():
                known, solution = len(self._excluded), search.get_solution(0)
                shown = self._witness(goal, solution, free)
                if shown is not None:
                    return shown
                if len(self._excluded) == known:
                    self._exclude_leaf_box(solution)
            if reason is not None:
                return Unknown(reason)
            if not search.num_solutions() and not search.num_open():
                return None
        return Unknown(
            UnknownReason.PRECISION,
            f"more than {_MOST_BOXES} leaf boxes hold no admissible point",
        )

    def _exclude_leaf_box(self, solution: veritas.Solution) -> None:
        """Exclude a leaf box in which the model that runs keeps its decision."""
        sides = sorted((c, int(i.lo), int(i.hi)) for c, i in solution.box().items())
        n_cells = self.program.boxes.n_cells
        kept = tuple(
            (c, max(low, 0), min(high, int(n_cells[c])))
            for c, low, high in sides
            if low > 0 or high < int(n_cells[c])
        )
        self._excluded[Excluded(frozenset(), kept, frozenset())] = None

    def _witness(
        self, goal: TreeGoal, solution: veritas.Solution, free: FeatureSet
    ) -> Counterexample | None:
        """Return an admissible point of a leaf box, or learn why it holds none."""
        shown = super()._witness(goal, solution, free)
        if shown is None:
            return None
        point = shown.point[None]
        if all(bool(constraint.holds(point)[0]) for constraint in self.problem.constraints):
            return shown
        if self.focus is not Kind.AXP:
            few = free_box(self.problem, shown.moved, self.background.columns)
            sparse = self.background.solve(few, shown.point, self._meter, shrink=False)
            if isinstance(sparse, Found):
                found = witness(self.problem, sparse.put(shown.point), free)
                if found is not None:
                    return found
        near = self._inside(solution, free)
        box = {c: (int(i.lo), int(i.hi)) for c, i in solution.box().items()}
        values = {c: self._refiner.values(c, box.get(c), free) for c in self.background.columns}
        answer = self.background.solve(values, near, self._meter)
        if isinstance(answer, Clash):
            self._learn(answer, box, free)
            return None
        if isinstance(answer, Found):
            found = witness(self.problem, answer.put(near), free)
            if found is not None:
                return found
            answer = Unknown(UnknownReason.PRECISION, "an admissible leaf box has no usable point")
        self._doubt = answer
        return None

    def _inside(self, solution: veritas.Solution, free: FeatureSet) -> Point:
        """Return the point of a leaf box that is nearest to the instance."""
        cells, moved = self._cells.copy(), list[int]()
        for column, interval in solution.box().items():
            at = self._at[column]
            if int(self.problem.space.owner[column]) not in free or interval.lo <= at < interval.hi:
                continue
            cells[column] = interval.lo if at < interval.lo else interval.hi - 1
            moved.append(column)
        return self.program.boxes.enter(
            self.problem.instance, self._cells, cells, moved, self._limits
        )

    def _learn(self, clash: Clash, box: dict[int, tuple[int, int]], free: FeatureSet) -> None:
        """Exclude the box that the clashing sides span."""
        self._used |= clash.constraints
        self._excluded[self._refiner.excluded(clash, box, free)] = None

    def _trees_of(self, goal: TreeGoal, free: FeatureSet) -> veritas.AddTree:
        """Return the trees of an objective and one for each excluded box that applies."""
        trees = super()._trees_of(goal, free)
        boxes = [box for box in self._excluded if not box.fixed & free]
        if not boxes:
            return trees
        for box in boxes:
            self._used |= box.constraints
        key = (goal.objective, goal.threshold)
        grown, done = self._grown_trees.get(key, (None, ()))
        # Boxes are only added, so that trees grown for an earlier search mostly go on.
        if grown is None or done != tuple(boxes[: len(done)]):
            grown, done = trees.copy(), ()
        for box in boxes[len(done) :]:
            self._exclude(grown, box)
        self._grown_trees[key] = grown, tuple(boxes)
        return grown

    @cached_property
    def _worthless(self) -> float:
        """A leaf value that no sum of other leaves makes up for."""
        values = self.program.boxes.values
        total = float(np.abs(values).max(initial=0.0)) * len(self.program.boxes.trees)
        return -(2.0 ** (math.ceil(math.log2(total + 1.0)) + 2))

    def _blur(self) -> float:
        """Bound what the values of excluded boxes add to the rounding of sums."""
        count, size = len(self._excluded), -self._worthless * (len(self._excluded) + 1)
        scaled = self.program.boxes.values * 2.0**20
        if not count or (bool((scaled == np.round(scaled)).all()) and size * 2.0**20 < 2.0**53):
            return 0.0  # as in `TreeProgram`: sums of such numbers are exact
        return 8 * (len(self.program.boxes.trees) + count + 2) * size * 2.0**-52

    def _exclude(self, trees: veritas.AddTree, box: Excluded) -> None:
        """Add a tree that makes an excluded box worthless."""
        tree = trees.add_tree()
        node = tree.root()
        for column, low, high in box.sides:
            if low > 0:
                tree.split(node, column, low)
                node = tree.right(node)
            if high < int(self.program.boxes.n_cells[column]):
                tree.split(node, column, high)
                node = tree.left(node)
        tree.set_leaf_value(node, 0, self._worthless)

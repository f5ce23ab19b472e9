"""Box proofs: why no point of a region changes the decision, as a tree of splits.

A proof cuts the free columns into boxes until, in each box, the best reachable leaf of
every tree together cannot change the decision.  A checker needs no search: it follows the
splits, adds numbers and compares.  Every split is a test of one column, so that the two
halves always cover the box that was cut, whatever the numbers in the test.

The search is run after the fast oracle has answered (so that it is known to succeed) and
is a plain depth-first branch and bound: the bound is the vectorised interval bound, and a
split is chosen among the edges of the leaves that make the bound, by the product of how
far it lowers the bound on both sides (strong branching: Achterberg, Koch, Martin,
Branching Rules Revisited, Operations Research Letters 2005).  Chen et al. (Robustness
Verification of Tree-based Models, NeurIPS 2019) refine the same interval bound by merging
trees; that bounds more tightly, but leaves nothing that is as easily checked.

Under constraints a box also ends where it lies inside a larger one that holds no admissible
point.  The background solver is asked about each box whose sums do not settle it; what it
refutes is proved once, as cases (`constraints.refutation`), for all boxes that the clashing
sides exclude.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from whyproof.encodings.constraints.refutation import Refutation
from whyproof.engine.answers import Unknown, UnknownReason
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .box_clashes import BoxClashes
from .boxes import Cells, LeafBoxes
from .ensemble import TreeEnsemble
from .objective import Objective, objectives
from .program import WeightedScore
from .reach import within_region

if TYPE_CHECKING:
    from whyproof.engine.budget import Meter

    from .cells import ColumnCells

__all__ = ["MAX_BOXES", "REPLAYED", "SETTLED", "BoxProof", "BoxProver", "Split"]

MAX_BOXES = 100_000
"""Largest proof that is looked for unless another limit is given."""

SETTLED, REPLAYED = "settled", "replayed"
"""How a box ends: by its sums; or, where they lie within the rounding slack, by running the
model once, which answers the same all over the box because all its points share leaves."""

_MOST_CANDIDATES = 48


@dataclass(frozen=True, slots=True)
class Split:
    """A test that cuts a box in two; what passes comes first.

    Parameters
    ----------
    column
        Which column.
    below
        Passes what is less than this.
    codes
        Passes these codes, in place of `below`; `None` for a numeric test.
    missing
        Whether the missing value passes.
    """

    column: int
    below: float = math.nan
    codes: tuple[int, ...] | None = None
    missing: bool = False

    def as_json(self) -> list[object]:
        """Return ``[column, below]`` or ``[column, [codes]]``, and true if missing passes."""
        test: object = list(self.codes) if self.codes is not None else self.below
        if isinstance(test, float) and math.isinf(test):
            test = "inf" if test > 0 else "-inf"
        return [self.column, test, True] if self.missing else [self.column, test]


Step: TypeAlias = Split | str | int
"""A split, or how a box ends; a number says which clash of constraints excludes it."""


@dataclass(frozen=True, slots=True)
class BoxProof:
    """A proof in preorder: each split is followed by the proof of its first half."""

    steps: tuple[Step, ...]
    clashes: tuple[Refutation, ...] = ()

    @property
    def kind(self) -> str:
        """Which checker reads it."""
        return "boxes"

    @property
    def n_boxes(self) -> int:
        """Number of boxes that the region was cut into."""
        return sum(not isinstance(step, Split) for step in self.steps)

    def as_json(self) -> dict[str, object]:
        """Return ``{"type": "boxes", "steps": [...]}``; a settled box is ``0``, a replayed 1."""
        ends = {SETTLED: 0, REPLAYED: 1}
        steps: list[object] = []
        for step in self.steps:
            match step:
                case Split():
                    steps.append(step.as_json())
                case str():
                    steps.append(ends[step])
                case _:
                    steps.append(["clash", step])
        return {"type": "boxes", "steps": steps}


@dataclass(frozen=True, slots=True)
class _Goal:
    """An objective: out of reach when *one* of these scores stays below its cut."""

    scores: range
    cuts: npt.NDArray[np.float64]


class BoxProver:
    """Finds box proofs for one explanation problem about a tree ensemble.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `TreeEnsemble`.
    boxes
        The ensemble in cells, to share between instances; made here if not given.

    Raises
    ------
    UnsupportedError
        For regions that are not boxes, and constraints of another kind than `Constraint`.
    """

    def __init__(self, problem: ExplanationProblem, boxes: LeafBoxes | None = None) -> None:
        ensemble = problem.classifier.structure
        if not isinstance(ensemble, TreeEnsemble):
            raise UnsupportedError("box proofs are for tree ensembles")
        if not problem.region.is_box:
            raise UnsupportedError(f"box proofs know no {problem.region.norm} balls")
        reach = within_region(boxes or LeafBoxes.of(ensemble, problem.space), problem)
        self.problem, self.boxes = problem, reach.boxes
        self._cells, self._lower, self._upper = reach.cells, reach.lower, reach.upper
        scores: list[WeightedScore] = []
        self._goals: list[_Goal] = []
        for objective in objectives(ensemble, problem.question, problem.prediction):
            first = len(scores)
            cuts: list[float] = []
            for weights, at_zero in _rows(objective):
                score = WeightedScore.of(self.boxes, weights)
                scores.append(score)
                cuts.append(_cut(ensemble, objective, score, at_zero))
            self._goals.append(_Goal(range(first, len(scores)), np.array(cuts)))
        self._gains = np.zeros((self.boxes.n_leaves, len(scores)))
        for j, score in enumerate(scores):
            self._gains[:, j] = self.boxes.values @ np.array(score.weights)
        self._base = np.array([score.base for score in scores])
        self._knowledge = BoxClashes(problem, self.boxes) if problem.space.constraints else None

    def prove(
        self, free: FeatureSet, meter: Meter, max_boxes: int = MAX_BOXES
    ) -> BoxProof | Unknown:
        """Prove that nothing changes the decision while only `free` may move.

        Parameters
        ----------
        free
            Features that may move.
        meter
            Budget of the run.
        max_boxes
            Give up beyond this size.

        Returns
        -------
        BoxProof or Unknown
            Why there is none: time, or memory when it would be too large, or precision
            when a box within the rounding slack does change the decision.
        """
        space = self.problem.space
        columns = [c for f in free & self.problem.universe for c in space.features[f].columns]
        lower, upper = self._cells.copy(), self._cells + 1
        lower[columns], upper[columns] = self._lower[columns], self._upper[columns]
        inside = (self.boxes.lower < upper) & (self.boxes.upper > lower)
        rows = np.flatnonzero(inside.all(axis=1))
        home = np.flatnonzero(
            ((self.boxes.lower <= self._cells) & (self._cells < self.boxes.upper)).all(axis=1)
        )
        steps: list[Step] = []
        ends = 0
        stack = [(rows, lower, upper)]
        clashes: dict[Refutation, int] = {}
        while stack:
            if meter.exhausted() is not None:
                return Unknown(UnknownReason.TIME, "the box proof was not finished")
            rows, lower, upper = stack.pop()
            starts = np.flatnonzero(np.diff(self.boxes.tree[rows], prepend=-1))
            hardest = self._hardest(rows, starts)
            if hardest is None or np.array_equal(rows, home):
                steps.append(SETTLED)
                ends += 1
            elif (clash := self._clash(lower, upper, columns, meter)) is not None:
                steps.append(clashes.setdefault(clash, len(clashes)))
                ends += 1
            elif len(starts) == len(rows):
                if not self._holds(lower, columns):
                    return Unknown(UnknownReason.PRECISION, "a box within the slack changes it")
                steps.append(REPLAYED)
                ends += 1
            else:
                column, cell = self._choose(rows, starts, hardest, lower, upper)
                steps.append(split_at(self.boxes.columns[column], column, cell))
                below, above = upper.copy(), lower.copy()
                below[column] = above[column] = cell
                right = rows[self.boxes.upper[rows, column] > cell]
                stack.append((right, above, upper))
                left = rows[self.boxes.lower[rows, column] < cell]
                stack.append((left, lower, below))
            if ends + len(stack) > max_boxes:
                return Unknown(UnknownReason.MEMORY, f"the proof needs more than {max_boxes} boxes")
        return BoxProof(tuple(steps), tuple(clashes))

    def _clash(
        self, lower: Cells, upper: Cells, columns: list[int], meter: Meter
    ) -> Refutation | None:
        """Return why a box holds no admissible point, if that is so."""
        if self._knowledge is None:
            return None
        return self._knowledge.clash(lower, upper, frozenset(columns), meter)

    def _hardest(
        self, rows: npt.NDArray[np.intp], starts: npt.NDArray[np.intp]
    ) -> tuple[int, float] | None:
        """Return the score to bring down, and by how much; `None` if nothing is in reach."""
        best = self._base.copy()
        if len(rows):
            best += np.maximum.reduceat(self._gains[rows], starts, axis=0).sum(axis=0)
        hardest: tuple[int, float] | None = None
        for goal in self._goals:
            # Any one of a goal's scores suffices: take the one that is nearest.
            excess = best[goal.scores.start : goal.scores.stop] - goal.cuts
            if bool((excess < 0).any()):
                continue
            j = int(excess.argmin())
            if hardest is None or excess[j] > hardest[1]:
                hardest = (goal.scores[j], float(excess[j]))
        return hardest

    def _choose(
        self,
        rows: npt.NDArray[np.intp],
        starts: npt.NDArray[np.intp],
        hardest: tuple[int, float],
        lower: Cells,
        upper: Cells,
    ) -> tuple[int, int]:
        """Choose where to cut: an edge of a leaf that makes the bound of the hardest score."""
        score, excess = hardest
        gains = self._gains[rows, score]
        best = np.maximum.reduceat(gains, starts)
        sizes = np.diff(np.append(starts, len(rows)))
        making = gains >= np.repeat(best, sizes)
        several = np.repeat(sizes > 1, sizes)
        edges = _edges(self.boxes, rows[making & several], lower, upper)
        columns, cells = edges[:, 0], edges[:, 1]
        at_low, at_high = self.boxes.lower[rows][:, columns], self.boxes.upper[rows][:, columns]
        drops = []
        for reached in (at_low < cells, at_high > cells):
            kept = np.where(reached, gains[:, None], -np.inf)
            drops.append(best.sum() - np.maximum.reduceat(kept, starts, axis=0).sum(axis=0))
        # Beyond the excess nothing more is gained; a little keeps one-sided cuts apart.
        enough = max(excess, 1e-9) * 1.0001
        value = np.prod([np.minimum(drop, enough) + 1e-3 * enough for drop in drops], axis=0)
        chosen = int(value.argmax())
        return int(columns[chosen]), int(cells[chosen])

    def _holds(self, cells: Cells, columns: list[int]) -> bool:
        """Run the model at one point of a box in which it answers the same everywhere."""
        instance = self.problem.instance
        limits = self.problem.region.limits(self.problem.space, instance)
        target = self._cells.copy()
        target[columns] = cells[columns]
        point = self.boxes.enter(instance, self._cells, target, columns, limits)
        return not bool(self.problem.changed(point[None])[0])


def split_at(cells: ColumnCells, column: int, cell: int) -> Split:
    """Write the cut between cells ``.. cell - 1`` and ``cell ..`` as a test of values."""
    first, rest = cells.cells[:cell], cells.cells[cell:]
    missing = any(c.is_missing for c in first)
    if any(c.codes for c in cells.cells):
        codes = sorted(code for c in first for code in c.codes)
        return Split(column, codes=tuple(codes), missing=missing)
    if all(c.is_missing for c in first):
        return Split(column, -math.inf, missing=True)
    return Split(
        column, min((c.lower for c in rest if not c.is_missing), default=math.inf), None, missing
    )


def _rows(objective: Objective) -> list[tuple[tuple[float, ...], bool]]:
    """Return the scores that an objective compares, and whether zero changes the decision."""
    if not objective.against:
        return [(objective.weights, objective.at_zero is not False)]
    target = objective.weights.index(1.0)
    return [
        (tuple(w - float(k == rival) for k, w in enumerate(objective.weights)), target < rival)
        for rival in objective.against
    ]


def _cut(
    ensemble: TreeEnsemble, objective: Objective, score: WeightedScore, at_zero: bool
) -> float:
    """Return the score that a box has to stay below."""
    threshold = -objective.constant * ensemble.divisor
    slack = ensemble.divisor * (ensemble.slack + objective.slack)
    # A checker adds exactly; what rounding may hide here is given away twice.
    slack = slack * (1 + 1e-9) + 2 * score.rounding
    if objective.constant:
        slack += 8 * math.ulp(threshold)
    if slack == 0 and not at_zero:
        return math.nextafter(threshold, math.inf)
    return threshold - slack


def _edges(
    boxes: LeafBoxes, rows: npt.NDArray[np.intp], lower: Cells, upper: Cells
) -> npt.NDArray[np.intp]:
    """List where leaves end inside a box, the most frequent first, shape ``(edges, 2)``."""
    found: list[npt.NDArray[np.integer]] = []
    for side in (boxes.lower[rows], boxes.upper[rows]):
        leaf, column = np.nonzero((side > lower) & (side < upper))
        found.append(np.column_stack([column, side[leaf, column]]))
    listed, counts = np.unique(np.concatenate(found), axis=0, return_counts=True)
    return np.asarray(listed[np.argsort(-counts, kind="stable")][:_MOST_CANDIDATES], dtype=np.intp)

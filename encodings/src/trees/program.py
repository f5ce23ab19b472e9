"""Weighted scores of an ensemble, compiled once for bounds and for best-first search.

A `WeightedScore` is ``sum over outputs of weight * score`` as a sum of one gain per
tree.  Trees that give every leaf the same gain are folded into a constant, so that the
difference of two classes of a boosted model involves only those classes' trees.
`TreeProgram` keeps what depends on the model and the space alone and is shared by all
instances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import veritas

from whyproof.engine.question import Question

from .boxes import BoxTree, LeafBoxes

__all__ = ["TreeProgram", "WeighedSide", "WeightedScore"]


_DIVE = 0.1
"""Relaxation of the best-first order: states within this share of the best bound compete by
depth.  Any solution beyond the cut will do, so diving deep beats following the best bound:
from seconds to a fraction of a millisecond when most features are free."""


@dataclass(frozen=True, eq=False)
class WeightedScore:
    """One weighted sum of scores, times the ensemble's divisor.

    Parameters
    ----------
    weights
        Factor of each output, shape ``(outputs,)``.
    base
        Weighted base scores.
    rows
        Leaves of the trees that vary, ascending, shape ``(rows,)``.
    gains
        Their contributions, shape ``(rows,)``.
    owner
        Position among the varying trees of each row's tree, ascending, ``(rows,)``.
    trees
        Numbers of the trees to search: those that vary, and those that vary in one of
        the weighed outputs even if the weights cancel out, since what cancels in exact
        arithmetic still moves the rounding of the model that runs.
    constant
        Everything else: the other trees and the base scores.
    rounding
        Bound on the error of summing the gains in float64; zero if every sum is exact.
    """

    weights: tuple[float, ...]
    base: float
    rows: npt.NDArray[np.intp]
    gains: npt.NDArray[np.float64]
    owner: npt.NDArray[np.intp]
    trees: npt.NDArray[np.intp]
    constant: float
    rounding: float

    @classmethod
    def of(cls, boxes: LeafBoxes, weights: tuple[float, ...]) -> WeightedScore:
        """Weigh the outputs of an ensemble.

        Parameters
        ----------
        boxes
            The ensemble.
        weights
            Factor of each output, shape ``(outputs,)``.
        """
        gains = boxes.values @ np.array(weights)
        base = float(np.array(weights) @ boxes.ensemble.base) * boxes.ensemble.divisor
        n_trees = len(boxes.trees)
        if not n_trees:
            none = np.zeros(0, dtype=np.intp)
            rounding = _rounding(np.array([base]), abs(base))
            return cls(weights, base, none, np.zeros(0), none, none, base, rounding)
        low = np.minimum.reduceat(gains, boxes.starts)
        high = np.maximum.reduceat(gains, boxes.starts)
        varying = high > low
        rows = np.flatnonzero(varying[boxes.tree])
        owner = np.cumsum(varying)[boxes.tree[rows]] - 1
        constant = float(low[~varying].sum()) + base
        largest = np.append(np.maximum(np.abs(low), np.abs(high)), abs(base))
        rounding = _rounding(np.append(gains, base), float(largest.sum()))
        weighed = boxes.values[:, np.array(weights) != 0]
        least = np.minimum.reduceat(weighed, boxes.starts, axis=0)
        most = np.maximum.reduceat(weighed, boxes.starts, axis=0)
        trees = np.flatnonzero(varying | (most > least).any(axis=1))
        return cls(weights, base, rows, gains[rows], owner, trees, constant, rounding)


@dataclass(frozen=True, eq=False)
class WeighedSide:
    """Trees of one output each that some scores weigh up, or down.

    Parameters
    ----------
    rows
        Their leaves, ascending, shape ``(rows,)``.
    gains
        Leaf values, negated where they are weighed down, shape ``(rows,)``.
    owner
        Position of each row's tree among these trees, ascending, shape ``(rows,)``.
    weights
        Absolute weight of each tree in each score, shape ``(scores, trees)``.
    """

    rows: npt.NDArray[np.intp]
    gains: npt.NDArray[np.float64]
    owner: npt.NDArray[np.intp]
    weights: npt.NDArray[np.float64]


class TreeProgram:
    """An ensemble over a space, with its weighted scores compiled on demand.

    Parameters
    ----------
    boxes
        The ensemble in cell coordinates.

    Attributes
    ----------
    whole
        All cells of each column.
    goals
        What oracles have compiled for a question and an outcome.
    """

    def __init__(self, boxes: LeafBoxes) -> None:
        self.boxes = boxes
        self._scores: dict[tuple[float, ...], WeightedScore] = {}
        self._sums: dict[tuple[tuple[float, ...], float], veritas.AddTree] = {}
        self._sides: dict[tuple[tuple[float, ...], ...], tuple[WeighedSide, ...] | None] = {}
        self._contests: dict[int, veritas.AddTree] = {}
        self._configs: dict[tuple[float, bool, int | None, bool], veritas.Config] = {}
        self._units: list[veritas.Interval] = []
        self.whole = [veritas.Interval(0, n) for n in boxes.n_cells.tolist()]
        self.goals: dict[tuple[Question, float], object] = {}

    def score(self, weights: tuple[float, ...]) -> WeightedScore:
        """Return a weighted score."""
        if weights not in self._scores:
            self._scores[weights] = WeightedScore.of(self.boxes, weights)
        return self._scores[weights]

    def sides(self, scores: tuple[tuple[float, ...], ...]) -> tuple[WeighedSide, ...] | None:
        """Divide the trees by the sign of their weights in several scores.

        The best leaf of each tree then serves all scores.  `None` if a tree adds to
        several outputs.

        Parameters
        ----------
        scores
            Weights of each score.
        """
        if scores not in self._sides:
            outputs = self.boxes.outputs_of_trees
            self._sides[scores] = None if outputs is None else self._divide(outputs, scores)
        return self._sides[scores]

    def _divide(
        self, outputs: npt.NDArray[np.intp], scores: tuple[tuple[float, ...], ...]
    ) -> tuple[WeighedSide, ...]:
        boxes = self.boxes
        values = boxes.values[np.arange(boxes.n_leaves), outputs[boxes.tree]]
        weights = np.array(scores)[:, outputs]
        sides: list[WeighedSide] = []
        for sign in (1.0, -1.0):
            weighed = np.maximum(sign * weights, 0.0)
            trees = np.flatnonzero((weighed > 0).any(axis=0))
            if len(trees):
                rows = np.flatnonzero(np.isin(boxes.tree, trees))
                owner = np.searchsorted(trees, boxes.tree[rows])
                sides.append(WeighedSide(rows, sign * values[rows], owner, weighed[:, trees]))
        return tuple(sides)

    def weighted_sum(self, weights: tuple[float, ...], threshold: float = 0.0) -> veritas.AddTree:
        """Return a weighted score minus a threshold as trees for best-first search."""
        if (weights, threshold) not in self._sums:
            score = self.score(weights)
            # What cancels out is part of the constant already.
            gains = np.zeros(self.boxes.n_leaves)
            gains[score.rows] = score.gains
            listed = gains.tolist()
            ensemble = veritas.AddTree(1, veritas.AddTreeType.REGR)
            for number in score.trees.tolist():
                _copy(self.boxes.trees[number], ensemble.add_tree(), [listed])
            if score.constant != threshold:
                # Beyond zero is what counts: relaxed best-first order is relative to it.
                constant = ensemble.add_tree()
                constant.set_leaf_value(constant.root(), 0, score.constant - threshold)
            self._sums[weights, threshold] = ensemble
        return self._sums[weights, threshold]

    def contest(self, target: int) -> veritas.AddTree:
        """Return all trees with the target's output first, the rivals after it."""
        if target not in self._contests:
            k = self.boxes.ensemble.n_outputs
            order = [target, *(i for i in range(k) if i != target)]
            # Base scores differ between classes, so they ride on an extra constant tree.
            base = self.boxes.ensemble.base * self.boxes.ensemble.divisor
            outputs = [self.boxes.values[:, i].tolist() for i in order]
            ensemble = veritas.AddTree(k, veritas.AddTreeType.REGR)
            for tree in self.boxes.trees:
                _copy(tree, ensemble.add_tree(), outputs)
            constant = ensemble.add_tree()
            for position, i in enumerate(order):
                constant.set_leaf_value(constant.root(), position, float(base[i]))
            self._contests[target] = ensemble
        return self._contests[target]

    def config(
        self, cut: float, contest: bool, memory: int | None, dive: bool = True
    ) -> veritas.Config:
        """Return the settings of a search for scores beyond a cut.

        Parameters
        ----------
        cut
            Lower scores are ignored and any one found will do; minus infinity to look for
            the largest.
        contest
            Whether one output is to lead all others.
        memory
            Limit in bytes.
        dive
            Whether to prefer depth among states of nearly the best bound, with a cut.  The
            search loses states once such a dive has ended in a solution: it may only be
            stepped on to a second solution without.
        """
        key = (cut, contest, memory, dive)
        if key not in self._configs:
            kinds = veritas.HeuristicType
            config = veritas.Config(
                kinds.MULTI_MAX_MAX_OUTPUT_DIFF if contest else kinds.MAX_OUTPUT
            )
            config.focal_eps = 1.0
            if cut > -math.inf:
                config.ignore_state_when_worse_than = cut
                config.stop_when_optimal = False
                config.stop_when_num_new_solutions_exceeds = 1
                if dive:
                    config.focal_eps = _DIVE
            if memory is not None:
                config.max_memory = memory
            self._configs[key] = config
        return self._configs[key]

    def unit(self, cell: int) -> veritas.Interval:
        """Return the interval of one cell."""
        while len(self._units) <= cell:
            self._units.append(veritas.Interval(len(self._units), len(self._units) + 1))
        return self._units[cell]


def _copy(source: BoxTree, target: veritas.Tree, outputs: list[list[float]]) -> None:
    stack = [(0, target.root())]
    while stack:
        node, image = stack.pop()
        column = source.column[node]
        if column < 0:
            for position, gains in enumerate(outputs):
                target.set_leaf_value(image, position, gains[source.leaf[node]])
        else:
            target.split(image, column, source.threshold[node])
            stack.append((source.left[node], target.left(image)))
            stack.append((source.right[node], target.right(image)))


def _rounding(values: npt.NDArray[np.float64], total: float) -> float:
    """Bound the error of adding values of which at most `total` accumulates.

    Sums of multiples of a common power of two that stay below 2**53 of it are exact.
    """
    scaled = values * 2.0**20
    if bool((scaled == np.round(scaled)).all()) and total * 2.0**20 < 2.0**53:
        return 0.0
    return 4 * (len(values) + 2) * total * 2.0**-52

"""Goals: what a point has to fulfil, as rows over leaves of trees.

Several models, and forests that say how plausible a point is, become one ensemble whose
outputs stand side by side.  A *score row* asks that a weighted sum of its leaves is beyond
a bound; a *goal* is a list of alternatives, each a conjunction of rows.  That any other class
may be reached is one alternative per rival; that one class must beat all others is one row
per rival.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.boxes import Cells, LeafBoxes
from whyproof.encodings.trees.cells import widen
from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.encodings.trees.objective import objectives
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.question import Question

from .bodies import Body, added
from .posed import Affine, Posed

__all__ = ["Alternative", "ScoreRow", "alternatives", "combined", "floor_row", "side_by_side"]


@dataclass(frozen=True, eq=False)
class ScoreRow:
    """Leaves' gains that have to add up to more than a bound.

    Parameters
    ----------
    weights
        Factor of each output of the joint ensemble, shape ``(outputs,)``.
    gains
        ``boxes.values @ weights``, shape ``(leaves,)``.
    least
        The sum of gains is beyond it.
    at_zero
        Whether a sum equal to `least` will do; `None` if the model that runs decides.
    slack
        Sums this near to `least` are decided by the model that runs, if there is one.
    parts
        Models that are more than sums over leaves, with the position of their first output:
        what they compute is added, weighted like the leaves.
    """

    weights: npt.NDArray[np.float64]
    gains: npt.NDArray[np.float64]
    least: Fraction
    at_zero: bool | None
    slack: float
    parts: tuple[tuple[int, Body], ...] = ()

    @cached_property
    def grid(self) -> float | None:
        """Distance at least between two possible sums; `None` if it is tiny or not known.

        Gains that are multiples of one power of two add up to multiples of it, so that votes
        and halves are told apart without tolerance.
        """
        if any(body.grid is None for _, body in self.parts):
            return None
        quantum = 2.0 ** math.floor(math.log2(self.scale * _LEAST_GRID))
        finest = math.inf
        for k in range(_GRIDS):
            step = quantum * 2.0 ** (_GRIDS - k)
            whole = self.gains / step
            if bool((whole == np.round(whole)).all()):
                finest = step
                break
        finest = min([finest, *(body.grid or finest for _, body in self.parts)])
        on_grid = math.isfinite(finest) and (self.least / Fraction(finest)).denominator == 1
        return finest if on_grid and self.slack == 0 else None

    def sums(self, *, sure: bool) -> float:
        """Return the least sum to ask a solver for.

        Parameters
        ----------
        sure
            Whether to ask for sums that meet the row beyond doubt; else for all that may
            meet it.
        """
        least = float(self.least)
        if self.grid is not None:
            return least + (-0.5 if self.at_zero else 0.5) * self.grid
        doubt = self.slack + (_FINE if self.valued else _TOLERANCE) * self.scale
        return least + doubt if sure else least - doubt

    @property
    def scale(self) -> float:
        """Largest size of a gain, at least a little."""
        largest = float(np.abs(self.gains).max(initial=0.0))
        return max([largest, *(body.scale for _, body in self.parts)]) or 1.0

    @cached_property
    def valued(self) -> frozenset[int]:
        """Columns whose value matters, not only its cell."""
        return frozenset(c for _, body in self.parts for c in body.valued)

    @cached_property
    def slopes(self) -> npt.NDArray[np.float64] | None:
        """What the values of columns add, shape ``(columns,)``; `None` if that is not linear."""
        total: npt.NDArray[np.float64] | None = None
        for first, body in self.parts:
            if body.lines is None:
                return None
            own = body.lines @ self.weights[first : first + body.lines.shape[1]]
            total = own if total is None else total + own
        return total

    def posed(self, posed: Posed) -> Affine:
        """Return the sum as terms of a program and a constant."""
        used = np.flatnonzero(self.gains)
        leaves = zip((posed.n_orders + used).tolist(), self.gains[used].tolist(), strict=True)
        if not self.parts:
            return list(leaves), 0.0
        sums: list[tuple[float, Affine]] = [(1.0, (list(leaves), 0.0))]
        for first, body in self.parts:
            for k, output in enumerate(posed.outputs(body)):
                if self.weights[first + k]:
                    sums.append((float(self.weights[first + k]), output))
        return added(sums)

    def exact_lead(self, boxes: LeafBoxes, cells: Cells) -> Fraction:
        """Return the sum of gains at a point minus the bound, in exact arithmetic.

        Parameters
        ----------
        boxes
            The joint ensemble in cells.
        cells
            The point.
        """
        reached = ((boxes.lower <= cells) & (cells < boxes.upper)).all(axis=1)
        total = Fraction(0)
        for k in np.flatnonzero(self.weights).tolist():
            column = boxes.values[reached, k].tolist()
            part = sum((Fraction(value) for value in column if value), Fraction(0))
            total += Fraction(float(self.weights[k])) * part
        return total - self.least


_LEAST_GRID = 2.0**-14
_GRIDS = 16
_TOLERANCE = 2e-6
"""Solvers accept rows violated by 1e-6; rows are posed in units of their scale."""
_FINE = 2e-9
"""The same where values are variables: solvers are told to look closer."""

Alternative = tuple[ScoreRow, ...]
"""Score rows that have to hold together."""


def side_by_side(ensembles: Sequence[TreeEnsemble]) -> TreeEnsemble:
    """Put ensembles of the same columns side by side, as one with all their outputs.

    The joint ensemble has no base and decides nothing; it is there to be cut into cells.

    Raises
    ------
    DataError
        If they have different numbers of columns.
    """
    n_columns = ensembles[0].n_columns
    for ensemble in ensembles[1:]:
        if ensemble.n_columns != n_columns:
            raise DataError(
                f"the models have {n_columns} and {ensemble.n_columns} columns; to be met by one "
                "point they must have the same"
            )
    n_outputs = sum(ensemble.n_outputs for ensemble in ensembles)
    mixed = len({ensemble.input_type for ensemble in ensembles}) > 1
    trees: list[Tree] = []
    first = 0
    for ensemble in ensembles:
        for tree in ensemble.trees:
            values = np.zeros((tree.n_nodes, n_outputs))
            values[:, first : first + ensemble.n_outputs] = tree.values
            boundary = tree.boundary
            if mixed:
                boundary = np.array([widen(b, ensemble.input_type) for b in boundary.tolist()])
            trees.append(
                Tree(
                    tree.column,
                    boundary,
                    tree.left,
                    tree.right,
                    tree.missing_left,
                    values,
                    tree.categories,
                    tree.zero_missing,
                )
            )
        first += ensemble.n_outputs
    return TreeEnsemble(
        n_columns,
        tuple(trees),
        np.zeros(n_outputs),
        DecisionRule.ARGMAX,
        tuple(range(n_outputs)),
        input_type="float64" if mixed else ensembles[0].input_type,
    )


def alternatives(
    boxes: LeafBoxes,
    ensemble: TreeEnsemble,
    first: int,
    question: Question,
    prediction: float,
    body: Body | None = None,
) -> list[Alternative]:
    """Translate a question about one of the models.

    Parameters
    ----------
    boxes
        The joint ensemble in cells.
    ensemble, first
        The model, and the position of its outputs in the joint one.
    question, prediction
        What is asked, and the outcome of the instance.
    body
        What the model is besides its leaves.
    """
    parts = () if body is None else ((first, body),)
    found: list[Alternative] = []
    for objective in objectives(ensemble, question, prediction):
        if not objective.against:
            pairs = [(np.array(objective.weights), objective.at_zero)]
        else:
            target = objective.weights.index(1.0)
            pairs = []
            for rival in objective.against:
                weights = np.array(objective.weights)
                weights[rival] -= 1.0
                pairs.append((weights, target < rival))
        rows: list[ScoreRow] = []
        for weights, at_zero in pairs:
            pairs_of = zip(weights.tolist(), ensemble.base.tolist(), strict=True)
            base = sum((Fraction(w) * Fraction(b) for w, b in pairs_of), Fraction(0))
            constant = ensemble.divisor * (base + Fraction(objective.constant))
            slack = ensemble.divisor * (ensemble.slack + objective.slack)
            joint = np.zeros(boxes.values.shape[1])
            joint[first : first + ensemble.n_outputs] = weights
            rows.append(ScoreRow(joint, boxes.values @ joint, -constant, at_zero, slack, parts))
        found.append(tuple(rows))
    return found


def floor_row(boxes: LeafBoxes, ensemble: TreeEnsemble, first: int, least: float) -> ScoreRow:
    """Ask that an ensemble of one output is at least some value.

    Parameters
    ----------
    boxes
        The joint ensemble in cells.
    ensemble, first
        Whose score, and its position in the joint one.
    least
        In units of the score.
    """
    if ensemble.n_outputs != 1:
        raise UnsupportedError("a floor needs a score of one output")
    weights = np.zeros(boxes.values.shape[1])
    weights[first] = 1.0
    bound = ensemble.divisor * (Fraction(least) - Fraction(float(ensemble.base[0])))
    return ScoreRow(weights, boxes.values @ weights, bound, True, 0.0)


def combined(goals: Sequence[Sequence[Alternative]]) -> list[Alternative]:
    """Return the alternatives that meet several goals at once: one of each.

    Examples
    --------
    >>> len(combined([[(), ()], [()]]))
    2
    """
    count = math.prod(len(goal) for goal in goals)
    if count > _MOST:
        raise UnsupportedError(
            f"the goals have {count} combinations of rivals; name the class to reach"
        )
    return [tuple(itertools.chain.from_iterable(choice)) for choice in itertools.product(*goals)]


_MOST = 4096

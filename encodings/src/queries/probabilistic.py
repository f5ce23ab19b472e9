"""Probabilistic explanations of trees: enough features for the decision to be likely.

A set of features is a weak probabilistic AXp for a threshold if a random row that agrees
with the instance on them gets the decision with at least this probability (Waeldchen,
Macdonald, Hauch, Kutyniok, JAIR 2021; Izza, Huang, Ignatiev, Narodytska, Cooper, Marques-Silva,
On Computing Probabilistic Abductive Explanations, IJAR 2023).  The probability is counted
exactly: columns are independent, each cell of a column has a weight, and boxes of cells are
split at the leaves of one tree after the other.  One tree takes one pass over its leaves; of
an ensemble the probability is bounded from both sides when the budget ends.

The property is not monotone, so that deletion ends in a set from which no single feature can
be left out: locally minimal, which is what the name says.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.encodings.trees.ensemble import TreeEnsemble
from whyproof.encodings.trees.reach import within_region
from whyproof.engine.budget import Meter
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet, Points

__all__ = ["Probabilistic", "TreeProbability", "probabilistic_axp"]

_MOST_BOXES = 200_000


@dataclass(frozen=True, slots=True)
class Probabilistic:
    """A set of features, and how likely the decision is while they are fixed.

    Parameters
    ----------
    members
        Feature indices.
    least, most
        Bounds of the probability, equal if it was counted to the end.
    threshold
        What was asked for.
    locally_minimal
        Whether every set with one feature less was shown to be below the threshold.
    """

    members: FeatureSet
    least: float
    most: float
    threshold: float
    locally_minimal: bool


class TreeProbability:
    """Counts how likely a tree ensemble keeps its decision around one instance.

    Parameters
    ----------
    problem
        About a tree ensemble and classes, without constraints.
    data
        Rows whose values weigh the cells, column by column, shape ``(rows, columns)``; without
        them values are uniform over the domains, which have to be finite.

    Raises
    ------
    UnsupportedError
        For models that are no tree ensembles, and spaces with constraints.
    DataError
        If a column has no finite domain and there are no data.
    """

    def __init__(self, problem: ExplanationProblem, data: Points | None = None) -> None:
        ensemble = problem.classifier.structure
        if not isinstance(ensemble, TreeEnsemble):
            raise UnsupportedError("probabilities are counted for tree ensembles only")
        if problem.space.constraints:
            raise UnsupportedError("probabilities under constraints are not counted")
        self.problem = problem
        reach = within_region(LeafBoxes.of(ensemble, problem.space), problem)
        self.boxes, self.cells = reach.boxes, reach.cells
        self._low, self._high = reach.lower, reach.upper
        self._weights = [self._cell_weights(i, data) for i in range(problem.space.n_columns)]
        starts = [*self.boxes.starts.tolist(), self.boxes.n_leaves]
        self._leaves = [range(a, b) for a, b in itertools.pairwise(starts)]

    def bounds(self, fixed: FeatureSet, meter: Meter) -> tuple[float, float]:
        """Bound the probability of the decision while some features are fixed.

        Returns
        -------
        least, most
            Equal up to rounding unless the budget ended.
        """
        lower, upper = self._low.copy(), self._high.copy()
        weights = list(self._weights)
        for i, feature in enumerate(self.problem.space.features):
            if i in fixed or feature.immutable:
                columns = list(feature.columns)
                lower[columns], upper[columns] = self.cells[columns], self.cells[columns] + 1
                for column in columns:  # what is fixed has happened
                    weights[column] = np.ones(len(weights[column]))
        total = _mass(weights, lower, upper)
        kept = lost = 0.0
        stack = [(lower, upper, 0)]
        seen = 0
        while stack:
            seen += 1
            if seen > _MOST_BOXES or (seen % 64 == 0 and meter.exhausted() is not None):
                break
            low, high, number = stack.pop()
            if number == len(self._leaves):
                if self._keeps(low):
                    kept += _mass(weights, low, high)
                else:
                    lost += _mass(weights, low, high)
                continue
            for row in self._leaves[number]:
                first = np.maximum(low, self.boxes.lower[row])
                last = np.minimum(high, self.boxes.upper[row])
                if bool((first < last).all()):
                    stack.append((first, last, number + 1))
        if not stack:
            share = kept / (kept + lost) if kept + lost else 1.0
            return share, share
        return kept / total, 1.0 - lost / total

    def _keeps(self, cells: npt.NDArray[np.int32]) -> bool:
        """Run the model on a point of a box in which it cannot change its mind."""
        moving = np.flatnonzero(cells != self.cells).tolist()
        point = self.boxes.enter(
            self.problem.instance, self.cells, cells, moving, self.problem.limits
        )
        return not bool(self.problem.changed(point[None])[0])

    def _cell_weights(self, column: int, data: Points | None) -> npt.NDArray[np.float64]:
        cells = self.boxes.columns[column]
        first, last = (float(limits[column]) for limits in self.problem.limits)
        weights = np.zeros(len(cells))
        if data is not None:
            for value in data[:, column].tolist():
                weights[cells.locate(float(value))] += 1.0
            return weights / max(1, len(data))
        for k, cell in enumerate(cells.cells):
            if cell.codes:
                weights[k] = len(cell.codes)
            elif cell.is_missing:
                weights[k] = 0.0
            else:
                width = min(cell.upper, last) - max(cell.lower, first)
                weights[k] = max(0.0, width + float(cells.domain.is_discrete))
        total = float(weights.sum())
        if not np.isfinite(total) or total <= 0:
            if len(cells) == 1:
                return np.ones(1)
            name = self.problem.space.columns[column].name
            raise DataError(
                f"column {name!r} has no finite range, so that nothing is uniform over it; give "
                "rows to weigh its values by, or a range"
            )
        return weights / total


def _mass(
    weights: Sequence[npt.NDArray[np.float64]],
    low: npt.NDArray[np.int32],
    high: npt.NDArray[np.int32],
) -> float:
    mass = 1.0
    for i, shares in enumerate(weights):
        if high[i] - low[i] < len(shares):
            mass *= float(shares[low[i] : high[i]].sum())
    return mass


def probabilistic_axp(
    count: TreeProbability,
    threshold: float,
    *,
    start: FeatureSet | None = None,
    order: Sequence[int] = (),
    meter: Meter | None = None,
) -> Probabilistic:
    """Find a locally minimal probabilistic AXp by deletion.

    Parameters
    ----------
    count
        Of the problem.
    threshold
        Probability of the decision to reach, more than 0 and at most 1.
    start
        Features to begin with, such as those of an AXp; all mutable ones by default.
    order
        Feature indices, those to leave out first in front.
    meter
        Budget of the run.

    Raises
    ------
    DataError
        For a threshold that is no probability.
    """
    if not 0 < threshold <= 1:
        raise DataError(f"a probability lies above 0 and at most at 1, found {threshold!r}")
    meter = meter or Meter()
    members = count.problem.universe if start is None else start
    ranked = [i for i in dict.fromkeys(order) if i in members]
    ranked += sorted(members.difference(ranked))
    settled = True
    again = True
    while again:
        again = False
        for i in ranked:
            if i not in members:
                continue
            least, most = count.bounds(members - {i}, meter)
            if least >= threshold - 1e-12:
                members = members - {i}
                again = True
            elif most >= threshold:
                settled = False
    least, most = count.bounds(members, meter)
    return Probabilistic(members, least, most, threshold, settled)

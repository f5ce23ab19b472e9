"""Second opinions under constraints: what breaks one is excluded, and the question asked again.

An oracle that knows nothing of constraints shows a point.  Either it is admissible, or its leaf
box holds an admissible point, or the box clashes with the constraints; the sides that clash
span a larger box, which the oracle is told to leave out: the lazy refinement of satisfiability
modulo theories (Nieuwenhuis, Oliveras, Tinelli, Journal of the ACM 2006), with any solver in the
place of the Boolean one.  There are finitely many boxes of cells, so this ends, and what is
entailed in the end is entailed under the constraints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from whyproof.encodings.constraints.background import Background, Clash, Found
from whyproof.encodings.constraints.boxes import reachable
from whyproof.encodings.constraints.oracle import background_of, witness
from whyproof.encodings.constraints.values import Values
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.oracle import relevant
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet, Point

from .boxes import LeafBoxes
from .cell_values import cell_values, has_plain_order

__all__ = ["Excluded", "Refinable", "RefinedOracle", "Refiner"]

_MOST_ROUNDS = 20_000

Sides = Mapping[int, tuple[int, int]]
"""First cell and last cell + 1 of the columns that a box limits."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """A box of cells without admissible points while some features are fixed.

    Parameters
    ----------
    fixed
        Features whose values in the instance exclude it too.
    sides
        Column, first cell and last cell + 1, of the columns that matter.
    constraints
        Numbers of the constraints that exclude it.
    """

    fixed: FeatureSet
    sides: tuple[tuple[int, int, int], ...]
    constraints: frozenset[int]

    def clause(
        self, orders: Sequence[Sequence[int]], selectors: Mapping[int, int] | None = None
    ) -> list[int]:
        """Return literals of which one holds outside the box.

        Parameters
        ----------
        orders
            Variables "the cell is at or beyond k", for k from 1, of each column.
        selectors
            Variable that fixes each feature.
        """
        clause: set[int] = set()
        for column, low, high in self.sides:
            if low > 0:
                clause.add(-orders[column][low - 1])
            if high <= len(orders[column]):
                clause.add(orders[column][high - 1])
        if selectors is not None:
            clause |= {-selectors[feature] for feature in self.fixed}
        return sorted(clause)


class Refinable(Protocol):
    """An oracle over cells that can be told to leave boxes out."""

    @property
    def name(self) -> str:
        """Short name for statistics."""
        ...

    @property
    def boxes(self) -> LeafBoxes:
        """The cells that it speaks of."""
        ...

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set."""
        ...

    def exclude(self, excluded: Excluded) -> None:
        """Show no point of a box any more while these features are fixed."""
        ...


class Refiner:
    """Finds the admissible points of boxes of cells, or what excludes the box.

    Parameters
    ----------
    problem
        With constraints.
    boxes
        Its cells.
    background
        Solver of the constraints; made here if not given.
    """

    def __init__(
        self, problem: ExplanationProblem, boxes: LeafBoxes, background: Background | None = None
    ) -> None:
        self.problem, self.boxes = problem, boxes
        self.background = background or background_of(problem)
        self._ranges = reachable(problem, sorted(self.background.columns))

    @property
    def bound(self) -> FeatureSet:
        """Features that may move and stand in a constraint."""
        owners = self.problem.space.owner[sorted(self.background.columns)]
        return frozenset(owners.tolist()) & self.problem.universe

    def examine(
        self, point: Point, free: FeatureSet, meter: Meter
    ) -> Counterexample | Excluded | Unknown:
        """Return an admissible point of a point's leaf box, or what excludes it.

        Parameters
        ----------
        point
            Changes the decision, constraints aside, shape ``(columns,)``.
        free
            Features that may move.
        meter
            Budget of the run.
        """
        sides = self._leaf_box(point)
        values = {c: self.values(c, sides.get(c), free) for c in self.background.columns}
        found = self.background.solve(values, point, meter)
        if isinstance(found, Clash):
            return self.excluded(found, sides, free)
        if isinstance(found, Found):
            shown = witness(self.problem, found.put(point), free)
            if shown is not None:
                return shown
            return Unknown(UnknownReason.PRECISION, "an admissible leaf box has no usable point")
        return found

    def values(self, column: int, side: tuple[int, int] | None, free: FeatureSet) -> Values:
        """Return the values of a column in a box."""
        if int(self.problem.space.owner[column]) not in free:
            return Values.of([float(self.problem.instance[column])])
        reach = self._ranges[column]
        if side is None:
            return reach
        return reach & cell_values(self.boxes.columns[column], range(*side))

    def excluded(self, clash: Clash, box: Sides, free: FeatureSet) -> Excluded:
        """Return the box that the clashing sides of another span."""
        owner, n_cells = self.problem.space.owner, self.boxes.n_cells
        fixed: set[int] = set()
        sides: dict[int, tuple[int, int]] = {}
        for side, column in clash.edges:
            feature = int(owner[column])
            if feature not in free:
                fixed.add(feature)
                continue
            if column not in box:
                continue
            single = has_plain_order(self.boxes.columns[column])
            low, high = sides.get(column, (0, int(n_cells[column])))
            if side != "upper" or not single:
                low = box[column][0]
            if side != "lower" or not single:
                high = box[column][1]
            sides[column] = (low, high)
        kept = tuple(
            (column, low, high)
            for column, (low, high) in sorted(sides.items())
            if low > 0 or high < int(n_cells[column])
        )
        # What is immutable is fixed in every question.
        return Excluded(frozenset(fixed) & self.problem.universe, kept, clash.constraints)

    def _leaf_box(self, point: Point) -> dict[int, tuple[int, int]]:
        """Return the cells that all leaves of a point have in common."""
        boxes = self.boxes
        cells = boxes.locate(point)
        holds = ((boxes.lower <= cells) & (cells < boxes.upper)).all(axis=1)
        low = boxes.lower[holds].max(axis=0, initial=0)
        most = int(boxes.n_cells.max(initial=0))
        high = np.minimum(boxes.upper[holds].min(axis=0, initial=most), boxes.n_cells)
        limited = np.flatnonzero((low > 0) | (high < boxes.n_cells)).tolist()
        return {c: (int(low[c]), int(high[c])) for c in limited}


class RefinedOracle:
    """An oracle whose answers respect constraints that the oracle inside knows nothing of.

    Parameters
    ----------
    problem
        With constraints.
    plain
        Decides its free sets as if there were none, about the same space without them.
    background
        Solver of the constraints, to share; made here if not given.
    """

    def __init__(
        self,
        problem: ExplanationProblem,
        plain: Refinable,
        background: Background | None = None,
    ) -> None:
        self.problem, self.plain = problem, plain
        self.refiner = Refiner(problem, plain.boxes, background)
        self.relevant: FeatureSet = relevant(plain, problem.universe) | self.refiner.bound
        self._used: set[int] = set()

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return f"{self.plain.name} under constraints"

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set under the constraints."""
        return [self._decide(free & self.problem.universe, meter) for free in free_sets]

    def _decide(self, free: FeatureSet, meter: Meter) -> Answer:
        constraints = self.refiner.background.constraints
        for _ in range(_MOST_ROUNDS):
            (answer,) = self.plain.decide([free], meter)
            if isinstance(answer, Unknown):
                return answer
            if isinstance(answer, Entailed):
                names = tuple(constraints[i].name for i in sorted(self._used))
                return Entailed(answer.core, answer.margin, constraints=names)
            point = answer.point[None]
            if all(bool(c.holds(point)[0]) for c in self.problem.constraints):
                return answer
            found = self.refiner.examine(answer.point, free, meter)
            if not isinstance(found, Excluded):
                return found
            self._used |= found.constraints
            self.plain.exclude(found)
        return Unknown(UnknownReason.INCOMPLETE, f"more than {_MOST_ROUNDS} boxes clash")

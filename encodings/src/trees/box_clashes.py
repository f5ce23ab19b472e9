"""Boxes of cells that hold no admissible point, each with a proof that can be checked.

The background solver says that a box clashes with the constraints, and which sides of the box
do; what these sides exclude is refuted once, as cases, and serves for every box inside.
"""

from __future__ import annotations

from whyproof.encodings.constraints.background import Clash
from whyproof.encodings.constraints.boxes import reachable
from whyproof.encodings.constraints.constraint import Constraint
from whyproof.encodings.constraints.oracle import background_of
from whyproof.encodings.constraints.refutation import Refutation, refute
from whyproof.encodings.constraints.values import Values
from whyproof.engine.budget import Meter
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.problem import ExplanationProblem

from .boxes import Cells, LeafBoxes
from .cell_values import cell_values

__all__ = ["BoxClashes"]


class BoxClashes:
    """The constraints of a problem, asked about boxes of cells.

    Parameters
    ----------
    problem
        With constraints.
    boxes
        The ensemble in cells.

    Raises
    ------
    UnsupportedError
        For constraints of another kind than `Constraint`.
    """

    def __init__(self, problem: ExplanationProblem, boxes: LeafBoxes) -> None:
        self._problem, self._boxes = problem, boxes
        self._constraints = [c for c in problem.constraints if isinstance(c, Constraint)]
        if len(self._constraints) != len(problem.constraints):
            raise UnsupportedError(
                "box proofs know constraints that are formulas over columns; make them by "
                "whyproof.encodings.constraints.constraint, or read them from rules"
            )
        self._background = background_of(problem)
        self._domains = [column.domain for column in problem.space.columns]
        self._reach = reachable(problem, sorted(self._background.columns))
        self._known: list[Refutation] = []

    def clash(
        self, lower: Cells, upper: Cells, free: frozenset[int], meter: Meter
    ) -> Refutation | None:
        """Return a refutation of a box, one that is known if there is one; `None` without.

        Parameters
        ----------
        lower, upper
            Cells of each column, upper excluded, shape ``(columns,)`` each.
        free
            Columns that may move; all others have the instance's values.
        meter
            Budget of the run.
        """
        instance = self._problem.instance
        box: dict[int, Values] = {}
        for column in sorted(self._background.columns):
            if column in free:
                cells = range(int(lower[column]), int(upper[column]))
                box[column] = self._reach[column] & cell_values(self._boxes.columns[column], cells)
            else:
                box[column] = Values.of([float(instance[column])])
        for known in self._known:
            if known.covers(box):
                return known
        found = self._background.solve(box, instance, meter)
        if not isinstance(found, Clash):
            return None
        sides: dict[int, Values] = {}
        for side, column in found.edges:
            whole = box[column]
            if side != "set" and len(whole.intervals) == 1 and not whole.missing:
                ((low, high),) = whole.intervals
                kept = Values.at_least(low) if side == "lower" else Values.at_most(high)
                sides[column] = sides.get(column, Values.numbers()) & kept
            else:
                sides[column] = whole
        made = refute(self._domains, self._constraints, found.constraints, sides)
        if made is not None:
            self._known.append(made)
        return made

"""Models in cells: everything about a search that does not depend on the person.

Cut once for a set of constraints, and shared by all who are asked about: boxes, goals by
outcome, plausibility rows, and programs by the tables that they contain.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from whyproof.encodings.constraints.constraint import Constraint
from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.engine.question import Question, ReachClass
from whyproof.engine.space import FeatureSpace

from .answer import Rule
from .goal import Alternative, ScoreRow, alternatives, combined, floor_row, side_by_side
from .knowledge import cut_for
from .plausible import Floor, SeenTogether, cell_table
from .program import CellProgram, CellTable
from .shapes import Shape

__all__ = ["Terrain"]


class Terrain:
    """Several ensembles over the cells of one space.

    Parameters
    ----------
    shapes
        The models.
    space
        Their inputs; nothing in it is immutable, since that is a rule like others.
    constraints
        Put to an instance; columns are cut for them.
    floors, together
        Plausibility.
    """

    def __init__(
        self,
        shapes: Sequence[Shape],
        space: FeatureSpace,
        constraints: Sequence[Constraint] = (),
        floors: Sequence[Floor] = (),
        together: Sequence[SeenTogether] = (),
    ) -> None:
        self.shapes = tuple(shapes)
        ensembles = [shape.ensemble for shape in shapes]
        joint = side_by_side([*ensembles, *(floor.ensemble for floor in floors)])
        boxes = LeafBoxes.of(joint, space)
        if constraints:
            boxes = LeafBoxes.of(joint, space, cut_for(boxes.columns, constraints))
        self.boxes = boxes
        self._firsts = [int(i) for i in np.cumsum([0, *(e.n_outputs for e in ensembles)])]
        self._floors, self._together = tuple(floors), tuple(together)
        self._programs: dict[tuple[int, ...], CellProgram] = {}
        self._goals: dict[tuple[Question, tuple[float, ...], int], list[Alternative]] = {}

    @cached_property
    def _floor_rows(self) -> list[ScoreRow]:
        return [
            floor_row(self.boxes, floor.ensemble, self._firsts[-1] + j, floor.least)
            for j, floor in enumerate(self._floors)
        ]

    @cached_property
    def _tables(self) -> list[CellTable]:
        return [cell_table(self.boxes, seen) for seen in self._together]

    def goal(
        self, question: Question, predictions: Sequence[float], at_least: int
    ) -> list[Alternative]:
        """Return the alternatives that change enough decisions, given the models' outcomes."""
        key = (question, tuple(predictions), at_least)
        if key not in self._goals:
            goals: list[list[Alternative]] = []
            for number, (shape, kept) in enumerate(zip(self.shapes, predictions, strict=True)):
                if isinstance(question, ReachClass) and kept == question.target:
                    # It has the outcome and must keep it: ask from the other side.
                    kept = float(question.target == 0)
                first = self._firsts[number]
                goals.append(
                    alternatives(self.boxes, shape.ensemble, first, question, kept, shape.body)
                )
            self._goals[key] = [
                rows
                for chosen in itertools.combinations(goals, at_least)
                for rows in combined(chosen)
            ]
        return self._goals[key]

    def floors(self, rules: Sequence[Rule]) -> list[ScoreRow]:
        """Return the score rows of the floors among some rules."""
        return [self._floor_rows[rule.index] for rule in rules if rule.kind == "floor"]

    def program(self, rules: Sequence[Rule]) -> CellProgram:
        """Return the program with the tables among some rules."""
        chosen = tuple(sorted(rule.index for rule in rules if rule.kind == "table"))
        if chosen not in self._programs:
            self._programs[chosen] = CellProgram(self.boxes, [self._tables[j] for j in chosen])
        return self._programs[chosen]

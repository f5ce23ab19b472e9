"""Circuits under constraints: an assignment that clashes with them is learnt as a clause.

As for trees, see `whyproof.encodings.trees.constrained`; here the solver takes clauses, so that a
clash becomes one over the boundaries of cells and the selectors of fixed features, and holds
for all later questions.
"""

from __future__ import annotations

import math

from whyproof.encodings.constraints.background import Background, Clash, Found
from whyproof.encodings.constraints.boxes import reachable
from whyproof.encodings.constraints.oracle import background_of, witness
from whyproof.encodings.constraints.values import Values
from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.encodings.trees.cell_values import cell_values, has_plain_order
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .oracle import CircuitOracle

__all__ = ["ConstrainedCircuitOracle"]

_MOST_CLASHES = 20_000


class ConstrainedCircuitOracle(CircuitOracle):
    """Decides free sets of a circuit under the constraints of its space.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `Circuit`.
    boxes
        From `circuit_cells`, to share between instances; made here if not given.
    background
        Solver of the constraints; made here if not given.
    """

    def __init__(
        self,
        problem: ExplanationProblem,
        boxes: LeafBoxes | None = None,
        background: Background | None = None,
    ) -> None:
        super().__init__(problem, boxes)
        self.background = background or background_of(problem)
        columns = sorted(self.background.columns)
        self._ranges = reachable(problem, columns)
        owners = problem.space.owner[columns]
        self.relevant = self.relevant | (frozenset(owners.tolist()) & problem.universe)
        self._used: set[int] = set()

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return "circuit clauses under constraints"

    def _decide(self, free: FeatureSet, meter: Meter) -> Answer:
        made, problem = self.constraints, self.problem
        for _ in range(_MOST_CLASHES):
            answer = super()._decide(free, meter)
            if isinstance(answer, Unknown):
                return answer
            if isinstance(answer, Entailed):
                names = tuple(self.background.constraints[i].name for i in sorted(self._used))
                return Entailed(answer.core, constraints=names)
            if all(bool(c.holds(answer.point[None])[0]) for c in problem.constraints):
                return answer
            cells = made.boxes.locate(answer.point).tolist()
            values = {c: self._values(c, int(cells[c]), free) for c in self.background.columns}
            solved = self.background.solve(values, answer.point, meter)
            if isinstance(solved, Found):
                shown = witness(problem, solved.put(answer.point), free)
                if shown is None:
                    return Unknown(UnknownReason.PRECISION, "an admissible cell has no point")
                return Counterexample(shown.point, shown.moved, math.nan)
            if isinstance(solved, Unknown):
                return solved
            self._learn(solved, cells, free)
        return Unknown(UnknownReason.INCOMPLETE, f"more than {_MOST_CLASHES} cells clash")

    def _values(self, column: int, cell: int, free: FeatureSet) -> Values:
        if int(self.problem.space.owner[column]) not in free:
            return Values.of([float(self.problem.instance[column])])
        return self._ranges[column] & cell_values(self.constraints.boxes.columns[column], [cell])

    def _learn(self, clash: Clash, cells: list[int], free: FeatureSet) -> None:
        made, clause = self.constraints, list[int]()
        for side, column in clash.edges:
            feature, orders = int(self.problem.space.owner[column]), made.orders[column]
            if feature not in free:
                clause += [-made.selectors[feature]] if feature in made.selectors else []
                continue
            cell, plain = cells[column], has_plain_order(made.boxes.columns[column])
            if cell > 0 and (side != "upper" or not plain):
                clause.append(-orders[cell - 1])
            if cell < len(orders) and (side != "lower" or not plain):
                clause.append(orders[cell])
        self._used |= clash.constraints
        self._solver.add_clause(sorted(set(clause)))

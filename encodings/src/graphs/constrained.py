"""Decision graphs under constraints: a way through the graph counts if its box is admissible."""

from __future__ import annotations

import math
from dataclasses import replace

from whyproof.encodings.constraints.background import Background, Clash, Found
from whyproof.encodings.constraints.boxes import reachable
from whyproof.encodings.constraints.oracle import background_of, witness
from whyproof.encodings.constraints.values import Values
from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.encodings.trees.cell_values import cell_values
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .oracle import GraphOracle

__all__ = ["ConstrainedGraphOracle"]


class ConstrainedGraphOracle(GraphOracle):
    """Decides free sets of a decision graph under the constraints of its space.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `DecisionGraph`.
    boxes
        From `graph_cells`, to share between instances; made here if not given.
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
        self._tested = self.relevant
        self.relevant = self.relevant | (frozenset(owners.tolist()) & problem.universe)
        self._used: set[int] = set()
        self._doubt: Unknown | None = None
        self._free: FeatureSet = frozenset()
        self._meter = Meter()

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return "reachability under constraints"

    def _decide(self, free: FeatureSet, meter: Meter) -> Answer:
        self._used.clear()
        self._doubt, self._free, self._meter = None, free, meter
        answer = super()._decide(free, meter)
        if not isinstance(answer, Entailed):
            return answer
        if self._doubt is not None:
            return self._doubt
        if not self._used:
            return answer
        names = tuple(self.background.constraints[i].name for i in sorted(self._used))
        return replace(answer, core=self.relevant - free, constraints=names)

    def _below_matters(self, k: int) -> frozenset[int]:
        """Return all columns: constraints join what stands above with what stands below."""
        return frozenset(range(self.problem.space.n_columns))

    def _shown(self, left: dict[int, int]) -> Counterexample | None:
        answer = super()._shown(left)
        if answer is None:
            return None
        if all(bool(c.holds(answer.point[None])[0]) for c in self.problem.constraints):
            return answer
        values = {c: self._values(c, left) for c in self.background.columns}
        solved = self.background.solve(values, answer.point, self._meter, shrink=False)
        if isinstance(solved, Found):
            shown = witness(self.problem, solved.put(answer.point), self._free)
            if shown is not None:
                return Counterexample(shown.point, shown.moved, math.nan)
            self._doubt = Unknown(UnknownReason.PRECISION, "an admissible way has no usable point")
        elif isinstance(solved, Clash):
            self._used |= solved.constraints
        else:
            self._doubt = solved
        return None

    def _values(self, column: int, left: dict[int, int]) -> Values:
        if int(self.problem.space.owner[column]) not in self._free:
            return Values.of([float(self.problem.instance[column])])
        cells = left.get(column)
        if cells is None:
            return self._ranges[column]
        kept = [k for k in range(cells.bit_length()) if cells >> k & 1]
        return self._ranges[column] & cell_values(self._reach.boxes.columns[column], kept)

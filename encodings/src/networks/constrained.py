"""Networks under constraints, exactly: the program of the network with the rows of constraints.

What attack and bounds leave open once constraints exclude a witness is written as one
mixed-integer program: the network as in `milp`, the constraints as in
`whyproof.encodings.constraints.rows`.  Infeasible is "cannot change under the constraints", up
to the solver's tolerance; a solution is moved onto the constraints and replayed.
"""

from __future__ import annotations

import math

import numpy as np

from whyproof.encodings.constraints.background import Found
from whyproof.encodings.constraints.boxes import free_box
from whyproof.encodings.constraints.constraint import Constraint
from whyproof.encodings.constraints.oracle import background_of, witness
from whyproof.encodings.constraints.rows import Interval, Variable, cuts, rows_of
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .milp import MilpOracle, NetworkProgram
from .neighbourhood import Neighbourhood, Play

__all__ = ["ConstrainedNetwork"]


class ConstrainedNetwork(MilpOracle):
    """Decides free sets of a ReLU network in boxes under the constraints of its space.

    Parameters
    ----------
    problem
        What is asked.
    place
        The problem without constraints, prepared.
    seconds
        Wall-clock limit per program.

    Raises
    ------
    UnsupportedError
        If the network is not piecewise linear, or the region no box.
    """

    def __init__(
        self, problem: ExplanationProblem, place: Neighbourhood, seconds: float = 60.0
    ) -> None:
        super().__init__(place.problem, seconds=seconds, place=place)
        if not problem.region.is_box:
            raise UnsupportedError("mixed-integer programs are written for boxes only")
        self.constrained = problem
        self.known = [c for c in problem.constraints if isinstance(c, Constraint)]
        self.background = background_of(problem)

    def decide_one(self, free: FeatureSet, meter: Meter) -> Answer:
        """Decide one free set under the problem's constraints."""
        free = free & self.constrained.universe
        try:
            answer = self._decide(free, meter)
        except UnsupportedError as error:
            return Unknown(UnknownReason.INCOMPLETE, str(error))
        if isinstance(answer, Entailed):
            names = tuple(constraint.name for constraint in self.known)
            return Entailed(self.constrained.universe - free, constraints=names)
        if not isinstance(answer, Counterexample):
            return answer
        box = free_box(self.constrained, free, self.background.columns)
        found = self.background.solve(box, answer.point, meter, shrink=False)
        if isinstance(found, Found):
            shown = witness(self.constrained, found.put(answer.point), free)
            if shown is not None:
                return shown
        return Unknown(UnknownReason.PRECISION, "the solution does not survive its rounding")

    def extend(self, program: NetworkProgram, play: Play) -> None:
        """Write the constraints over the deviations of the columns in play."""
        center = self.place.center.cpu().numpy()
        place = {int(column): j for j, column in enumerate(play.columns.tolist())}
        low = {c: float(center[c]) + program.lower[j] for c, j in place.items()}
        high = {c: float(center[c]) + program.upper[j] for c, j in place.items()}
        boundaries = cuts(self.known)
        cells: list[list[Interval]] = []
        for column, value in enumerate(self.constrained.instance.tolist()):
            if column not in place:
                cells.append([(value, value)])
                continue
            starts = [b for b in boundaries.get(column, ()) if low[column] < b <= high[column]]
            ends = [math.nextafter(b, -math.inf) for b in starts]
            cells.append(list(zip([low[column], *starts], [*ends, high[column]], strict=True)))
        made = rows_of(self.known, cells)
        number: dict[Variable, int] = {}
        for column in made.values:
            if column not in place:
                value = float(self.constrained.instance[column])
                number["value", column] = program.variable(value, value)
        for truth in range(made.truths):
            number["truth", truth] = program.variable(0.0, 1.0, integer=True)
        for column, ladder in enumerate(cells):
            for k in range(1, len(ladder)):
                number["order", column, k] = program.variable(0.0, 1.0, integer=True)
            if len(ladder) > 1 and column not in made.values:
                self._link(program, number, column, ladder, place[column], float(center[column]))
        for row in made.rows:
            terms: dict[int, float] = {}
            shift = 0.0
            for variable, factor in row.terms.items():
                if variable[0] == "value" and variable[1] in place:
                    j = place[variable[1]]
                    terms[j] = terms.get(j, 0.0) + factor
                    shift += factor * float(center[variable[1]])
                else:
                    terms[number[variable]] = terms.get(number[variable], 0.0) + factor
            program.row(terms, row.lower - shift, row.upper - shift)

    def _link(
        self,
        program: NetworkProgram,
        number: dict[Variable, int],
        column: int,
        ladder: list[Interval],
        deviation: int,
        center: float,
    ) -> None:
        """Tie a column's value to its cell, as `rows_of` does for columns of relations."""
        for side, bounds in ((0, (ladder[0][0], np.inf)), (1, (-np.inf, ladder[0][1]))):
            terms = {deviation: 1.0}
            for k in range(1, len(ladder)):
                terms[number["order", column, k]] = ladder[k - 1][side] - ladder[k][side]
            program.row(terms, bounds[0] - center, bounds[1] - center)
        for k in range(1, len(ladder) - 1):
            here, after = number["order", column, k], number["order", column, k + 1]
            program.row({here: 1.0, after: -1.0}, 0.0, np.inf)

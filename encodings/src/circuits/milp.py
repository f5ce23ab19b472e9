"""A second opinion on circuits: the same constraints as a mixed-integer program (HiGHS).

Each gate is two rows, ``sum >= bound * output`` and ``sum <= bound - 1 + rest * output``;
clauses are rows as well.  Nothing is shared with the SAT side but the order variables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import highspy
import numpy as np

from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.encodings.trees.refined import Excluded
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .constraints import CircuitConstraints, circuit_constraints

__all__ = ["CircuitMilpOracle", "LinearRow", "linear_rows"]

LinearRow = tuple[tuple[int, ...], tuple[int, ...], int]
"""Variables, factors and the least value of their sum."""


def linear_rows(made: CircuitConstraints) -> list[LinearRow]:
    """Return clauses and gates as rows ``sum of factor * variable >= bound``."""
    rows = [_at_least(clause, (1,) * len(clause), 1) for clause in made.clauses]
    for row in made.rows:
        gate, output = row.gate, row.output
        weights = gate.weights or (1,) * len(gate.literals)
        bound, rest = gate.bound, gate.total - gate.bound + 1
        if bound <= 0 or rest <= 0:
            rows.append(_at_least((output if bound <= 0 else -output,), (1,), 1))
            continue
        rows.append(_at_least((*gate.literals, -output), (*weights, bound), bound))
        negated = tuple(-v for v in gate.literals)
        rows.append(_at_least((*negated, output), (*weights, rest), rest))
    return rows


def _at_least(literals: Sequence[int], weights: Sequence[int], bound: int) -> LinearRow:
    """Write literals as variables."""
    least = bound - sum(w for v, w in zip(literals, weights, strict=True) if v < 0)
    return (
        tuple(abs(v) for v in literals),
        tuple(w if v > 0 else -w for v, w in zip(literals, weights, strict=True)),
        least,
    )


def _add_row(highs: highspy.Highs, row: LinearRow) -> None:
    variables, factors, bound = row
    # One variable may stand in a clause twice.
    together: dict[int, int] = {}
    for variable, factor in zip(variables, factors, strict=True):
        together[variable - 1] = together.get(variable - 1, 0) + factor
    highs.addRow(
        float(bound),
        math.inf,
        len(together),
        np.array(list(together), dtype=np.int32),
        np.array(list(together.values()), dtype=np.float64),
    )


class CircuitMilpOracle:
    """Decides free sets by mixed-integer programming; slower, and independent of SAT.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `Circuit`.
    boxes
        From `circuit_cells`, to share between instances; made here if not given.
    """

    def __init__(self, problem: ExplanationProblem, boxes: LeafBoxes | None = None) -> None:
        self.problem = problem
        self.constraints = circuit_constraints(problem, boxes)
        self._highs = self._build()

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return "circuit program"

    @property
    def boxes(self) -> LeafBoxes:
        """The cells that it speaks of."""
        return self.constraints.boxes

    def exclude(self, excluded: Excluded) -> None:
        """Show no point of a box any more while these features are fixed."""
        made = self.constraints
        clause = excluded.clause(made.orders, made.selectors)
        _add_row(self._highs, _at_least(clause, (1,) * len(clause), 1))

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set."""
        return [self._decide(free & self.problem.universe, meter) for free in free_sets]

    def _build(self) -> highspy.Highs:
        made = self.constraints
        highs = highspy.Highs()
        highs.HandleKeyboardInterrupt = True
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)
        n = made.n_variables
        highs.addVars(n, np.zeros(n), np.ones(n))
        whole = np.full(n, int(highspy.HighsVarType.kInteger), dtype=np.uint8)
        highs.changeColsIntegrality(n, np.arange(n, dtype=np.int32), whole)
        for row in linear_rows(made):
            _add_row(highs, row)
        return highs

    def _decide(self, free: FeatureSet, meter: Meter) -> Answer:
        reason = meter.exhausted()
        if reason is not None:
            return Unknown(reason)
        made, highs = self.constraints, self._highs
        highs.clearSolver()
        for feature, variable in made.selectors.items():
            highs.changeColBounds(variable - 1, 0.0 if feature in free else 1.0, 1.0)
        if math.isfinite(meter.remaining):
            highs.setOptionValue("time_limit", max(meter.remaining, 0.01) + highs.getRunTime())
        highs.run()
        status = highs.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            return Entailed(self.problem.universe - free)
        if highs.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return Unknown(meter.exhausted() or UnknownReason.TIME)
        values = highs.getSolution().col_value
        true = {i + 1 for i, value in enumerate(values) if value > 0.5}
        point = made.point(true, free)
        moved = self.problem.space.moved(self.problem.instance, point)
        return Counterexample(point, moved, math.nan)

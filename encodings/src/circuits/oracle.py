"""The circuit oracle: free sets decided by a SAT solver under assumptions.

One selector per fixed feature is assumed; what an unsatisfiable call needed of them is the
core.  A satisfying assignment is a point in cells, near the instance because the solver's
phases prefer the instance's cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pysat.solvers import Solver

from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.encodings.trees.refined import Excluded
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.explanation import Kind
from whyproof.engine.limited import solve_within
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .constraints import circuit_constraints, clauses_of

__all__ = ["CircuitOracle"]


class CircuitOracle:
    """Decides free sets of one problem about a circuit.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `Circuit`.
    boxes
        From `circuit_cells`, to share between instances; made here if not given.

    Attributes
    ----------
    focus
        Which kind of explanation the evidence is for.
    relevant
        Features that some test asks for.

    Raises
    ------
    UnsupportedError
        For regions that are not boxes, and for questions about scores.
    """

    def __init__(self, problem: ExplanationProblem, boxes: LeafBoxes | None = None) -> None:
        self.problem = problem
        self.focus: Kind | None = None
        self.constraints = circuit_constraints(problem, boxes)
        self.clauses = clauses_of(self.constraints)
        made = self.constraints
        self._feature = {v: feature for feature, v in made.selectors.items()}
        tested = {c for c, orders in enumerate(made.orders) if orders}
        self.relevant: FeatureSet = problem.universe & frozenset(
            int(problem.space.owner[c]) for c in tested
        )
        self._solver: Any = Solver(name="glucose4", bootstrap_with=self.clauses)
        self._solver.set_phases(
            [
                variable if k < int(made.cells[column]) else -variable
                for column, orders in enumerate(made.orders)
                for k, variable in enumerate(orders)
            ]
        )

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return "circuit clauses"

    @property
    def boxes(self) -> LeafBoxes:
        """The cells that it speaks of."""
        return self.constraints.boxes

    def exclude(self, excluded: Excluded) -> None:
        """Show no point of a box any more while these features are fixed."""
        made = self.constraints
        self._solver.add_clause(excluded.clause(made.orders, made.selectors))

    def close(self) -> None:
        """Free the solver's memory."""
        self._solver.delete()

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set."""
        return [self._decide(free & self.problem.universe, meter) for free in free_sets]

    def _decide(self, free: FeatureSet, meter: Meter) -> Answer:
        made = self.constraints
        fixed = [v for feature, v in made.selectors.items() if feature not in free]
        answer = self._solve(fixed, meter)
        if isinstance(answer, Unknown):
            return answer
        if not answer:
            return Entailed(frozenset(self._feature[v] for v in self._solver.get_core() or []))
        true = {v for v in self._solver.get_model() or [] if v > 0}
        point = made.point(true, free)
        moved = self.problem.space.moved(self.problem.instance, point)
        return Counterexample(point, moved, math.nan)

    def _solve(self, fixed: list[int], meter: Meter) -> bool | Unknown:
        found = solve_within(self._solver, fixed, meter)
        return found if found is not None else Unknown(meter.exhausted() or UnknownReason.TIME)

"""A second opinion on tree ensembles that leaves a proof: satisfiability.

The neutral encoding of `constraints` with its inequalities turned into clauses.  A free set
is decided under assumptions, one per fixed feature; the core of an unsatisfiable call is a
set of features.  Points whose scores lie within the rounding slack are run on the model;
one that does not change the decision is forbidden, leaf combination by leaf combination.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pysat.solvers import Solver

from whyproof.encodings.pseudo_boolean import at_most
from whyproof.engine.answers import Answer, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.limited import solve_within
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .boxes import LeafBoxes
from .constraints import TreeConstraints, tree_constraints
from .refined import Excluded
from .shown import Shown, ask_until_sure, replayed

__all__ = ["TreeSatOracle", "clauses_of"]


def clauses_of(made: TreeConstraints) -> list[tuple[int, ...]]:
    """Return all clauses, the inequalities included, which adds variables to `made`.

    Parameters
    ----------
    made
        From `tree_constraints`.
    """
    clauses = list(made.clauses)
    for inequality in made.inequalities:
        deficits = [
            [(variable, most - weight) for variable, weight in group]
            for group in inequality.groups
            for most in (max(weight for _, weight in group),)
        ]
        room = inequality.reachable - inequality.bound

        def fresh() -> int:
            return made.variable("sum")

        clauses += at_most(deficits, room, inequality.when, fresh)
    return clauses


class TreeSatOracle:
    """Decides free sets by a SAT solver; slower than search, and independent of it.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `TreeEnsemble`.
    boxes
        The ensemble in cells, to share between instances; made here if not given.

    Raises
    ------
    UnsupportedError
        For regions that are not boxes.
    """

    def __init__(self, problem: ExplanationProblem, boxes: LeafBoxes | None = None) -> None:
        self.problem = problem
        self.constraints = tree_constraints(problem, boxes)
        self.clauses = clauses_of(self.constraints)
        self._solver: Any = Solver(name="glucose4", bootstrap_with=self.clauses)
        self._feature = {v: feature for feature, v in self.constraints.selectors.items()}

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return "tree clauses"

    @property
    def boxes(self) -> LeafBoxes:
        """The cells that it speaks of."""
        return self.constraints.boxes

    def exclude(self, excluded: Excluded) -> None:
        """Show no point of a box any more while these features are fixed."""
        clause = excluded.clause(self.constraints.orders, self.constraints.selectors)
        self.clauses.append(tuple(clause))
        self._solver.add_clause(clause)

    def close(self) -> None:
        """Free the solver's memory."""
        self._solver.delete()

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set."""
        return [self._decide(free & self.problem.universe, meter) for free in free_sets]

    def _decide(self, free: FeatureSet, meter: Meter) -> Answer:
        made, problem = self.constraints, self.problem
        fixed = [v for feature, v in made.selectors.items() if feature not in free]

        def ask() -> Shown[int] | Answer:
            answer = self._solve(fixed, meter)
            if isinstance(answer, Unknown):
                return answer
            if not answer:
                core = self._solver.get_core() or []
                return Entailed(frozenset(self._feature[v] for v in core))
            true = {v for v in self._solver.get_model() if v > 0}
            return Shown(made.located(true), [v for v in made.leaves if v in true])

        return ask_until_sure(
            ask, lambda shown: replayed(problem, made.boxes, made.cells, shown, free), self._forbid
        )

    def _solve(self, fixed: list[int], meter: Meter) -> bool | Unknown:
        found = solve_within(self._solver, fixed, meter)
        return found if found is not None else Unknown(meter.exhausted() or UnknownReason.TIME)

    def _forbid(self, leaves: Sequence[int]) -> None:
        """Forbid a combination of leaves in which the model answers as it should."""
        clause = tuple(-v for v in leaves)
        self.clauses.append(clause)
        self._solver.add_clause(list(clause))

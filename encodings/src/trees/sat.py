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
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.limited import solve_within
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .boxes import LeafBoxes
from .constraints import TreeConstraints, tree_constraints
from .refined import Excluded

__all__ = ["TreeSatOracle", "clauses_of"]

_MOST_CLOSE_CALLS = 2_000


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
        self._limits = problem.region.limits(problem.space, problem.instance)
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
        columns = [c for feature in free for c in problem.space.features[feature].columns]
        for _ in range(_MOST_CLOSE_CALLS):
            answer = self._solve(fixed, meter)
            if isinstance(answer, Unknown):
                return answer
            if not answer:
                core = self._solver.get_core() or []
                return Entailed(frozenset(self._feature[v] for v in core))
            true = {v for v in self._solver.get_model() if v > 0}
            cells = made.located(true)
            point = made.boxes.enter(problem.instance, made.cells, cells, columns, self._limits)
            outcomes, changed = problem.question.evaluate(
                problem.classifier, point[None], problem.prediction
            )
            if bool(changed[0]):
                moved = problem.space.moved(problem.instance, point)
                return Counterexample(point, moved, float(outcomes[0]))
            leaves = [v for v in made.leaves if v in true]
            if not leaves:
                return Entailed(frozenset())  # no trees: the model answers the same everywhere
            self._forbid(leaves)
        return Unknown(
            UnknownReason.PRECISION,
            f"more than {_MOST_CLOSE_CALLS} leaf boxes lie within the rounding slack",
        )

    def _solve(self, fixed: list[int], meter: Meter) -> bool | Unknown:
        found = solve_within(self._solver, fixed, meter)
        return found if found is not None else Unknown(meter.exhausted() or UnknownReason.TIME)

    def _forbid(self, leaves: list[int]) -> None:
        """Forbid a combination of leaves in which the model answers as it should."""
        clause = tuple(-v for v in leaves)
        self.clauses.append(clause)
        self._solver.add_clause(list(clause))

"""Forests that vote: one small satisfiability problem per rival, with cardinalities.

When every leaf is one vote for one class, "the rival wins" counts trees.  A solver with
built-in cardinality constraints (Liffiton and Maglalang, MiniCARD, SAT 2012) takes such a
count as it is, so that no variables are needed for leaves or sums: one per cell boundary,
one or two per tree, one per feature that fixes it to the instance (compare Izza and
Marques-Silva, On Explaining Random Forests with SAT, IJCAI 2021, who count by clauses over
leaves).  Best-first search is poor at votes, where almost all of its states have equal
bounds; a question costs a tenth of what it costs there.

Evidence is sharpened on the spot: cores come from the solver, and counterexamples give up
moves one by one, those that earlier ones shared most first, while the solver still finds a
way around; what hitting-set searches learn from is then subset-minimal for its rival.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

import numpy as np
from pysat.solvers import Solver

from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.explanation import Kind
from whyproof.engine.limited import solve_within
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .boxes import Cells, LeafBoxes
from .ensemble import DecisionRule, TreeEnsemble
from .objective import Objective, objectives
from .oracle import TreeOracle
from .program import TreeProgram
from .reach import within_region

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["TreeVoteOracle", "counts_votes"]

_SOLVER = "minicard"
_MARGIN_STEPS = 300


def counts_votes(boxes: LeafBoxes) -> bool:
    """Tell whether every leaf is one vote for one class, and the most votes win exactly.

    Parameters
    ----------
    boxes
        The ensemble.
    """
    ensemble, values = boxes.ensemble, boxes.values
    return (
        ensemble.rule is DecisionRule.ARGMAX
        and ensemble.slack == 0.0
        and len(boxes.trees) > 0
        and not bool(ensemble.base.any())
        and bool(np.isin(values, (0.0, 1.0)).all())
        and bool((values.sum(axis=1) == 1.0).all())
    )


class TreeVoteOracle(TreeOracle):
    """Decides free sets of a forest that votes; other questions go to the search.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `TreeEnsemble` for which `counts_votes` holds.
    program
        The compiled ensemble, to share between instances; made here if not given.
    most_classes
        With more classes the search decides: one solver per rival costs more than it gains.
    """

    def __init__(
        self,
        problem: ExplanationProblem,
        program: TreeProgram | None = None,
        *,
        most_classes: int = 2,
    ) -> None:
        super().__init__(problem, program)
        boxes, ensemble = self.program.boxes, problem.classifier.structure
        self._contests: list[_Contest | None] = []
        self._frequency: Counter[int] = Counter()
        self._rivals: tuple[Objective, ...] = ()
        few = isinstance(ensemble, TreeEnsemble) and ensemble.n_outputs <= most_classes
        if isinstance(ensemble, TreeEnsemble) and few and counts_votes(boxes):
            found = objectives(ensemble, problem.question, problem.prediction)
            if all(o.constant == 0 and o.slack == 0 for o in found):
                self._rivals = found
                self._contests = [None] * len(found)

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return "votes" if self._rivals else super().name

    @property
    def _bound_is_idle(self) -> bool:
        """With one rival the solver is as quick as the bound, and its cores are smaller."""
        return len(self._rivals) == 1 or super()._bound_is_idle

    def guaranteed_margin(
        self, free: FeatureSet, meter: Meter, steps: int = _MARGIN_STEPS
    ) -> float | None:
        """Bound the smallest lead as `TreeOracle` does, in fewer steps: plateaus are wide."""
        return super().guaranteed_margin(free, meter, steps)

    def _search(
        self,
        free: FeatureSet,
        excess: npt.NDArray[np.float64],
        possible: npt.NDArray[np.bool_],
        meter: Meter,
    ) -> Answer:
        if not self._rivals or not free:
            return super()._search(free, excess, possible, meter)
        core: set[int] = set()
        # Rivals that the bound refutes are asked too, for the core's sake.
        for j in np.argsort(-excess, kind="stable").tolist():
            contest = self._contest(j)
            fixed = self.problem.universe - free
            found = contest.solve(fixed, meter)
            if isinstance(found, Unknown):
                return found
            if found is None:
                core |= contest.core()
            else:
                return self._counterexample(contest, found, fixed, meter)
        return Entailed(self.relevant.intersection(core))

    def _contest(self, number: int) -> _Contest:
        contest = self._contests[number]
        if contest is None:
            reach = within_region(self.program.boxes, self.problem)
            contest = _Contest(
                self.problem,
                self._rivals[number],
                reach.boxes,
                reach.cells,
                reach.lower,
                reach.upper,
            )
            self._contests[number] = contest
        return contest

    def _counterexample(
        self, contest: _Contest, model: list[int], fixed: FeatureSet, meter: Meter
    ) -> Answer:
        moved = contest.moved(model, self.problem.universe - fixed)
        if self.focus is not Kind.AXP:
            frequency = self._frequency
            for feature in sorted(moved, key=lambda f: -frequency[f]):
                if feature in moved and len(moved) > 1:
                    rest = moved - {feature}
                    found = contest.solve(self.problem.universe - rest, meter)
                    if isinstance(found, Unknown):
                        break
                    if found is not None:
                        model, moved = found, contest.moved(found, rest)
            frequency.update(moved)
        cells = contest.located(model, moved)
        columns = [c for f in moved for c in self.problem.space.features[f].columns]
        point = self.program.boxes.enter(
            self.problem.instance, self._cells, cells, columns, self._limits
        )
        return Counterexample(point, frozenset(moved), self._outcome())


class _Contest:
    """One way to lose: a class beats others, as clauses and cardinalities."""

    def __init__(
        self,
        problem: ExplanationProblem,
        objective: Objective,
        boxes: LeafBoxes,
        cells: Cells,
        lower: Cells,
        upper: Cells,
    ) -> None:
        self._boxes, self._cells = boxes, cells
        self._excluded = (cells < boxes.lower) | (cells >= boxes.upper)
        self._excluded_by = self._excluded.sum(axis=1)
        self._count = 0
        self._clauses: list[list[int]] = []
        self._orders: list[list[int]] = []
        for column, size in enumerate(boxes.n_cells.tolist()):
            order = self._fresh(size - 1)
            self._orders.append(order)
            self._clauses += [[-b, a] for a, b in itertools.pairwise(order)]
            self._clauses += [[v] for v in order[: int(lower[column])]]
            self._clauses += [[-v] for v in order[int(upper[column]) - 1 :]]
        self._edges: dict[int, list[int]] = {}
        self._selectors: dict[int, int] = {}
        for number, feature in enumerate(problem.space.features):
            edges: list[int] = []
            for column in feature.columns:
                order, at = self._orders[column], int(cells[column])
                edges += order[:at][-1:] + [-v for v in order[at : at + 1]]
            if feature.immutable:
                self._clauses += [[edge] for edge in edges]
                continue
            (selector,) = self._fresh(1)
            self._edges[number], self._selectors[number] = edges, selector
            self._clauses += [[-selector, edge] for edge in edges]
        self._feature = {v: f for f, v in self._selectors.items()}
        counts = self._ballots(objective)
        self._solver: Any = Solver(name=_SOLVER, bootstrap_with=self._clauses)
        for literals, most in counts:
            self._solver.add_atmost(literals, most)

    def solve(self, fixed: FeatureSet, meter: Meter) -> list[int] | Unknown | None:
        """Return an assignment, `None` if there is none."""
        selectors = self._selectors
        assumptions = [selectors[f] for f in fixed]
        found = solve_within(self._solver, assumptions, meter)
        if found is None:
            return Unknown(meter.exhausted() or UnknownReason.TIME)
        return self._solver.get_model() if found else None

    def core(self) -> set[int]:
        """Return fixed features that sufficed to refute the last question."""
        return {self._feature[v] for v in self._solver.get_core() or ()}

    def moved(self, model: list[int], among: AbstractSet[int]) -> set[int]:
        """Return the features that an assignment takes out of the instance's cells."""
        found: set[int] = set()
        for feature in among:
            for edge in self._edges[feature]:
                if model[abs(edge) - 1] != edge:
                    found.add(feature)
                    break
        return found

    def located(self, model: list[int], moved: set[int]) -> Cells:
        """Return cells near the instance in which all trees vote as in an assignment."""
        boxes, cells = self._boxes, self._cells
        target = cells.copy()
        owner = boxes.space.owner
        for column, order in enumerate(self._orders):
            if int(owner[column]) in moved:
                target[column] = sum(model[v - 1] > 0 for v in order)
        columns = np.flatnonzero(target != cells)
        kept = self._excluded_by - self._excluded[:, columns].sum(axis=1) == 0
        lower, upper = boxes.lower[kept][:, columns], boxes.upper[kept][:, columns]
        at = target[columns]
        inside = ((lower <= at) & (at < upper)).all(axis=1)
        low, high = lower[inside].max(axis=0), upper[inside].min(axis=0) - 1
        target[columns] = np.minimum(np.maximum(cells[columns], low), high)
        return target

    def _fresh(self, count: int) -> list[int]:
        self._count += count
        return list(range(self._count - count + 1, self._count + 1))

    def _ballots(self, objective: Objective) -> list[tuple[list[int], int]]:
        """Count votes: the target's trees and those that are not the rival's are enough."""
        weights = objective.weights
        target = weights.index(1.0)
        rivals = objective.against or (weights.index(-1.0),)
        trees, votes = len(self._boxes.trees), self._boxes.values.argmax(axis=1)
        ours = self._unless(votes != target)
        counts: list[tuple[list[int], int]] = []
        for rival in rivals:
            ties = target < rival if objective.against else objective.at_zero is True
            needed = trees + (not ties)
            if len(weights) == 2:
                counts.append(([-v for v in ours], trees - (needed + 1) // 2))
            else:
                both = [*ours, *self._unless(votes == rival)]
                counts.append(([-v for v in both], 2 * trees - needed))
        return counts

    def _unless(self, leaves: npt.NDArray[np.bool_]) -> list[int]:
        """Return a variable per tree that is false where the tree is in one of some leaves."""
        boxes = self._boxes
        variables = self._fresh(len(boxes.trees))
        lower, upper = boxes.lower > 0, boxes.upper < boxes.n_cells
        for row in np.flatnonzero(leaves).tolist():
            clause = [-variables[int(boxes.tree[row])]]
            for column in np.flatnonzero(lower[row]).tolist():
                clause.append(-self._orders[column][int(boxes.lower[row, column]) - 1])
            for column in np.flatnonzero(upper[row]).tolist():
                clause.append(self._orders[column][int(boxes.upper[row, column]) - 1])
            self._clauses.append(clause)
        return variables

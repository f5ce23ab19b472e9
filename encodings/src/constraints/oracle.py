"""Any family's oracle, made to respect constraints: entailment as it is, witnesses repaired.

Constraints only take points away.  So what an oracle that does not know them proves stays
proved, and what it shows is worth something only if the point is admissible.  A point that
is not is repaired: its moved features take the nearest admissible values, and the model that
runs says whether the decision still changes.  What neither settles goes to the exact oracle
of the family if there is one; where few points are left of discrete columns they are listed;
and all else is unknown, never yes or no.

This is the lazy refinement of constraints known from satisfiability modulo theories, with an
arbitrary oracle in the place of the Boolean solver.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.explanation import Kind
from whyproof.engine.oracle import Oracle, lanes, relevant
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet, Point

from .background import Background, Found
from .boxes import free_box, reachable
from .constraint import Constraint

__all__ = ["ConstrainedOracle", "ExactUnderConstraints", "background_of", "witness"]


_MOST_POINTS = 20_000
"""Points of discrete columns that are listed rather than searched."""


class ExactUnderConstraints(Protocol):
    """Decides what an oracle without constraints and a repair could not."""

    def decide_one(self, free: FeatureSet, meter: Meter) -> Answer:
        """Decide one free set under the problem's constraints."""
        ...


def background_of(problem: ExplanationProblem, helpers: int = 0) -> Background:
    """Return the solver of a problem's constraints.

    Constraints of other origin than `Constraint` are not known to it; points are still
    checked against them.
    """
    known = [c for c in problem.constraints if isinstance(c, Constraint)]
    return Background([column.domain for column in problem.space.columns], known, helpers)


class ConstrainedOracle:
    """An oracle whose answers respect the constraints of the problem's space.

    Parameters
    ----------
    problem
        With constraints.
    plain
        Decides its free sets as if there were none.
    exact
        Decides what stays open; without it that is unknown.
    background
        Solver of the constraints, to share; made here if not given.
    """

    def __init__(
        self,
        problem: ExplanationProblem,
        plain: Oracle,
        exact: ExactUnderConstraints | None = None,
        background: Background | None = None,
    ) -> None:
        self.problem = problem
        self.plain = plain
        self.exact = exact
        self.background = background or background_of(problem)
        owners = problem.space.owner[sorted(self.background.columns)]
        bound = frozenset(owners.tolist()) & problem.universe
        self.relevant: FeatureSet = relevant(plain, problem.universe) | bound

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return f"{self.plain.name} under constraints"

    @property
    def lanes(self) -> int:
        """As many free sets as the oracle inside decides at about the price of one."""
        return lanes(self.plain)

    @property
    def focus(self) -> Kind | None:
        """Which kind of explanation the evidence is for."""
        return getattr(self.plain, "focus", None)

    @focus.setter
    def focus(self, kind: Kind | None) -> None:
        if hasattr(self.plain, "focus"):
            setattr(self.plain, "focus", kind)  # noqa: B010  # known only at run time

    def guaranteed_margin(self, free: FeatureSet, meter: Meter) -> float | None:
        """Bound the lead of the decision without the help of constraints, if that is possible."""
        find = getattr(self.plain, "guaranteed_margin", None)
        found: object = find(free, meter) if callable(find) else None
        return float(found) if isinstance(found, float | int) else None

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set under the constraints."""
        answers = self.plain.decide(free_sets, meter)
        return [
            self._admissible(free, answer, meter)
            for free, answer in zip(free_sets, answers, strict=True)
        ]

    def _admissible(self, free: FeatureSet, answer: Answer, meter: Meter) -> Answer:
        if isinstance(answer, Counterexample):
            if self._satisfies(answer):
                return answer
            repaired = self._repaired(free, answer, meter)
            if repaired is not None:
                return repaired
        elif not isinstance(answer, Unknown):
            return answer
        if self.exact is not None and meter.exhausted() is None:
            decided = self.exact.decide_one(free, meter)
            if not isinstance(decided, Unknown):
                return decided
            answer = decided
        listed = self._listed(free)
        if listed is not None:
            return self._by_listing(free, listed)
        if isinstance(answer, Unknown):
            return answer
        return Unknown(
            meter.exhausted() or UnknownReason.INCOMPLETE,
            "the point that changes the decision breaks a constraint and could not be repaired",
        )

    def _listed(self, free: FeatureSet) -> list[list[float]] | None:
        """Return all values of the columns that may move, if there are few."""
        problem = self.problem
        moving = free & self.relevant
        columns = [
            c for c in range(problem.space.n_columns) if int(problem.space.owner[c]) in moving
        ]
        values: list[list[float]] = [[float(v)] for v in problem.instance]
        count = 1
        for column, reach in reachable(problem, columns).items():
            if not problem.space.columns[column].domain.is_discrete:
                return None
            options: list[float] = [math.nan] if reach.missing else []
            for low, high in reach.whole().intervals:
                if not high - low < _MOST_POINTS:
                    return None
                options += [float(code) for code in range(int(low), int(high) + 1)]
            values[column] = options
            count *= len(options)
            if count > _MOST_POINTS:
                return None
        return values

    def _by_listing(self, free: FeatureSet, values: Sequence[Sequence[float]]) -> Answer:
        """Run the model on every admissible point there is."""
        problem = self.problem
        points = np.array(list(itertools.product(*values)))
        for constraint in problem.constraints:
            points = points[constraint.holds(points)]
        rows: list[int] = np.flatnonzero(problem.changed(points)).tolist() if len(points) else []
        for row in rows:
            found = witness(problem, points[row], free)
            if found is not None:
                return found
        names = tuple(constraint.name for constraint in problem.constraints)
        return Entailed(self.relevant - free, constraints=names)

    def _satisfies(self, answer: Counterexample) -> bool:
        point = answer.point[None]
        return all(bool(constraint.holds(point)[0]) for constraint in self.problem.constraints)

    def _repaired(
        self, free: FeatureSet, answer: Counterexample, meter: Meter
    ) -> Counterexample | None:
        """Look for an admissible point near a witness that changes the decision as well."""
        problem = self.problem
        for allowed in (answer.moved, free):
            box = free_box(problem, allowed, self.background.columns)
            found = self.background.solve(box, answer.point, meter, shrink=False)
            if not isinstance(found, Found):
                continue
            repaired = witness(problem, found.put(answer.point), free)
            if repaired is not None:
                return repaired
        return None


def witness(problem: ExplanationProblem, point: Point, free: FeatureSet) -> Counterexample | None:
    """Return a point as a counterexample if it is one in every respect.

    Parameters
    ----------
    problem
        What is asked.
    point
        Shape ``(columns,)``.
    free
        Features that may move.
    """
    moved = problem.space.moved(problem.instance, point)
    if not moved <= free or not problem.region.contains(problem.space, problem.instance, point):
        return None
    if not all(bool(constraint.holds(point[None])[0]) for constraint in problem.constraints):
        return None
    if not bool(problem.space.admissible(point).all()):
        return None
    outcomes, changed = problem.question.evaluate(
        problem.classifier, point[None], problem.prediction
    )
    if not bool(changed[0]):
        return None
    return Counterexample(point, moved, float(outcomes[0]))

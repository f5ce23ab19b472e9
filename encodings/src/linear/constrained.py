"""Additive models under constraints: "the score changes side" as one more constraint.

What a column adds to a score is a polynomial on pieces.  A helper variable per column lies
below it: a line where the polynomial is one, tangents where it bends down, a chord where
it bends up; the helpers together have to reach the threshold.  With that the background
solver answers the question itself.  Columns that no constraint mentions need no helper,
because they go to their best value whatever the others do.

The outer approximation is refined where its solution is not a witness: by a further tangent,
or by cutting a piece in two (Kelley, The Cutting-Plane Method for Solving Convex Programs,
1960; Horst and Tuy, Global Optimization, 1990, for the second).  What stays within rounding is
`Unknown`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from whyproof.encodings.constraints.background import Background, Clash
from whyproof.encodings.constraints.boxes import free_box
from whyproof.encodings.constraints.formula import Every, Formula, In, Linear, Some
from whyproof.encodings.constraints.oracle import background_of, witness
from whyproof.encodings.constraints.values import Values
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet, Point

from .contest import Contest
from .oracle import AdditiveOracle
from .pieces import Pieces

__all__ = ["ConstrainedAdditive"]

_MOST_REFINEMENTS = 60
_ROOM = 1e-7
"""Share of the size of a score by which a witness is asked to be clear of the threshold."""


@dataclass
class _Part:
    """A polynomial on an interval, bounded from above by lines.

    Parameters
    ----------
    low, high
        Ends; NaN for the missing value.
    center, polynomial
        ``p0 + p1 * (x - center) + p2 * (x - center) ** 2``.
    touching
        Where tangents touch it.
    """

    low: float
    high: float
    center: float
    polynomial: tuple[float, float, float]
    touching: list[float] = field(default_factory=list[float])

    def at(self, x: float) -> float:
        """Return the value at a point."""
        p0, p1, p2 = self.polynomial
        y = 0.0 if math.isnan(x) else x - self.center
        return p0 + y * (p1 + y * p2)

    def lines(self) -> list[tuple[float, float]]:
        """Return slopes and offsets of lines that lie above it."""
        _, p1, p2 = self.polynomial
        if math.isnan(self.low) or self.low == self.high or (p1 == 0 and p2 == 0):
            return [(0.0, self.at(self.low if math.isfinite(self.low) else self.center))]
        if p2 == 0:
            return [(p1, self.at(self.center) - p1 * self.center)]
        if p2 > 0:
            if not math.isfinite(self.high - self.low):
                return []
            slope = (self.at(self.high) - self.at(self.low)) / (self.high - self.low)
            return [(slope, self.at(self.low) - slope * self.low)]
        found: list[tuple[float, float]] = []
        for x in self.touching:
            slope = p1 + 2 * p2 * (x - self.center)
            found.append((slope, self.at(x) - slope * x))
        return found

    def refined(self, x: float) -> list[_Part]:
        """Return parts whose lines are nearer to the polynomial at a point."""
        if self.polynomial[2] < 0:
            more = [*self.touching, x]
            return [_Part(self.low, self.high, self.center, self.polynomial, more)]
        middle = min(max(x, self.low), self.high)
        if middle in (self.low, self.high):
            middle = self.low / 2 + self.high / 2
        return [
            _Part(self.low, middle, self.center, self.polynomial),
            _Part(middle, self.high, self.center, self.polynomial),
        ]


@dataclass
class _Score:
    """One score of a goal: its parts by column, and what the rest adds at best."""

    contest: Contest
    parts: dict[int, list[_Part]]
    helper: dict[int, int]
    rest: float
    size: float


class ConstrainedAdditive:
    """Decides free sets of an additive model under the constraints of its space.

    Parameters
    ----------
    problem
        What is asked.
    plain
        The oracle of the problem without constraints.
    """

    def __init__(self, problem: ExplanationProblem, plain: AdditiveOracle) -> None:
        self.problem, self.plain = problem, plain
        rounds = sum(len(goal.contests) for goal in plain.goals)
        self._helpers = rounds * plain.pieces.n_slots
        self.background: Background = background_of(self.problem, self._helpers)

    def decide_one(self, free: FeatureSet, meter: Meter) -> Answer:
        """Decide one free set; see `ExactUnderConstraints`."""
        free = free & self.problem.universe
        used: set[int] = set()
        unknown: Unknown | None = None
        first = self.problem.space.n_columns
        for goal in self.plain.goals:
            scores: list[_Score] = []
            for row, contest in zip(goal.rows, goal.contests, strict=True):
                scores.append(self._score(row, contest, free, first, len(goal.rows) > 1))
                first += self.plain.pieces.n_slots
            answer = self._goal(scores, free, meter, used)
            if isinstance(answer, Counterexample):
                return answer
            unknown = answer or unknown
        if unknown is not None:
            return unknown
        owner = self.problem.space.owner[sorted(self.background.columns)]
        names = tuple(self.background.constraints[i].name for i in sorted(used))
        matter = self.plain.relevant | (frozenset(owner.tolist()) & self.problem.universe)
        return Entailed((matter if used else self.plain.relevant) - free, constraints=names)

    def _goal(
        self, scores: Sequence[_Score], free: FeatureSet, meter: Meter, used: set[int]
    ) -> Counterexample | Unknown | None:
        """Decide one objective; `None` means that it is out of reach."""
        box = free_box(self.problem, free, range(self.problem.space.n_columns))
        near = self._best(scores[0].contest, free)
        for _ in range(_MOST_REFINEMENTS):
            asked = [self._reaches(score, box, 0.0) for score in scores]
            answer = self.background.solve(box, near, meter, extra=asked)
            if isinstance(answer, Clash):
                used |= answer.constraints
                return None
            if isinstance(answer, Unknown):
                return answer
            found = witness(self.problem, self._put(answer.values, near), free)
            if found is not None:
                return found
            if not self._refine(scores, answer.values):
                break
        clear = [self._reaches(score, box, _ROOM * score.size) for score in scores]
        answer = self.background.solve(box, near, meter, extra=clear)
        if not isinstance(answer, Clash | Unknown):
            found = witness(self.problem, self._put(answer.values, near), free)
            if found is not None:
                return found
        return Unknown(UnknownReason.PRECISION, "the score lies within rounding of the threshold")

    def _put(self, values: Mapping[int, float], near: Point) -> Point:
        point = near.copy()
        for column, value in values.items():
            if column < len(point):
                point[column] = value
        return point

    def _best(self, contest: Contest, free: FeatureSet) -> Point:
        """Return the instance with free columns at their best values."""
        moving = np.isin(self.problem.space.owner, list(free))
        return np.where(moving, contest.nominal, self.problem.instance)

    def _score(
        self,
        weights: tuple[float, ...],
        contest: Contest,
        free: FeatureSet,
        first: int,
        joint: bool,
    ) -> _Score:
        """Split a score into parts of constrained columns and the best of all others."""
        problem, whole = self.problem, self.plain.pieces
        model = self.plain.model
        rounding = model.rounding + (len(model.terms) + 16) * 2.0**-52
        polynomials, errors = whole.weighted(weights, rounding)
        above = polynomials + errors
        at = whole.holding(problem.instance)
        here = whole.values(polynomials - errors, at, problem.instance)
        reach = whole.within_region(problem)
        best = reach.extremes(above).value
        rest, size = contest.start_upper, abs(contest.start_upper) + 1.0
        parts: dict[int, list[_Part]] = {}
        helper: dict[int, int] = {}
        for slot, column in enumerate(whole.columns.tolist()):
            size += abs(float(here[slot]))
            if int(problem.space.owner[column]) not in free:
                continue
            if joint or column in self.background.columns:
                rest -= float(here[slot])
                parts[column] = _parts(reach, above, slot)
                helper[column] = first + slot
            else:
                rest += max(0.0, float(best[slot]) - float(here[slot]))
        return _Score(contest, parts, helper, rest + 1e-12 * size, size)

    def _reaches(self, score: _Score, box: Mapping[int, Values], room: float) -> Formula:
        """Return the formula that a score may be beyond its threshold."""
        if math.isinf(score.rest):
            return Every(())
        every: list[Formula] = []
        for column, parts in score.parts.items():
            options: list[Formula] = []
            for part in parts:
                values = _values(part)
                if (values & box[column]).is_empty:
                    continue
                lines: list[Formula] = [In(column, values)]
                for slope, offset in part.lines():
                    terms = [(column, -slope)] if slope else []
                    lines.append(Linear((*terms, (score.helper[column], 1.0)), offset))
                options.append(Every(tuple(lines)))
            every.append(Some(tuple(options)))
        if not score.helper:
            return Every(()) if score.rest >= room else Some(())
        total = tuple((column, -1.0) for column in score.helper.values())
        return Every((*every, Linear(total, score.rest - room)))

    def _refine(self, scores: Sequence[_Score], values: Mapping[int, float]) -> bool:
        """Refine the part of each column where lines and polynomial are furthest apart."""
        refined = False
        for score in scores:
            for column, parts in score.parts.items():
                x, claimed = values.get(column), values.get(score.helper[column])
                if x is None or claimed is None:
                    continue
                for i, part in enumerate(parts):
                    if math.isnan(part.low) or not part.low <= x <= part.high:
                        continue
                    if claimed > part.at(x) + 1e-9 * score.size and part.polynomial[2]:
                        parts[i : i + 1] = part.refined(x)
                        refined = True
                        break
        return refined


def _parts(reach: Pieces, polynomials: np.ndarray, slot: int) -> list[_Part]:
    found: list[_Part] = []
    for i in np.flatnonzero(reach.slot == slot).tolist():
        low, high = float(reach.lower[i]), float(reach.upper[i])
        if low > high:
            continue
        center = float(reach.center[i])
        p0, p1, p2 = (float(c) for c in polynomials[i])
        touching: list[float] = []
        if p2 < 0:
            vertex = center - p1 / (2 * p2)
            ends = [x for x in (low, high, vertex, center) if math.isfinite(x)]
            touching = sorted({min(max(x, low), high) for x in ends})
        found.append(_Part(low, high, center, (p0, p1, p2), touching))
    return found


def _values(part: _Part) -> Values:
    return Values.only_missing() if math.isnan(part.low) else Values.between(part.low, part.high)

"""One search for one person: incumbents, programs, replay, and the narrow band of doubt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import Protocol

import numpy as np

from whyproof.encodings.constraints.formula import Linear
from whyproof.encodings.trees.boxes import Cells
from whyproof.engine.budget import Meter
from whyproof.engine.space import FeatureSet, FeatureSpace, Point

from .answer import Nearest, NearestStatus
from .causes import Causes
from .distance import Distance
from .goal import Alternative
from .greedy import greedy_point
from .knowledge import Knowledge
from .opening import opening_point
from .places import Places
from .posed import Extra
from .program import CellProgram, Solved
from .solvers import Solver

__all__ = ["Run"]

_MOST_DOUBTFUL = 24
"""Points in the narrow band that are replayed and excluded, one by one."""

_FURTHER = (0.0, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6)
"""Shares by which a move is made longer, tried in this order."""

_MOST_TANGENTS = 60
"""Rounds in which tangents are added, of ``l2``."""

_CLOSE = 1e-6
"""Bound and cost this near to each other, in shares of the cost, are the same."""

_CLOSE_VALUED, _CLOSE_CURVED = 1e-5, 1e-4
"""The same for models of values: linear ones, and networks, which compute in float32."""


class Judge(Protocol):
    """What a run asks of its search."""

    @property
    def distance(self) -> Distance:
        """What is minimised."""
        ...

    @property
    def space(self) -> FeatureSpace:
        """The inputs."""
        ...

    def outcomes(self, point: Point, predictions: Sequence[float]) -> tuple[float, ...] | None:
        """Run a point through all models; `None` if one does not change its decision."""
        ...


class Run:
    """One search for one person.

    Parameters
    ----------
    judge
        Whose question it is.
    predictions
        Outcomes of the instance.
    meter
        Budget of the run.
    program, goal, places, knowledge
        What is solved: trees, score rows by alternative, cells, constraints.
    extras
        More rows over cells.
    solver
        Who solves the programs.
    causes
        Effects, which are not paid for.
    """

    def __init__(
        self,
        judge: Judge,
        predictions: tuple[float, ...],
        meter: Meter,
        program: CellProgram,
        goal: Sequence[Alternative],
        places: Places,
        knowledge: Knowledge | None = None,
        extras: tuple[Extra, ...] = (),
        solver: Solver = "highs",
        causes: Causes | None = None,
    ) -> None:
        self.judge, self.predictions, self.meter = judge, predictions, meter
        self.program, self.goal, self.places = program, tuple(goal), places
        self.knowledge, self.extras = knowledge, extras
        self.solver: Solver = solver
        self.causes = causes
        self.boxes = program.boxes
        self.best: tuple[Fraction, Cells, Point, tuple[float, ...]] | None = None
        self.nodes = 0
        self.feasible_only = self._opened = False

    def search_all(self) -> float:
        """Solve all alternatives; return the least cost that they leave open."""
        posed: list[tuple[float, int, Alternative, Cells | None]] = []
        for number, rows in enumerate(self.goal):
            bodies = any(row.parts for row in rows)
            start = None if bodies else greedy_point(self.boxes, self.places, rows)
            if any(row.valued and row.slopes is None for row in rows):
                self._open()
            cost = math.inf
            if start is not None and self._offer(start, rows):
                cost = self._cost(start)
            posed.append((cost, number, rows, start if math.isfinite(cost) else None))
        bound = math.inf
        for _, _, rows, start in sorted(posed, key=lambda entry: entry[:2]):
            if self.feasible_only and self.best is not None:
                return 0.0
            bound = min(bound, self._solve(rows, start))
        return bound

    def _open(self) -> None:
        """Look for a first incumbent of a network, once."""
        if self.knowledge is None or self._opened:
            return
        self._opened = True
        point = opening_point(
            self.places,
            self.knowledge,
            lambda tried: self.judge.outcomes(tried, self.predictions) is not None,
            lambda tried: float(self.judge.distance.exact(self.places.instance, tried)),
            self.meter,
        )
        if point is None:
            return
        cells = self.boxes.locate(point)
        outcomes = self.judge.outcomes(point, self.predictions)
        moved = self.judge.space.moved(self.places.instance, point)
        if any(extra.stay and extra.stay <= moved for extra in self.extras):
            return
        if outcomes is not None and any(self._admits(cells, rows) for rows in self.goal):
            cost = self._exact(point)
            if cost is not None:
                self.best = (cost, cells, point, outcomes)

    def result(self, *, feasible_only: bool) -> Nearest:
        """Search, and say what is known."""
        self.feasible_only = feasible_only
        if feasible_only:
            zero = tuple(np.where(np.isfinite(c), 0.0, np.inf) for c in self.places.costs)
            self.places = replace(self.places, costs=zero)
        distance = self.judge.distance
        bound = self.search_all()
        nodes = self.nodes
        if self.best is None:
            status = NearestStatus.NONE if math.isinf(bound) else NearestStatus.UNKNOWN
            return Nearest(
                status, self.places.instance, None, math.inf, distance.rooted(bound), nodes=nodes
            )
        cost, cells, point, outcomes = self.best
        reached = float(cost)
        proved = bound >= reached * (1 - self._close) - 1e-12
        return Nearest(
            NearestStatus.OPTIMAL if proved else NearestStatus.BEST_SO_FAR,
            self.places.instance,
            point,
            distance.rooted(reached),
            distance.rooted(min(bound, reached)),
            self.judge.space.moved(self.places.instance, point),
            outcomes,
            cells,
            nodes,
            effects=self._effects(point),
        )

    def _effects(self, point: Point) -> FeatureSet:
        """Return the features that moved by effects alone."""
        if self.causes is None:
            return frozenset()
        here, space = self.places.instance, self.judge.space
        direct = self.causes.direct_columns(here, point, self.judge.distance) or frozenset()
        return space.moved(here, point) - {int(space.owner[c]) for c in direct}

    @cached_property
    def _close(self) -> float:
        """Share by which bound and cost may differ."""
        valued = [row for rows in self.goal for row in rows if row.valued]
        if any(row.slopes is None for row in valued):
            return _CLOSE_CURVED
        return _CLOSE_VALUED if valued else _CLOSE

    def _solve(self, rows: Alternative, start: Cells | None) -> float:
        """Solve one alternative; return the least cost of a point that stays open."""
        norm = self.judge.distance.norm
        extras = list(self.extras)
        sure_too = True
        bound = 0.0
        for _ in range(_MOST_DOUBTFUL if self.knowledge is None else _MOST_TANGENTS):
            if self.meter.exhausted() is not None:
                return bound
            solved = self.program.solve(
                self.places,
                norm,
                [(row, row.sums(sure=False), math.inf) for row in rows],
                extras=extras,
                ceiling=self._ceiling(),
                knowledge=self.knowledge,
                start=start,
                seconds=self.meter.remaining,
                solver=self.solver,
                causes=self.causes,
            )
            self.nodes += solved.nodes
            bound = max(bound, solved.bound)
            if solved.cells is None or not solved.finished:
                if solved.cells is not None:
                    self._offer(solved.cells, rows, solved.values)
                return bound
            if self._offer(solved.cells, rows, solved.values):
                if not self._refine(solved):
                    return bound
                continue
            valued = any(row.valued for row in rows)
            if sure_too or valued:
                sure_too = False
                self._sure(rows, extras)
            if valued:
                # Other values of the same cells may do: what is open stays open.
                if self._refine(solved):
                    continue
                return bound
            extras.append(self._elsewhere(solved.cells))
            start = None
        return bound

    def _sure(self, rows: Alternative, extras: Sequence[Extra]) -> None:
        """Look for an incumbent that meets the rows beyond doubt."""
        solved = self.program.solve(
            self.places,
            self.judge.distance.norm,
            [(row, row.sums(sure=True), math.inf) for row in rows],
            extras=extras,
            ceiling=self._ceiling(),
            knowledge=self.knowledge,
            seconds=self.meter.remaining,
            solver=self.solver,
            causes=self.causes,
        )
        self.nodes += solved.nodes
        if solved.cells is not None:
            self._offer(solved.cells, rows, solved.values)

    def _refine(self, solved: Solved) -> bool:
        """Add tangents where the price of a value was too low; tell whether some were added."""
        if self.knowledge is None or self.judge.distance.norm != "l2" or not solved.values:
            return False
        if solved.bound >= self._ceiling() * (1 - self._close / 2) - 1e-12:
            return False
        self.knowledge = self.knowledge.touching(solved.values)
        return True

    def _elsewhere(self, cells: Cells) -> Extra:
        """Exclude the points of the same leaves (and cells that constraints speak of)."""
        boxes = self.boxes
        reached = ((boxes.lower <= cells) & (cells < boxes.upper)).all(axis=1)
        low = boxes.lower[reached].max(axis=0, initial=0)
        high = boxes.upper[reached].min(axis=0, initial=int(boxes.n_cells.max()))
        if self.knowledge is not None:
            # Whether values can be found differs from cell to cell.
            held = sorted(self.knowledge.shifts)
            low[held], high[held] = cells[held], cells[held] + 1
        terms: list[tuple[int, int, float]] = []
        inside = 0
        for c, n_cells in enumerate(boxes.n_cells.tolist()):
            if low[c] > 0:
                terms.append((c, int(low[c]), 1.0))
                inside += 1
            if high[c] < n_cells:
                terms.append((c, int(high[c]), -1.0))
        return Extra(tuple(terms), -math.inf, inside - 1.0)

    def _offer(
        self, cells: Cells, rows: Alternative, values: Mapping[int, float] | None = None
    ) -> bool:
        """Take a point as incumbent if it is one; tell whether it is a counterfactual."""
        if not self._admits(cells, rows):
            return False
        point = self.places.point(cells)
        if self.knowledge is not None:
            needs = self._needs(cells, rows)
            wanted = self._nudged(needs, values or {})
            settled = self.knowledge.settle(self.boxes, self.places, cells, wanted, needs)
            if settled is None or not self.knowledge.holds(settled):
                return False
            point = settled
        moved = self.judge.space.moved(self.places.instance, point)
        if any(extra.stay and extra.stay <= moved for extra in self.extras):
            return False
        outcomes = self.judge.outcomes(point, self.predictions)
        if outcomes is None:
            return False
        cost = self._exact(point)
        if cost is None:
            return False
        if self.best is None or cost < self.best[0]:
            self.best = (cost, cells, point, outcomes)
        return True

    def _exact(self, point: Point) -> Fraction | None:
        """Return what a point costs; `None` if it cannot be reached."""
        here, distance = self.places.instance, self.judge.distance
        if self.causes is not None:
            return self.causes.cost(here, point, distance)
        return distance.exact(here, point)

    def _needs(self, cells: Cells, rows: Alternative) -> list[Linear]:
        """Return what linear models demand of the values of columns in some cells."""
        needs: list[Linear] = []
        for row in rows:
            slopes = row.slopes if row.valued else None
            if slopes is None:
                continue
            boxes = self.boxes
            reached = ((boxes.lower <= cells) & (cells < boxes.upper)).all(axis=1)
            left = float(row.least) - float(row.gains[reached].sum())
            held = [c for c in np.flatnonzero(slopes).tolist() if c not in self.places_missing]
            terms = tuple((c, -float(slopes[c])) for c in held)
            if terms:
                needs.append(Linear(terms, -left, strict=True))
        return needs

    @cached_property
    def places_missing(self) -> frozenset[int]:
        """Columns that are missing, and stay so where values matter."""
        return frozenset(np.flatnonzero(np.isnan(self.places.instance)).tolist())

    def _nudged(self, needs: Sequence[Linear], values: Mapping[int, float]) -> Mapping[int, float]:
        """Go a little further the same way, until what a solver's tolerance left is made up."""
        knowledge = self.knowledge
        if knowledge is None or not needs:
            return values
        home = self.places.instance
        for further in _FURTHER:
            moved = {
                c: value
                if c in knowledge.whole or c in knowledge.steps
                else min(max(float(home[c]) + (value - float(home[c])) * (1 + further), low), high)
                for c, value in values.items()
                for low, high in (knowledge.valued[c],)
            }
            if all(
                sum(Fraction(f) * Fraction(moved.get(c, float(home[c]))) for c, f in need.terms)
                <= need.limit
                for need in needs
            ):
                return moved
        return values

    def _admits(self, cells: Cells, rows: Alternative) -> bool:
        """Tell whether a point obeys the rules that are not about its cells alone."""
        boxes = self.boxes
        for row in rows:
            if row.slack == 0 and not row.parts and row.exact_lead(boxes, cells) < 0:
                return False
        for table in self.program.tables:
            if not bool(((table.lower <= cells) & (cells < table.upper)).all(axis=1).any()):
                return False
        for extra in self.extras:
            total = sum(f for c, k, f in extra.terms if cells[c] >= k)
            if not extra.lower - 1e-9 <= total <= extra.upper + 1e-9:
                return False
        return True

    def _cost(self, cells: Cells) -> float:
        cost = self._exact(self.places.point(cells))
        return math.inf if cost is None else float(cost)

    def _ceiling(self) -> float:
        return math.inf if self.best is None else float(self.best[0])

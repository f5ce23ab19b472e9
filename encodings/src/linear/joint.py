"""Joint search: a point at which one class beats all its rivals at once.

The leads over the rivals are sums over columns, but their minimum is not.  Mixed with
weights that add up to one they are a sum again, whose largest value bounds the minimum from
above for any weights (Lagrangian duality), and is found column by column.  The weights
are improved by subgradients; where the best bound stays above zero the column about which
the leads disagree most is cut in two, and both halves are searched, best bound first.

A point counts only when all leads are surely above zero there or the model that runs
confirms it, and a half is given up only when a rounded-up bound is below zero.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.objective import Objective
from whyproof.engine.answers import Answer, Counterexample, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.problem import ExplanationProblem

from .additive import AdditiveModel
from .contest import Contest
from .pieces import Floats, Pieces

__all__ = ["MOST_BOXES", "JointSearch"]

MOST_BOXES = 500
"""Boxes that are searched before the answer is unknown."""
_FIRST_ROUNDS, _ROUNDS = 40, 5
"""Improvements of the weights in the first box, and in each further one."""
_FAR = 1e9
"""How far an unbounded column is followed, in units of its values."""


@dataclass(frozen=True, eq=False)
class _Bounded:
    """A bound on the smallest lead in a node, and the point that came with it."""

    bound: float
    weights: Floats
    point: Floats


class JointSearch:
    """Looks for a point that wins several contests together.

    Parameters
    ----------
    problem, model, pieces
        As for the oracle.
    objective
        The class to reach and its rivals.
    contests
        One for each rival.
    """

    def __init__(
        self,
        problem: ExplanationProblem,
        model: AdditiveModel,
        pieces: Pieces,
        objective: Objective,
        contests: Sequence[Contest],
    ) -> None:
        self._problem, self._reach = problem, pieces.within_region(problem)
        rounding = model.rounding + (len(model.terms) + 16) * 2.0**-52
        self._rounding = rounding
        w = np.array(objective.weights)
        rows = [w - (np.arange(len(w)) == rival) for rival in objective.against]
        pairs = [pieces.weighted(tuple(row.tolist()), rounding) for row in rows]
        self._values = np.stack([pair[0] for pair in pairs])
        self._errors = np.stack([pair[1] for pair in pairs])
        at = pieces.holding(problem.instance)
        # What does not come from free columns, rounded up.
        self._here = np.stack([pieces.values(p, at, problem.instance) for p, _ in pairs])
        self._here_error = np.stack([pieces.values(e, at, problem.instance) for _, e in pairs])
        self._start = np.array([contest.start_upper for contest in contests])
        self._unbounded = False

    def decide(self, free: npt.NDArray[np.bool_], meter: Meter) -> Answer | None:
        """Search with some features free, shape ``(features,)``; `None` means out of reach."""
        reach = self._reach
        slots = free[self._problem.space.owner[reach.columns]]
        moving = slots[reach.slot]
        own = (self._here + self._here_error)[:, slots]
        constant = self._start - own.sum(axis=1)
        constant += self._rounding * (np.abs(self._start) + np.abs(own).sum(axis=1))
        endless = moving & (np.isinf(reach.lower) | np.isinf(reach.upper))
        endless &= reach.lower <= reach.upper
        span = _FAR * (1.0 + np.abs(reach.center))
        root = replace(
            reach,
            lower=np.where(np.isinf(reach.lower) & endless, reach.center - span, reach.lower),
            upper=np.where(np.isinf(reach.upper) & endless, reach.center + span, reach.upper),
        )
        ticket = itertools.count()
        rivals = len(self._start)
        even = np.full(rivals, 1.0 / rivals)
        first = self._bound(root, slots, constant, even, _FIRST_ROUNDS)
        if isinstance(first, Counterexample):
            return first
        heap = [(-first.bound, next(ticket), root, first)]
        for _ in range(MOST_BOXES):
            if not heap or heap[0][0] > 0:
                return self._refuted(bool(endless.any()))
            if meter.exhausted() is not None:
                return Unknown(UnknownReason.TIME)
            _, _, node, found = heapq.heappop(heap)
            halves = self._halves(node, slots, found)
            # What cannot be cut is a single point, which was tried.
            for half in halves or ():
                result = self._bound(half, slots, constant, found.weights, _ROUNDS)
                if isinstance(result, Counterexample):
                    return result
                if result.bound >= 0:
                    heapq.heappush(heap, (-result.bound, next(ticket), half, result))
        return Unknown(
            UnknownReason.INCOMPLETE, f"not settled within {MOST_BOXES} boxes; narrow the region"
        )

    def _refuted(self, endless: bool) -> Unknown | None:
        if endless:
            return Unknown(
                UnknownReason.INCOMPLETE,
                "an unbounded column was followed only so far; give it bounds",
            )
        return None

    def _bound(
        self,
        node: Pieces,
        slots: npt.NDArray[np.bool_],
        constant: Floats,
        weights: Floats,
        rounds: int,
    ) -> _Bounded | Counterexample:
        """Improve the weights of the leads; stop at a point that changes the decision."""
        best = _Bounded(math.inf, weights, self._problem.instance)
        upper = self._values + self._errors
        step = 1.0
        for _ in range(rounds):
            mixed = np.einsum("r,rnp->np", weights, upper)
            extremes = node.extremes(mixed)
            added = extremes.value[slots]
            bound = float(weights @ constant + added.sum())
            bound += self._rounding * float(weights @ np.abs(constant) + np.abs(added).sum())
            point = self._problem.instance.copy()
            point[node.columns[slots]] = extremes.at[slots]
            leads = self._leads(node, point, slots, constant)
            if leads.min() >= 0 and bool(self._problem.changed(point[None])[0]):
                moved = self._problem.space.moved(self._problem.instance, point)
                return Counterexample(point, moved, math.nan)
            if bound < best.bound:
                best = _Bounded(bound, weights, point)
            if best.bound < 0:
                break
            slope = leads - leads.mean()
            size = float(np.abs(slope).max())
            if size == 0:
                break
            # Multiplicative weights: the rivals that lose least count more.
            weights = weights * np.exp(-step * slope / size)
            weights = weights / weights.sum()
            step *= 0.9
        return best

    def _leads(
        self, node: Pieces, point: Floats, slots: npt.NDArray[np.bool_], constant: Floats
    ) -> Floats:
        at = node.holding(point)
        upper = self._values + self._errors
        added = np.stack([node.values(row, at, point) for row in upper])
        return np.asarray(constant + added[:, slots].sum(axis=1))

    def _halves(
        self, node: Pieces, slots: npt.NDArray[np.bool_], found: _Bounded
    ) -> tuple[Pieces, Pieces] | None:
        """Cut the column about which the leads disagree most; `None` if nothing can be cut."""
        upper = self._values + self._errors
        at = node.holding(found.point)
        loss = np.zeros(node.n_slots)
        for weight, row in zip(found.weights, upper, strict=True):
            best = node.extremes(row).value
            loss += max(float(weight), 1e-3) * (best - node.values(row, at, found.point))
        for slot in np.argsort(-np.where(slots, loss, -1.0)).tolist():
            if not slots[slot]:
                break
            halves = _cut(node, slot, float(found.point[node.columns[slot]]))
            if halves is not None:
                return halves
        return None


def _cut(node: Pieces, slot: int, value: float) -> tuple[Pieces, Pieces] | None:
    """Cut the pieces of one column into two parts, `None` if it has one value."""
    own = np.flatnonzero((node.slot == slot) & ~(node.lower > node.upper))
    if not len(own):
        return None
    first, second = (node.lower.copy(), node.upper.copy()), (node.lower.copy(), node.upper.copy())
    if len(own) > 1:
        half = len(own) // 2
        for bounds, closed in ((first, own[half:]), (second, own[:half])):
            bounds[0][closed], bounds[1][closed] = np.inf, -np.inf
    else:
        piece = int(own[0])
        low, high = float(node.lower[piece]), float(node.upper[piece])
        if math.isnan(low) or low == high:
            return None
        middle = low / 2 + high / 2
        if low < value < high and min(value - low, high - value) > 0.05 * (high - low):
            middle = value
        left = math.floor(middle) if node.discrete[piece] else middle
        right = left + 1 if node.discrete[piece] else math.nextafter(left, math.inf)
        if not (low <= left and right <= high):
            return None
        first[1][piece], second[0][piece] = left, right
    return (
        replace(node, lower=first[0], upper=first[1]),
        replace(node, lower=second[0], upper=second[1]),
    )

"""Contests: how far one weighted score can be pushed by freeing features, from both sides.

The largest value of a weighted score over a set of free features is a sum over features:
what a feature adds when it goes to its best value does not depend on the others.  So an
instance of an additive model boils down to one number for each feature (Marques-Silva,
Gerspacher, Cooper, Ignatiev, Narodytska: Explaining Naive Bayes and Other Linear
Classifiers with Polynomial Time and Delay, NeurIPS 2020).

Ours differs in that every number is kept twice, rounded up and down by a rigorous bound
on floating-point errors: the upper one is for proofs, the lower one for counterexamples.
Where they disagree about the sign nothing is claimed.  Unbounded columns have infinite
gains; a counterexample takes a finite value that is just large enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from whyproof.engine.problem import ExplanationProblem

from .additive import AdditiveModel
from .pieces import Floats, Pieces

__all__ = ["Contest"]

_ENOUGH = 1 + 1e-6
_MOST_DOUBLINGS = 1100


@dataclass(frozen=True, eq=False)
class Contest:
    """Bounds of one weighted score around one instance.

    Parameters
    ----------
    start_upper, start_lower
        Bounds at the instance itself.
    upper, lower
        What freeing a feature adds to the bounds, never negative, maybe infinite, shape
        ``(features,)`` each.
    target
        Value of each column when it is moved, finite where it can be, ``(columns,)``.
    nominal
        Value of each column at which the score itself (not its lower bound) is largest.
    """

    start_upper: float
    start_lower: float
    upper: Floats
    lower: Floats
    target: Floats
    nominal: Floats

    @classmethod
    def of(
        cls,
        model: AdditiveModel,
        whole: Pieces,
        problem: ExplanationProblem,
        weights: tuple[float, ...],
        constant: float,
        slack: float,
    ) -> Contest:
        """Bound ``weights @ scores + constant`` for the instance of a problem.

        Parameters
        ----------
        model
            The model.
        whole
            Its pieces over the whole space.
        problem
            Instance and region.
        weights
            Factor of each score.
        constant, slack
            Added, and how far it may be off.
        """
        rounding = model.rounding + (len(model.terms) + 16) * 2.0**-52
        w = np.array(weights)
        polynomials, errors = whole.weighted(weights, rounding)
        at = whole.holding(problem.instance)
        here = whole.values(polynomials, at, problem.instance)
        here_error = whole.values(errors, at, problem.instance)
        moving = set(whole.columns.tolist())
        rest = [
            term.at(float(problem.instance[term.column]))
            for term in model.terms
            if term.column not in moving
        ]
        still = float(sum((w @ added for added in rest), 0.0))
        still_size = float(sum((np.abs(w) @ np.abs(added) for added in rest), 0.0))
        base = float(w @ model.base) + constant + still + float(here.sum())
        error = (
            slack
            + float(here_error.sum())
            + rounding * (float(np.abs(w) @ model.base_sizes) + abs(constant) + still_size)
        )
        reach = whole.within_region(problem)
        best, worst = reach.extremes(polynomials + errors), reach.extremes(polynomials - errors)
        nominal = reach.extremes(polynomials)
        gain_upper = np.maximum(best.value - (here + here_error), 0.0)
        gain_lower = np.maximum(worst.value - (here - here_error), 0.0)
        # Adding up start and gains is rounded too, in proportion to numbers that cancel.
        own = (len(model.terms) + 16) * 2.0**-52
        fixed = np.abs(here) + here_error
        error += own * (abs(base) + float(fixed.sum()))
        gain_upper += own * (gain_upper + fixed + _finite(best.value))
        gain_lower = np.where(
            np.isinf(gain_lower),
            gain_lower,
            np.maximum(
                gain_lower - own * (_finite(gain_lower) + fixed + _finite(worst.value)), 0.0
            ),
        )
        target, peak = problem.instance.copy(), problem.instance.copy()
        target[whole.columns], peak[whole.columns] = worst.at, nominal.at
        idle = ~(gain_lower > 0)
        target[whole.columns[idle]] = problem.instance[whole.columns[idle]]
        endless = np.isinf(gain_lower)
        if bool(endless.any()):
            needed = max(error - base, abs(base), 1e-300) * _ENOUGH
            moved = _far_enough(reach, polynomials - errors, here - here_error, target, needed)
            lost = endless & ~np.isfinite(moved)
            gain_lower[lost] = 0.0
            moved[lost] = problem.instance[whole.columns[lost]]
            target[whole.columns[endless]] = moved[endless]
        peak[np.isinf(peak)] = target[np.isinf(peak)]
        owner, n = problem.space.owner[whole.columns], problem.space.n_features
        return cls(
            base + error,
            base - error,
            np.asarray(np.bincount(owner, gain_upper, n), dtype=np.float64),
            np.asarray(np.bincount(owner, gain_lower, n), dtype=np.float64),
            target,
            peak,
        )

    @cached_property
    def order(self) -> npt.NDArray[np.intp]:
        """Features by what they surely add, most first."""
        return np.argsort(-self.lower, kind="stable")

    def bounds(self, free: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Bound the largest value for each set of free features.

        Parameters
        ----------
        free
            Shape ``(sets, features)``.

        Returns
        -------
        upper, lower
            Shape ``(sets,)`` each.
        """
        return (
            self.start_upper + _total(free, self.upper),
            self.start_lower + _total(free, self.lower),
        )

    def fewest(self, free: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return the fewest free features whose moves surely lift the score above zero.

        Rows for which there are none come back as all that helps, ``(sets, features)``.
        """
        order = self.order
        chosen = free[:, order] & (self.lower[order] > 0)
        before = np.cumsum(np.where(chosen, self.lower[order], 0.0), axis=1) + self.start_lower
        reached = np.concatenate(
            [np.full((len(free), 1), self.start_lower), before[:, :-1]], axis=1
        )
        kept = np.zeros_like(free)
        kept[:, order] = chosen & ~(reached > 0)
        return kept


def _finite(values: Floats) -> Floats:
    """Return sizes, zero where infinite."""
    return np.where(np.isfinite(values), np.abs(values), 0.0)


def _total(free: npt.NDArray[np.bool_], gains: Floats) -> Floats:
    endless = np.isinf(gains)
    total = free @ np.where(endless, 0.0, gains)
    if bool(endless.any()):
        total = np.where((free & endless).any(axis=1), np.inf, total)
    return np.asarray(total, dtype=np.float64)


def _far_enough(
    reach: Pieces, polynomials: Floats, here: Floats, target: Floats, needed: float
) -> Floats:
    """Return for each slot a finite value that lifts the lower bound by `needed`, if endless."""
    result = target[reach.columns].copy()
    for sign in (1.0, -1.0):
        slots = np.flatnonzero(np.isinf(result) & (np.sign(result) == sign))
        if not len(slots):
            continue
        end = reach.upper if sign > 0 else reach.lower
        last = np.isinf(end) & (np.sign(end) == sign)
        piece = np.full(reach.n_slots, -1)
        piece[reach.slot[last]] = np.flatnonzero(last)
        c, center = polynomials[piece[slots]], reach.center[piece[slots]]
        # Straight lines need this distance; parabolas and offsets are settled by doubling.
        slope = np.maximum(np.abs(c[:, 1]), 1e-300)
        step = np.maximum((needed + np.abs(here[slots] - c[:, 0])) / slope, 1e-300)
        step = np.where(c[:, 2] != 0, 1.0, step)
        start = np.where(sign > 0, reach.lower[piece[slots]], reach.upper[piece[slots]])
        start = np.where(np.isfinite(start), start, center)
        found = np.full(len(slots), np.nan)
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(_MOST_DOUBLINGS):
                x = start + sign * step
                x = np.where(reach.discrete[piece[slots]], np.ceil(x * sign) * sign, x)
                y = x - center
                value = c[:, 0] + y * (c[:, 1] + y * c[:, 2])
                good = np.isnan(found) & (value - here[slots] >= needed) & np.isfinite(x)
                found = np.where(good, x, found)
                if not bool(np.isnan(found).any()) or not bool(np.isfinite(x).any()):
                    break
                step = 2 * step
        result[slots] = found
    return result

"""Sorting: smallest explanations of additive models (Marques-Silva et al., NeurIPS 2020).

With one contest, a smallest abductive explanation fixes the features that would add
most, until what is left cannot reach zero; a smallest contrastive one frees those that add
most, until zero is passed.  With several rivals the contrastive one is the smallest
over the rivals.  The abductive one has to hold against all of them: a greedy cover is
proposed, which is smallest whenever it meets the bound that each rival alone gives (the
general problem is a multi-dimensional knapsack).

Bounds on sizes come from the other side of the rounding: a smaller set fails for certain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .contest import Contest
from .pieces import Floats

__all__ = ["least_abductive", "least_contrastive"]

Flags = npt.NDArray[np.bool_]


def least_contrastive(
    contests: Sequence[Contest], allowed: Flags, relevant: Flags
) -> tuple[Flags, int] | None:
    """Return the features of a smallest change, and a lower bound on their number.

    Parameters
    ----------
    contests
        What may be lifted above zero; one suffices.
    allowed
        Features that may be freed, shape ``(features,)``.
    relevant
        Features that matter, shape ``(features,)``.
    """
    best: Flags | None = None
    size, bound = len(allowed) + 1, len(allowed) + 1
    for contest in contests:
        order = contest.order[allowed[contest.order]]
        sums = np.concatenate([[0.0], np.cumsum(contest.lower[order])])
        reached = np.flatnonzero(contest.start_lower + sums > 0)
        if len(reached) and int(reached[0]) < size:
            size = int(reached[0])
            best = np.zeros_like(allowed)
            best[order[:size]] = True
        most = np.concatenate([[0.0], np.cumsum(-np.sort(-contest.upper[allowed]))])
        possible = np.flatnonzero(contest.start_upper + most >= 0)
        bound = min(bound, int(possible[0]) if len(possible) else bound)
    return None if best is None else (best, max(bound, 1))


def least_abductive(
    contests: Sequence[Contest], allowed: Flags, relevant: Flags
) -> tuple[Flags, int] | None:
    """Return the features of a smallest reason, and a lower bound on their number.

    Parameters are those of `least_contrastive`; every contest has to stay below zero.
    """
    free = relevant & ~allowed
    bound = 0
    needed: list[Floats] = []
    gains: list[Floats] = []
    for contest in contests:
        surely = np.sort(contest.lower[allowed])
        # What is surely left when the k largest are fixed, for k = all, ..., 0.
        left = contest.start_lower + float(contest.lower[free].sum())
        rest = left + np.concatenate([[0.0], np.cumsum(surely)])
        bound = max(
            bound, len(surely) - int(np.flatnonzero(rest <= 0)[-1] if (rest <= 0).any() else -1)
        )
        needed.append(np.array(contest.start_upper + float(contest.upper[free].sum())))
        gains.append(np.where(allowed, contest.upper, 0.0))
    chosen = _cover(np.array(needed), np.stack(gains), allowed)
    if chosen is None:
        return None
    return chosen, bound


def _cover(start: Floats, gains: Floats, allowed: Flags) -> Flags | None:
    """Fix features until all sums of what is left are below zero; `None` if impossible."""
    if bool((start >= 0).any()):
        return None
    chosen = np.zeros_like(allowed)
    endless = np.isinf(gains).any(axis=0)
    chosen |= endless & allowed
    left = np.where(chosen, 0.0, np.where(np.isinf(gains), 0.0, gains))
    if len(start) == 1:
        order = np.argsort(left[0], kind="stable")
        total = start[0] + np.cumsum(left[0][order])
        chosen[order[total >= 0]] = True
        return chosen & allowed
    over = start + left.sum(axis=1)
    while bool((over >= 0).any()):
        # Most of what is still too much, in units of each rival's excess.
        excess = np.where(over >= 0, over - start, np.inf)
        share = np.minimum(left / np.maximum(over, 1e-300)[:, None], 1.0)
        share = np.where(np.isfinite(excess)[:, None], share, 0.0).sum(axis=0)
        i = int(np.argmax(np.where(chosen, -1.0, share)))
        if chosen[i] or share[i] <= 0:
            return None
        chosen[i] = True
        over -= left[:, i]
        left[:, i] = 0.0
    return _pruned(start, gains, chosen)


def _pruned(start: Floats, gains: Floats, chosen: Flags) -> Flags:
    """Free again what is not needed, those first that add least."""
    finite = np.where(np.isinf(gains), np.inf, gains)
    total = start + np.where(chosen, 0.0, finite).sum(axis=1)
    for i in np.flatnonzero(chosen)[np.argsort(finite[:, chosen].max(axis=0))].tolist():
        if bool((total + finite[:, i] < 0).all()):
            chosen[i] = False
            total += finite[:, i]
    return chosen

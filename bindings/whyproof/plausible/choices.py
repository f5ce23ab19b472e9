"""Which group and which magnitude serves a row best: all pairs are tried.

Given K shifts, each row may take any of them at any magnitude of a grid: every point is
projected, judged and compared.  The cost of a row is lexicographic: valid before plausible
before near.  The same table of costs tells which shifts can be left out (`prune`).

Ours in place of reading the group off the largest entry of S: the relaxation ends where the
entries of S are, this ends where the points are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .landscape import Judgement, Landscape
from .projection import Projection

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Choice", "choose", "costs_of", "prune"]

_INVALID, _IMPLAUSIBLE, _THIN = 1e4, 1e2, 1e1


@dataclass(frozen=True)
class Choice:
    """What each row does.

    Parameters
    ----------
    group
        Index of its shift, shape ``(rows,)``.
    magnitude
        Positive factor of the shift, shape ``(rows,)``.
    points
        Where it ends, shape ``(rows, columns)``.
    cost
        Lexicographic cost of each row and shift at its best magnitude, ``(rows, K)``.
    """

    group: Tensor
    magnitude: Tensor
    points: Tensor
    cost: Tensor


def costs_of(landscape: Landscape, judged: Judgement, far: Tensor, *, soft: bool = False) -> Tensor:
    """Return the cost of points: invalid, implausible, thin, far; `soft` counts amounts.

    Distances are in paces of the landscape; thin points are below what the search aims at.
    """
    far = far / landscape.pace
    lack = (landscape.threshold.score - judged.score).clamp(min=0) / landscape.threshold.spread
    if soft:
        lack = lack / (1 + lack)
        return judged.lead.clamp(min=0) * 10 + lack + 0.2 * far
    invalid = (~landscape.valid(judged)).to(far.dtype) * (_INVALID + judged.lead)
    implausible = (~landscape.plausible(judged)).to(far.dtype) * _IMPLAUSIBLE
    thin = (~landscape.dense(judged)).to(far.dtype) * _THIN
    if landscape.threshold.score > landscape.floor:
        # Density was asked for: more of it is worth a longer way even where the aim is not met.
        thin = thin * lack / (1 + lack)
    return invalid + implausible + thin + far


def choose(
    landscape: Landscape,
    projection: Projection,
    origin: Tensor,
    shifts: Tensor,
    magnitudes: Sequence[float],
    *,
    snap: Callable[[Tensor], Tensor] | None = None,
    soft: bool = False,
    groups: Tensor | None = None,
) -> Choice:
    """Try every shift at every magnitude for every row.

    Parameters
    ----------
    origin
        Rows, scaled, shape ``(rows, columns)``.
    shifts
        Shape ``(K, columns)``.
    magnitudes
        Grid of positive factors, tried in this order; ties go to the first.
    snap
        Puts points on the lattice before they are judged.
    soft
        Compare amounts (while shifts are learnt) instead of counts (at the end).
    groups
        Group of each row, if it may not be changed.
    """
    import torch

    rows, count = len(origin), len(shifts)
    cost = torch.full((rows, count), torch.inf, device=origin.device)
    size, points = torch.ones_like(cost), origin.clone()
    best = torch.full((rows,), torch.inf, device=origin.device)
    for k in range(count):
        mine = slice(None) if groups is None else (groups == k).nonzero()[:, 0]
        start = origin[mine]
        if not len(start):
            continue
        bounds = projection if groups is None else projection.of(mine)
        for factor in magnitudes:
            tried = bounds.project(start + factor * shifts[k])
            if snap is not None and groups is None:
                tried = snap(tried)
            judged = landscape.judge(tried)
            found = costs_of(landscape, judged, (tried - start).norm(dim=1), soft=soft)
            column = cost[mine, k]
            less = found < column
            cost[mine, k] = torch.where(less, found, column)
            size[mine, k] = torch.where(less, torch.full_like(found, factor), size[mine, k])
            before = best[mine]
            first = found < before
            best[mine] = torch.where(first, found, before)
            points[mine] = torch.where(first[:, None], tried, points[mine])
    group = cost.argmin(1) if groups is None else groups
    magnitude = size.gather(1, group[:, None])[:, 0]
    return Choice(group, magnitude, points, cost)


def prune(cost: Tensor, least: int, tolerance: float) -> list[int]:
    """Return which shifts to keep, greedily leaving out those that are missed least.

    Parameters
    ----------
    cost
        Shape ``(rows, K)``, finite.
    least
        Shifts to keep at least.
    tolerance
        By how much the mean cost may rise for each shift that is left out.

    Examples
    --------
    >>> import torch
    >>> prune(torch.tensor([[0.0, 0.01, 1.0], [1.0, 0.01, 1.0]]), least=1, tolerance=0.05)
    [1]
    """
    kept = list(range(cost.shape[1]))
    now = float(cost.min(1).values.mean())
    while len(kept) > least:
        without = [
            (float(cost[:, [k for k in kept if k != j]].min(1).values.mean()), j) for j in kept
        ]
        rise, j = min(without)
        if rise - now > tolerance:
            break
        kept.remove(j)
        now = rise
    return kept

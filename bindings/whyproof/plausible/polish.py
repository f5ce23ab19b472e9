"""Polish shared shifts by what counts in the end: which rows are served, not slopes.

Slopes see how far a row is from being served; in the end it is, or it is not.  So the last
word has a plain evolution strategy, (1+1) with one step size per shift that grows with
success and shrinks with failure (Rechenberg's rule of one fifth): a shift is nudged, every
row of a sample takes its best shift and magnitude again, and the nudge stays if the
lexicographic cost of `whyproof.plausible.choices` falls on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .choices import choose
from .landscape import Landscape
from .projection import Projection

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["polish"]

_WORST = 200.0
"""Cost of a row that is not served at all: twice that of one that is not plausible, so
that few hard rows, which are mended alone in the end, do not spoil the shift of the others."""
_FIRST = 0.3
_GROW, _SHRINK = 1.6, 0.88


def polish(
    landscape: Landscape,
    projection: Projection,
    origin: Tensor,
    shifts: Tensor,
    magnitudes: Sequence[float],
    *,
    tries: int,
    sample: int = 256,
    seed: int = 0,
) -> Tensor:
    """Return shifts that serve no fewer rows of a sample.

    Parameters
    ----------
    landscape, projection
        What is wanted and what is allowed, of exactly these rows.
    origin
        Rows, scaled, shape ``(rows, columns)``.
    shifts
        Shape ``(K, columns)``; not changed.
    magnitudes
        Grid that rows choose from.
    tries
        Nudges of each shift.
    sample
        Rows that judge, at most.
    seed
        Of sample and nudges.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    few = torch.randperm(len(origin), generator=generator)[:sample].to(origin.device)
    rows, bounds, shifts = origin[few], projection.of(few), shifts.clone()
    cost = choose(landscape, bounds, rows, shifts, magnitudes).cost
    size = [_FIRST] * len(shifts)
    for turn in range(tries * len(shifts)):
        k = turn % len(shifts)
        nudge = torch.randn(shifts.shape[1], generator=generator).to(shifts)
        length = shifts[k].norm() * size[k] / nudge.norm().clamp(min=1e-12)
        tried = shifts[k] + length * nudge
        column = choose(landscape, bounds, rows, tried[None], magnitudes).cost[:, 0]
        after = cost.clone()
        after[:, k] = column
        if _mean(after) < _mean(cost):
            shifts[k], cost = tried, after
            size[k] = min(size[k] * _GROW, 1.0)
        else:
            size[k] *= _SHRINK
    return shifts


def _mean(cost: Tensor) -> float:
    return float(cost.min(1).values.clamp(max=_WORST).mean())

"""GLOBE-CE: one sparse direction for all rows, at each row's cheapest magnitude.

Source: Ley, Mishra and Magazzeni, "GLOBE-CE: A Translation-Based Approach for Global
Counterfactual Explanations", ICML 2023: sample directions of two columns, keep the one that
flips most rows (ties: the cheaper), then scale it for each row.  Where nothing flips at the
first magnitude ours grows it, instead of returning the zero vector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..landscape import Landscape
from ..projection import Projection

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["globe_ce"]


def globe_ce(
    landscape: Landscape,
    projection: Projection,
    origin: Tensor,
    *,
    directions: int = 200,
    columns: int = 2,
    magnitudes: int = 50,
    sample: int = 500,
    seed: int = 0,
) -> Tensor:
    """Return one point per row, shape ``(rows, columns)``; the row itself where none flips."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    width = origin.shape[1]
    few = torch.randperm(len(origin), generator=generator)[:sample]
    start, bounds = origin[few], projection.of(few)
    choices = torch.rand(directions, width, generator=generator).argsort(1)[:, :columns]
    values = torch.rand(directions, columns, generator=generator) + 1e-3
    values = values / values.sum(1, keepdim=True)
    signs = (torch.rand(directions, columns, generator=generator) < 0.5).to(values.dtype) * 2 - 1
    sampled = torch.zeros(directions, width).scatter_(1, choices, values * signs)
    size, best, cover = 0.5, sampled[0], -1.0
    while cover <= 0 and size <= 64:
        for direction in sampled:
            flipped = landscape.lead.value(bounds.project(start + size * direction)) < 0
            share = float(flipped.float().mean())
            if share > cover:
                best, cover = direction, share
        size *= 2
    while size <= 64:
        flipped = landscape.lead.value(bounds.project(start + size * best)) < 0
        if float(flipped.float().mean()) >= 0.999:
            break
        size *= 1.5
    points, open_rows = origin.clone(), torch.ones(len(origin), dtype=torch.bool)
    for factor in torch.linspace(0, size, magnitudes)[1:]:
        tried = projection.project(origin + factor * best)
        flips = (landscape.lead.value(tried) < 0) & open_rows
        points[flips] = tried[flips]
        open_rows &= ~flips
        if not bool(open_rows.any()):
            break
    return points

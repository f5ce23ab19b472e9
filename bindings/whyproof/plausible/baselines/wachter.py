"""Wachter: the nearest point whose probability is near one, by a search for the weight.

Source: Wachter, Mittelstadt and Russell, Harvard JOLT 31 (2018): minimise
``weight * (p(target) - 1)^2 + ||x' - x||_1``, the weight grown where the class is not
reached and halved towards the last failure where it is.  Settings follow the usual library
implementation (start 0.1, ten weights, rate 0.1), with rows and weights batched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..adam import Adam, cosine
from ..landscape import Landscape
from ..projection import Projection

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["wachter"]


def wachter(
    landscape: Landscape,
    projection: Projection,
    origin: Tensor,
    *,
    weights: int = 8,
    steps: int = 100,
    rate: float = 0.05,
    first: float = 0.1,
) -> Tensor:
    """Return one point per row, shape ``(rows, columns)``; the row itself where none was found."""
    import torch

    count = len(origin)
    best, nearest = origin.clone(), torch.full((count,), torch.inf)
    weight = torch.full((count, 1), first)
    below, above = torch.zeros(count, 1), torch.full((count, 1), torch.inf)
    for _ in range(weights):
        here, moments = origin.clone(), Adam(origin)
        reached = torch.zeros(count, dtype=torch.bool)
        for step in range(steps):
            lead, uphill = landscape.lead.value_and_gradient(here)
            far = (here - origin).abs().sum(1)
            good = lead < 0
            nearer = good & (far < nearest)
            best[nearer], nearest[nearer] = here[nearer], far[nearer]
            reached |= good
            # With two classes 1 - p(target) = (1 + lead) / 2.
            slope = weight * (1 + lead)[:, None] * uphill / 2 + (here - origin).sign() * 0.1
            here = projection.project(
                moments.step(here, projection.inward(here, slope), rate * cosine(step, steps))
            )
        hit = reached[:, None]
        above = torch.where(hit, torch.minimum(above, weight), above)
        below = torch.where(hit, below, torch.maximum(below, weight))
        weight = torch.where(torch.isinf(above), weight * 10, (below + above) / 2)
    return best

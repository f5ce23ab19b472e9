"""Local shifts: every row looks for its own nearest plausible point of the target class.

This is X' = X0 + D with one column of D per row.  The hinges switch a row's slope between
"change the class", "become plausible" and "come back", so that a row moves along the border
of what is valid and plausible; the nearest good point of each row is kept, a row that no
longer comes nearer leaves the search, and the rest of the way back is a bisection.

Source: the local form of the unified method (K = N, S = I) with the objective of PPCEF
(Wielopolski et al., ECAI 2024).  Ours keeps the best point per row, which is why it may use
steps twenty times as long, and stops per row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .adam import Adam, cosine
from .landscape import Landscape
from .projection import Projection
from .settings import Settings

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["descend_rows", "pull_back"]

_CHECK_EVERY = 10
_NEARER = 5e-3


def descend_rows(
    landscape: Landscape, projection: Projection, origin: Tensor, settings: Settings
) -> Tensor:
    """Return one point per row, shape ``(rows, columns)``, scaled.

    Parameters
    ----------
    landscape, projection
        What is wanted and what is allowed.
    origin
        The rows, scaled.
    settings
        Weights, steps and rate.
    """
    import torch

    count = len(origin)
    best, nearest = origin.clone(), torch.full((count,), torch.inf, device=origin.device)
    # Without a good point the most valid one is kept.
    fallback = torch.full((count,), torch.inf, device=origin.device)
    active = torch.arange(count, device=origin.device)
    improved = torch.zeros(count, device=origin.device)
    here, start, bounds = projection.project(origin.clone()), origin, projection
    moments = Adam(here)
    for step in range(settings.steps + 1):
        judged, slope = landscape.descend(start, here, settings)
        far = (here - start).norm(dim=1)
        good = landscape.valid(judged) & landscape.dense(judged)
        nearer = good & (far < nearest[active])
        notable = nearer & (far < (1 - _NEARER) * nearest[active])
        chosen = active[nearer]
        best[chosen], nearest[chosen] = here[nearer], far[nearer]
        improved[active[notable]] = step
        lack = judged.lead.clamp(min=0) * 1e3
        lack = lack + (landscape.threshold.score - judged.score).clamp(min=0)
        less = torch.isinf(nearest[active]) & (lack < fallback[active])
        best[active[less]], fallback[active[less]] = here[less], lack[less]
        if step == settings.steps:
            break
        if step and step % _CHECK_EVERY == 0:
            settled = torch.isfinite(nearest[active]) & (
                step - improved[active] >= settings.patience
            )
            if bool(settled.all()):
                break
            if int(settled.sum()) * 8 >= len(active):
                stay = (~settled).nonzero()[:, 0]
                active, here, slope = active[stay], here[stay], slope[stay]
                start, bounds = origin[active], projection.of(active)
                moments.keep(stay)
        slope = bounds.inward(here, slope)
        rate = landscape.pace * settings.rate * cosine(step, settings.steps)
        here = bounds.project(moments.step(here, slope, rate))
    found = torch.isfinite(nearest)
    return pull_back(landscape, projection, origin, best, found)


def pull_back(
    landscape: Landscape,
    projection: Projection,
    origin: Tensor,
    points: Tensor,
    found: Tensor,
    rounds: int = 8,
) -> Tensor:
    """Move points towards their rows as long as they stay valid and plausible.

    Parameters
    ----------
    origin, points
        Rows and their points, shape ``(rows, columns)`` each.
    found
        Which points are good to begin with; others stay.
    rounds
        Halvings of the step.
    """
    import torch

    points = points.clone()
    share = torch.full((len(points), 1), 0.25, device=points.device)
    for _ in range(rounds):
        tried = projection.project(origin + (points - origin) * (1 - share))
        judged = landscape.judge(tried)
        good = landscape.valid(judged) & landscape.dense(judged) & found
        points[good] = tried[good]
        share[~good] *= 0.5
    return points

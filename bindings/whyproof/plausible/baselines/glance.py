"""C-GLANCE: many small clusters with candidate actions, merged until few are left.

Source: Kavouras et al., "GLANCE: Global Actions in a Nutshell for Counterfactual
Explainability", 2024: k-means into many clusters, a few nearest unlike neighbours of each
centre as actions, merge the two clusters nearest in centre and mean action, and keep per
cluster the action that flips most; every row then takes the cheapest kept action that flips
it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..backend import numbers
from ..kmeans import kmeans
from ..landscape import Landscape
from ..projection import Projection

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["glance"]


def glance(
    landscape: Landscape,
    projection: Projection,
    origin: Tensor,
    others: Tensor,
    groups: int,
    *,
    clusters: int = 50,
    actions: int = 5,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Return points, shape ``(rows, columns)``, and the action of each row.

    Parameters
    ----------
    others
        Scaled training rows of the target class.
    groups
        Clusters that are left.
    """
    import torch

    centres, label = kmeans(numbers(origin), min(clusters, len(origin)), seed=seed, restarts=1)
    centre = torch.as_tensor(centres, dtype=origin.dtype)
    near = torch.cdist(centre, others).topk(min(actions, len(others)), largest=False).indices
    candidates = [others[near[k]] - centre[k] for k in range(len(centre))]
    members = [torch.as_tensor((label == k).nonzero()[0]) for k in range(len(centre))]
    alive = [k for k in range(len(centre)) if len(members[k])]
    while len(alive) > groups:
        middle = torch.stack([origin[members[k]].mean(0) for k in alive])
        action = torch.stack([candidates[k].mean(0) for k in alive])
        apart = 0.5 * torch.cdist(middle, middle) + 0.5 * torch.cdist(action, action)
        apart.fill_diagonal_(torch.inf)
        first, second = divmod(int(apart.argmin()), len(alive))
        into, gone = alive[min(first, second)], alive[max(first, second)]
        members[into] = torch.cat([members[into], members[gone]])
        candidates[into] = torch.cat([candidates[into], candidates[gone]])
        alive.remove(gone)
    kept: list[Tensor] = []
    for k in alive:
        start, bounds = origin[members[k]], projection.of(members[k])
        flips = [
            int((landscape.lead.value(bounds.project(start + a)) < 0).sum()) for a in candidates[k]
        ]
        kept.append(candidates[k][max(range(len(flips)), key=flips.__getitem__)])
    points, chosen = origin.clone(), torch.full((len(origin),), -1)
    cheapest = torch.full((len(origin),), torch.inf)
    for number, shift in enumerate(kept):
        tried = projection.project(origin + shift)
        far = (tried - origin).norm(dim=1)
        better = (landscape.lead.value(tried) < 0) & (far < cheapest)
        points[better], cheapest[better], chosen[better] = tried[better], far[better], number
    return points, chosen

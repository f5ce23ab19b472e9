"""Two steps: k-means over the rows, then in each cluster the mean of local shifts.

What grouping after the fact achieves, as a yardstick for shifts that are learnt together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..backend import numbers
from ..choices import choose
from ..kmeans import kmeans
from ..landscape import Landscape
from ..projection import Projection

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["two_step"]


def two_step(
    landscape: Landscape,
    projection: Projection,
    origin: Tensor,
    local: Tensor,
    groups: int,
    *,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Return points, shape ``(rows, columns)``, and the cluster of each row.

    Parameters
    ----------
    local
        A local counterfactual of each row, scaled.
    groups
        Number of clusters.
    """
    import torch

    _, label = kmeans(numbers(origin), groups, seed=seed)
    label_tensor = torch.as_tensor(label, device=origin.device)
    shifts = torch.stack([(local - origin)[label_tensor == k].mean(0) for k in range(groups)])
    grid = tuple(0.25 * i for i in range(2, 13))
    found = choose(landscape, projection, origin, shifts, grid, groups=label_tensor)
    return found.points, found.group

"""Nearest unlike neighbour: the nearest training row that has the target class.

The plainest plausible counterfactual: a case that occurred (Keane and Smyth, ICCBR 2020).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..density import batches
from ..projection import Projection

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["nearest_unlike"]


def nearest_unlike(projection: Projection, origin: Tensor, others: Tensor) -> Tensor:
    """Return for each row the nearest of the other rows, projected onto what it may become.

    Parameters
    ----------
    origin
        Rows, scaled.
    others
        Scaled training rows of the target class, not empty.
    """
    import torch

    found = [
        others[torch.cdist(origin[part], others).argmin(1)] for part in batches(len(origin), 2048)
    ]
    return projection.project(torch.cat(found))

"""The six terms of the loss, each normalised, each a function of its own.

Source: the unified method, eqs. (10)-(17).  Hinges are zero where a row is done.  Ours: the
row entropy really is divided by log K, the plausibility hinge is measured in spreads of the
training scores (a threshold near zero would make it infinite otherwise), and diversity is
what it says for any number of groups.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "column_entropy",
    "distance",
    "diversity",
    "plausibility",
    "row_entropy",
    "validity",
]

_TINY = 1e-9


def distance(origin: Tensor, points: Tensor) -> Tensor:
    """Return how far rows moved: Euclidean, over the diagonal of the unit box, ``(rows,)``."""
    far: Tensor = (points - origin).norm(dim=1)
    return far / math.sqrt(origin.shape[1])


def validity(lead: Tensor, margin: float) -> Tensor:
    """Return the hinge on the rivals' lead in probabilities, in 0 .. 1, shape ``(rows,)``."""
    return (lead + margin).clamp(min=0) / (1 + margin)


def plausibility(score: Tensor, threshold: float, spread: float) -> Tensor:
    """Return how far scores fall short of the threshold, in spreads, shape ``(rows,)``."""
    return (threshold - score).clamp(min=0) / spread


def row_entropy(selection: Tensor) -> Tensor:
    """Return the mean entropy of the rows of S over log K: 0 if each row has one group.

    Examples
    --------
    >>> import torch
    >>> even = torch.full((2, 4), 0.25)
    >>> abs(float(row_entropy(torch.eye(3)))), round(float(row_entropy(even)), 4)
    (0.0, 1.0)
    """
    if selection.shape[1] < 2:
        return selection.new_zeros(())
    # No clamp of the shares themselves: 0 log 0 has to be 0, exactly.
    each = selection * selection.clamp(min=_TINY).log()
    return -each.sum(1).mean() / math.log(selection.shape[1])


def column_entropy(selection: Tensor) -> Tensor:
    """Return the entropy of the groups' sizes over log K: 0 if all rows share a group.

    Examples
    --------
    >>> import torch
    >>> round(float(column_entropy(torch.eye(3))), 4)
    1.0
    """
    if selection.shape[1] < 2:
        return selection.new_zeros(())
    share = selection.mean(0)
    return -(share * share.clamp(min=_TINY).log()).sum() / math.log(selection.shape[1])


def diversity(directions: Tensor, floor: float = 1e-5) -> Tensor:
    """Return how alike directions are: 0 for orthogonal ones, 1 for identical or zero ones.

    Parameters
    ----------
    directions
        Shape ``(K, columns)``.  With more groups than columns it cannot fall to 0.

    Examples
    --------
    >>> import torch
    >>> round(float(diversity(torch.eye(3))), 3), round(float(diversity(torch.ones(2, 3))), 1)
    (0.0, 0.5)
    """
    import torch

    count = len(directions)
    if count < 2:
        return directions.new_zeros(())
    unit = directions / (directions.norm(dim=1, keepdim=True) + 1e-8)
    gram = unit @ unit.T + floor * torch.eye(count, dtype=unit.dtype, device=unit.device)
    return (-torch.logdet(gram) / (-count * math.log(floor))).clamp(0, 1)

"""Find points that change the decision: masked sign-gradient descent on the margin.

Projected gradient descent (Madry et al. 2018) with three changes that suit small boxes and
many masks at once.  The first step goes to the corner that the gradient at the instance
points to; later steps shrink from a quarter of the box to a fiftieth.  A row stops as soon
as it succeeds.  Restarts begin at a stored witness, then at random points, and aim at the
nearest, second nearest, third nearest case in turn.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .bounds.sets import Ball, Budget, InputSet
from .bounds.targets import Target
from .network import Network

__all__ = ["AttackOptions", "attack"]


@dataclass(frozen=True, slots=True)
class AttackOptions:
    """How hard to try.

    Parameters
    ----------
    steps
        Gradient steps of each start.
    restarts
        Number of starts.
    seed
        Of the random starts.
    margin
        A row has succeeded when its margin is below this; a little below zero, so that
        the point survives rounding to float32.
    deep
        Whether a row goes on after it has succeeded, to the end of its start, for a point
        whose margin is as low as possible.
    """

    steps: int = 20
    restarts: int = 1
    seed: int = 0
    margin: float = -1e-6
    deep: bool = False


def attack(
    network: Network,
    inputs: InputSet,
    target: Target,
    options: AttackOptions,
    warm: Tensor | None = None,
    aim: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Look for a counterexample in each set of a batch.

    Parameters
    ----------
    network
        As a function of deviations.
    inputs
        One set per batch entry.
    target
        What counts as a change.
    options
        How hard to try.
    warm
        A deviation to start from, shape ``(columns,)`` or ``(batch, columns)``.
    aim
        The case that each row tries to reach, shape ``(batch,)``, -1 for a near one; a row
        succeeds with any case.

    Returns
    -------
    found
        Which rows succeeded, shape ``(batch,)``.
    points
        Best deviation per row, shape ``(batch, columns)``.
    """
    lower = inputs.lower
    batch = len(lower)
    generator = torch.Generator().manual_seed(options.seed)
    found = torch.zeros(batch, dtype=torch.bool, device=lower.device)
    best = torch.zeros_like(lower)
    best_margin = torch.full((batch,), float("inf"), dtype=lower.dtype, device=lower.device)
    for start in range(options.restarts):
        rows = (~found).nonzero().ravel()
        if not len(rows):
            break
        own = inputs.take(rows)
        low, high = own.lower, own.upper
        if start == 0 and warm is None:
            here = torch.zeros_like(low)
        elif start == 0 and warm is not None:
            whole = warm.expand(batch, -1) if warm.dim() == 1 else warm
            here = torch.minimum(torch.maximum(whole[rows], low), high)
        else:
            noise = torch.rand(low.shape, generator=generator, dtype=low.dtype).to(low.device)
            here = low + noise * (high - low)
        here = _project(own, here)
        corner_first = start == 0 and warm is None
        rank = start % 3 if start else 0
        for step in range(options.steps + 1):
            point = here.requires_grad_()
            margins = target.margins(network(point))
            worst = margins.detach().min(1).values
            better = worst < best_margin[rows]
            best_margin[rows[better]] = worst[better]
            best[rows[better]] = here.detach()[better]
            hit = worst < options.margin
            found[rows[hit]] = True
            if step == options.steps or (bool(hit.all()) and not options.deep):
                break
            aimed = _aimed(margins, rank)
            if aim is not None:
                own_case = margins.gather(1, aim[rows, None].clamp(min=0)).ravel()
                aimed = torch.where(aim[rows] < 0, aimed, own_case)
            (slope,) = torch.autograd.grad(aimed.sum(), point)
            if bool(hit.any()) and not options.deep:
                keep = ~hit
                rows, slope, own = rows[keep], slope[keep], own.take(keep.nonzero().ravel())
                here = here.detach()[keep]
                low, high = own.lower, own.upper
            here = here.detach()
            if step == 0 and corner_first:
                here = torch.where(slope > 0, low, high)
            else:
                size = max(0.25 * (1 - step / options.steps), 0.02)
                here = here - size * (high - low) * slope.sign()
                here = torch.minimum(torch.maximum(here, low), high)
            here = _project(own, here, slope)
    return found, best


def _aimed(margins: Tensor, rank: int) -> Tensor:
    """Return the margin of the case that is the `rank`-th nearest."""
    if rank == 0 or margins.shape[1] <= rank:
        return torch.amin(margins, dim=1)
    nearest: Tensor = torch.kthvalue(margins, rank + 1, dim=1).values
    return nearest


def _project(inputs: InputSet, here: Tensor, slope: Tensor | None = None) -> Tensor:
    """Bring points back into a ball or a budget."""
    if isinstance(inputs, Ball):
        order = 2 if inputs.norm == "l2" else 1
        size: Tensor = torch.linalg.vector_norm(here, ord=order, dim=1, keepdim=True)
        # A little inside, so that rounding to float32 does not leave the ball.
        excess = size / (inputs.radius * (1 - 1e-6))
        return torch.div(here, excess.clamp(min=1))
    if isinstance(inputs, Budget):
        gain = here.abs() if slope is None else -(here * slope)
        by = inputs.by_feature(gain.clamp(min=0)[:, None])[:, 0]
        by = by * inputs.candidates
        most = min(max(int(inputs.budget.max()), 1), by.shape[1])
        top = by.topk(most, dim=1).indices
        allowed = torch.zeros_like(by).scatter_(1, top, 1.0) * inputs.candidates + inputs.free
        return here * allowed[:, inputs.owner].clamp(max=1)
    return here

"""Gradient descent with its own validation split, early stopping, and restarts at lower rates.

The rows that decide when to stop are set apart from the training rows: what is measured on
a test fold later has had no part in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import DataError

from .backend import Array, tensor

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Fit", "Fitted", "fit"]


@dataclass(frozen=True, slots=True)
class Fit:
    """How parameters are fitted.

    Parameters
    ----------
    batch
        Rows of a step.
    rate
        Learning rate at the start; it falls to a hundredth along a cosine.
    epochs
        Passes over the rows at most.
    patience
        Passes without improvement after which it ends.
    improvement
        What counts as one.
    held_out
        Share of rows that decide when to stop.
    clip
        Largest norm of a gradient.
    retries
        How often a run that diverges starts again at a third of the rate.
    optimiser
        ``"adam"`` or ``"radam"``.
    """

    batch: int = 256
    rate: float = 1e-3
    epochs: int = 150
    patience: int = 25
    improvement: float = 1e-4
    held_out: float = 0.1
    clip: float = 5.0
    retries: int = 3
    optimiser: Literal["adam", "radam"] = "adam"


@dataclass(frozen=True, slots=True)
class Fitted:
    """How a fit ended: passes made, best held-out loss, rate of the run that succeeded."""

    epochs: int
    loss: float
    rate: float


def fit(
    parameters: Sequence[Tensor],
    loss: Callable[[Tensor, Tensor, bool], Tensor],
    points: Array,
    labels: npt.NDArray[np.int64],
    how: Fit,
    *,
    what: str,
    seed: int = 0,
) -> Fitted:
    """Fit parameters in place and leave them at their best on the rows set apart.

    Parameters
    ----------
    parameters
        Leaves that require gradients.
    loss
        Mean loss of rows and labels; told whether it is for fitting or for validation.
    points, labels
        Shape ``(rows, columns)`` and ``(rows,)``.
    how
        Settings.
    what
        What is fitted, for the error.
    seed
        Of the split and the batches.

    Raises
    ------
    DataError
        If every run diverges.
    """
    import torch

    start = [value.detach().clone() for value in parameters]
    for attempt in range(how.retries + 1):
        with torch.no_grad():
            for value, first in zip(parameters, start, strict=True):
                value.copy_(first)
        rate = how.rate / 3.0**attempt
        done = _run(parameters, loss, points, labels, replace(how, rate=rate), seed)
        if done is not None:
            return done
    raise DataError(
        f"{what} diverges at every learning rate from {how.rate:g} to "
        f"{how.rate / 3.0**how.retries:g}; check the data for extreme values, or give a lower rate"
    )


def _run(
    parameters: Sequence[Tensor],
    loss: Callable[[Tensor, Tensor, bool], Tensor],
    points: Array,
    labels: npt.NDArray[np.int64],
    how: Fit,
    seed: int,
) -> Fitted | None:
    """Run once; `None` if it diverges."""
    import torch

    device = parameters[0].device
    x, y = tensor(points, device), torch.as_tensor(labels, device=device)
    random = np.random.default_rng(seed)
    order = random.permutation(len(points))
    apart = max(1, round(how.held_out * len(points))) if len(points) > 4 else 0
    held, used = torch.as_tensor(order[:apart]), torch.as_tensor(order[apart:])
    if not apart:
        held = used
    kind = torch.optim.RAdam if how.optimiser == "radam" else torch.optim.Adam
    steps = kind(list(parameters), lr=how.rate)
    best, kept, since, epoch = math.inf, [p.detach().clone() for p in parameters], 0, 0
    for epoch in range(1, how.epochs + 1):
        share = 0.5 * (1 + math.cos(math.pi * (epoch - 1) / how.epochs))
        for group in steps.param_groups:
            group["lr"] = how.rate * (0.01 + 0.99 * share)
        shuffled = used[torch.as_tensor(random.permutation(len(used)))]
        for part in torch.split(shuffled, how.batch):
            value = loss(x[part], y[part], True)
            if not bool(torch.isfinite(value)):
                return None
            steps.zero_grad()
            torch.autograd.backward(value)
            torch.nn.utils.clip_grad_norm_(list(parameters), how.clip)
            steps.step()
        with torch.no_grad():
            parts = [(float(loss(x[p], y[p], False)), len(p)) for p in torch.split(held, 4096)]
        found = sum(v * n for v, n in parts) / len(held)
        if not math.isfinite(found):
            return None
        if found < best - how.improvement:
            best, since = found, 0
            kept = [p.detach().clone() for p in parameters]
        else:
            since += 1
            if since >= how.patience:
                break
    with torch.no_grad():
        for value, good in zip(parameters, kept, strict=True):
            value.copy_(good)
    return Fitted(epoch, best, how.rate)

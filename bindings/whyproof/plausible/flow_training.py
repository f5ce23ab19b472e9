"""Training a density flow by maximum likelihood, with noise on the rows.

Source: eq. (19) of the unified method; loss is the mean of minus log2-likelihood per
column, rows get Gaussian noise so that values on a lattice have a finite density.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import DataError

from .backend import Array, require_torch, seeded
from .density import score_factor
from .fitting import Fit, Fitted, fit
from .flow import FlowShape, MaskedFlow

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FlowTraining", "TrainedFlow", "drawn", "train_flow"]


@dataclass(frozen=True, slots=True)
class FlowTraining:
    """How a flow is trained.

    Parameters
    ----------
    layers, hidden, blocks
        Its size, see `FlowShape`.
    noise
        Standard deviation of the noise on scaled rows, not negative; or what draws rows anew
        at every step, for example counts that were spread out over their unit intervals
        before a transformation.
    fit
        Steps, rate, split and early stopping.
    """

    layers: int = 8
    hidden: int = 16
    blocks: int = 4
    noise: float | Callable[[Tensor], Tensor] = 0.03
    fit: Fit = field(default_factory=Fit)


@dataclass(frozen=True, eq=False)
class TrainedFlow:
    """A flow and how its training ended."""

    flow: MaskedFlow
    fitted: Fitted


def train_flow(
    points: Array,
    labels: npt.NDArray[np.int64],
    training: FlowTraining | None = None,
    *,
    classes: int | None = None,
    seed: int = 0,
) -> TrainedFlow:
    """Train a conditional density on scaled rows.

    Parameters
    ----------
    points
        Shape ``(rows, columns)``, finite.
    labels
        Class indices from 0, shape ``(rows,)``: what the model says about the rows.
    training
        Settings.
    classes
        Number of classes; the largest label decides by default.
    seed
        Of weights, noise, batches and split.

    Raises
    ------
    DataError
        For numbers that are not finite, or if training diverges at every rate.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(0.5, 0.1, (64, 2))
    >>> short = FlowTraining(layers=2, hidden=8, blocks=1, fit=Fit(epochs=2))
    >>> train_flow(rows, np.zeros(64, dtype=np.int64), short).fitted.epochs
    2
    """
    require_torch("train a density flow")
    how = training or FlowTraining()
    if not np.isfinite(points).all():
        raise DataError("a flow cannot be trained on rows that hold numbers that are not finite")
    count = classes or int(labels.max()) + 1
    shape = FlowShape(points.shape[1], count, how.layers, how.hidden, how.blocks)
    flow = MaskedFlow.untrained(shape, seed=seed)
    leaves = [value.requires_grad_(True) for value in flow.parameters.values()]
    factor = score_factor(points.shape[1])

    def loss(x: Tensor, y: Tensor, fitting: bool) -> Tensor:
        if fitting:
            x = drawn(x, how.noise)
        return -factor * flow.log_density(x, y).mean()

    with seeded(seed):
        fitted = fit(leaves, loss, points, labels, how.fit, what="the density flow", seed=seed)
    kept = {name: value.detach() for name, value in flow.parameters.items()}
    return TrainedFlow(MaskedFlow(shape, kept), fitted)


def drawn(rows: Tensor, noise: float | Callable[[Tensor], Tensor]) -> Tensor:
    """Return rows as one step of training sees them, see `FlowTraining.noise`."""
    import torch

    return noise(rows) if callable(noise) else rows + noise * torch.randn_like(rows)

"""Flows of zuko as densities, where zuko is installed: a second back end of one protocol.

zuko's flows are lazy: given a context they return a distribution.  The class enters as a
one-hot context.  Training is that of our own flow: noise on the rows, a validation split of
its own, early stopping, restarts at lower rates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import DataError, MissingExtraError

from .backend import Array, seeded
from .density import TapedTarget, TargetDensity, score_factor
from .fitting import fit
from .flow_training import FlowTraining, drawn

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["ZukoFlow"]


class ZukoFlow:
    """A conditional density by a flow of zuko (or anything called the same way).

    Parameters
    ----------
    flow
        Called with a one-hot context, shape ``(rows, classes)``; returns a distribution
        with ``log_prob``.
    columns, classes
        What it was made for.

    Raises
    ------
    DataError
        If the flow does not take such a context.
    """

    name = "zuko flow"

    def __init__(self, flow: Any, columns: int, classes: int) -> None:  # noqa: ANN401
        import torch

        self._flow, self._columns, self._classes = flow, columns, classes
        for parameter in flow.parameters():
            parameter.requires_grad_(False)
        try:
            self.log_density(
                torch.zeros(2, columns, device=self.device),
                torch.zeros(2, dtype=torch.long, device=self.device),
            )
        except (RuntimeError, TypeError, ValueError) as error:
            raise DataError(
                f"the flow does not take rows of {columns} columns with a context of {classes} "
                f"classes: {error}"
            ) from None

    @classmethod
    def trained(
        cls,
        points: Array,
        labels: npt.NDArray[np.int64],
        training: FlowTraining | None = None,
        *,
        classes: int | None = None,
        device: torch.device | None = None,
        seed: int = 0,
    ) -> ZukoFlow:
        """Train a masked autoregressive flow of zuko on scaled rows.

        Parameters
        ----------
        points
            Shape ``(rows, columns)``, finite.
        labels
            Class indices, shape ``(rows,)``.
        training
            Layers, width, blocks, noise and steps.
        classes
            Number of classes; the largest label decides by default.
        device
            Where it computes.
        seed
            Of weights, noise, batches and split.

        Raises
        ------
        MissingExtraError
            Without zuko.
        DataError
            If training diverges at every rate.
        """
        try:
            import zuko
        except ImportError as error:
            raise MissingExtraError("zuko", "flows", "use flows of zuko") from error
        import torch

        how = training or FlowTraining()
        count = classes or int(labels.max()) + 1
        factor = score_factor(points.shape[1])
        with seeded(seed):
            made: Any = zuko.flows.MAF(
                points.shape[1],
                count,
                transforms=how.layers,
                hidden_features=(how.hidden,) * (1 + how.blocks),
            )
            made = made.to(device or torch.device("cpu"))

            def loss(x: Tensor, y: Tensor, fitting: bool) -> Tensor:
                if fitting:
                    x = drawn(x, how.noise)
                context = torch.nn.functional.one_hot(y, count).to(x.dtype)
                nats: Tensor = made(context).log_prob(x)
                return -factor * nats.mean()

            fit(
                list(made.parameters()),
                loss,
                points,
                labels,
                how.fit,
                what="the flow of zuko",
                seed=seed,
            )
        return cls(made.eval(), points.shape[1], count)

    @property
    def n_columns(self) -> int:
        """Columns of a row."""
        return self._columns

    @property
    def n_classes(self) -> int:
        """Classes that it is conditioned on."""
        return self._classes

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        import torch

        first: Tensor | None = next(iter(self._flow.parameters()), None)
        return torch.device("cpu") if first is None else first.device

    def log_density(self, points: Tensor, labels: Tensor) -> Tensor:
        """Return log p(row | class) in nats, differentiable, shape ``(rows,)``."""
        from torch.nn.functional import one_hot

        context = one_hot(labels, self._classes).to(points.dtype)
        found: Tensor = self._flow(context).log_prob(points)
        return found

    def fixed(self, target: int) -> TargetDensity:
        """Return the density of one class."""
        return TapedTarget(self, target)

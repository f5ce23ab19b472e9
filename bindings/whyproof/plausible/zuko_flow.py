"""Flows of zuko as densities, where zuko is installed.

zuko's flows are lazy: given a context they return a distribution.  The class enters as a
one-hot context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whyproof.engine.errors import DataError, MissingExtraError

from .density import TapedTarget, TargetDensity

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
            self.log_density(torch.zeros(2, columns), torch.zeros(2, dtype=torch.long))
        except (RuntimeError, TypeError, ValueError) as error:
            raise DataError(
                f"the flow does not take rows of {columns} columns with a context of {classes} "
                f"classes: {error}"
            ) from None

    @classmethod
    def masked_autoregressive(
        cls, columns: int, classes: int, *, transforms: int = 5, hidden: tuple[int, ...] = (64, 64)
    ) -> ZukoFlow:
        """Make an untrained masked autoregressive flow of zuko.

        Raises
        ------
        MissingExtraError
            Without zuko.
        """
        try:
            import zuko
        except ImportError as error:
            raise MissingExtraError("zuko", "neural", "use flows of zuko") from error
        made: Any = zuko.flows.MAF(columns, classes, transforms=transforms, hidden_features=hidden)
        return cls(made, columns, classes)

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

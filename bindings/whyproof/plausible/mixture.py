"""Gaussian mixtures as densities: one mixture for each class, with full covariances.

Fitted by scikit-learn's expectation maximisation; the number of components is the one with
the least Bayesian information criterion.  Evaluated in torch, differentiable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import DataError, MissingExtraError

from .backend import Array, tensor
from .density import TapedTarget, TargetDensity

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["GaussianMixture"]


@dataclass(frozen=True, eq=False)
class _Components:
    """Logarithms of weights and determinants, means, factors of the precisions."""

    constant: Tensor
    means: Tensor
    factors: Tensor


class GaussianMixture:
    """A conditional density: log sum_c w_c N(x; m_c, C_c) for each class.

    Parameters
    ----------
    components
        Of each class.
    """

    name = "mixture"

    def __init__(self, components: Sequence[_Components]) -> None:
        self._components = tuple(components)

    @classmethod
    def fit(
        cls,
        points: Array,
        labels: npt.NDArray[np.int64],
        *,
        classes: int,
        device: torch.device,
        most: int = 5,
        noise: float = 0.03,
        seed: int = 0,
    ) -> GaussianMixture:
        """Fit scaled rows.

        Parameters
        ----------
        points, labels
            Shape ``(rows, columns)`` and ``(rows,)``.
        classes
            Number of classes; a class without rows gets the mixture of all rows.
        most
            Components tried per class.
        noise
            Standard deviation that every component has at least.

        Raises
        ------
        MissingExtraError
            Without scikit-learn.
        """
        try:
            from sklearn.mixture import GaussianMixture as Fitted
        except ImportError as error:
            raise MissingExtraError("sklearn", "sklearn", "fit Gaussian mixtures") from error
        made: list[_Components] = []
        for label in range(classes):
            mine = points[labels == label]
            mine = mine if len(mine) > 1 else points
            tried: list[Any] = []
            for count in range(1, min(most, max(1, len(mine) // (2 * points.shape[1]))) + 1):
                model: Any = Fitted(
                    count, covariance_type="full", reg_covar=noise**2, random_state=seed
                )
                tried.append(model.fit(mine))
            best = min(tried, key=lambda model: float(model.bic(mine)))
            made.append(_components(best, points.shape[1], device))
        return cls(made)

    @property
    def n_columns(self) -> int:
        """Columns of a row."""
        return int(self._components[0].means.shape[1])

    @property
    def n_classes(self) -> int:
        """Classes that it is conditioned on."""
        return len(self._components)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._components[0].means.device

    def log_density(self, points: Tensor, labels: Tensor) -> Tensor:
        """Return log p(row | class) in nats, differentiable, shape ``(rows,)``."""
        result = points.new_empty(len(points))
        for label, part in enumerate(self._components):
            mine = labels == label
            if not bool(mine.any()):
                continue
            apart = points[mine][:, None, :] - part.means
            whitened = (apart[:, :, None, :] @ part.factors)[:, :, 0, :]
            each = part.constant - 0.5 * whitened.square().sum(2)
            result[mine] = each.logsumexp(1)
        return result

    def fixed(self, target: int) -> TargetDensity:
        """Return the density of one class."""
        return TapedTarget(self, target)


def _components(model: Any, columns: int, device: torch.device) -> _Components:  # noqa: ANN401
    factors = np.asarray(model.precisions_cholesky_, dtype=np.float64)
    if not np.isfinite(factors).all():
        raise DataError("a Gaussian mixture has no finite precision; raise the noise")
    half = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(1)
    constant = np.log(model.weights_) + half - 0.5 * columns * math.log(2 * math.pi)
    return _Components(
        tensor(constant, device), tensor(model.means_, device), tensor(factors, device)
    )

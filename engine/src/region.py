"""Regions: how far a free feature may move from its value in the instance.

A region is the intersection of a box and, if a radius is given, of a ball around the
instance.  Fixed features keep the instance's value bit for bit whatever the region.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from .errors import DataError
from .space import FeatureSpace, Point

__all__ = ["Norm", "Region"]

Norm = Literal["linf", "l1", "l2", "l0"]
"""Distances: largest, sum of, Euclidean, and number of changed columns."""


@dataclass(frozen=True, eq=False)
class Region:
    """Where counterexamples are looked for.

    Parameters
    ----------
    norm
        Distance of the ball; `None` for no ball.
    epsilon
        Radius, positive.  For ``linf`` it may be one radius per column, shape
        ``(columns,)``, zero allowed there.
    lower, upper
        Extra box, shape ``(columns,)`` each, in the codes of the columns.

    Examples
    --------
    >>> Region.everywhere().limits(FeatureSpace.of("ab"), np.zeros(2))[0]
    array([-inf, -inf])
    >>> Region.ball(0.1).limits(FeatureSpace.of("ab"), np.zeros(2))[1]
    array([0.1, 0.1])
    """

    norm: Norm | None = None
    epsilon: float | npt.NDArray[np.float64] | None = None
    lower: npt.NDArray[np.float64] | None = None
    upper: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if (self.norm is None) != (self.epsilon is None):
            raise DataError("a ball needs both a norm and an epsilon")
        if self.epsilon is None:
            return
        radius = np.asarray(self.epsilon, dtype=np.float64)
        if not bool(np.all(np.isfinite(radius))) or bool(np.any(radius < 0)) or not radius.any():
            raise DataError(f"epsilon must be positive and finite, found {self.epsilon!r}")
        if radius.ndim and self.norm != "linf":
            raise DataError(f"one epsilon per column is defined for linf only, not {self.norm}")

    @classmethod
    def everywhere(cls) -> Region:
        """Let a free feature take any value of its domain."""
        return cls()

    @classmethod
    def ball(cls, epsilon: float | npt.NDArray[np.float64], norm: Norm = "linf") -> Region:
        """Stay within a distance of the instance."""
        return cls(norm=norm, epsilon=epsilon)

    @classmethod
    def box(cls, lower: npt.NDArray[np.float64], upper: npt.NDArray[np.float64]) -> Region:
        """Stay between two corners, both included."""
        return cls(lower=lower, upper=upper)

    @property
    def is_box(self) -> bool:
        """Whether the columns may be chosen independently of each other."""
        return self.norm in (None, "linf")

    def restricted(self, space: FeatureSpace) -> npt.NDArray[np.bool_]:
        """Tell which columns may not take every value of their domain, ``(columns,)``.

        A restricted column can neither become missing nor stop being so.
        """
        restricted = np.full(space.n_columns, self.norm is not None)
        if self.lower is not None:
            restricted |= self.lower > -np.inf
        if self.upper is not None:
            restricted |= self.upper < np.inf
        return restricted

    def limits(
        self, space: FeatureSpace, instance: Point
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the smallest box around the region, within the columns' domains.

        Immutable features are pinned to the instance, and so are its missing values
        when the region restricts anything; limits always contain the instance's value.

        Returns
        -------
        lower, upper
            Shape ``(columns,)`` each; NaN where the column is pinned to missing.
        """
        lower, upper = space.bounds[0].copy(), space.bounds[1].copy()
        if self.lower is not None:
            lower = np.maximum(lower, self.lower)
        if self.upper is not None:
            upper = np.minimum(upper, self.upper)
        if self.epsilon is not None and self.norm != "l0":
            lower = np.maximum(lower, instance - self.epsilon)
            upper = np.minimum(upper, instance + self.epsilon)
        # A missing value has no neighbours: a restriction pins it.
        pinned = space.pinned | (np.isnan(instance) & self.restricted(space))
        lower[pinned] = upper[pinned] = instance[pinned]
        return lower, upper

    def check(self, space: FeatureSpace, instance: Point) -> None:
        """Refuse a region that does not fit the space or excludes the instance.

        Raises
        ------
        DataError
            Naming the column.
        """
        for what, values in (
            ("epsilon", self.epsilon),
            ("lower", self.lower),
            ("upper", self.upper),
        ):
            if isinstance(values, np.ndarray) and values.shape != (space.n_columns,):
                raise DataError(
                    f"the region's {what} has shape {values.shape}, "
                    f"the space has {space.n_columns} columns"
                )
        for bound, name in ((self.lower, "lower"), (self.upper, "upper")):
            if bound is None:
                continue
            outside = instance < bound if name == "lower" else instance > bound
            if bool(outside.any()):
                i = int(np.argmax(outside))
                raise DataError(
                    f"column {space.columns[i].name!r} of the instance lies outside the region"
                )

    def contains(self, space: FeatureSpace, instance: Point, point: Point) -> bool:
        """Tell whether a point lies in the region around the instance."""
        lower, upper = self.limits(space, instance)
        same = (point == instance) | (np.isnan(point) & np.isnan(instance))
        within = (lower <= point) & (point <= upper)
        within |= np.isnan(point) & ~space.pinned & ~self.restricted(space)
        if not bool(np.all(same | within)):
            return False
        if self.norm is None or self.norm == "linf":
            return True
        step = np.where(same, 0.0, np.abs(point - instance))
        if np.isnan(step).any():
            return False
        distance = {
            "l1": float(step.sum()),
            "l2": float(np.sqrt((step**2).sum())),
            "l0": float(np.count_nonzero(step)),
        }[self.norm]
        return distance <= float(np.asarray(self.epsilon))

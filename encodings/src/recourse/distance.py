"""Distances between a person as they are and as they could be.

Four norms over weighted, scaled steps.  A step of a numeric column is the difference over
the column's scale; of a column of categories, and between a value and the missing value,
it is one.  A feature of several 0/1 columns (a one-hot block) weighs each column one half,
so that another category costs one as well; ``l0`` counts features, not columns.

Scales are the user's, ranges, or median absolute deviations (Wachter, Mittelstadt, Russell,
Counterfactual Explanations without Opening the Black Box, 2018, who scale by the latter).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

from whyproof.engine.domain import Boolean, Categories
from whyproof.engine.errors import DataError
from whyproof.engine.names import did_you_mean
from whyproof.engine.region import Norm
from whyproof.engine.space import FeatureSpace, Point, Points

__all__ = ["NORMS", "SCALES", "Distance", "Scale"]

Scale = Literal["none", "range", "mad"]
"""How steps of numeric columns are made comparable."""

NORMS: tuple[Norm, ...] = ("l0", "l1", "l2", "linf")
SCALES: tuple[Scale, ...] = ("none", "range", "mad")


@dataclass(frozen=True, eq=False)
class Distance:
    """A norm over weighted and scaled steps.

    Parameters
    ----------
    space
        What the points are.
    norm
        ``l0``, ``l1``, ``l2`` or ``linf``.
    factors
        Weight over scale of each column, positive, shape ``(columns,)``.
    weights
        Weight of each feature, positive, shape ``(features,)``.

    Examples
    --------
    >>> space = FeatureSpace.of(["age", "income"])
    >>> far = Distance.of(space, "l1", weights={"age": 2.0})
    >>> far.between(np.zeros(2), np.array([1.0, 3.0]))
    5.0
    """

    space: FeatureSpace
    norm: Norm
    factors: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls,
        space: FeatureSpace,
        norm: Norm = "l1",
        *,
        weights: Mapping[str, float] | None = None,
        scale: Scale | Mapping[str, float] = "none",
        data: Points | None = None,
    ) -> Distance:
        """Build a distance.

        Parameters
        ----------
        space
            What the points are.
        norm
            Which norm.
        weights
            Weight by feature name, positive; 1 where none is given.
        scale
            ``none``, ``range`` (of the column's domain where it is bounded, else of the
            data), ``mad`` (median absolute deviation in the data, the range where that is
            zero), or a positive number by column name, 1 where none is given.
        data
            Points to measure scales on, shape ``(rows, columns)``.

        Raises
        ------
        DataError
            For an unknown norm, scale or name, and weights or scales that are not positive.
        """
        if norm not in NORMS:
            raise DataError(f"no norm {norm!r}; known are {', '.join(NORMS)}")
        per_feature = np.ones(space.n_features)
        for name, weight in (weights or {}).items():
            if not 0 < weight < math.inf:
                raise DataError(
                    f"the weight of {name!r} is {weight!r}; it must be positive and finite"
                    " (to keep a feature as it is, make it immutable)"
                )
            per_feature[space.index(name)] = weight
        shares = _shares(space) * per_feature[space.owner]
        scales = _scales(space, scale, data)
        return cls(space, norm, shares / scales, per_feature)

    def step(self, column: int, before: float, after: float) -> float:
        """Return the weighted step of one column, not negative."""
        return float(self.exact_step(column, before, after))

    def exact_step(self, column: int, before: float, after: float) -> Fraction:
        """Return the weighted step of one column in exact arithmetic."""
        factor = Fraction(float(self.factors[column]))
        if math.isnan(before) or math.isnan(after):
            return Fraction(0) if math.isnan(before) and math.isnan(after) else factor
        if self.is_nominal(column):
            return factor * int(before != after)
        return factor * abs(Fraction(after) - Fraction(before))

    def is_nominal(self, column: int) -> bool:
        """Whether values of a column are either the same or one apart."""
        return isinstance(self.space.columns[column].domain, Categories)

    def exact(self, before: Point, after: Point) -> Fraction:
        """Return the distance in exact arithmetic; of ``l2`` its square."""
        if self.norm == "l0":
            moved = self.space.moved(before, after)
            return sum((Fraction(float(self.weights[i])) for i in moved), Fraction(0))
        steps = [
            self.exact_step(c, float(before[c]), float(after[c]))
            for c in range(self.space.n_columns)
        ]
        if self.norm == "linf":
            return max(steps)
        return sum((s * s if self.norm == "l2" else s for s in steps), Fraction(0))

    def between(self, before: Point, after: Point) -> float:
        """Return the distance of two points."""
        return self.rooted(float(self.exact(before, after)))

    def rooted(self, cost: float) -> float:
        """Return the distance of a cost: of ``l2`` the root, otherwise the cost itself."""
        return math.sqrt(max(cost, 0.0)) if self.norm == "l2" else cost


def _shares(space: FeatureSpace) -> npt.NDArray[np.float64]:
    """Return one half for the columns of one-hot blocks, one for all others."""
    shares = np.ones(space.n_columns)
    for feature in space.features:
        flags = [
            isinstance(space.columns[c].domain, Boolean)
            or (space.columns[c].domain.is_discrete and space.columns[c].domain.bounds == (0, 1))
            for c in feature.columns
        ]
        if len(flags) > 1 and all(flags):
            shares[list(feature.columns)] = 0.5
    return shares


def _scales(
    space: FeatureSpace, scale: Scale | Mapping[str, float], data: Points | None
) -> npt.NDArray[np.float64]:
    scales = np.ones(space.n_columns)
    if isinstance(scale, Mapping):
        names = [column.name for column in space.columns]
        for name, value in scale.items():
            if name not in names:
                raise DataError(f"scales: no column {name!r}{did_you_mean(name, names)}")
            if not 0 < value < math.inf:
                raise DataError(f"the scale of {name!r} is {value!r}; it must be positive")
            scales[names.index(name)] = value
        return scales
    if scale not in SCALES:
        raise DataError(f"no scale {scale!r}; known are {', '.join(SCALES)}")
    if scale == "none":
        return scales
    for c, column in enumerate(space.columns):
        if isinstance(column.domain, Categories | Boolean):
            continue
        low, high = column.domain.bounds
        held = np.zeros(0) if data is None else data[:, c][~np.isnan(data[:, c])]
        if len(held) and not (math.isfinite(low) and math.isfinite(high)):
            low, high = float(held.min()), float(held.max())
        width = high - low
        if scale == "mad":
            if not len(held):
                raise DataError("the scale 'mad' needs data to measure it on")
            width = float(np.median(np.abs(held - np.median(held)))) or width
        if not math.isfinite(width):
            raise DataError(
                f"column {column.name!r} has no range; give data or a scale by column name"
            )
        scales[c] = width or 1.0
    return scales

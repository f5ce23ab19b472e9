"""The measures of the published comparison, as its code computes them, and over all rows.

Published measures look at *valid* rows only, which flatters a method that gives up on hard
rows; each has a companion over all rows here.  Distances are in the scaled space; cost
counts bins (ten of equal width between a column's extremes); IsoForest and LOF are fitted
on the whole training fold.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import MissingExtraError

from .backend import Array
from .density import log_densities, score_factor
from .result import Counterfactuals
from .scale import Scale

if TYPE_CHECKING:
    from .search import PlausibleSearch

__all__ = ["Measures", "bins_moved"]

_BINS = 10


def bins_moved(origin: Array, points: Array, lower: Array, upper: Array) -> Array:
    """Return by how many bins rows moved, summed over columns, shape ``(rows,)``.

    Examples
    --------
    >>> bins_moved(np.array([[0.05]]), np.array([[0.95]]), np.zeros(1), np.ones(1)).tolist()
    [9.0]
    """
    width = np.where(upper > lower, upper - lower, 1.0) / _BINS

    def bin_of(values: Array) -> Array:
        return np.clip(np.floor((values - lower) / width), 0, _BINS - 1)

    return np.asarray(np.abs(bin_of(points) - bin_of(origin)).sum(axis=1), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Measures:
    """Measures points against a training fold.

    Parameters
    ----------
    search
        Model, density, threshold, constraints and target.
    train
        Training rows, in units of the data.
    """

    search: PlausibleSearch
    train: Array

    @cached_property
    def _forest(self) -> Any:  # noqa: ANN401
        try:
            from sklearn.ensemble import IsolationForest
        except ImportError as error:
            raise MissingExtraError("sklearn", "sklearn", "measure outliers") from error
        return IsolationForest(n_estimators=100, random_state=42).fit(self._unit(self.train))

    def of(self, found: Counterfactuals, *, relaxed: bool = False) -> dict[str, float]:
        """Measure a result: proposed points, or where the search in real numbers ended."""
        points = found.relaxed if relaxed else found.points
        return self.of_points(found.origin, points, group=found.group)

    def of_points(
        self,
        origin: Array,
        points: Array,
        *,
        group: npt.NDArray[np.intp] | None = None,
        covered: npt.NDArray[np.bool_] | None = None,
    ) -> dict[str, float]:
        """Measure points in units of the data.

        Parameters
        ----------
        origin, points
            Shape ``(rows, columns)`` each.
        group
            Of each row.
        covered
            Rows that the method answers at all; those without NaN by default.

        Returns
        -------
        Measures by name.  ``validity`` and those after it are over covered and over valid
        rows; names that end in ``_all`` are over all rows.
        """
        search = self.search
        answered = np.isfinite(points).all(axis=1) if covered is None else covered
        points = np.where(np.isfinite(points), points, origin)
        valid = (search.subject.says(points) == search.target) & answered
        start, end = self._unit(origin), self._unit(points)
        away = end - start
        l1, l2 = np.abs(away).sum(axis=1), np.linalg.norm(away, axis=1)
        count = max(int(valid.sum()), 1)
        measured: dict[str, float] = {
            "rows": float(len(points)),
            "coverage": float(answered.mean()),
            "validity": float(valid.sum() / max(int(answered.sum()), 1)),
            "validity_all": float(valid.mean()),
            "l1": float(l1[valid].sum() / count),
            "l2": float(l2[valid].sum() / count),
            "l2_all": float(l2.mean()),
            "sparsity": float((np.abs(away[valid]) > 1e-6).sum() / count),
            "cost_bins": float(
                bins_moved(origin, points, self.train.min(0), self.train.max(0))[valid].sum()
                / count
            ),
            "outside": float((~search.reach.admissible(origin, points)).sum()),
            "outside_box": float(self._outside_box(origin, points).sum()),
        }
        if search.density is not None:
            nats = log_densities(search.density, end, search.target)
            plausible = nats * score_factor(points.shape[1]) > search.threshold.score
            measured["log_density"] = float(nats[valid].sum() / count)
            measured["plausibility"] = float(plausible[valid].sum() / count)
            measured["plausibility_all"] = float((plausible & valid).mean())
        if valid.any():
            measured["isoforest"] = float(self._forest.decision_function(end[valid]).mean())
            measured["lof"] = self._local_outlier_factor(end[valid])
        if group is not None:
            measured["groups"] = float(len(np.unique(group[answered])))
        return measured

    def _outside_box(self, origin: Array, points: Array) -> npt.NDArray[np.bool_]:
        """Tell which rows *moved* a column to a value outside the training range."""
        low, high = self.train.min(axis=0), self.train.max(axis=0)
        near = 1e-6 * (high - low)
        beyond = (points < low - near) | (points > high + near)
        return np.asarray((beyond & (points != origin)).any(axis=1), dtype=np.bool_)

    def _local_outlier_factor(self, unit: Array) -> float:
        from sklearn.neighbors import LocalOutlierFactor

        neighbours = int(np.clip(len(unit) // 5, 3, 20))
        model = LocalOutlierFactor(n_neighbors=neighbours, novelty=True)
        model.fit(self._unit(self.train))
        return float(-model.score_samples(unit).mean())

    def _unit(self, points: Array) -> Array:
        scale: Scale = self.search.scale
        return scale.to_unit(points)

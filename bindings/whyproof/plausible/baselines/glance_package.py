"""GLANCE through its authors' own package, when it is installed.

Source: Kavouras et al., "GLANCE: Global Actions in a Nutshell for Counterfactual
Explainability", 2024; class ``C_GLANCE`` of ``humancompatible.explain`` (Apache-2.0), with
nearest unlike neighbours as local counterfactuals.  `whyproof.plausible.baselines.glance`
is the same method in our harness and needs no package.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import MissingExtraError, UnsupportedError

from ..backend import Array
from ..subject import Subject

__all__ = ["glance_package"]


class _Favourable:
    """The model as GLANCE calls it: 1 for the class to reach, 0 for all others."""

    def __init__(self, subject: Subject, names: list[str], target: int) -> None:
        self._subject, self._names, self._target = subject, names, target

    def predict(self, frame: Any) -> npt.NDArray[np.int64]:  # noqa: ANN401
        """Return 0 or 1 for each line."""
        points = np.asarray(frame[self._names], dtype=np.float64)
        return np.asarray(self._subject.says(points) == self._target, dtype=np.int64)


def glance_package(
    subject: Subject,
    data: Array,
    rows: Array,
    target: int,
    groups: int,
    *,
    clusters: int = 50,
    candidates: int = 5,
    seed: int = 0,
) -> tuple[Array, npt.NDArray[np.intp]]:
    """Return points in units of the data, and the action of each row, -1 where none flips it.

    Parameters
    ----------
    data
        Training rows, shape ``(n, columns)``.
    rows
        To explain, shape ``(rows, columns)``.
    groups
        Actions that are left.
    clusters, candidates
        To begin with, and local counterfactuals of each.

    Raises
    ------
    UnsupportedError
        Without the package, which is not among our extras: it is installed from its repository.
    MissingExtraError
        Without pandas.
    """
    try:
        from humancompatible.explain.glance.iterative_merges import iterative_merges
    except ImportError as error:
        raise UnsupportedError(
            "GLANCE's own package is not installed; get it from "
            "https://github.com/humancompatible/explain, or use baselines.glance instead"
        ) from error
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("pandas", "test", "compare with GLANCE") from error
    names = [f"f{i}" for i in range(data.shape[1])]
    model = _Favourable(subject, names, target)
    known, asked = (pandas.DataFrame(part, columns=names) for part in (data, rows))
    said = pandas.Series(model.predict(known), name="target")
    method = iterative_merges.C_GLANCE(
        model,
        initial_clusters=min(clusters, len(rows)),
        final_clusters=groups,
        num_local_counterfactuals=candidates,
        random_seed=seed,
        verbose=False,
    )
    method.fit(
        known,
        said,
        known.assign(target=said),
        numeric_features_names=names,
        categorical_features_names=[],
        cf_generator="NearestNeighbors",
        cluster_action_choice_algo="max-eff",
    )
    method.explain_group(asked)
    spread = np.ptp(data, axis=0)
    points, chosen = rows.copy(), np.full(len(rows), -1, dtype=np.intp)
    cheapest = np.full(len(rows), np.inf)
    for number, action in enumerate(method.global_actions()):
        shift = np.asarray([float(action[name]) for name in names])
        tried = rows + shift
        far = float(np.abs(shift / np.where(spread > 0, spread, 1.0)).sum())
        better = (subject.says(tried) == target) & (far < cheapest)
        points[better], cheapest[better], chosen[better] = tried[better], far, number
    return points, chosen

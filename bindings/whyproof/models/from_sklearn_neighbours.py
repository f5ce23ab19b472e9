"""Scikit-learn's nearest neighbours, and what scaling in front of them means for distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.encodings.neighbours.model import DerivedColumn, Metric, NeighbourModel
from whyproof.engine.errors import ModelError, UnsupportedError
from whyproof.engine.space import Points

from .column_maps import Chain
from .compose import Original
from .model import Model
from .sklearn_runtime import EstimatorRuntime, column_names_of

__all__ = [
    "NEIGHBOUR_NAMES",
    "NeighbourRuntime",
    "compose_neighbours",
    "load_sklearn_neighbours",
    "verify_neighbours",
]

NEIGHBOUR_NAMES = frozenset({"KNeighborsClassifier"})

MOST_ROWS = 2000
"""Most training rows: each of them may become a 0/1 variable."""

_METRICS: dict[str, Metric] = {
    "cityblock": "l1",
    "euclidean": "l2",
    "l1": "l1",
    "l2": "l2",
    "manhattan": "l1",
}


class NeighbourRuntime(EstimatorRuntime):
    """Nearest neighbours that predict for themselves; scores are shares of votes."""

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return numbers of votes, shape ``(rows, classes)``."""
        estimator = self.estimator
        nearest = estimator.kneighbors(points, return_distance=False)
        if estimator.weights == "distance":
            nearest = nearest[:, :1]
        labels = np.asarray(estimator._y, dtype=np.int64)
        votes = np.zeros((len(points), len(estimator.classes_)))
        for k in range(nearest.shape[1]):
            votes[np.arange(len(points)), labels[nearest[:, k]]] += 1.0
        return votes


def load_sklearn_neighbours(source: Any) -> Model:  # noqa: ANN401
    """Import a fitted `KNeighborsClassifier`.

    Raises
    ------
    ModelError
        If it is not fitted.
    UnsupportedError
        For other distances, weights by distance beyond two neighbours, and too many rows.
    """
    import sklearn

    if not hasattr(source, "_fit_X"):
        raise ModelError("the KNeighborsClassifier is not fitted; fit it first")
    metric = _METRICS.get(str(source.effective_metric_))
    if metric is None:
        raise UnsupportedError(
            f"a KNeighborsClassifier with the metric {source.effective_metric_!r} is not "
            "supported; euclidean (p=2) and manhattan (p=1) are"
        )
    training = source._fit_X
    if hasattr(training, "toarray") or np.asarray(source._y).ndim > 1:
        raise UnsupportedError(
            "a KNeighborsClassifier on sparse rows or with several outputs is not supported"
        )
    training = np.asarray(training, dtype=np.float64)
    if len(training) > MOST_ROWS:
        raise UnsupportedError(
            f"a KNeighborsClassifier with {len(training)} training rows is too large; at most "
            f"{MOST_ROWS} are supported: fit it on a sample, or learn surrogate rules from its "
            "predictions (whyproof.asp.extract_rules)"
        )
    k = int(source.n_neighbors)
    by_distance = source.weights == "distance"
    if not by_distance and source.weights not in ("uniform", None):
        raise UnsupportedError("a KNeighborsClassifier with weights of its own is not supported")
    if by_distance and k > 2:
        raise UnsupportedError(
            f"votes of {k} neighbours by distance are no linear sums; weights='uniform', or up to "
            "two neighbours, are supported, or learn surrogate rules from its predictions "
            "(whyproof.asp.extract_rules)"
        )
    structure = NeighbourModel.of(
        training,
        np.asarray(source._y),
        k,
        metric,
        tuple(np.asarray(source.classes_).tolist()),
        nearest_decides=by_distance,
    )
    model = Model(
        structure=structure,
        runtime=NeighbourRuntime.of(source),
        library="scikit-learn",
        version=sklearn.__version__,
        names=column_names_of(source),
        accepts_missing=False,
        source=type(source).__name__,
    )
    verify_neighbours(model)
    return model


def verify_neighbours(model: Model) -> None:
    """Compare structure and runtime on points at which no tie of distances decides.

    Raises
    ------
    UnsupportedError
        If they differ.
    """
    structure = model.structure
    if not isinstance(structure, NeighbourModel):
        return
    points, _, _ = model.probes(64)
    ordered = np.sort(structure.distances(points), axis=1)
    size, k = ordered.max(initial=1.0), structure.votes
    clear = np.full(len(points), True)
    if k < ordered.shape[1]:
        clear = ordered[:, k] - ordered[:, k - 1] > 1e-9 * size
    if structure.nearest_decides and ordered.shape[1] > 1:
        clear &= ordered[:, 0] > 1e-9 * size
    if bool((structure.predict(points) != model.runtime.predict(points))[clear].any()):
        raise UnsupportedError(
            f"{model.runtime.name} decides otherwise than the nearest rows of {model.source} say; "
            "this version or option is not supported"
        )


def compose_neighbours(
    model: NeighbourModel, chains: Sequence[Chain], originals: Sequence[Original]
) -> NeighbourModel:
    """Return nearest neighbours over the original columns.

    Parameters
    ----------
    model
        Over the derived columns.
    chains
        Where each derived column comes from.
    originals
        The original columns.

    Raises
    ------
    UnsupportedError
        For steps that bend, and several derived columns of one column of numbers.
    """
    derived: list[DerivedColumn] = []
    for chain in chains:
        original = originals[chain.source]
        if original.words:
            table = original.images(chain)
            derived.append(DerivedColumn(chain.source, table=tuple(table.tolist())))
            continue
        slope, offset = 1.0, 0.0
        for step in chain.arithmetic:
            match step.operation:
                case "subtract":
                    offset -= step.operand
                case "add":
                    offset += step.operand
                case "divide":
                    slope, offset = slope / step.operand, offset / step.operand
                case "multiply":
                    slope, offset = slope * step.operand, offset * step.operand
                case _:
                    raise UnsupportedError(
                        f"column {original.name!r} is clipped or binarised in front of nearest "
                        "neighbours, which is not supported"
                    )
        if any(d.source == chain.source for d in derived):
            raise UnsupportedError(
                f"column {original.name!r} comes twice into nearest neighbours, which is not "
                "supported"
            )
        derived.append(DerivedColumn(chain.source, slope, offset))
    return NeighbourModel(
        len(originals),
        tuple(derived),
        model.training,
        model.labels,
        model.neighbours,
        model.metric,
        model.classes,
        model.nearest_decides,
    )

"""Binarised networks: neurons that say +1 or -1, as threshold gates.

With inputs and weights of plus or minus one a weighted sum is ``2 t - n``, where `t` counts
the inputs that agree with their weight among the `n` whose weight is not zero (Narodytska,
Kasiviswanathan, Ryzhyk, Sagiv, Walsh, Verifying Properties of Binarized Deep Neural Networks,
AAAI 2018).  So a neuron is a cardinality gate, ``t >= (threshold + n) / 2``; classes
compare by gates as well, with the differences of their weights.

Ours differs in keeping the gate, both ways, as one row: PySAT's cardinality encodings, linear
rows and answer sets are all made of it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import ModelError
from whyproof.engine.space import Points

from .builder import CircuitBuilder
from .circuit import Circuit

__all__ = ["BinarisedLayer", "BinarisedNetwork", "binarised_circuit"]


@dataclass(frozen=True, eq=False)
class BinarisedLayer:
    """Neurons that are +1 where their weighted sum reaches a threshold, else -1.

    Parameters
    ----------
    weights
        -1, 0 or 1, shape ``(neurons, inputs)``.
    thresholds
        Shape ``(neurons,)``; infinite for a neuron that never changes.
    """

    weights: npt.NDArray[np.int64]
    thresholds: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BinarisedNetwork:
    """Binarised inputs, hidden layers, and one integer score for each class.

    Parameters
    ----------
    n_columns
        Number of inputs of the model.
    columns, cuts
        Input `i` of the first layer is +1 where ``x[columns[i]] >= cuts[i]``, else -1.
    layers
        In order.
    weights
        Of the scores: integers, shape ``(classes, neurons)``.
    biases
        Of the scores, shape ``(classes,)``.
    classes
        Labels by index; the largest score decides, ties go to the lowest index.

    Raises
    ------
    ModelError
        If shapes do not fit or a weight is none of -1, 0 and 1.

    Examples
    --------
    >>> layer = BinarisedLayer(np.array([[1, 1], [1, -1]]), np.array([0.0, 1.0]))
    >>> network = BinarisedNetwork(2, (0, 1), (0.5, 0.5), (layer,), np.array([[0, 0], [1, 1]]),
    ...                            np.zeros(2), ("no", "yes"))
    >>> network.predict(np.array([[1.0, 0.0], [0.0, 0.0]])).tolist()
    [1, 0]
    """

    n_columns: int
    columns: tuple[int, ...]
    cuts: tuple[float, ...]
    layers: tuple[BinarisedLayer, ...]
    weights: npt.NDArray[np.int64]
    biases: npt.NDArray[np.float64]
    classes: tuple[Hashable, ...]

    def __post_init__(self) -> None:
        if len(self.columns) != len(self.cuts):
            raise ModelError(f"{len(self.columns)} binarised inputs need as many cuts")
        if any(not 0 <= c < self.n_columns for c in self.columns):
            raise ModelError(f"an input reads a column beyond the {self.n_columns} of the model")
        if not all(map(math.isfinite, self.cuts)):
            raise ModelError("a cut of an input is not finite")
        width = len(self.columns)
        for k, layer in enumerate(self.layers):
            shape = layer.weights.shape
            if len(shape) != 2 or shape[1] != width or layer.thresholds.shape != shape[:1]:
                raise ModelError(
                    f"layer {k} has weights of shape {shape} and thresholds of shape "
                    f"{layer.thresholds.shape} for {width} inputs"
                )
            if not bool(np.isin(layer.weights, (-1, 0, 1)).all()):
                raise ModelError(f"layer {k} has a weight that is none of -1, 0 and 1")
            if bool(np.isnan(layer.thresholds).any()):
                raise ModelError(f"layer {k} has a threshold that is no number")
            width = shape[0]
        if len(self.classes) < 2 or self.weights.shape != (len(self.classes), width):
            raise ModelError(
                f"the scores have weights of shape {self.weights.shape} for "
                f"{len(self.classes)} classes and {width} neurons"
            )
        if self.biases.shape != (len(self.classes),) or not bool(np.isfinite(self.biases).all()):
            raise ModelError("the scores need one finite bias for each class")

    def scores(self, points: Points) -> npt.NDArray[np.float64]:
        """Return the scores, shape ``(rows, classes)``."""
        signs = np.where(points[:, list(self.columns)] >= np.array(self.cuts), 1, -1)
        for layer in self.layers:
            signs = np.where(signs @ layer.weights.T >= layer.thresholds, 1, -1)
        return np.asarray((signs @ self.weights.T).astype(np.float64) + self.biases)

    def predict(self, points: Points) -> npt.NDArray[np.int64]:
        """Return class indices, shape ``(rows,)``."""
        return np.asarray(self.scores(points).argmax(axis=1), dtype=np.int64)


def binarised_circuit(network: BinarisedNetwork) -> Circuit:
    """Translate a binarised network into gates."""
    builder = CircuitBuilder(network.n_columns)
    signs = [
        -builder.below(column, cut, missing=True)
        for column, cut in zip(network.columns, network.cuts, strict=True)
    ]
    for k, layer in enumerate(network.layers):
        signs = [
            _neuron(builder, signs, row, threshold, f"neuron {j} of layer {k}")
            for j, (row, threshold) in enumerate(
                zip(layer.weights.tolist(), layer.thresholds.tolist(), strict=True)
            )
        ]
    scores, biases = network.weights.tolist(), [Fraction(b) for b in network.biases.tolist()]
    wins: list[int] = []
    for k, row in enumerate(scores):
        leads: list[int] = []
        for rival, other in enumerate(scores):
            if rival != k:
                weights = [a - b for a, b in zip(row, other, strict=True)]
                # Twice the weights of what is +1, less all weights, plus the biases.
                least = Fraction(sum(weights)) - biases[k] + biases[rival]
                bound = math.ceil(least) if k < rival else math.floor(least) + 1
                name = f"class {k} leads class {rival}"
                leads.append(builder.at_least(signs, bound, [2 * w for w in weights], name))
        wins.append(builder.all_of(leads, f"class {k} wins"))
    return builder.build(wins, network.classes, "binarised networks")


def _neuron(
    builder: CircuitBuilder,
    signs: Sequence[int],
    weights: Sequence[int],
    threshold: float,
    name: str,
) -> int:
    used = [s * w for s, w in zip(signs, weights, strict=True) if w]
    if math.isinf(threshold):
        return builder.at_least([], 0 if threshold < 0 else 1, name=name)
    bound = math.ceil((Fraction(threshold) + len(used)) / 2)
    return builder.at_least(used, bound, name=name)

"""Small classifiers: fully connected with ReLU, or linear; trained with a split of their own.

They are the classifiers of the published protocol, and the differentiable surrogates of
models that torch cannot differentiate.  Training follows that protocol (RAdam, batches,
early stopping), except that it stops on rows set apart from the *training* rows and is
validated as it will be used, without dropout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import DataError

from .backend import Array, numbers, require_torch, seeded, tensor
from .fitting import Fit, fit

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Perceptron", "PerceptronTraining", "train_perceptron"]


class Perceptron:
    """Layers of weights with ReLU between them; without hidden layers a linear model.

    Parameters
    ----------
    weights
        Pairs of weight, shape ``(outputs, inputs)``, and bias.

    Examples
    --------
    >>> import torch
    >>> model = Perceptron.untrained(4, 3, hidden=(8,), seed=0)
    >>> model.logits(torch.zeros(5, 4)).shape
    torch.Size([5, 3])
    """

    def __init__(self, weights: Sequence[tuple[Tensor, Tensor]]) -> None:
        require_torch("run a classifier")
        self.weights = tuple(weights)

    @classmethod
    def untrained(
        cls, columns: int, classes: int, *, hidden: Sequence[int], seed: int
    ) -> Perceptron:
        """Return a model with the usual random weights, repeatable by its seed."""
        require_torch("train a classifier")
        import torch

        generator = torch.Generator().manual_seed(seed)
        widths = [columns, *hidden, classes]
        pairs: list[tuple[Tensor, Tensor]] = []
        for inputs, outputs in pairwise(widths):
            bound = 1.0 / math.sqrt(inputs)
            pairs.append(
                (
                    torch.empty(outputs, inputs).uniform_(-bound, bound, generator=generator),
                    torch.empty(outputs).uniform_(-bound, bound, generator=generator),
                )
            )
        return cls(pairs)

    @property
    def n_columns(self) -> int:
        """Number of inputs."""
        return int(self.weights[0][0].shape[1])

    @property
    def n_classes(self) -> int:
        """Number of logits."""
        return int(self.weights[-1][0].shape[0])

    def to(self, device: torch.device) -> Perceptron:
        """Return the model on another device."""
        return Perceptron([(w.to(device), b.to(device)) for w, b in self.weights])

    def logits(self, points: Tensor) -> Tensor:
        """Return one logit per class, shape ``(rows, classes)``."""
        return self.forward(points, dropout=0.0)

    def predict(self, points: Array) -> npt.NDArray[np.int64]:
        """Return the class of each scaled row, ties to the lowest index, shape ``(rows,)``."""
        import torch

        with torch.no_grad():
            found = numbers(self.logits(tensor(points, self.weights[0][0].device)))
        return np.asarray(found.argmax(axis=1), dtype=np.int64)

    def forward(self, points: Tensor, *, dropout: float) -> Tensor:
        """Return logits with a share of the hidden units left out, as in training."""
        from torch.nn.functional import dropout as drop
        from torch.nn.functional import linear

        h = points
        for weight, bias in self.weights[:-1]:
            h = linear(h, weight, bias)
            h = (drop(h, dropout) if dropout else h).relu()
        return linear(h, *self.weights[-1])


_FIT = Fit(batch=128, rate=1e-3, epochs=300, patience=20, optimiser="radam")


@dataclass(frozen=True, slots=True)
class PerceptronTraining:
    """How a classifier is trained.

    Parameters
    ----------
    hidden
        Widths of hidden layers; empty for a linear model.
    dropout
        Share of hidden units left out in each step.
    fit
        Steps, rate, split and early stopping.
    """

    hidden: tuple[int, ...] = (256, 256)
    dropout: float = 0.2
    fit: Fit = field(default_factory=lambda: _FIT)


def train_perceptron(
    points: Array, labels: npt.NDArray[np.int64], training: PerceptronTraining, *, seed: int = 0
) -> Perceptron:
    """Train a classifier on scaled rows.

    Parameters
    ----------
    points
        Shape ``(rows, columns)``.
    labels
        Class indices from 0, shape ``(rows,)``.
    training
        Settings.
    seed
        Of weights, batches, dropout and split.

    Raises
    ------
    DataError
        If there is only one class.
    """
    require_torch("train a classifier")
    from torch.nn.functional import cross_entropy

    classes = int(labels.max()) + 1
    if len(np.unique(labels)) < 2:
        raise DataError("all rows have one class; a classifier needs rows of two at least")
    model = Perceptron.untrained(points.shape[1], classes, hidden=training.hidden, seed=seed)
    parameters = [value.requires_grad_(True) for pair in model.weights for value in pair]

    def loss(x: Tensor, y: Tensor, fitting: bool) -> Tensor:
        dropout = training.dropout if fitting else 0.0
        return cross_entropy(model.forward(x, dropout=dropout), y)

    with seeded(seed):
        fit(parameters, loss, points, labels, training.fit, what="the classifier", seed=seed)
    return Perceptron([(w.detach(), b.detach()) for w, b in model.weights])

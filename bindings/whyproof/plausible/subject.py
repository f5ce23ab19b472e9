"""The model under explanation: the one that runs, and one that torch can differentiate.

A torch module or an ONNX network is differentiated as it is.  For every other model a
small network learns what the model says, about the data and about rows jittered around
them; it guides the search, and the real model alone decides what counts.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from whyproof.engine.classifier import Classifier
from whyproof.engine.errors import DataError, UnsupportedError

from .backend import Array, numbers, require_torch, tensor
from .fitting import Fit
from .lead import DifferentiableClassifier
from .perceptron import Perceptron, PerceptronTraining, train_perceptron
from .scale import Scale

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Subject", "subject_of"]

_SURROGATE = PerceptronTraining(
    hidden=(128, 128), dropout=0.0, fit=Fit(batch=256, rate=2e-3, epochs=120, patience=15)
)
_MOST_SURROGATE_ROWS = 40_000


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, ready to be searched and checked.

    Parameters
    ----------
    predict
        Class indices by the model that runs, for rows in units of the data.
    classes
        Labels by class index.
    differentiable
        Logits of *scaled* rows.
    exact
        What exact oracles know the model as; `None` if they do not.
    surrogate
        Share of rows on which a surrogate says what the model says; `None` if the model
        itself is differentiated.
    name
        For reports.
    """

    predict: Any
    classes: tuple[Hashable, ...]
    differentiable: DifferentiableClassifier
    exact: Any
    surrogate: float | None
    name: str

    def says(self, points: Array) -> npt.NDArray[np.int64]:
        """Return class indices, shape ``(rows,)``."""
        return np.asarray(self.predict(points), dtype=np.int64)

    def index_of(self, target: Hashable | None, rows: Sequence[int]) -> int:
        """Return the index of a class by label; in a binary model the less frequent default."""
        if target is None:
            if len(self.classes) == 2:
                return 1
            raise DataError(
                "say which class to reach; the model has "
                + ", ".join(str(label) for label in self.classes)
            )
        for position, label in enumerate(self.classes):
            if label == target or str(label) == str(target):
                return position
        from whyproof.engine.names import did_you_mean

        known = [str(label) for label in self.classes]
        raise DataError(f"no class {target!s}{did_you_mean(str(target), known)}")


class _Module:
    """A torch module or compiled network over scaled rows."""

    def __init__(
        self,
        module: Any,  # noqa: ANN401
        scale: Scale,
        device: torch.device,
        classes: int,
    ) -> None:
        self._module, self.n_classes = module, classes
        self._lower, self._span = scale.tensors(device)

    def logits(self, points: Tensor) -> Tensor:
        """Return one logit per class."""
        import torch

        found: Tensor = self._module(points * self._span + self._lower)
        if found.ndim == 1:
            found = found[:, None]
        if found.shape[1] == 1:
            return torch.cat([torch.zeros_like(found), found], dim=1)
        return found


def subject_of(
    model: object,
    data: Array,
    scale: Scale,
    *,
    device: torch.device,
    classes: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> Subject:
    """Prepare a model.

    Parameters
    ----------
    model
        A torch module (logits, or one log-odds), a `Perceptron` over scaled rows, what
        `whyproof.load_model` or `load_network` returned, or a scikit-learn, XGBoost or
        LightGBM classifier.
    data
        Rows to learn a surrogate on, in units of the data.
    scale
        Of the rows.
    classes
        Labels of a torch module.

    Raises
    ------
    UnsupportedError
        For regressors and objects that are no classifiers.
    """
    require_torch()
    import torch

    if isinstance(model, Perceptron):
        return _of_perceptron(model.to(device), scale, classes)
    if isinstance(model, torch.nn.Module):
        return _of_module(model, data, scale, device, classes)
    if not isinstance(model, Classifier):
        from whyproof.models import load_model

        model = load_model(model, classes=classes)
    if len(model.classes) < 2:
        raise UnsupportedError(
            "plausible counterfactuals need a classifier; this model is a regressor"
        )
    if model.n_columns != data.shape[1]:
        raise DataError(f"the model has {model.n_columns} columns, the data {data.shape[1]}")
    graph: Any = model.structure
    if type(graph).__name__ == "NetworkGraph":
        from whyproof.encodings.networks.network import Network

        sign = -1.0 if getattr(model, "decision", "") == "smallest" else 1.0
        network = Network.of(graph, torch.float32, device)
        native = _Module(lambda x: sign * network(x), scale, device, len(model.classes))
        return Subject(model.predict, model.classes, native, model, None, "the network itself")
    said = np.asarray(model.predict(data), dtype=np.int64)
    surrogate, agreement = _surrogate(model, data, said, scale, seed)
    named = str(getattr(model, "source", "")) or type(model).__name__
    return Subject(model.predict, model.classes, surrogate.to(device), model, agreement, named)


def _of_perceptron(model: Perceptron, scale: Scale, classes: Sequence[Hashable] | None) -> Subject:
    labels = tuple(classes) if classes is not None else tuple(range(model.n_classes))

    def predict(points: Array) -> npt.NDArray[np.int64]:
        return model.predict(scale.to_unit(points))

    return Subject(predict, labels, model, _folded(model, scale), None, "perceptron")


def _of_module(
    module: torch.nn.Module,
    data: Array,
    scale: Scale,
    device: torch.device,
    classes: Sequence[Hashable] | None,
) -> Subject:
    import torch

    module = module.eval().to(device)
    with torch.no_grad():
        shape = tuple(module(tensor(data[:2], device)).shape)
    count = 2 if len(shape) == 1 or shape[1] == 1 else shape[1]
    labels = tuple(classes) if classes is not None else tuple(range(count))
    if len(labels) != count:
        raise DataError(f"{len(labels)} class labels for a model with {count} classes")
    native = _Module(module, scale, device, count)

    def predict(points: Array) -> npt.NDArray[np.int64]:
        with torch.no_grad():
            found = module(tensor(points, device))
        if len(found.shape) == 1 or found.shape[1] == 1:
            return np.asarray(numbers(found.reshape(-1)) > 0, dtype=np.int64)
        return np.asarray(numbers(found).argmax(axis=1), dtype=np.int64)

    exact = module if shape[1:] == (count,) else None
    return Subject(predict, labels, native, exact, None, type(module).__name__)


def _folded(model: Perceptron, scale: Scale) -> torch.nn.Module:
    """Return the same classifier over rows in units of the data, as a torch module."""
    import torch

    parts: list[torch.nn.Module] = []
    for place, (weight, bias) in enumerate(model.weights):
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        w, b = weight.double().cpu(), bias.double().cpu()
        if place == 0:
            w = w / torch.as_tensor(scale.span)
            b = b - w @ torch.as_tensor(scale.lower)
        with torch.no_grad():
            layer.weight.copy_(w.float())
            layer.bias.copy_(b.float())
        parts.append(layer)
        if place < len(model.weights) - 1:
            parts.append(torch.nn.ReLU())
    return torch.nn.Sequential(*parts).eval()


def _surrogate(
    model: Any,  # noqa: ANN401
    data: Array,
    said: npt.NDArray[np.int64],
    scale: Scale,
    seed: int,
) -> tuple[Perceptron, float]:
    """Learn what a model says and return with the share of data on which they agree."""
    random = np.random.default_rng(seed)
    around = []
    for width in (0.02, 0.1):
        jitter = data + random.normal(0.0, width, data.shape) * scale.span
        whole = (data == np.rint(data)).all(axis=0)
        jitter[:, whole] = np.rint(jitter[:, whole])
        around.append(np.clip(jitter, data.min(axis=0), data.max(axis=0)))
    mixed = np.where(random.random(data.shape) < 0.3, random.permutation(data), data)
    rows = np.concatenate([data, *around, mixed])
    if len(rows) > _MOST_SURROGATE_ROWS:
        rows = rows[random.choice(len(rows), _MOST_SURROGATE_ROWS, replace=False)]
    labels = np.asarray(model.predict(rows), dtype=np.int64)
    count = len(model.classes)
    if len(np.unique(labels)) < 2:
        raise DataError("the model says the same class about all rows; there is nothing to reach")
    # Every class must have a logit, also one that the rows do not show.
    how = replace(_SURROGATE)
    present = int(labels.max()) + 1
    surrogate = train_perceptron(scale.to_unit(rows), labels, how, seed=seed)
    if present < count:
        surrogate = _widened(surrogate, count)
    agreement = float((surrogate.predict(scale.to_unit(data)) == said).mean())
    return surrogate, agreement


def _widened(model: Perceptron, classes: int) -> Perceptron:
    """Return the model with classes that it never says."""
    import torch

    weight, bias = model.weights[-1]
    extra = classes - len(bias)
    weight = torch.cat([weight, weight.new_zeros(extra, weight.shape[1])])
    bias = torch.cat([bias, bias.new_full((extra,), -1e3)])
    return Perceptron([*model.weights[:-1], (weight, bias)])

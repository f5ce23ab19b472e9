"""Torch modules with sign activations as binarised networks.

A `Sequential` of linear layers whose weights are -1, 0 or 1, perhaps batch normalisation,
and sign activations.  What a neuron does with each whole number that its weighted sum
can be is found by *running* bias, normalisation and activation on all of them: whatever
rounding they have, the threshold is that of the module.  The module itself replays every
counterexample.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.encodings.circuits.binarised import BinarisedLayer, BinarisedNetwork
from whyproof.engine.domain import Boolean
from whyproof.engine.errors import MissingExtraError, ModelError, UnsupportedError
from whyproof.engine.space import Points

from .column_maps import preimages
from .from_binarised import binarised_model
from .model import Model

__all__ = ["TorchRuntime", "is_binarised_module", "load_torch_binarised"]

_NORMS = ("BatchNorm1d",)
_IGNORED = ("Dropout", "Identity", "Flatten")


@dataclass(frozen=True, eq=False)
class TorchRuntime:
    """A torch module that predicts for itself, in its own type."""

    module: Any
    n_classes: int
    version: str

    @property
    def name(self) -> str:
        """Name the library and its version."""
        return f"torch {self.version}"

    def predict(self, points: Points) -> npt.NDArray[np.int64]:
        """Return class indices: the largest score, or whether the only one is positive."""
        scores = _run(self.module, points)
        if scores.shape[1] == 1:
            return np.asarray(scores[:, 0] > 0, dtype=np.int64)
        return np.asarray(scores.argmax(axis=1), dtype=np.int64)

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return 1 for the decision and 0 for other classes."""
        return np.eye(self.n_classes)[self.predict(points)]


def is_binarised_module(source: object) -> bool:
    """Tell whether an object is a torch module with a sign activation."""
    children = getattr(source, "children", None)
    if not callable(children) or not hasattr(source, "state_dict"):
        return False
    return any(_is_sign(child) for child in _flat(source))


def load_torch_binarised(
    module: Any,  # noqa: ANN401
    classes: Sequence[Hashable] | None = None,
    names: Sequence[str] = (),
) -> Model:
    """Import a torch module with sign activations.

    If the module begins with a sign activation (perhaps normalised before), its inputs are
    any numbers; if it begins with a linear layer, they are zeros and ones.

    Parameters
    ----------
    module
        A `Sequential`; the activations are modules whose class name holds "sign".
    classes
        Labels by class index; numbers if not given.
    names
        Column names.

    Raises
    ------
    UnsupportedError
        Naming the layer that cannot be reasoned about, and what to do.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "neural", "load torch modules") from error
    module = module.eval()
    layers = [layer for layer in _flat(module) if type(layer).__name__ not in _IGNORED]
    linear = [layer for layer in layers if type(layer).__name__.endswith("Linear")]
    if not linear or layers[-1] is not linear[-1]:
        raise UnsupportedError("a binarised network has to end with a linear layer of scores")
    n_columns = int(linear[0].weight.shape[1])
    cuts, rest = _input_cuts(layers, n_columns)
    hidden: list[BinarisedLayer] = []
    zero_one = cuts is None
    while rest and rest[0] is not linear[-1]:
        layer, steps, rest = _one_layer(rest)
        hidden.append(_layer(layer, steps, zero_one=zero_one and not hidden))
    if not hidden:
        raise UnsupportedError("a binarised network needs a hidden layer with a sign activation")
    last = _weights(linear[-1], "the layer of scores", signs=False)
    biases = _bias(linear[-1])
    if len(last) == 1:
        last, biases = np.vstack([np.zeros_like(last), last]), np.append([0.0], biases)
    _refuse_near_ties(biases, last)
    labels = tuple(classes) if classes is not None else tuple(range(len(last)))
    network = BinarisedNetwork(
        n_columns,
        tuple(range(n_columns)),
        (0.5,) * n_columns if cuts is None else tuple(cuts),
        tuple(hidden),
        last,
        biases,
        labels,
    )
    return binarised_model(
        network,
        runtime=TorchRuntime(module, len(labels), str(torch.__version__)),
        names=names,
        domains={i: Boolean() for i in range(n_columns)} if cuts is None else {},
        library="torch",
        source=type(module).__name__,
    )


def _refuse_near_ties(biases: npt.NDArray[np.float64], weights: npt.NDArray[np.int64]) -> None:
    """Refuse biases so close to a whole number apart that rounding decides ties."""
    difference = biases[:, None] - biases[None]
    apart = np.abs(difference - np.round(difference))
    largest = np.abs(weights).sum(axis=1).max() + np.abs(biases).max() + 1
    if bool(((apart > 0) & (apart < largest * 2.0**-20)).any()):
        raise UnsupportedError(
            "two scores can tie up to rounding; make their biases whole numbers or further apart"
        )


def _flat(module: Any) -> list[Any]:  # noqa: ANN401
    """Return layers in order, nested sequences opened."""
    children = list(module.children())
    if not children or not type(module).__name__.endswith("Sequential"):
        return [module] if not children else [m for c in children for m in _flat(c)]
    return [layer for child in children for layer in _flat(child)]


def _is_sign(layer: object) -> bool:
    name = type(layer).__name__.lower()
    return "sign" in name or ("binar" in name and "linear" not in name)


def _run(module: Any, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:  # noqa: ANN401
    import torch

    kind = next((p.dtype for p in module.parameters()), torch.float32)
    with torch.no_grad():
        found = module(torch.tensor(points, dtype=kind))
    return np.asarray(found.detach().numpy(), dtype=np.float64)


def _input_cuts(layers: list[Any], n: int) -> tuple[list[float] | None, list[Any]]:
    """Return the cut of each column, or `None` for inputs that are zeros and ones."""
    steps: list[Any] = []
    for position, layer in enumerate(layers):
        steps.append(layer)
        if _is_sign(layer):
            return _cuts(steps, n), layers[position + 1 :]
        if type(layer).__name__ not in _NORMS:
            break
    if len(steps) > 1:
        raise UnsupportedError("inputs that are normalised need a sign activation after it")
    return None, layers


def _cuts(steps: list[Any], n: int) -> list[float]:
    def signs(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        found = np.tile(values[:, None], (1, n))
        for step in steps:
            found = _run(step, found)
        return found

    cuts: list[float] = []
    for column in range(n):
        ends = signs(np.array([-1e30, 1e30]))[:, column]
        if ends[0] == ends[1] or ends[0] > ends[1]:
            raise UnsupportedError(
                f"input {column} is not +1 for large and -1 for small values; turn its sign "
                "around in the first layer"
            )
        reached = preimages(lambda x, c=column: signs(x)[:, c], [0.5])  # type: ignore[misc]
        if signs(np.nextafter(reached, -np.inf))[0, column] != -1.0:
            raise UnsupportedError("the sign activation of the inputs maps a number to zero")
        cuts.append(float(reached[0]))
    return cuts


def _one_layer(layers: list[Any]) -> tuple[Any, list[Any], list[Any]]:
    """Split off a linear layer and what follows it up to its sign activation."""
    layer, steps = layers[0], list[Any]()
    if not type(layer).__name__.endswith("Linear"):
        raise UnsupportedError(
            f"a {type(layer).__name__} stands where a linear layer is expected; binarised "
            "networks are linear layers, normalisation and sign activations in turn"
        )
    for position, step in enumerate(layers[1:], start=1):
        steps.append(step)
        if _is_sign(step):
            return layer, steps, layers[position + 1 :]
        if type(step).__name__ not in _NORMS:
            raise UnsupportedError(
                f"a {type(step).__name__} is not binarised; only sign activations are: explain "
                "other networks with whyproof.networks"
            )
    raise UnsupportedError("a hidden linear layer has no sign activation")


def _weights(layer: Any, what: str, *, signs: bool = True) -> npt.NDArray[np.int64]:  # noqa: ANN401
    weights = np.asarray(layer.weight.detach().numpy(), dtype=np.float64)
    allowed = np.isin(weights, (-1.0, 0.0, 1.0)) if signs else weights == np.round(weights)
    if not bool(allowed.all()):
        raise UnsupportedError(
            f"{what} has a weight of {float(weights[~allowed][0]):g}; binarise weights to -1, 0 "
            "and 1 (weight.sign_()) before the network is explained"
        )
    return weights.astype(np.int64)


def _bias(layer: Any) -> npt.NDArray[np.float64]:  # noqa: ANN401
    if layer.bias is None:
        return np.zeros(int(layer.weight.shape[0]))
    return np.asarray(layer.bias.detach().numpy(), dtype=np.float64)


def _layer(layer: Any, steps: list[Any], *, zero_one: bool) -> BinarisedLayer:  # noqa: ANN401
    """Find each neuron's threshold by running all sums that it can have."""
    import torch

    weights = _weights(layer, "a hidden layer")
    bias = torch.zeros(len(weights)) if layer.bias is None else layer.bias.detach()
    n = weights.shape[1]
    sums = np.arange(-n, n + 1, dtype=np.float64)
    with torch.no_grad():
        table = torch.as_tensor(np.tile(sums[:, None], (1, len(weights))), dtype=bias.dtype) + bias
    found = table.numpy().astype(np.float64)
    for step in steps:
        found = _run(step, found)
    thresholds = np.empty(len(weights))
    for j, row in enumerate(weights):
        low, high = _range(row, zero_one=zero_one)
        step = 1 if zero_one else 2
        reachable = np.arange(low, high + 1, step)
        signs = found[reachable + n, j]
        if not bool(np.isin(signs, (-1.0, 1.0)).all()):
            raise UnsupportedError(
                f"neuron {j} of a hidden layer can be {float(signs[np.abs(signs) != 1][0]):g}; "
                "its activation has to say +1 or -1 at every sum: give it a bias of one half, or "
                "let it say +1 at zero"
            )
        if bool((np.diff(signs) < 0).any()):
            if bool((np.diff(signs) > 0).any()):
                raise ModelError(f"neuron {j} of a hidden layer is not monotone in its sum")
            # Normalisation turned the neuron around: so do its weights.
            weights[j], reachable, signs = -row, -reachable[::-1], signs[::-1]
        active = reachable[signs > 0]
        least = float(active[0]) if len(active) else np.inf
        # Sums over zeros and ones become sums over signs: twice as much, less all weights.
        thresholds[j] = 2 * least - float(weights[j].sum()) if zero_one else least
    return BinarisedLayer(weights, thresholds)


def _range(row: npt.NDArray[np.int64], *, zero_one: bool) -> tuple[int, int]:
    """Return the least and the largest sum of a neuron."""
    if zero_one:
        return int(row[row < 0].sum()), int(row[row > 0].sum())
    return -int(np.abs(row).sum()), int(np.abs(row).sum())

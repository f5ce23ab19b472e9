"""Classifiers of images: gradients to be guided by, and the model that runs to be believed.

From an ONNX file both come from the importer of networks: its graph in torch gives the
gradients, onnxruntime on the user's own file the decisions.  From a torch module it is the
module itself.  Images are 8-bit pixels ``(batch, height, width, channels)`` or, inside
torch, floats in 0 to 1 ``(batch, channels, height, width)``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import contextmanager
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from whyproof.encodings.networks.classifier import NetworkClassifier
from whyproof.encodings.networks.graph import Convolution
from whyproof.encodings.networks.network import Network
from whyproof.encodings.networks.spaces import ImageLayout, image_space
from whyproof.engine.errors import DataError, InputError, UnsupportedError
from whyproof.engine.names import did_you_mean
from whyproof.engine.space import FeatureSpace, Points
from whyproof.networks import load_network

from .pixels import Pixels, as_unit

__all__ = ["ImageClassifier"]

_BATCH = 256


class ImageClassifier:
    """A classifier of 8-bit images.

    Parameters
    ----------
    model
        Path to an ONNX file, an imported network, or a torch module that maps images with
        values in 0 to 1, ``(batch, channels, height, width)``, to logits.
    classes
        Labels by index; numbers by default.
    shape
        Channels, height and width; needed for a torch module.
    mean, deviation
        What the model wants subtracted from, and then divided out of, values in 0 to 1; a
        number or one per channel.
    device
        Where gradients are computed.

    Raises
    ------
    UnsupportedError
        If the model is a regressor, or an operator cannot be imported.

    Examples
    --------
    >>> from whyproof.visual.networks.judge import Judge
    >>> net = ImageClassifier(Judge(), shape=(1, 28, 28))
    >>> net.probabilities(np.zeros((2, 28, 28, 1), dtype=np.uint8)).shape
    (2, 10)
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | NetworkClassifier | nn.Module,
        *,
        classes: Sequence[Hashable] | None = None,
        shape: tuple[int, int, int] | None = None,
        mean: Sequence[float] | float = 0.0,
        deviation: Sequence[float] | float = 1.0,
        device: str = "cpu",
    ) -> None:
        self.device = device
        self._mean, self._deviation = mean, deviation
        self._watching = False
        self._seen: list[Tensor] | None = None
        self.network: NetworkClassifier | None = None
        self.module: nn.Module | None = None
        if isinstance(model, nn.Module):
            self._from_module(model, classes, shape)
        else:
            loaded = (
                model
                if isinstance(model, NetworkClassifier)
                else load_network(model, classes=classes)
            )
            self._from_network(loaded, classes)
        channels = self.shape[0]
        self._shift = _per_channel(mean, channels, "mean").to(device)
        self._scale = _per_channel(deviation, channels, "deviation").to(device)
        if not bool((self._scale > 0).all()):
            raise InputError(f"the deviation must be positive, found {deviation!r}")
        self._plain = bool((self._shift == 0).all() and (self._scale == 1).all())

    def _from_module(
        self,
        module: nn.Module,
        classes: Sequence[Hashable] | None,
        shape: tuple[int, int, int] | None,
    ) -> None:
        if shape is None:
            raise InputError("give the shape of a torch module's images, for example (1, 28, 28)")
        self.shape = shape
        self.module = module.to(self.device).eval().requires_grad_(False)
        with torch.no_grad():
            found = self.module(torch.zeros((1, *shape), device=self.device))
        if found.ndim != 2 or found.shape[1] < 1:
            raise UnsupportedError(
                f"the module returns {tuple(found.shape)}, not one row of logits"
            )
        self._name_classes(classes, max(2, int(found.shape[1])))

    def _from_network(self, network: NetworkClassifier, classes: Sequence[Hashable] | None) -> None:
        if network.decision == "value":
            raise UnsupportedError(
                "the network has a single score; repainting needs a classifier with two or more"
            )
        self.network = network
        layout = ImageLayout.of(network.input_shape)
        self.layout = layout
        self.shape = (layout.channels, layout.height, layout.width)
        self._columns = torch.from_numpy(layout.columns.transpose(2, 0, 1).copy()).flatten()
        self._in_order = bool((self._columns == torch.arange(self._columns.numel())).all())
        self._graph = Network.of(network.graph, torch.float32, self.device)
        self._name_classes(classes or network.classes, len(network.classes))

    def _name_classes(self, classes: Sequence[Hashable] | None, count: int) -> None:
        self.classes: tuple[Hashable, ...] = (
            tuple(range(count)) if classes is None else tuple(classes)
        )
        if len(self.classes) != count:
            raise DataError(f"{len(self.classes)} class names for a model with {count} classes")

    def class_index(self, name: Hashable) -> int:
        """Return the index of a class by its label, or by what the label reads as.

        Raises
        ------
        InputError
            If there is none; the nearest is offered.
        """
        names = [str(label) for label in self.classes]
        if str(name) in names:
            return names.index(str(name))
        hint = did_you_mean(str(name), names)
        raise InputError(
            f"the classifier has no class {str(name)!r}{hint}; it has {', '.join(names[:20])}"
        )

    def logits(self, images: Tensor) -> Tensor:
        """Return differentiable logits for images in 0 to 1."""
        wanted = images if self._plain else (images - self._shift) / self._scale
        if self.module is not None:
            found: Tensor = self.module(wanted)
            return torch.cat([-found, found], 1) if found.shape[1] == 1 else found
        flat = wanted.flatten(1)
        if not self._in_order:
            ordered = torch.empty_like(flat)
            ordered[:, self._columns] = flat
            flat = ordered
        values = self._graph.values(flat)
        self._seen = values if self._watching else None
        scores = values[-1]
        network = cast(NetworkClassifier, self.network)
        return -scores if network.decision == "smallest" else scores

    @contextmanager
    def watched_convolution(self) -> Generator[Callable[[], tuple[Tensor, tuple[int, int, int]]]]:
        """Keep what the last convolution of an imported network returns.

        Yields
        ------
        callable
            Returns the flat feature maps of the latest run, and their channels, height, width.

        Raises
        ------
        UnsupportedError
            If the network has no convolution.
        """
        self._need_network()
        nodes = cast(NetworkClassifier, self.network).graph.nodes
        places = [i for i, node in enumerate(nodes) if isinstance(node, Convolution)]
        if not places:
            raise UnsupportedError("grad-cam needs convolutions; use another attribution")
        last = cast(Convolution, nodes[places[-1]])

        def maps() -> tuple[Tensor, tuple[int, int, int]]:
            return cast("list[Tensor]", self._seen)[places[-1]], last.output

        self._watching = True
        try:
            yield maps
        finally:
            self._watching, self._seen = False, None

    def scores(self, pixels: Pixels) -> npt.NDArray[np.float64]:
        """Return the scores of the model that runs, shape ``(batch, classes)``."""
        parts = [self._scores(pixels[i : i + _BATCH]) for i in range(0, len(pixels), _BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes)))

    def _scores(self, pixels: Pixels) -> npt.NDArray[np.float64]:
        if self.network is not None:
            return self.network.scores(self.points(pixels))
        with torch.no_grad():
            found = self.logits(as_unit(pixels).to(self.device))
        return found.double().cpu().numpy()

    def predict(self, pixels: Pixels) -> npt.NDArray[np.int64]:
        """Return class indices as the model that runs decides."""
        return np.asarray(self.scores(pixels).argmax(axis=1), dtype=np.int64)

    def probabilities(self, pixels: Pixels) -> npt.NDArray[np.float64]:
        """Return the softmax of the scores."""
        scores = self.scores(pixels)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def points(self, pixels: Pixels) -> Points:
        """Return images as rows of the network's input, in its order and units."""
        layout = self._need_network()
        values = pixels.astype(np.float64) / 255.0
        values = (values - np.asarray(self._mean)) / np.asarray(self._deviation)
        rows = np.empty((len(pixels), layout.n_columns))
        rows[:, layout.columns.ravel()] = values.reshape(len(pixels), -1)
        return rows

    def space(self, cell: int = 1) -> FeatureSpace:
        """Return the space of its images with square cells as features."""
        self._need_network()
        ends = [
            (end - np.atleast_1d(self._mean)) / np.atleast_1d(self._deviation) for end in (0.0, 1.0)
        ]
        lower, upper = (end.tolist() if len(end) > 1 else float(end[0]) for end in ends)
        shape = cast(NetworkClassifier, self.network).input_shape
        return image_space(shape, cell=cell, lower=lower, upper=upper)

    def _need_network(self) -> ImageLayout:
        if self.network is None:
            raise UnsupportedError(
                "exact questions need an imported network: give an ONNX file, "
                "or load_network(module, input_shape=...)"
            )
        return self.layout


def _per_channel(values: Sequence[float] | float, channels: int, name: str) -> Tensor:
    numbers = torch.as_tensor(values, dtype=torch.float32).flatten()
    if numbers.numel() not in (1, channels):
        raise InputError(f"{numbers.numel()} values of {name} for {channels} channels")
    return numbers.view(1, -1, 1, 1)

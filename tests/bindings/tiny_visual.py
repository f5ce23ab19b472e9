"""Tiny generators and classifiers of images for tests: seconds, no data, fixed seeds."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch
from torch import nn

from whyproof.networks import load_network
from whyproof.visual.bridge import Bridge
from whyproof.visual.classifiers import ImageClassifier
from whyproof.visual.networks.small import SmallUNetShape
from whyproof.visual.training import TrainingOptions, train_bridge

__all__ = ["bars", "bridge", "classifier", "module", "onnx_file", "random_classifier"]

SIDE = 8


@cache
def bars() -> tuple[np.ndarray, np.ndarray]:
    """Return images of upright (class 0) and lying (class 1) bars with some noise."""
    random = np.random.default_rng(3)
    images = random.integers(0, 40, (200, SIDE, SIDE), dtype=np.uint8)
    labels = random.integers(0, 2, 200)
    for image, label in zip(images, labels, strict=True):
        at = random.integers(1, SIDE - 2)
        view = image if label else image.T
        view[at : at + 2] = random.integers(180, 256, (2, SIDE))
    return images, labels


@cache
def bridge() -> Bridge:
    """Return a bridge trained for a moment."""
    options = TrainingOptions(iterations=150, batch=16, cell=2, average=0.9)
    return train_bridge(
        bars()[0], options, network=SmallUNetShape(width=16, time_width=16, heads=2)
    )


@cache
def module() -> nn.Module:
    """Return a small dense classifier of the bars, for images in 0 to 1."""
    images, labels = bars()
    torch.manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 10), nn.ReLU(), nn.Linear(10, 3))
    seen, wanted = torch.from_numpy(images).float()[:, None] / 255, torch.from_numpy(labels)
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(150):
        loss = nn.functional.cross_entropy(net(seen), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval()


@cache
def classifier() -> ImageClassifier:
    """Return the classifier as an imported network."""
    return ImageClassifier(load_network(module(), input_shape=(1, 1, SIDE, SIDE)))


def random_classifier(seed: int) -> ImageClassifier:
    """Return a network of random weights: small leads, near decisions."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 6), nn.ReLU(), nn.Linear(6, 3))
    return ImageClassifier(load_network(net, input_shape=(1, 1, SIDE, SIDE)))


@cache
def onnx_file() -> Path:
    """Return the classifier as a file."""
    import warnings

    place = Path(mkdtemp()) / "bars.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module(), (torch.zeros(1, 1, SIDE, SIDE),), str(place), dynamo=False)
    return place

"""ONNX pooling operators: maxima as ReLU tournaments, averages as grouped convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..builder import GraphBuilder, Tensor
from .translation import Value, View, translates
from .windows import windows_of

__all__ = ["average_pool", "global_average_pool", "global_max_pool", "max_pool"]


def _image(view: View) -> Tensor:
    x = view.tensor(0)
    if len(x.shape) not in (3, 4) or x.shape[0] != 1:
        raise view.refuse(f"is supported for one image at a time, found shape {x.shape}")
    return x


@translates("MaxPool")
def max_pool(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Largest entry of each window."""
    if view.n_outputs > 1:
        raise view.refuse("is supported without its indices output")
    x = _image(view)
    windows = windows_of(view, x.shape[2:], view.attributes["kernel_shape"])
    index = windows.indices(x.shape[1])
    if bool((index < 0).all(axis=-1).any()):
        raise view.refuse("has a window that lies on padding only")
    # A window that reaches over the edge repeats one of its entries: same maximum.
    first = np.take_along_axis(index, np.argmax(index >= 0, axis=-1)[..., None], axis=-1)
    index = np.where(index < 0, first, index)
    result = _tournament(builder, view.name, builder.select(view.name, x, index))
    shape = (1, x.shape[1], *result.shape[1:])
    return [builder.reshape(result, shape if len(x.shape) == 4 else (1, x.shape[1], shape[-1]))]


@translates("GlobalMaxPool")
def global_max_pool(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Largest entry of each channel."""
    x = _image(view)
    result = _tournament(builder, view.name, builder.reshape(x, (x.shape[1], -1)))
    return [builder.reshape(result, (*x.shape[:2], *(1 for _ in x.shape[2:])))]


def _tournament(builder: GraphBuilder, name: str, x: Tensor) -> Tensor:
    """Maximum over the last axis, pair by pair."""
    while x.shape[-1] > 1:
        positions = builder.positions(x)
        half = x.shape[-1] // 2
        left = builder.select(name, x, positions[..., :half])
        right = builder.select(name, x, positions[..., half : 2 * half])
        best = builder.maximum(name, left, right)
        if x.shape[-1] % 2:
            odd = builder.select(name, x, positions[..., -1:])
            best = builder.concatenate(name, (best, odd), axis=-1)
        x = best
    return builder.reshape(x, x.shape[:-1])


@translates("AveragePool")
def average_pool(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Mean of each window, with or without the padding."""
    x = _image(view)
    windows = windows_of(view, x.shape[2:], view.attributes["kernel_shape"])
    if view.whole("ceil_mode", 0) and view.whole("count_include_pad", 0):
        raise view.refuse("is not supported with ceil_mode and count_include_pad together")
    channels = x.shape[1]
    image = builder.reshape(x, (1, channels, *windows.extent))
    total = builder.convolution(
        view.name,
        image,
        np.ones((channels, 1, *windows.kernel)),
        np.zeros(channels),
        stride=windows.stride,
        dilation=windows.dilation,
        padding=windows.padding,
        groups=channels,
    )
    index = windows.indices(channels)
    counts = np.full(index.shape[:-1], index.shape[-1], dtype=np.float64)
    if not view.whole("count_include_pad", 0):
        counts = (index >= 0).sum(axis=-1).astype(np.float64)
    mean = builder.affine(view.name, total, (1.0 / counts)[None], np.zeros(()))
    shape = mean.shape if len(x.shape) == 4 else (1, channels, mean.shape[-1])
    return [builder.reshape(mean, shape)]


@translates("GlobalAveragePool")
def global_average_pool(builder: GraphBuilder, view: View) -> Sequence[Value]:
    """Mean of each channel."""
    x = _image(view)
    size = int(np.prod(x.shape[2:]))
    flat = builder.reshape(x, (x.shape[1], size))
    mean = builder.dense(view.name, flat, np.full((1, size), 1.0 / size), np.zeros(1))
    return [builder.reshape(mean, (*x.shape[:2], *(1 for _ in x.shape[2:])))]

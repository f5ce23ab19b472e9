"""Read the NNet text format of collision-avoidance networks (plain or gzip).

Layout (sisl/NNet): comment lines starting with ``//``; counts (layers, inputs, outputs,
widest layer); layer sizes; an unused flag; minima and maxima of the inputs; means and
ranges of inputs and, last, of the output; then per layer the rows of the weight matrix
and the biases.  ReLU follows every layer but the last.
"""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

import numpy as np

from whyproof.engine.errors import ModelError

from ..builder import GraphBuilder
from ..graph import Array, NetworkGraph

__all__ = ["read_nnet"]

_MAX_BYTES = 1 << 28


def read_nnet(path: str | Path, *, normalise: bool = True) -> NetworkGraph:
    """Load an NNet file.

    Parameters
    ----------
    path
        File, gzip-compressed if its name ends in ``.gz``.
    normalise
        Whether inputs are given in natural units, so that the file's means and ranges
        are applied to them and to the scores.

    Raises
    ------
    ModelError
        If the file is not complete.
    """
    place = Path(path)
    try:
        with gzip.open(place, "rt") if place.suffix == ".gz" else place.open() as file:
            text = file.read(_MAX_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{place} cannot be read: {error}") from error
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("//")]
    try:
        counts = [int(x) for x in _fields(lines[0])]
        sizes = [int(x) for x in _fields(lines[1])]
        means, ranges = _numbers(lines[5]), _numbers(lines[6])
        layers: list[tuple[Array, Array]] = []
        at = 7
        for wide, out in pairwise(sizes[: counts[0] + 1]):
            weight = np.stack([_numbers(line) for line in lines[at : at + out]])
            bias = np.array([_numbers(line)[0] for line in lines[at + out : at + 2 * out]])
            if weight.shape != (out, wide) or bias.shape != (out,):
                raise ValueError(f"layer of shape {weight.shape}, expected {(out, wide)}")
            layers.append((weight, bias))
            at += 2 * out
    except (IndexError, ValueError) as error:
        raise ModelError(f"{place} is not a complete NNet file: {error}") from error
    n = sizes[0]
    builder = GraphBuilder("inputs", (1, n))
    x = builder.input
    if normalise and not (bool((means == 0).all()) and bool((ranges == 1).all())):
        x = builder.affine("normalise", x, 1.0 / ranges[:n], -means[:n] / ranges[:n])
    for number, (weight, bias) in enumerate(layers):
        x = builder.dense(f"layer {number}", x, weight, bias)
        if number < len(layers) - 1:
            x = builder.relu(f"relu {number}", x)
    if normalise and (means[n] != 0 or ranges[n] != 1):
        x = builder.affine("scores", x, np.asarray(ranges[n]), np.asarray(means[n]))
    return builder.finish(x)


def _fields(line: str) -> list[str]:
    return [part for part in line.split(",") if part.strip()]


def _numbers(line: str) -> Array:
    # The files hold float32 numbers in decimal.
    values = np.array([float(x) for x in _fields(line)], dtype=np.float32)
    return values.astype(np.float64)

"""Interval arithmetic through a network, and the rounding weights of each step.

The backward pass of `backward` is exact algebra carried out in floating point.  Its error
is bounded after the fact: coefficients `a` on the value `z = W h + b` of a step are pulled
back to ``fl(a W)``, and ``|fl(a W) - a W| <= gamma_n |a| |W|`` (Higham 2002, section 3.5, for
any order of summation).  On the set in question ``|h|`` is bounded by intervals, so the
step contributes at most ``|a| . weight`` with

    weight = gamma * (|W| |h| + |b|)        gamma = 2 (n + 8) u

to the error of the final bound: a dot product per step, computed along the pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..network import Network
from .sets import InputSet

__all__ = ["Bounds", "Ranges", "extend", "interval_ranges", "start_ranges"]

Bounds = Mapping[int, tuple[Tensor, Tensor]]
"""Lower and upper bounds, ``(batch, size)`` each, of the vectors that enter activations."""


@dataclass
class Ranges:
    """Intervals of the steps of a network, filled in from the front.

    Parameters
    ----------
    lower, upper
        By step, shape ``(batch, size)`` each.
    weights
        Rounding weight of each step, shape ``(batch, size)``.
    empty
        Batch entries whose bounds contradict each other: no point satisfies them.
    """

    lower: list[Tensor]
    upper: list[Tensor]
    weights: list[Tensor]
    empty: Tensor | None = None

    def put(self, position: int, lower: Tensor, upper: Tensor) -> None:
        """Replace the interval of a step by a tighter one."""
        self.lower[position] = lower
        self.upper[position] = upper

    def bounds(self, network: Network) -> dict[int, tuple[Tensor, Tensor]]:
        """Return what enters the activations."""
        return {i: (self.lower[i], self.upper[i]) for i in network.anchors if i < len(self.lower)}


def start_ranges(inputs: InputSet) -> Ranges:
    """Return the ranges of the input step alone."""
    eps = torch.finfo(inputs.lower.dtype).eps
    weight = 4 * (inputs.lower.shape[-1] + 8) * eps * inputs.reach
    return Ranges([inputs.lower], [inputs.upper], [weight])


def extend(network: Network, ranges: Ranges, until: int) -> None:
    """Push intervals forward through the steps up to and including `until`."""
    for position in range(len(ranges.lower), until + 1):
        step = network.steps[position]
        eps = torch.finfo(network.dtype).eps
        if step.linear is not None:
            lows = [ranges.lower[i] for i in step.inputs]
            highs = [ranges.upper[i] for i in step.inputs]
            middle = step.linear.forward(
                *((low + high) / 2 for low, high in zip(lows, highs, strict=True))
            )
            radius = step.linear.absolute(
                *((high - low) / 2 for low, high in zip(lows, highs, strict=True))
            )
            size = step.linear.absolute(
                *(torch.maximum(-low, high) for low, high in zip(lows, highs, strict=True))
            )
            weight = 2 * (step.linear.terms + 8) * eps * (size + step.linear.bias_size)
            lower, upper = middle - radius - 2 * weight, middle + radius + 2 * weight
        else:
            source = step.inputs[0]
            low, high = ranges.lower[source], ranges.upper[source]
            activation = step.activation
            if activation is None:
                raise TypeError("a step is neither linear nor an activation")
            lower, upper = activation.forward(low), activation.forward(high)
            # Slopes times coefficients, and the sum over the neurons' intercepts.
            size = torch.maximum(-low, high) + torch.maximum(-lower, upper)
            weight = 2 * (step.size + 8) * eps * (size + 8 * eps)
            lower, upper = lower - 8 * eps, upper + 8 * eps
        ranges.lower.append(lower)
        ranges.upper.append(upper)
        ranges.weights.append(weight + 8 * eps * torch.maximum(-lower, upper))


def interval_ranges(network: Network, inputs: InputSet) -> Ranges:
    """Return intervals of all steps by interval arithmetic alone.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from ..builder import GraphBuilder
    >>> from .sets import Box
    >>> b = GraphBuilder("x", (1, 1))
    >>> graph = b.finish(b.relu("r", b.dense("d", b.input, np.array([[2.0]]), np.zeros(1))))
    >>> unit = torch.ones((1, 1), dtype=torch.float64)
    >>> ranges = interval_ranges(Network.of(graph), Box(-unit, unit))
    >>> round(ranges.upper[-1].item(), 6)
    2.0
    """
    ranges = start_ranges(inputs)
    extend(network, ranges, len(network.steps) - 1)
    return ranges

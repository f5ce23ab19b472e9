"""Bounds of everything that enters an activation, layer by layer.

Intervals first, then a backward pass for the neurons whose sign they leave open, from
their own layer to the input, and on request with slopes optimised for every neuron.  A
superset's bounds may be handed in: what holds there holds here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ..network import Network
from ..operators.base import LinearOperator
from .backward import enclosures
from .interval import Bounds, Ranges, extend, start_ranges
from .sets import InputSet
from .slopes import Ascent, optimise_slopes

__all__ = ["hidden_ranges"]

_CELLS = 12_000_000
_EFFORT = 30_000_000
_PLAIN = Ascent(steps=0)


def hidden_ranges(
    network: Network,
    inputs: InputSet,
    *,
    known: Bounds | None = None,
    after: int = 0,
    ascent: Ascent = _PLAIN,
    over: Callable[[], bool] | None = None,
    merit: Mapping[int, Tensor] | None = None,
    most: int = 0,
) -> Ranges:
    """Bound every step over a set.

    Parameters
    ----------
    network
        Whose input is the set of deviations.
    inputs
        The sets, one per batch entry, or one for all.
    known
        Valid bounds to intersect with, by step.
    after
        Bounds of steps up to this one are taken from `known` as they are.
    ascent
        How hard to optimise the slopes of each neuron.
    over
        Whether time is over: what is not yet bounded backwards then keeps its interval.
    merit, most
        How much each neuron matters, by step, shape ``(batch, size)``: of each layer only
        the `most` that matter most are bounded backwards.
    """
    ranges = start_ranges(inputs)
    if known is not None:
        _spread(ranges, max(len(low) for low, _ in known.values()))
    for anchor in network.anchors:
        extend(network, ranges, anchor)
        if known is not None and anchor in known:
            low, high = known[anchor]
            ranges.put(
                anchor,
                torch.maximum(ranges.lower[anchor], low),
                torch.minimum(ranges.upper[anchor], high),
            )
        if anchor > after:
            nonlinear = network.nonlinear[0] < anchor
            if nonlinear or not inputs.is_box:
                worth = None if merit is None else merit[anchor]
                _tighten(network, inputs, ranges, anchor, ascent, over, worth, most)
        low, high = ranges.lower[anchor], ranges.upper[anchor]
        crossed = (low > high).any(1)
        ranges.empty = crossed if ranges.empty is None else ranges.empty | crossed
        ranges.put(anchor, low, torch.maximum(low, high))
    extend(network, ranges, len(network.steps) - 1)
    return ranges


def _spread(ranges: Ranges, batch: int) -> None:
    if len(ranges.lower[0]) == 1 and batch > 1:
        for values in (ranges.lower, ranges.upper, ranges.weights):
            values[0] = values[0].expand(batch, -1)


def _tighten(
    network: Network,
    inputs: InputSet,
    ranges: Ranges,
    anchor: int,
    ascent: Ascent,
    over: Callable[[], bool] | None,
    merit: Tensor | None = None,
    few: int = 0,
) -> None:
    operator = network.steps[anchor].linear
    if operator is None:
        return  # an activation that feeds another one: its interval is exact enough
    low, high = ranges.lower[anchor], ranges.upper[anchor]
    piecewise = network.is_piecewise_linear
    need = (low < 0) & (high > 0) if piecewise else high - low > 1e-6
    index = need.any(0).nonzero().ravel()
    if not len(index):
        return
    widest = max(step.size for step in network.steps[: anchor + 1])
    most = max(64, _EFFORT // widest)
    if len(index) > most:
        # Too many for one pass each: the widest intervals gain most.
        width = (high - low)[:, index].sum(0)
        index = index[width.topk(most).indices.sort().values]
    low, high = low.clone(), high.clone()
    group = 16 if len(low) > 1 else 1
    rows = max(1, min(len(index), _CELLS // (2 * widest * group)))
    for first in range(0, len(low), group):
        part = slice(first, first + group)
        own = inputs.take(part)
        lines = enclosures(network, _part_of(ranges, network, anchor, part), until=anchor)
        weights = [w[part] if len(w) > 1 else w for w in ranges.weights]
        count = len(low[part])
        chosen = index
        if merit is not None and len(index) > few:
            worth = merit[part][:, index].clamp(min=0).sum(0)
            chosen = index[worth.topk(few).indices.sort().values]
        for begin in range(0, len(chosen), rows):
            if over is not None and over():
                break
            some = chosen[begin : begin + rows]
            start = _signed_rows(network, operator, anchor, some, count)
            bias = operator.bias[some]
            offset = torch.cat([bias, -bias])
            # Starting one step below the neuron leaves out the rounding of its own row.
            spare = weights[anchor][:, some]
            bound, _, _ = optimise_slopes(network, start, offset, lines, own, weights, ascent)
            k = len(some)
            low[part, some] = torch.maximum(low[part, some], bound[:, :k] - spare)
            high[part, some] = torch.minimum(high[part, some], spare - bound[:, k:])
    ranges.put(anchor, low, high)


def _part_of(
    ranges: Ranges, network: Network, before: int, part: slice
) -> dict[int, tuple[Tensor, Tensor]]:
    return {
        i: (ranges.lower[i][part], ranges.upper[i][part]) for i in network.anchors if i < before
    }


def _signed_rows(
    network: Network, operator: LinearOperator, anchor: int, index: Tensor, batch: int
) -> dict[int, Tensor]:
    """Return the coefficients of neurons and of their negatives on what they read."""
    up, down = operator.rows_at(index, 1.0), operator.rows_at(index, -1.0)
    start: dict[int, Tensor] = {}
    for source, above, below in zip(network.steps[anchor].inputs, up, down, strict=True):
        part = torch.cat([above, below], dim=1).expand(batch, -1, -1)
        start[source] = start[source] + part if source in start else part
    return start

"""One backward pass: linear lower bounds of linear functions of a network (CROWN).

Zhang, Weng, Chen, Hsieh and Daniel 2018, "Efficient neural network robustness
certification with general activation functions"; free slopes as in alpha-CROWN (Xu et al.
2021), multipliers of split constraints as in beta-CROWN (Wang et al. 2021).  Coefficients
start at some step and are pulled back to the input: through a linear step exactly,
through an activation by the lower line where they are positive and the upper line where
they are negative.  Where a value is read twice (residual connections) the coefficients
add up.  The pass has no state; gradients flow to slopes and multipliers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..network import Network
from ..operators.base import Enclosure
from .interval import Bounds

__all__ = ["LinearForm", "Splits", "backward", "enclosures"]


@dataclass(frozen=True)
class LinearForm:
    """``constant + coefficients . d - slack`` is a lower bound for every d in the set.

    Parameters
    ----------
    constant
        Shape ``(batch, rows)``.
    coefficients
        Shape ``(batch, rows, columns)``.
    slack
        Bound on the rounding error, shape ``(batch, rows)``; `None` if not asked for.
    losses
        By activation, how much its lines cost, shape ``(batch, size)``, summed over the
        rows; empty if not asked for.
    """

    constant: Tensor
    coefficients: Tensor
    slack: Tensor | None
    losses: Mapping[int, Tensor]


@dataclass(frozen=True)
class Splits:
    """Constraints ``sign * (z - point) >= 0`` on neurons, by step.

    Parameters
    ----------
    sign
        -1, 0 (none) or 1, shape ``(batch, size)``.
    point
        Shape ``(batch, size)``.
    multiplier
        Not negative, shape ``(batch, size)``.
    """

    sign: Tensor
    point: Tensor
    multiplier: Tensor


def enclosures(network: Network, bounds: Bounds, until: int | None = None) -> dict[int, Enclosure]:
    """Prepare the lines of every activation before a step, by activation."""
    end = len(network.steps) if until is None else until
    found: dict[int, Enclosure] = {}
    for position in network.nonlinear:
        if position >= end:
            break
        activation = network.steps[position].activation
        if activation is not None:
            found[position] = activation.enclose(*bounds[network.entering[position]])
    return found


def backward(
    network: Network,
    start: Mapping[int, Tensor],
    lines: Mapping[int, Enclosure],
    *,
    slopes: Mapping[int, Tensor] | None = None,
    splits: Mapping[int, Splits] | None = None,
    weights: Sequence[Tensor] | None = None,
    losses: bool = False,
) -> LinearForm:
    """Pull coefficients back to the input.

    Parameters
    ----------
    network
        Whose input is the set of deviations.
    start
        Coefficients by step, shape ``(batch or 1, rows, size)``.
    lines
        Enclosure by activation.
    slopes
        Free parameters by activation, shape ``(batch, rows or 1, size)``.
    splits
        Branching constraints by the step that they speak about.
    weights
        Rounding weight of each step, if the error is to be bounded.
    losses
        Whether to tell what each activation costs.
    """
    pending: dict[int, Tensor] = dict(start)
    constant: Tensor | None = None
    slack: Tensor | None = None
    costs: dict[int, Tensor] = {}
    for position in range(max(start), 0, -1):
        rows = pending.pop(position, None)
        if rows is None:
            continue
        step = network.steps[position]
        part: Tensor | None = None
        if splits is not None and position in splits:
            here = splits[position]
            force = here.sign * here.multiplier
            rows = rows - force[:, None]
            part = (force * here.point).sum(-1)[:, None]
        if weights is not None:
            error = (rows.detach().abs() @ weights[position][..., None])[..., 0]
            slack = error if slack is None else slack + error
        if step.linear is not None:
            shift = rows @ step.linear.bias
            part = shift if part is None else part + shift
            for source, pulled in zip(step.inputs, step.linear.transpose(rows), strict=True):
                known = pending.get(source)
                pending[source] = pulled if known is None else known + pulled
        else:
            line = lines[position].lines(None if slopes is None else slopes.get(position))
            negative = rows.clamp(max=0)
            positive = rows - negative
            shift = (negative * line.upper_shift).sum(-1)
            if line.lower_shift is not None:
                shift = shift + (positive * line.lower_shift).sum(-1)
            part = shift if part is None else part + shift
            if losses:
                costs[position] = _loss(negative, positive, line.upper_shift, line.lower_shift)
            pulled = positive * line.lower_slope + negative * line.upper_slope
            source = step.inputs[0]
            known = pending.get(source)
            pending[source] = pulled if known is None else known + pulled
        constant = part if constant is None else constant + part
    coefficients = pending[0]
    shape = coefficients.shape[:2]
    total = coefficients.new_zeros(shape) if constant is None else constant.expand(shape)
    if weights is not None:
        error = (coefficients.detach().abs() @ weights[0][..., None])[..., 0]
        slack = error if slack is None else slack + error
    return LinearForm(total, coefficients, slack, costs)


def _loss(negative: Tensor, positive: Tensor, upper: Tensor, lower: Tensor | None) -> Tensor:
    cost = (negative * upper).abs()
    if lower is not None:
        cost = cost + (positive * lower).abs()
    return torch.sum(cost, dim=1)

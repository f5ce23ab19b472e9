"""The density of one class with its gradient, without a tape.

Idea: a search asks for the density of the *same* class at every step and never for the
gradient of the parameters.  Weights are masked once, the class becomes part of the
biases, and the chain rule of the residual networks is written out: one sweep forwards
that keeps what was positive, one backwards.  The value equals `MaskedFlow.log_density`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whyproof.engine.errors import DataError

from .flow import SCALE_FLOOR

if TYPE_CHECKING:
    from torch import Tensor

    from .flow import MaskedFlow

__all__ = ["FixedClassFlow"]


@dataclass(frozen=True)
class _Layer:
    """Masked weights, transposed for rows times weights, and biases with the class in them."""

    enter: Tensor
    enter_back: Tensor
    enter_bias: Tensor
    blocks: tuple[tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], ...]
    leave: Tensor
    leave_back: Tensor
    leave_bias: Tensor


class FixedClassFlow:
    """log p(row | class) of one class.

    Parameters
    ----------
    flow
        The conditional density.
    target
        Class index.

    Examples
    --------
    >>> import torch
    >>> from whyproof.plausible.flow import FlowShape, MaskedFlow
    >>> flow = MaskedFlow.untrained(FlowShape(2, 2, layers=2, hidden=8, blocks=1), seed=0)
    >>> value, slope = flow.fixed(1).value_and_gradient(torch.zeros(3, 2))
    >>> value.shape, slope.shape
    (torch.Size([3]), torch.Size([3, 2]))
    """

    def __init__(self, flow: MaskedFlow, target: int) -> None:
        if not 0 <= target < flow.n_classes:
            raise DataError(f"class {target} is not among the flow's {flow.n_classes} classes")
        self.n_columns = flow.n_columns
        self._layers = tuple(_prepared(flow, layer, target) for layer in range(flow.shape.layers))
        self._constant = 0.5 * flow.n_columns * math.log(2 * math.pi)

    def value(self, points: Tensor) -> Tensor:
        """Return log densities in nats, shape ``(rows,)``, without a gradient."""
        import torch
        from torch.nn.functional import softplus

        with torch.no_grad():
            z, total = points, points.new_zeros(len(points))
            for layer in self._layers:
                h = torch.addmm(layer.enter_bias, z, layer.enter)
                for first, _, bias, second, _, bias2 in layer.blocks:
                    t = torch.addmm(bias, h.relu(), first).relu_()
                    h = h.addmm_(t, second).add_(bias2)
                raw, shift = torch.addmm(layer.leave_bias, h, layer.leave).chunk(2, dim=1)
                scale = softplus(raw).add_(SCALE_FLOOR)
                total += scale.log().sum(1)
                z = torch.addcmul(shift, scale, z)
            return total.sub_(z.square().sum(1), alpha=0.5).sub_(self._constant)

    def value_and_gradient(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return log densities, shape ``(rows,)``, and gradients, ``(rows, columns)``."""
        import torch
        from torch.nn.functional import softplus

        back = torch.ops.aten.threshold_backward
        with torch.no_grad():
            z, total = points, points.new_zeros(len(points))
            kept: list[tuple[Tensor, list[tuple[Tensor, Tensor]], Tensor, Tensor]] = []
            for layer in self._layers:
                h = torch.addmm(layer.enter_bias, z, layer.enter)
                active: list[tuple[Tensor, Tensor]] = []
                for first, _, bias, second, _, bias2 in layer.blocks:
                    a = h.relu()
                    t = torch.addmm(bias, a, first).relu_()
                    active.append((a, t))
                    h = torch.addmm(h, t, second).add_(bias2)
                raw, shift = torch.addmm(layer.leave_bias, h, layer.leave).chunk(2, dim=1)
                scale = softplus(raw).add_(SCALE_FLOOR)
                kept.append((z, active, raw, scale))
                total += scale.log().sum(1)
                z = torch.addcmul(shift, scale, z)
            total.sub_(z.square().sum(1), alpha=0.5).sub_(self._constant)
            slope = -z
            for layer, (z, active, raw, scale) in zip(
                reversed(self._layers), reversed(kept), strict=True
            ):
                of_raw = torch.addcmul(scale.reciprocal(), slope, z).mul_(raw.sigmoid())
                of_h = torch.cat((of_raw, slope), dim=1) @ layer.leave_back
                for (_, first, _, _, second, _), (a, t) in zip(
                    reversed(layer.blocks), reversed(active), strict=True
                ):
                    of_t = back(of_h @ second, t, 0)
                    of_h += back(of_t @ first, a, 0)
                slope = torch.addmm(slope.mul_(scale), of_h, layer.enter_back)
            return total, slope


def _prepared(flow: MaskedFlow, layer: int, target: int) -> _Layer:
    p = {name: value.detach()[layer] for name, value in flow.parameters.items()}
    masks = {name: value[layer] for name, value in flow.masks.items()}
    enter = p["input.weight"] * masks["input"]
    context = (p["class.weight"][:, target] + p["class.bias"]).relu()
    blocks = []
    for block in range(flow.shape.blocks):
        first = p["block.first.weight"][block] * masks["hidden"]
        second = p["block.second.weight"][block] * masks["hidden"]
        bias = p["block.first.bias"][block] + p["block.class.bias"][block]
        bias = bias + p["block.class.weight"][block, :, target]
        turned = first.T.contiguous(), second.T.contiguous()
        blocks.append((turned[0], first, bias, turned[1], second, p["block.second.bias"][block]))
    leave = (p["output.weight"] * masks["output"]).flatten(0, 1)
    return _Layer(
        enter=enter.T.contiguous(),
        enter_back=enter.contiguous(),
        enter_bias=p["input.bias"] + context,
        blocks=tuple(blocks),
        leave=leave.T.contiguous(),
        leave_back=leave.contiguous(),
        leave_bias=p["output.bias"].flatten(),
    )

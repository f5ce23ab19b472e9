"""Optimise the parameters of a batch of branch-and-bound nodes.

Slopes, multipliers of the splits and weights of a case's rows climb together.  Gradient steps may
overshoot, multipliers above all; children inherit parameters, so that one bad step
would weaken a whole subtree.  Therefore every node keeps the best it has seen, and a node
that is decided leaves the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .adam import Adam
from .node_bounds import NodeBounds
from .nodes import Nodes

__all__ = ["Bounded", "climb"]

_ENOUGH = 0.5
"""A bound above this is no better."""

_CROWDED = 0.8
"""Share of undecided rows below which the decided ones leave."""


@dataclass(frozen=True)
class Bounded:
    """Bounds of a batch of nodes.

    Parameters
    ----------
    nodes
        With the parameters of the bound, and what is still open.
    constant
        Of the linear bound, rounding error taken off, shape ``(batch,)``.
    coefficients
        Shape ``(batch, columns)``.
    values
        Per statement, shape ``(batch, count)``, rounding error taken off.
    losses
        What each neuron's lines cost, flat over what enters the activations,
        shape ``(batch, size)``, zero for nodes that were proved before; `None` if all were.
    margin
        Smallest value of a statement that was proved here.
    """

    nodes: Nodes
    constant: Tensor
    coefficients: Tensor
    values: Tensor
    losses: Tensor | None
    margin: float


def climb(
    bounds: NodeBounds, nodes: Nodes, steps: int, slope_rate: float, multiplier_rate: float
) -> Bounded:
    """Maximise the bounds of the statements open at each node.

    Statements proved on the way, by whatever parameters, count as proved.

    Parameters
    ----------
    bounds
        What the nodes have in common.
    nodes
        Where to start.
    steps
        Backward passes at most.
    slope_rate, multiplier_rate
        Step sizes of Adam; weights of rows move like multipliers.
    """
    return _Climb(bounds, nodes, slope_rate, multiplier_rate).run(steps)


class _Climb:
    def __init__(
        self, bounds: NodeBounds, nodes: Nodes, slope_rate: float, multiplier_rate: float
    ) -> None:
        self.bounds = bounds
        self.nodes = nodes
        self.weighted = not bounds.target.is_simple
        #: Which nodes are still in the batch, and their parameters.
        self.rows = torch.arange(len(nodes.case), device=nodes.case.device)
        self.moving = nodes
        rates = [slope_rate, multiplier_rate, multiplier_rate][: 3 if self.weighted else 2]
        self.adam = Adam(self._leaves(nodes), rates)
        self.open = nodes.open.clone()
        self.margin = float("inf")
        #: The best so far of every node: parameters, constant, coefficients, values.
        self.best: list[Tensor] = []

    def run(self, steps: int) -> Bounded:
        """Climb; the batch shrinks on the way."""
        losses: Tensor | None = None
        for left in range(steps - 1, -1, -1):
            form, constant = self.bounds.form(self.moving, losses=left == 0)
            values = self.bounds.goal.values(constant, form.coefficients[:, 0])
            self._record(constant.detach(), form.coefficients[:, 0].detach(), values.detach())
            undecided = self.open[self.rows].any(1)
            if not bool(undecided.any()):
                break
            if left == 0:
                costs = {p: x.detach() for p, x in form.losses.items()}
                found = self.bounds.layout.by_anchor(costs) if costs else None
                if found is not None:
                    losses = found.new_zeros((len(self.open), found.shape[1]))
                    losses[self.rows] = found
                break
            still = self.open[self.rows]
            capped = torch.where(still, values.clamp(max=_ENOUGH), torch.zeros_like(values))
            self.adam.ascend((capped.sum(1) / still.sum(1).clamp(min=1)).sum())
            self._project()
            if float(undecided.sum()) < _CROWDED * len(undecided):
                self._go_on_with(undecided.nonzero().ravel())
        slopes, multiplier, weights, constant, coefficients, values = self.best
        done = replace(
            self.nodes, slopes=slopes, multiplier=multiplier, weights=weights, open=self.open
        )
        return Bounded(done, constant, coefficients, values, losses, self.margin)

    def _leaves(self, nodes: Nodes) -> list[Tensor]:
        """Take a copy of the parameters that gradients flow to."""
        chosen = [nodes.slopes, nodes.multiplier, nodes.weights][: 3 if self.weighted else 2]
        leaves = [tensor.detach().clone().requires_grad_() for tensor in chosen]
        weights = leaves[2] if self.weighted else nodes.weights
        self.moving = replace(nodes, slopes=leaves[0], multiplier=leaves[1], weights=weights)
        return leaves

    def _go_on_with(self, rows: Tensor) -> None:
        self.rows = self.rows[rows]
        self.adam.keep(self._leaves(self.moving.take(rows)), rows)

    def _project(self) -> None:
        """Bring the parameters back to where every value is sound."""
        moving = self.moving
        with torch.no_grad():
            moving.slopes.clamp_(0, 1)
            moving.multiplier.clamp_(min=0)
            if self.weighted:
                moving.weights.clamp_(min=0)
                moving.weights.mul_(self.bounds.target.valid[moving.case])
                moving.weights.div_(moving.weights.sum(1, keepdim=True).clamp(min=1e-30))

    def _record(self, constant: Tensor, coefficients: Tensor, values: Tensor) -> None:
        """Note what is proved, and keep the best parameters of each node."""
        rows, moving = self.rows, self.moving
        # What this step proves still counts: its parameters are the proof.
        asked = self.open[rows]
        proved = asked & (values > self.bounds.precision)
        if bool(proved.any()):
            self.margin = min(self.margin, float(values[proved].min()))
            self.open[rows] = asked & ~proved
        own = [moving.slopes, moving.multiplier, moving.weights, constant, coefficients, values]
        own = [tensor.detach() for tensor in own]
        if not self.best:
            self.best = [tensor.clone() for tensor in own]
            return
        before = self.best[-1][rows]
        gain = values.clamp(max=_ENOUGH) - before.clamp(max=_ENOUGH)
        better = ((gain * asked).sum(1) > 0).nonzero().ravel()
        for kept, tensor in zip(self.best, own, strict=True):
            kept[rows[better]] = tensor[better]

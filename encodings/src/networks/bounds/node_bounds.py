"""Bound a batch of branch-and-bound nodes: evaluate, or ascend their parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..network import Network
from .adam import Adam
from .backward import LinearForm, backward, enclosures
from .goals import Goal
from .interval import Ranges
from .nodes import Layout, Nodes
from .targets import Target

__all__ = ["Bounded", "NodeBounds"]


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
        shape ``(batch, size)``; `None` if everything was proved before.
    margin
        Smallest value of a statement that was proved here.
    """

    nodes: Nodes
    constant: Tensor
    coefficients: Tensor
    values: Tensor
    losses: Tensor | None
    margin: float


class NodeBounds:
    """Everything that the nodes of a tree have in common.

    Parameters
    ----------
    network
        As a function of deviations.
    goal, target
        What to prove, and what counts as a change.
    ranges
        Bounds over the goal's whole set; their rounding weights serve every node.
    precision
        What a bound has to exceed.
    """

    def __init__(
        self, network: Network, goal: Goal, target: Target, ranges: Ranges, precision: float
    ) -> None:
        self.network = network
        self.goal = goal
        self.target = target
        self.ranges = ranges
        self.precision = precision
        self.layout = Layout(network)
        self.output = len(network.steps) - 1

    def form(
        self, nodes: Nodes, *, losses: bool = False, rigorous: bool = True
    ) -> tuple[LinearForm, Tensor]:
        """Run the backward pass of each node; return the form and the constant."""
        rows = (nodes.weights[..., None] * self.target.rows[nodes.case]).sum(1)
        offset = (nodes.weights * self.target.offset[nodes.case]).sum(1)
        form = backward(
            self.network,
            {self.output: rows[:, None]},
            enclosures(self.network, self.layout.bounds(nodes.lower, nodes.upper)),
            slopes=self.layout.slopes(nodes.slopes),
            splits=self.layout.splits(nodes.sign, nodes.point, nodes.multiplier),
            weights=self.ranges.weights if rigorous else None,
            losses=losses,
        )
        constant = form.constant[:, 0] + offset
        return form, constant if form.slack is None else constant - form.slack[:, 0]

    def values(self, nodes: Nodes) -> Tensor:
        """Return a lower bound per node and statement."""
        with torch.no_grad():
            form, constant = self.form(nodes)
            return self.goal.values(constant, form.coefficients[:, 0])

    def promise(self, nodes: Nodes) -> Tensor:
        """Return the mean bound of what is open, capped: larger is nearer to a proof."""
        with torch.no_grad():
            form, constant = self.form(nodes, rigorous=False)
            values = self.goal.values(constant, form.coefficients[:, 0])
            capped = torch.where(nodes.open, values.clamp(max=0.05), torch.zeros_like(values))
            return capped.sum(1) / nodes.open.sum(1).clamp(min=1)

    def ascend(
        self, nodes: Nodes, steps: int, slope_rate: float, multiplier_rate: float
    ) -> Bounded:
        """Optimise slopes, multipliers and weights of rows for what is open.

        Statements proved on the way, by whatever parameters, count as proved.
        """
        slopes = nodes.slopes.clone().requires_grad_()
        multiplier = nodes.multiplier.clone().requires_grad_()
        weights = nodes.weights.clone()
        tensors, rates = [slopes, multiplier], [slope_rate, multiplier_rate]
        if not self.target.is_simple:
            weights.requires_grad_()
            tensors.append(weights)
            rates.append(multiplier_rate)
        adam = Adam(tensors, rates)
        valid = self.target.valid[nodes.case]
        still = nodes.open.clone()
        moving = replace(nodes, slopes=slopes, multiplier=multiplier, weights=weights)
        margin = float("inf")
        while True:
            form, constant = self.form(moving, losses=steps <= 1)
            values = self.goal.values(constant, form.coefficients[:, 0])
            safe = values.detach()
            proved = still & (safe > self.precision)
            if bool(proved.any()):
                margin = min(margin, float(safe[proved].min()))
                still = still & ~proved
            if steps <= 1 or not bool(still.any()):
                break
            steps -= 1
            capped = torch.where(still, values.clamp(max=0.5), torch.zeros_like(values))
            adam.ascend((capped.sum(1) / still.sum(1).clamp(min=1)).sum())
            with torch.no_grad():
                slopes.clamp_(0, 1)
                multiplier.clamp_(min=0)
                if not self.target.is_simple:
                    weights.clamp_(min=0)
                    weights.mul_(valid)
                    weights.div_(weights.sum(1, keepdim=True).clamp(min=1e-30))
        costs = {p: x.detach() for p, x in form.losses.items()}
        losses = self.layout.by_anchor(costs) if costs else None
        done = replace(
            nodes,
            slopes=slopes.detach(),
            multiplier=multiplier.detach(),
            weights=weights.detach(),
            open=still,
        )
        return Bounded(
            done, constant.detach(), form.coefficients[:, 0].detach(), safe, losses, margin
        )

    def loose(self, nodes: Nodes) -> Tensor:
        """Tell which neurons can still be split, flat, shape ``(batch, size)``."""
        found = torch.zeros_like(nodes.lower, dtype=torch.bool)
        for position, anchor in self.network.entering.items():
            activation = self.network.steps[position].activation
            cut = self.layout.anchors[anchor]
            if activation is not None:
                line = activation.enclose(nodes.lower[:, cut], nodes.upper[:, cut])
                found[:, cut] |= line.loose
        return found

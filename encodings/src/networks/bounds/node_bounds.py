"""Bound a batch of branch-and-bound nodes by the parameters they carry."""

from __future__ import annotations

import torch
from torch import Tensor

from ..network import Network
from .backward import LinearForm, backward, enclosures
from .goals import Goal
from .interval import Ranges
from .nodes import Layout, Nodes
from .targets import Target

__all__ = ["NodeBounds"]


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

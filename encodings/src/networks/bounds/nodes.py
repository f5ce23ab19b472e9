"""Nodes of a branch-and-bound tree as rows of a few flat tensors.

A node needs bounds, splits, multipliers and slopes for every neuron.  Each of these is kept
as one flat vector over all layers, so that a batch of nodes is a handful of stacked
tensors and a `Layout` cuts them into layers without copying.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..network import Network
from .backward import Splits
from .interval import Bounds

__all__ = ["Layout", "Node", "Nodes"]


class Layout:
    """Where each layer lies in the flat vectors."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.anchors: dict[int, slice] = {}
        at = 0
        for anchor in network.anchors:
            size = network.steps[anchor].size
            self.anchors[anchor] = slice(at, at + size)
            at += size
        self.size = at
        self.activations: dict[int, slice] = {}
        at = 0
        for position in network.nonlinear:
            size = network.steps[position].size
            self.activations[position] = slice(at, at + size)
            at += size
        self.n_slopes = at

    def flat(self, bounds: Bounds) -> tuple[Tensor, Tensor]:
        """Join bounds by layer, ``(batch, size)`` each."""
        if not self.anchors:
            nothing = torch.zeros((1, 0), dtype=self.network.dtype, device=self.network.device)
            return nothing, nothing
        lower = torch.cat([bounds[a][0] for a in self.anchors], dim=1)
        upper = torch.cat([bounds[a][1] for a in self.anchors], dim=1)
        return lower, upper

    def bounds(self, lower: Tensor, upper: Tensor) -> dict[int, tuple[Tensor, Tensor]]:
        """Cut flat bounds into layers."""
        return {a: (lower[:, cut], upper[:, cut]) for a, cut in self.anchors.items()}

    def slopes(self, flat: Tensor) -> dict[int, Tensor]:
        """Cut flat slopes into activations, with one row."""
        return {p: flat[:, None, cut] for p, cut in self.activations.items()}

    def splits(self, sign: Tensor, point: Tensor, multiplier: Tensor) -> dict[int, Splits]:
        """Cut split constraints into layers; layers without any are left out."""
        used = (sign != 0).any(0)
        return {
            a: Splits(sign[:, cut], point[:, cut], multiplier[:, cut])
            for a, cut in self.anchors.items()
            if bool(used[cut].any())
        }

    def by_anchor(self, values: Mapping[int, Tensor]) -> Tensor:
        """Add up values by activation over what enters it, ``(batch, size)``."""
        some = next(iter(values.values()))
        out = some.new_zeros((len(some), self.size))
        for position, value in values.items():
            out[:, self.anchors[self.network.entering[position]]] += value
        return out

    def anchor_of(self, index: int) -> int:
        """Return the step that a flat position belongs to."""
        for anchor, cut in self.anchors.items():
            if cut.start <= index < cut.stop:
                return anchor
        raise IndexError(index)


@dataclass(frozen=True)
class Node:
    """One open node.

    Parameters
    ----------
    case
        Case of the target.
    lower, upper, sign, point, multiplier
        Flat vectors over the neurons.
    slopes
        Flat vector over the activations' neurons.
    weights
        Of the case's rows.
    open
        Statements that are not yet proved here.
    value
        Worst bound so far among them; the lower, the sooner it is taken.
    row
        Constant and coefficients of the best linear bound known, the parent's at first.
    depth
        Number of splits.
    """

    case: int
    lower: Tensor
    upper: Tensor
    sign: Tensor
    point: Tensor
    multiplier: Tensor
    slopes: Tensor
    weights: Tensor
    open: Tensor
    value: float
    row: tuple[Tensor, Tensor] | None = None
    depth: int = 0


@dataclass(frozen=True)
class Nodes:
    """A batch of nodes, every field stacked."""

    case: Tensor
    lower: Tensor
    upper: Tensor
    sign: Tensor
    point: Tensor
    multiplier: Tensor
    slopes: Tensor
    weights: Tensor
    open: Tensor

    @classmethod
    def stack(cls, nodes: Sequence[Node], device: torch.device) -> Nodes:
        """Stack nodes."""

        def join(name: str) -> Tensor:
            return torch.stack([getattr(node, name) for node in nodes])

        return cls(
            torch.tensor([node.case for node in nodes], device=device),
            join("lower"),
            join("upper"),
            join("sign"),
            join("point"),
            join("multiplier"),
            join("slopes"),
            join("weights"),
            join("open"),
        )

    def take(self, index: Tensor) -> Nodes:
        """Return some of them."""
        return Nodes(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def with_bounds(self, lower: Tensor, upper: Tensor) -> Nodes:
        """Return the nodes with other bounds."""
        return replace(self, lower=lower, upper=upper)

    def repeated(self, times: int) -> Nodes:
        """Return each node several times in a row."""
        return Nodes(
            *(
                getattr(self, name).repeat_interleave(times, dim=0)
                for name in self.__dataclass_fields__
            )
        )

    def with_cut(self, index: Tensor, point: Tensor, sign: Tensor) -> Nodes:
        """Cut one neuron of each node at a point and keep one side.

        Parameters
        ----------
        index
            Flat positions, shape ``(batch,)``.
        point, sign
            Shape ``(batch,)``; sign 1 keeps what lies above.
        """
        at = torch.arange(len(index), device=index.device)
        lower, upper = self.lower.clone(), self.upper.clone()
        signs, points, multiplier = self.sign.clone(), self.point.clone(), self.multiplier.clone()
        up = sign > 0
        lower[at[up], index[up]] = point[up]
        upper[at[~up], index[~up]] = point[~up]
        signs[at, index] = sign
        points[at, index] = point
        multiplier[at, index] = 0.0
        return replace(
            self, lower=lower, upper=upper, sign=signs, point=points, multiplier=multiplier
        )

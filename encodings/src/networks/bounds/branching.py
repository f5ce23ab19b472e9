"""Choose the neuron to split, and make the children.

Candidates are the neurons whose lines cost the bound most (the intercept score of BaBSR,
Bunel et al. 2020); the children of the best few are bounded in one batch and the neuron is
taken whose worse child is best (filtered smart branching, De Palma et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .hidden import hidden_ranges
from .node_bounds import NodeBounds
from .nodes import Node, Nodes

__all__ = ["choose_cuts", "split"]


def choose_cuts(
    bounds: NodeBounds, nodes: Nodes, scores: Tensor, look_ahead: int
) -> tuple[Tensor, Tensor]:
    """Return the flat position of the neuron to split per node, and where to cut it.

    Parameters
    ----------
    bounds
        What the nodes have in common.
    nodes
        With the parameters to judge children by.
    scores
        What each neuron costs, below zero where it cannot be split, ``(batch, size)``.
    look_ahead
        Number of candidates whose children are bounded.
    """
    k = min(look_ahead, scores.shape[1])
    top = scores.topk(k, dim=1)
    cuts = _cut_points(bounds, nodes).gather(1, top.indices)
    if k == 1:
        return top.indices[:, 0], cuts[:, 0]
    many = nodes.repeated(2 * k)
    index = top.indices.repeat_interleave(2, dim=1).ravel()
    points = cuts.repeat_interleave(2, dim=1).ravel()
    sign = torch.ones_like(points)
    sign[1::2] = -1.0
    promise = bounds.promise(many.with_cut(index, points, sign))
    worse = promise.reshape(-1, k, 2).min(-1).values
    worse = torch.where(top.values < 0, torch.full_like(worse, -1e30), worse)
    best = worse.argmax(1)
    at = torch.arange(len(best), device=best.device)
    return top.indices[at, best], cuts[at, best]


def _cut_points(bounds: NodeBounds, nodes: Nodes) -> Tensor:
    points = torch.zeros_like(nodes.lower)
    for position, anchor in bounds.network.entering.items():
        activation = bounds.network.steps[position].activation
        cut = bounds.layout.anchors[anchor]
        if activation is not None:
            points[:, cut] = activation.cut(nodes.lower[:, cut], nodes.upper[:, cut])
    return points


def split(
    bounds: NodeBounds,
    nodes: Nodes,
    index: Tensor,
    point: Tensor,
    parents: Sequence[Node],
    scores: Tensor,
    *,
    rebound: int,
) -> list[Node]:
    """Return the children of each node that are not empty.

    Parameters
    ----------
    bounds
        What the nodes have in common.
    nodes, index, point
        What to split and where.
    parents
        The same nodes with their value, row and depth.
    scores
        What each neuron costs, ``(batch, size)``.
    rebound
        How many neurons of each layer after the split are bounded anew: those that cost most.
    """
    sides: list[tuple[Nodes, Tensor]] = []
    anchors = torch.tensor([bounds.layout.anchor_of(int(i)) for i in index])
    for anchor in sorted(set(anchors.tolist())):
        group = (anchors == anchor).nonzero().ravel().to(index.device)
        some = nodes.take(group)
        for sign in (1.0, -1.0):
            signs = torch.full_like(point[group], sign)
            child = some.with_cut(index[group], point[group], signs)
            sides.append((_tightened(bounds, child, anchor, scores[group], rebound), group))
    children: list[Node] = []
    # Rows of their own: a view would keep its whole batch in memory.
    for child, group in sides:
        empty = (child.lower > child.upper).any(1)
        for i, parent in enumerate(group.tolist()):
            if bool(empty[i]):
                continue
            above = parents[parent]
            children.append(
                Node(
                    above.case,
                    child.lower[i].clone(),
                    child.upper[i].clone(),
                    child.sign[i].clone(),
                    child.point[i].clone(),
                    child.multiplier[i].clone(),
                    child.slopes[i].clone(),
                    child.weights[i].clone(),
                    child.open[i].clone(),
                    above.value,
                    above.row,
                    above.depth + 1,
                )
            )
    return children


def _tightened(
    bounds: NodeBounds, child: Nodes, anchor: int, scores: Tensor, rebound: int
) -> Nodes:
    network = bounds.network
    if not rebound or anchor == network.anchors[-1]:
        return child
    known = bounds.layout.bounds(child.lower, child.upper)
    merit = {a: scores[:, cut] for a, cut in bounds.layout.anchors.items()}
    ranges = hidden_ranges(
        network, bounds.goal.inputs, known=known, after=anchor, merit=merit, most=rebound
    )
    lower, upper = bounds.layout.flat(ranges.bounds(network))
    if ranges.empty is not None:
        # Contradicting bounds: mark the child as empty for the caller.
        upper = torch.where(ranges.empty[:, None], lower - 1.0, upper)
    return child.with_bounds(lower, upper)

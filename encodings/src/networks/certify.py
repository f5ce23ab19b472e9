"""Write a certificate for a free set that cannot change the decision.

A search of its own, made for the checker: each node is bounded exactly as the checker will
bound it, layer by layer with default lines under the signs of the path, and only slopes,
multipliers and row weights of the last pass are optimised.  It needs more leaves than the
tree of the oracle, and each leaf is small and checkable on its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from whyproof.engine.errors import UnsupportedError
from whyproof.engine.space import FeatureSet

from .bounds.branching import choose_cuts
from .bounds.goals import Single
from .bounds.hidden import hidden_ranges
from .bounds.leaf import refine_leaf
from .bounds.node_bounds import NodeBounds
from .bounds.nodes import Nodes
from .bounds.sets import Box
from .certificate import Leaf, NetworkCertificate
from .graph import Array
from .oracle import NetworkOracle

__all__ = ["certify"]

_SPARE = 1e-9  # the checker rounds in another order
_Path = tuple[tuple[int, int, int], ...]


def certify(
    oracle: NetworkOracle, free: FeatureSet, *, seconds: float = 60.0, steps: int = 8
) -> NetworkCertificate | None:
    """Prove that freeing a set cannot change the decision, for the checker.

    Parameters
    ----------
    oracle
        Of the problem.
    free
        Feature indices.
    seconds
        Processor seconds.
    steps
        Gradient steps per leaf.

    Returns
    -------
    NetworkCertificate or None
        `None` if the time was over, or there is nothing to prove.

    Raises
    ------
    UnsupportedError
        For networks that are not piecewise linear and regions that are no boxes.
    """
    place, deadline = oracle.place, oracle.clock() + seconds
    mask = place.mask([free])
    play = place.play(mask[0])
    inputs = place.box(play, mask)
    if not isinstance(inputs, Box) or not play.network.is_piecewise_linear:
        raise UnsupportedError("certificates are written for ReLU networks in boxes")
    goal, target = Single(inputs), place.target
    ranges = hidden_ranges(play.network, inputs)
    shared = NodeBounds(play.network, goal, target, ranges, oracle.precision)
    layout = shared.layout
    anchors = list(layout.anchors)
    starts = torch.tensor([cut.start for cut in layout.anchors.values()])
    leaves: list[Leaf] = []
    root: _Path = ()
    pool = [(case, root) for case in range(len(target.cases))]
    while pool:
        if oracle.clock() > deadline:
            return None
        case, path = pool.pop()
        node, empty = _node(shared, inputs, case, path, anchors)
        found = shared.ascend(node, 1 if empty else steps, 0.15, 0.08)
        if empty or not bool(found.nodes.open.any()):
            leaves.append(_leaf(shared, found.nodes, case, path))
            continue
        losses = found.losses if found.losses is not None else torch.zeros_like(node.lower)
        loose = shared.loose(found.nodes)
        if not bool(loose.any()):
            refined, _ = refine_leaf(shared, found.nodes, 0)
            if refined is None or float(shared.values(refined)[0, 0]) <= 2 * _SPARE:
                return None
            leaves.append(_leaf(shared, refined, case, path))
            continue
        scores = torch.where(loose, losses + 1e-12, torch.full_like(losses, -1.0))
        cut, _ = choose_cuts(shared, found.nodes, scores, 3)
        layer = int((starts <= int(cut[0])).sum()) - 1
        neuron = int(cut[0]) - int(starts[layer])
        pool += [(case, (*path, (layer, neuron, sign))) for sign in (1, -1)]
    low, high = _whole_box(oracle, play.columns, inputs)
    cases = tuple((c.rows, c.offset) for c in target.cases)
    fingerprint = oracle.problem.classifier.fingerprint
    return NetworkCertificate(fingerprint, low, high, cases, tuple(leaves))


def _node(
    shared: NodeBounds, inputs: Box, case: int, path: _Path, anchors: list[int]
) -> tuple[Nodes, bool]:
    network, layout, target = shared.network, shared.layout, shared.target
    size = layout.size
    unbounded = torch.full((1, size), float("inf"), dtype=network.dtype)
    lower, upper = -unbounded, unbounded.clone()
    sign = torch.zeros((1, size), dtype=network.dtype)
    for layer, neuron, side in path:
        at = layout.anchors[anchors[layer]].start + neuron
        (lower if side > 0 else upper)[0, at] = 0.0
        sign[0, at] = float(side)
    ranges = hidden_ranges(network, inputs, known=layout.bounds(lower, upper))
    empty = bool(ranges.empty is not None and ranges.empty[0])
    low, high = layout.flat(ranges.bounds(network))
    initial = [
        (high[:, cut] > -low[:, cut]).to(network.dtype)
        for cut in (layout.anchors[network.entering[p]] for p in layout.activations)
    ]
    slopes = torch.cat(initial, dim=1) if initial else low.new_zeros((1, 0))
    zero = torch.zeros_like(low)
    undecided = torch.ones((1, 1), dtype=torch.bool)
    weights = target.start[case][None]
    which = torch.tensor([case])
    return Nodes(which, low, high, sign, zero, zero, slopes, weights, undecided), empty


def _leaf(shared: NodeBounds, node: Nodes, case: int, path: _Path) -> Leaf:
    layout = shared.layout
    anchors = list(layout.anchors.values())
    multipliers = tuple(
        float(node.multiplier[0, anchors[layer].start + neuron]) for layer, neuron, _ in path
    )
    slopes = tuple(node.slopes[0, cut].clamp(0, 1).numpy() for cut in layout.activations.values())
    count = len(shared.target.cases[case].offset)
    return Leaf(case, path, multipliers, slopes, tuple(node.weights[0, :count].tolist()))


def _whole_box(oracle: NetworkOracle, columns: Tensor, inputs: Box) -> tuple[Array, Array]:
    center = oracle.place.center
    low, high = center.clone(), center.clone()
    low[columns] += inputs.lower[0]
    high[columns] += inputs.upper[0]
    return low.cpu().numpy(), high.cpu().numpy()

"""Write a certificate for a free set that cannot change the decision.

A search of its own, made for the checker: each node is bounded exactly as the checker will
bound it, layer by layer with default lines under the signs of the path, and only slopes,
multipliers and row weights of the last pass are optimised.  It needs more leaves than the
tree of the oracle, and each leaf is small and checkable on its own.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from whyproof.engine.errors import UnsupportedError
from whyproof.engine.space import FeatureSet

from .bounds.branching import choose_cuts
from .bounds.climbing import Bounded, climb
from .bounds.goals import Deletions, Goal, Single
from .bounds.hidden import hidden_ranges
from .bounds.leaf import refine_leaf
from .bounds.node_bounds import NodeBounds
from .bounds.nodes import Nodes
from .bounds.sets import Box
from .certificate import Leaf, NetworkCertificate
from .graph import Array
from .oracle import NetworkOracle

__all__ = ["certify", "certify_deletions"]

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
    tree = _Tree(oracle, free, deletions=False)
    if not tree.grow(seconds, steps):
        return None
    return tree.certificate()


def certify_deletions(
    oracle: NetworkOracle, free: FeatureSet, *, seconds: float = 60.0, steps: int = 8
) -> tuple[NetworkCertificate, FeatureSet] | None:
    """Prove with one tree, for the checker, that no feature of a set can be left out.

    Parameters
    ----------
    oracle
        Of the problem.
    free
        Feature indices: a contrastive explanation.
    seconds
        Processor seconds; features open after that are not claimed.
    steps
        Gradient steps per leaf.

    Returns
    -------
    certificate, proved
        The features whose deletion is proved; `None` if there are none.

    Raises
    ------
    UnsupportedError
        For networks that are not piecewise linear and regions that are no boxes.
    """
    tree = _Tree(oracle, free, deletions=True)
    tree.grow(seconds, steps)
    return (tree.certificate(), tree.proved) if tree.proved else None


class _Tree:
    """A tree whose leaves are bounded just as the checker will bound them."""

    def __init__(self, oracle: NetworkOracle, free: FeatureSet, *, deletions: bool) -> None:
        place = oracle.place
        mask = place.mask([free])
        self.oracle, self.play = oracle, place.play(mask[0])
        inputs = place.box(self.play, mask)
        network = self.play.network
        if not isinstance(inputs, Box) or not network.is_piecewise_linear:
            raise UnsupportedError("certificates are written for ReLU networks in boxes")
        self.inputs = inputs
        goal: Goal = Single(inputs)
        if deletions:
            goal = Deletions(inputs, self.play.owner, len(self.play.features))
        self.goal = goal
        ranges = hidden_ranges(network, inputs)
        self.bounds = NodeBounds(network, goal, place.target, ranges, oracle.precision)
        layout = self.bounds.layout
        self.anchors = list(layout.anchors)
        self.starts = torch.tensor([cut.start for cut in layout.anchors.values()])
        self.leaves: list[Leaf] = []
        self.given_up = torch.zeros(goal.count, dtype=torch.bool)

    @property
    def proved(self) -> FeatureSet:
        """Features whose deletion is proved."""
        names = self.play.features.tolist()
        return frozenset(names[i] for i in (~self.given_up).nonzero().ravel().tolist())

    def certificate(self) -> NetworkCertificate:
        """Return the leaves with the box and the cases."""
        low, high = _whole_box(self.oracle, self.play.columns, self.inputs)
        cases = tuple((c.rows, c.offset) for c in self.oracle.place.target.cases)
        fingerprint = self.oracle.problem.classifier.fingerprint
        return NetworkCertificate(fingerprint, low, high, cases, tuple(self.leaves))

    def grow(self, seconds: float, steps: int) -> bool:
        """Prove what can be proved in time; tell whether that is everything."""
        oracle, target = self.oracle, self.oracle.place.target
        deadline = oracle.clock() + seconds
        everything = torch.ones(self.goal.count, dtype=torch.bool)
        root: _Path = ()
        pool = [(case, root, everything) for case in range(len(target.cases))]
        while pool:
            case, path, wanted = pool.pop()
            wanted = wanted & ~self.given_up
            if oracle.clock() > deadline:
                self.given_up |= wanted
            node, empty = _node(self.bounds, self.inputs, case, path, self.anchors)
            node.open[:] = wanted
            if empty or not bool(wanted.any()):
                self.leaves.append(_leaf(self.bounds, node, case, path))
                continue
            still, last = self._prove(node, case, path, steps)
            if not bool(still.any()):
                continue
            scores = self._scores(last)
            if scores is None:
                still = self._refine(last.nodes, still, case, path)
                self.given_up |= still
                continue
            cut, _ = choose_cuts(self.bounds, last.nodes, scores, 3)
            layer = int((self.starts <= int(cut[0])).sum()) - 1
            neuron = int(cut[0]) - int(self.starts[layer])
            below = wanted if self.goal.count > 1 else still
            pool += [(case, (*path, (layer, neuron, sign)), below) for sign in (1, -1)]
        return not bool(self.given_up.any())

    def _prove(self, node: Nodes, case: int, path: _Path, steps: int) -> tuple[Tensor, Bounded]:
        """Ascend up to three times; keep leaves that together prove all that is wanted here."""
        still = node.open[0].clone()
        kept: list[Leaf] = []
        attempt = 0
        while True:
            attempt += 1
            found = climb(self.bounds, node, steps, 0.15, 0.08)
            values = self.bounds.values(found.nodes)[0]
            done = still & (values > self.oracle.precision)
            if bool(done.any()):
                kept.append(_leaf(self.bounds, found.nodes, case, path))
                still = still & ~done
            if not bool(still.any()):
                self.leaves += kept
                return still, found
            if not bool(done.any()) or attempt == 3:
                break
            node = replace(found.nodes, open=still[None])
        return still, replace(found, nodes=replace(found.nodes, open=still[None]))

    def _scores(self, found: Bounded) -> Tensor | None:
        nodes = found.nodes
        loose = self.bounds.loose(nodes)
        if not bool(loose.any()):
            return None
        losses = found.losses if found.losses is not None else torch.zeros_like(nodes.lower)
        return torch.where(loose, losses + 1e-12, torch.full_like(losses, -1.0))

    def _refine(self, nodes: Nodes, still: Tensor, case: int, path: _Path) -> Tensor:
        """Use the dual of a linear program where nothing is left to split."""
        if self.goal.count > 1:
            self.leaves.append(_leaf(self.bounds, nodes, case, path))
        for statement in still.nonzero().ravel().tolist():
            refined, _ = refine_leaf(self.bounds, nodes, statement)
            if refined is None or float(self.bounds.values(refined)[0, statement]) <= 2 * _SPARE:
                continue
            self.leaves.append(_leaf(self.bounds, refined, case, path))
            still = still.clone()
            still[statement] = False
        return still


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
    undecided = torch.ones((1, shared.goal.count), dtype=torch.bool)
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

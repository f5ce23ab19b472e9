"""One branch-and-bound tree for one statement or for many at once.

Nodes are boxes of neuron bounds: each split fixes the sign of a neuron (or halves the
interval of an S-shaped one).  A batch of nodes is bounded together; slopes, multipliers of
the splits (beta-CROWN, Wang et al. 2021) and the weights of a case's rows are optimised
for the statements still open at the node and inherited by its children.  A node ends when
no statement is open there.  Below a split the later layers are bounded anew.  Where nothing
is left to split, a linear program decides (`leaf`), so that the search is complete up to
the required margin.

What is different here: a node proves a *set* of statements (`goals`).  That each of |S|
pixels of a contrastive explanation is needed takes one tree, not |S|.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ..network import Network
from .backward import enclosures
from .branching import choose_cuts, split
from .climbing import Bounded, climb
from .goals import Extensions, Goal
from .hidden import hidden_ranges
from .interval import Ranges
from .leaf import decide_leaf
from .node_bounds import NodeBounds
from .nodes import Node, Nodes
from .slopes import Ascent, optimise_slopes
from .targets import Target

__all__ = ["Confirm", "Tree", "TreeOptions", "TreeResult"]

_LARGE = 20_000
"""Neurons from which on every pass counts."""

Confirm = Callable[[Tensor, Tensor], list[bool]]
"""Given deviations ``(k, columns)`` and statements ``(k,)``, tell which ones are real
counterexamples of the model that runs."""


@dataclass(frozen=True, slots=True)
class TreeOptions:
    """How a tree grows.

    Parameters
    ----------
    batch
        Nodes bounded together.
    steps
        Backward passes per node at most; a node that is decided takes no more.
    slope_rate, multiplier_rate
        Step sizes of Adam.
    look_ahead
        Neurons whose children are bounded before one is chosen; 1 for none.
    rebound
        Neurons of each later layer that are bounded anew below a split: those that cost most.
        None by default: on convolutions it saved a sixth of the nodes and doubled the time.
    root
        Optimisation of the hidden bounds at the root.
    scores
        Optimisation of the first bound of each case.
    precision
        A bound counts as a proof when it exceeds this, after its rounding error is taken
        off; it covers the difference between real arithmetic and the float32 model.
    memory
        Bytes of open nodes from which on those nearest to a proof are taken first, so that
        no more pile up.
    """

    batch: int = 128
    steps: int = 20
    slope_rate: float = 0.15
    multiplier_rate: float = 0.08
    look_ahead: int = 8
    rebound: int = 0
    root: Ascent = field(default_factory=lambda: Ascent(steps=10))
    scores: Ascent = field(default_factory=lambda: Ascent(steps=20))
    precision: float = 1e-6
    memory: int = 2**30


@dataclass
class TreeResult:
    """What a tree found out.

    Parameters
    ----------
    open
        Statements neither proved nor refuted, shape ``(count,)``.
    refuted
        Statement to a deviation that refutes it.
    finished
        Whether the search ended before its time was over.
    nodes
        Number of nodes bounded.
    margin
        Smallest bound among the proofs; infinite if there was nothing to prove.
    rows
        Constant and coefficients of a valid linear bound for each part left open.
    stuck
        Whether a statement is open because it lies within rounding error.
    """

    open: Tensor
    refuted: dict[int, Tensor] = field(default_factory=dict[int, Tensor])
    finished: bool = True
    nodes: int = 0
    margin: float = float("inf")
    rows: list[tuple[Tensor, Tensor]] = field(default_factory=list[tuple[Tensor, Tensor]])
    stuck: bool = False

    @property
    def proved(self) -> bool:
        """Whether every statement was proved."""
        return not self.refuted and not bool(self.open.any())


class Tree:
    """A branch-and-bound tree over the deviations of the columns in play.

    Parameters
    ----------
    network
        As a function of deviations.
    goal
        What to prove.
    target
        What counts as a change.
    confirm
        Replays would-be counterexamples on the model that runs.
    options
        How it grows.
    ranges
        Valid bounds over the goal's set, to start from.
    over
        Whether the bounds at the root have to end; they stay valid.
    """

    def __init__(
        self,
        network: Network,
        goal: Goal,
        target: Target,
        confirm: Confirm,
        options: TreeOptions,
        ranges: Ranges | None = None,
        over: Callable[[], bool] | None = None,
    ) -> None:
        self.network = network
        self.goal = goal
        self.target = target
        self.confirm = confirm
        size = sum(network.steps[i].size for i in network.nonlinear)
        if size > _LARGE:
            # One pass costs seconds there: as few of them as possible.
            options = replace(options, root=Ascent(steps=0), look_ahead=1, batch=4, rebound=0)
        self.options = options
        known = None if ranges is None else ranges.bounds(network)
        found = hidden_ranges(network, goal.inputs, ascent=options.root, known=known, over=over)
        self.bounds = NodeBounds(network, goal, target, found, options.precision)
        nothing = torch.zeros(goal.count, dtype=torch.bool, device=network.device)
        self.result = TreeResult(nothing)

    def run(
        self,
        seconds: float,
        clock: Callable[[], float] = time.process_time,
        stop: Callable[[], bool] = lambda: False,
    ) -> TreeResult:
        """Grow until everything is decided or the time is over.

        Parameters
        ----------
        seconds
            Limit, as measured by `clock`.
        clock
            Processor time by default.
        stop
            Whether to end for another reason.
        """
        deadline = clock() + seconds
        pool = self._roots()
        width = 5 * self.bounds.layout.size + self.bounds.layout.n_slopes + self.network.n_inputs
        most = max(2 * self.options.batch, self.options.memory // (8 * width))
        result = self.result
        while pool:
            if clock() > deadline or stop():
                result.finished = False
                break
            # The worst first finds counterexamples; the best first keeps the pool small.
            pool.sort(key=lambda node: node.value, reverse=len(pool) > most)
            take, pool = pool[: self.options.batch], pool[self.options.batch :]
            result.nodes += len(take)
            pool += self._visit(take)
            if result.refuted and self.goal.stop_at_first:
                break
        for node in pool:
            result.open |= node.open
            if node.row is not None:
                result.rows.append(node.row)
        for statement in result.refuted:
            result.open[statement] = False
        return result

    def _roots(self) -> list[Node]:
        bounds, target = self.bounds, self.target
        ranges = bounds.ranges
        # With several rows per case their combination is optimised in the nodes.
        combined = (target.start[..., None] * target.rows).sum(1)
        offset = (target.start * target.offset).sum(1)
        lines = enclosures(self.network, ranges.bounds(self.network))
        options = self.options.scores
        ascent = Ascent(options.steps, options.rate, options.decay, self.options.precision)
        _, slopes, form = optimise_slopes(
            self.network,
            {bounds.output: combined[None]},
            offset,
            lines,
            self.goal.inputs,
            ranges.weights,
            ascent,
        )
        lower, upper = bounds.layout.flat(ranges.bounds(self.network))
        zero = torch.zeros_like(lower[0])
        flat = [slopes[p][0] for p in bounds.layout.activations if p in slopes]
        joined = torch.cat(flat, dim=1) if flat else lower.new_zeros((len(offset), 0))
        constant = form.constant[0] + offset
        if form.slack is not None:
            constant = constant - form.slack[0]
        values = self.goal.values(constant, form.coefficients[0])
        wanted = self._wanted()
        nodes: list[Node] = []
        for case in range(len(offset)):
            proved = values[case] > self.options.precision
            self._note(values[case][wanted & proved])
            undecided = wanted & ~proved
            if bool(undecided.any()):
                worst = float(values[case][undecided].min())
                row = (constant[case], form.coefficients[0, case])
                nodes.append(
                    Node(
                        case,
                        lower[0],
                        upper[0],
                        zero,
                        zero,
                        zero,
                        joined[case],
                        target.start[case],
                        undecided,
                        worst,
                        row,
                    )
                )
        return nodes

    def _wanted(self) -> Tensor:
        if isinstance(self.goal, Extensions):
            return self.goal.wanted
        return torch.ones_like(self.result.open)

    def _note(self, values: Tensor) -> None:
        if len(values):
            self.result.margin = min(self.result.margin, float(values.min()))

    def _visit(self, take: list[Node]) -> list[Node]:
        """Bound a batch of nodes; return the children of what stays open."""
        nodes = self._without_refuted(Nodes.stack(take, self.network.device))
        options = self.options
        found = climb(
            self.bounds, nodes, options.steps, options.slope_rate, options.multiplier_rate
        )
        self.result.margin = min(self.result.margin, found.margin)
        going = found.nodes.open.any(1).nonzero().ravel()
        if not len(going):
            return []
        self._try_points(found, going)
        if self.result.refuted and self.goal.stop_at_first:
            return []
        nodes = self._without_refuted(found.nodes.take(going))
        scores = self._scores(found, going, nodes)
        splittable = (scores >= 0).any(1)
        undecided = nodes.open.any(1)
        for i in (undecided & ~splittable).nonzero().ravel().tolist():
            self._decide_leaf(nodes, i, found, int(going[i]))
            if self.result.refuted and self.goal.stop_at_first:
                return []
        alive = (undecided & splittable).nonzero().ravel()
        if not len(alive):
            return []
        nodes, scores, kept = nodes.take(alive), scores[alive], going[alive]
        index, point = choose_cuts(self.bounds, nodes, scores, options.look_ahead)
        parents = [self._parent(take[i], found, i) for i in kept.tolist()]
        return split(self.bounds, nodes, index, point, parents, scores, rebound=options.rebound)

    def _parent(self, node: Node, found: Bounded, i: int) -> Node:
        values = found.values[i][found.nodes.open[i]]
        worst = float(values.min())
        row = (found.constant[i], found.coefficients[i])
        return Node(
            node.case, node.lower, node.upper, node.sign, node.point, node.multiplier,
            node.slopes, node.weights, node.open, worst, row, node.depth,
        )  # fmt: skip

    def _scores(self, found: Bounded, going: Tensor, nodes: Nodes) -> Tensor:
        loose = self.bounds.loose(nodes)
        if found.losses is None:
            cost = torch.zeros_like(nodes.lower)
        else:
            cost = found.losses[going]
        return torch.where(loose, cost + 1e-12, torch.full_like(cost, -1.0))

    def _without_refuted(self, nodes: Nodes) -> Nodes:
        for statement in self.result.refuted:
            nodes.open[:, statement] = False
        return nodes

    def _try_points(self, found: Bounded, going: Tensor) -> None:
        """Replay the points at which the bounds of open statements are worst."""
        values, undecided = found.values[going], found.nodes.open[going]
        masked = torch.where(undecided, values, torch.full_like(values, float("inf")))
        statement = masked.argmin(1)
        points = self.goal.point(found.coefficients[going], statement)
        self._replay(points, statement)

    def _replay(self, points: Tensor, statement: Tensor) -> None:
        with torch.no_grad():
            margin = self.target.margin(self.network(points))
        hit = (margin <= 0).nonzero().ravel()
        if not len(hit):
            return
        hit = hit[margin[hit].argsort()][:64]
        real = self.confirm(points[hit], statement[hit])
        for i, good in zip(hit.tolist(), real, strict=True):
            if good:
                self.result.refuted.setdefault(int(statement[i]), points[i].clone())

    def _decide_leaf(self, nodes: Nodes, i: int, found: Bounded, at: int) -> None:
        """Solve the linear program of each statement open at a leaf."""
        one = nodes.take(torch.tensor([i], device=nodes.case.device))
        for statement in one.open[0].nonzero().ravel().tolist():
            value, point = decide_leaf(self.bounds, one, statement)
            if value > self.options.precision:
                self.result.margin = min(self.result.margin, value)
                continue
            if point is not None:
                which = torch.tensor([statement], device=point.device)
                self._replay(point[None], which)
                if statement in self.result.refuted:
                    if self.goal.stop_at_first:
                        return
                    continue
            self.result.open[statement] = True
            self.result.stuck = True
            self.result.rows.append((found.constant[at], found.coefficients[at]))

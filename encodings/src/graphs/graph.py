"""Decision graphs as data: nodes that test one column, shared freely, no cycles.

Trees, binary decision diagrams and the graphs of the literature are of this form; a
test with several outcomes is a chain of nodes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from whyproof.encodings.circuits.builder import CircuitBuilder
from whyproof.encodings.circuits.circuit import Circuit, ColumnTest
from whyproof.encodings.trees.ensemble import DecisionRule, TreeEnsemble
from whyproof.engine.errors import ModelError
from whyproof.engine.space import Points

__all__ = ["DecisionGraph", "GraphNode", "graph_circuit"]


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A test and where its two answers lead, or a class.

    Parameters
    ----------
    test
        `None` for a terminal node.
    yes, no
        Nodes to go to.
    outcome
        Class index of a terminal node.
    """

    test: ColumnTest | None = None
    yes: int = -1
    no: int = -1
    outcome: int = -1


@dataclass(frozen=True, eq=False)
class DecisionGraph:
    """A classifier that follows tests from a root to a class.

    Parameters
    ----------
    n_columns
        Number of inputs.
    nodes
        In any order.
    classes
        Labels by index.
    root
        Where every point starts.

    Raises
    ------
    ModelError
        If a node does not exist, or a path never ends.

    Examples
    --------
    >>> nodes = (GraphNode(ColumnTest(0, 3.0), 1, 2), GraphNode(outcome=0), GraphNode(outcome=1))
    >>> DecisionGraph(1, nodes, ("low", "high")).predict(np.array([[2.0], [3.0]])).tolist()
    [0, 1]
    """

    n_columns: int
    nodes: tuple[GraphNode, ...]
    classes: tuple[Hashable, ...]
    root: int = 0

    def __post_init__(self) -> None:
        n = len(self.nodes)
        if not self.classes or not 0 <= self.root < n:
            raise ModelError("a decision graph needs classes and a root among its nodes")
        for k, node in enumerate(self.nodes):
            if node.test is None:
                if not 0 <= node.outcome < len(self.classes):
                    raise ModelError(f"node {k} ends in a class that does not exist")
                continue
            if not 0 <= node.test.column < self.n_columns:
                raise ModelError(
                    f"node {k} tests column {node.test.column}, the model has {self.n_columns}"
                )
            if not (0 <= node.yes < n and 0 <= node.no < n):
                raise ModelError(f"node {k} leads to a node that does not exist")
        _ = self.order

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Nodes that can be reached from the root, each after all that lead to it."""
        state: dict[int, int] = {}
        done: list[int] = []
        stack = [(self.root, False)]
        while stack:
            k, finished = stack.pop()
            if finished:
                state[k] = 2
                done.append(k)
                continue
            if state.get(k) == 1:
                raise ModelError(f"the decision graph runs in a circle through node {k}")
            if k in state:
                continue
            state[k] = 1
            stack.append((k, True))
            node = self.nodes[k]
            if node.test is not None:
                for child in (node.no, node.yes):
                    if state.get(child) == 1:
                        raise ModelError(
                            f"the decision graph runs in a circle through node {child}"
                        )
                    if child not in state:
                        stack.append((child, False))
        return tuple(reversed(done))

    @cached_property
    def tests(self) -> tuple[ColumnTest, ...]:
        """Distinct tests of reachable nodes."""
        found = [self.nodes[k].test for k in self.order]
        return tuple(dict.fromkeys(test for test in found if test is not None))

    @cached_property
    def board(self) -> TreeEnsemble:
        """All tests as trees of two leaves, from which cells are cut."""
        return TreeEnsemble(
            self.n_columns,
            tuple(test.stump() for test in self.tests),
            np.zeros(1),
            DecisionRule.VALUE,
            input_type="float64",
        )

    @property
    def rule(self) -> DecisionRule:
        """How scores become an outcome: the class that is reached has score 1."""
        return DecisionRule.ARGMAX

    @property
    def n_outputs(self) -> int:
        """Number of scores, one for each class."""
        return len(self.classes)

    def as_circuit(self) -> Circuit:
        """Return the graph as gates, for encodings of circuits; see `graph_circuit`."""
        return graph_circuit(self)

    def predict(self, points: Points) -> npt.NDArray[np.int64]:
        """Return class indices, shape ``(rows,)``."""
        at = np.full(len(points), self.root)
        outcome = np.full(len(points), -1, dtype=np.int64)
        for k in self.order:
            here = np.flatnonzero(at == k)
            node = self.nodes[k]
            if node.test is None:
                outcome[here] = node.outcome
            elif len(here):
                holds = node.test.holds(points[here, node.test.column])
                at[here] = np.where(holds, node.yes, node.no)
        return outcome

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return 1 for the class that is reached and 0 for others, ``(rows, classes)``."""
        return np.eye(len(self.classes))[self.predict(points)]

    @property
    def fingerprint(self) -> str:
        """``sha256:`` and the hash of everything that decides an outcome."""
        digest = hashlib.sha256(b"whyproof-decision-graph-1")
        labels = [f"{type(label).__name__}:{label}" for label in self.classes]
        place = {k: i for i, k in enumerate(self.order)}
        digest.update(repr((self.n_columns, labels)).encode())
        for k in self.order:
            node = self.nodes[k]
            if node.test is None:
                digest.update(repr(node.outcome).encode())
                continue
            test = node.test
            codes = None if test.codes is None else sorted(test.codes)
            said = (test.column, test.boundary, codes, test.missing)
            digest.update(repr((said, place[node.yes], place[node.no])).encode())
        return f"sha256:{digest.hexdigest()}"


def graph_circuit(graph: DecisionGraph) -> Circuit:
    """Translate a graph into gates: a node is reached from one of those that lead to it."""
    builder = CircuitBuilder(graph.n_columns)
    reached: dict[int, list[int]] = {k: [] for k in graph.order}
    ends: list[list[int]] = [[] for _ in graph.classes]
    for k in graph.order:
        here = (
            builder.all_of([])
            if k == graph.root
            else builder.any_of(reached[k], f"node {k} is reached")
        )
        node = graph.nodes[k]
        if node.test is None:
            ends[node.outcome].append(here)
            continue
        test = node.test
        holds = (
            builder.below(test.column, test.boundary, missing=test.missing)
            if test.codes is None
            else builder.among(test.column, sorted(test.codes), missing=test.missing)
        )
        reached[node.yes].append(builder.all_of([here, holds]))
        reached[node.no].append(builder.all_of([here, -holds]))
    wins = [builder.any_of(literals, f"class {k}") for k, literals in enumerate(ends)]
    return builder.build(wins, graph.classes, "decision graphs")

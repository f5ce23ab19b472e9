"""The graph oracle: what can be reached when some features are free.

From the root, a node leads on by the answer that the instance gives, and by both where the
tested feature is free (Huang, Izza, Ignatiev, Marques-Silva, On Efficiently Explaining
Graph-Based Classifiers, KR 2021).  The fixed features that barred a way are the core.

Ours differs where a path tests a free column again: the cells that earlier tests left to
it are carried along, as far as some node below still asks for them.  Where no column is
tested twice, nothing is carried and the search is linear in the graph.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.encodings.trees.reach import within_region
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown
from whyproof.engine.budget import Meter
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, ReachClass
from whyproof.engine.space import FeatureSet, FeatureSpace

from .graph import DecisionGraph

__all__ = ["GraphOracle", "graph_cells"]

_LOOK = 4096
"""Steps between two looks at the budget."""


def graph_cells(graph: DecisionGraph, space: FeatureSpace) -> LeafBoxes:
    """Cut the columns of a space into the cells that a graph can tell apart."""
    return LeafBoxes.of(graph.board, space)


class GraphOracle:
    """Decides free sets of one problem about a decision graph.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `DecisionGraph`.
    boxes
        From `graph_cells`, to share between instances; made here if not given.

    Attributes
    ----------
    focus
        Which kind of explanation the evidence is for.
    relevant
        Features that some node tests.

    Raises
    ------
    UnsupportedError
        If the region is not a box, or the question is about scores.
    """

    def __init__(self, problem: ExplanationProblem, boxes: LeafBoxes | None = None) -> None:
        graph = problem.classifier.structure
        if not isinstance(graph, DecisionGraph):
            raise UnsupportedError("the graph oracle needs a model that is a decision graph")
        if not problem.region.is_box:
            raise UnsupportedError(
                "decision graphs are explained in boxes and linf balls, not "
                f"{problem.region.norm} balls"
            )
        self.problem, self.graph = problem, graph
        self.focus: Kind | None = None
        self._goal = _goal(problem, len(graph.classes))
        reach = within_region(boxes or graph_cells(graph, problem.space), problem)
        self._reach = reach
        number = {test: t for t, test in enumerate(graph.tests)}
        self._holds: dict[int, int] = {}
        for k in graph.order:
            test = graph.nodes[k].test
            if test is not None:
                runs = reach.boxes.columns[test.column].splits[number[test], 0]
                self._holds[k] = sum((1 << end) - (1 << first) for first, end in runs)
        self._whole = [
            (1 << int(high)) - (1 << int(low))
            for low, high in zip(reach.lower.tolist(), reach.upper.tolist(), strict=True)
        ]
        self._own = [1 << int(cell) for cell in reach.cells.tolist()]
        self._below = _columns_below(graph)
        owner = problem.space.owner
        self.relevant: FeatureSet = problem.universe & frozenset(
            int(owner[test.column]) for test in graph.tests
        )

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return "reachability"

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set."""
        return [self._decide(free & self.problem.universe, meter) for free in free_sets]

    def _decide(self, free: FeatureSet, meter: Meter) -> Answer:
        owner, graph = self.problem.space.owner, self.graph
        loose = [int(feature) in free for feature in owner.tolist()]
        barred: set[int] = set()
        seen: set[tuple[int, tuple[tuple[int, int], ...]]] = set()
        # The instance's own way stands on top of the stack: few moves come first.
        stack: list[tuple[int, dict[int, int]]] = [(graph.root, {})]
        steps = 0
        while stack:
            steps += 1
            if steps % _LOOK == 1:
                reason = meter.exhausted()
                if reason is not None:
                    return Unknown(reason)
            k, left = stack.pop()
            below = self._below_matters(k)
            key = (k, tuple(sorted(item for item in left.items() if item[0] in below)))
            if key in seen:
                continue
            seen.add(key)
            node = graph.nodes[k]
            if node.test is None:
                shown = self._shown(left) if node.outcome in self._goal else None
                if shown is not None:
                    return shown
                continue
            column = node.test.column
            now = left.get(column, self._whole[column] if loose[column] else self._own[column])
            ways = [(node.yes, now & self._holds[k]), (node.no, now & ~self._holds[k])]
            if not loose[column]:
                whole = self._whole[column]
                if not whole & self._holds[k] or not whole & ~self._holds[k]:
                    pass  # even free it would have one way only
                else:
                    barred.add(int(owner[column]))
            ways.sort(key=lambda way: bool(way[1] & self._own[column]))
            for child, cells in ways:
                if cells:
                    stack.append((child, {**left, column: cells} if loose[column] else left))
        return Entailed(frozenset(barred) & self.problem.universe)

    def _below_matters(self, k: int) -> frozenset[int]:
        """Return the columns whose values tell visits of a node apart."""
        return self._below[k]

    def _shown(self, left: dict[int, int]) -> Counterexample | None:
        """Return a point of the box of a way that ends where the decision changes."""
        problem, reach = self.problem, self._reach
        target = reach.cells.copy()
        for column, cells in left.items():
            if not cells & self._own[column]:
                here = int(reach.cells[column])
                options = [i for i in range(cells.bit_length()) if cells >> i & 1]
                target[column] = min(options, key=lambda i: abs(i - here))
        point = reach.boxes.enter(
            problem.instance,
            reach.cells,
            np.asarray(target, dtype=np.int32),
            list(left),
            problem.limits,
        )
        moved = problem.space.moved(problem.instance, point)
        return Counterexample(point, moved, math.nan)


def _goal(problem: ExplanationProblem, n: int) -> frozenset[int]:
    """Return the classes that change the decision."""
    match problem.question:
        case AnyOther():
            return frozenset(range(n)) - {int(problem.prediction)}
        case ReachClass(target):
            return frozenset({target})
        case other:
            raise UnsupportedError(
                "decision graphs decide a class without a score: ask for any other class or for "
                f"one class, not {type(other).__name__}"
            )


def _columns_below(graph: DecisionGraph) -> dict[int, frozenset[int]]:
    """Return the columns that are tested at a node or below it."""
    found: dict[int, frozenset[int]] = {}
    for k in reversed(graph.order):
        node = graph.nodes[k]
        found[k] = (
            frozenset()
            if node.test is None
            else found[node.yes] | found[node.no] | {node.test.column}
        )
    return found

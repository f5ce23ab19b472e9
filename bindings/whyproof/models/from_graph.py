"""Decision graphs from JSON: trees, decision diagrams, flow charts written by hand.

::

    {"format": "whyproof-graph-1",
     "columns": [{"name": "age"}, {"name": "job", "values": ["clerk", "cook"]}],
     "classes": ["no", "yes"], "root": "start",
     "nodes": {"start": {"test": "age", "below": 40, "yes": "a", "no": "b"},
               "a": {"test": "job", "in": ["cook"], "yes": "b", "no": "c", "missing": "no"},
               "b": {"class": "yes"}, "c": {"class": "no"}}}

A test is ``below`` (x < value), ``at_most`` (x <= value) or ``in`` (one of some values).  The
missing value goes to ``no`` unless ``missing`` says ``yes``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.encodings.circuits.circuit import ColumnTest
from whyproof.encodings.graphs.graph import DecisionGraph, GraphNode
from whyproof.engine.domain import Categories, Domain
from whyproof.engine.errors import ModelError
from whyproof.engine.names import did_you_mean
from whyproof.engine.space import Points

from .model import Model

__all__ = ["GraphRuntime", "graph_model", "load_graph"]

FORMAT = "whyproof-graph-1"


@dataclass(frozen=True, eq=False)
class GraphRuntime:
    """A decision graph that is followed node by node."""

    graph: DecisionGraph

    @property
    def name(self) -> str:
        """State what runs."""
        return "the graph itself"

    def predict(self, points: Points) -> npt.NDArray[np.int64]:
        """Follow each point to its class, shape ``(rows,)``."""
        return np.array([self._follow(point) for point in points.tolist()], dtype=np.int64)

    def _follow(self, point: Sequence[float]) -> int:
        node = self.graph.nodes[self.graph.root]
        while node.test is not None:
            test, value = node.test, point[node.test.column]
            if math.isnan(value):
                holds = test.missing
            else:
                holds = value < test.boundary if test.codes is None else value in test.codes
            node = self.graph.nodes[node.yes if holds else node.no]
        return node.outcome

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return 1 for the class that is reached and 0 for others."""
        return np.eye(len(self.graph.classes))[self.predict(points)]


def graph_model(
    graph: DecisionGraph,
    *,
    names: Sequence[str] = (),
    domains: Mapping[int, Domain] | None = None,
    source: str = "a decision graph",
) -> Model:
    """Make a model of a decision graph; `names` and `domains` as in `Model`."""
    model = Model(
        structure=graph,
        runtime=GraphRuntime(graph),
        library="whyproof",
        names=tuple(names),
        domains=dict(domains or {}),
        source=source,
    )
    model.verify(64)
    return model


def load_graph(payload: bytes, source: str) -> Model:
    """Import a JSON document; see the module.

    Raises
    ------
    ModelError
        Naming the node or field that is wrong.
    """
    try:
        document = json.loads(payload)
        columns: list[dict[str, Any]] = list(document["columns"])
        names = [str(column["name"]) for column in columns]
        classes = tuple(document["classes"])
        nodes: dict[str, dict[str, Any]] = dict(document["nodes"])
        root = document["root"]
        values = [tuple(column.get("values", ())) for column in columns]
    except KeyError as error:
        raise ModelError(f"{source} has no field {error}; see the format {FORMAT}") from None
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(f"{source} is no decision graph: {error}") from None
    reader = _Reader(source, names, values, classes, list(nodes))
    try:
        graph = DecisionGraph(
            len(names),
            tuple(reader.node(name, node) for name, node in nodes.items()),
            classes,
            reader.place(root, "the root"),
        )
    except (TypeError, AttributeError) as error:
        raise ModelError(f"{source} is no decision graph: {error}") from None
    domains: dict[int, Domain] = {
        i: Categories(values=known) for i, known in enumerate(values) if known
    }
    return graph_model(graph, names=names, domains=domains, source=source)


class _Reader:
    def __init__(
        self,
        source: str,
        names: list[str],
        values: list[tuple[Any, ...]],
        classes: tuple[Any, ...],
        nodes: list[str],
    ) -> None:
        self._source, self._names, self._values = source, names, values
        self._classes, self._nodes = classes, nodes

    def place(self, name: object, where: str) -> int:
        if not isinstance(name, str) or name not in self._nodes:
            hint = did_you_mean(str(name), self._nodes)
            raise ModelError(f"{self._source}: {where} is {name!r}, which is no node{hint}")
        return self._nodes.index(name)

    def node(self, name: str, node: dict[str, Any]) -> GraphNode:
        where = f"{self._source}: node {name!r}"
        if "class" in node:
            if node["class"] not in self._classes:
                raise ModelError(f"{where} ends in {node['class']!r}, which is no class")
            return GraphNode(outcome=self._classes.index(node["class"]))
        for field in ("test", "yes", "no"):
            if field not in node:
                raise ModelError(f"{where} has no field {field!r}")
        if node["test"] not in self._names:
            hint = did_you_mean(str(node["test"]), self._names)
            raise ModelError(f"{where} tests {node['test']!r}, which is no column{hint}")
        column = self._names.index(node["test"])
        missing = node.get("missing", "no")
        if missing not in ("yes", "no"):
            raise ModelError(f"{where}: missing is yes or no, found {missing!r}")
        test = self._test(where, column, node, missing=missing == "yes")
        yes, no = (self.place(node[way], f"{way} of node {name!r}") for way in ("yes", "no"))
        return GraphNode(test, yes, no)

    def _test(self, where: str, column: int, node: dict[str, Any], *, missing: bool) -> ColumnTest:
        kinds = [kind for kind in ("below", "at_most", "in") if kind in node]
        if len(kinds) != 1:
            raise ModelError(f"{where} needs one of below, at_most and in")
        if kinds[0] == "in":
            known = self._values[column]
            for value in node["in"]:
                if value not in known:
                    raise ModelError(
                        f"{where}: {value!r} is no value of {self._names[column]!r}"
                        f"{did_you_mean(str(value), [str(v) for v in known])}"
                    )
            codes = frozenset(known.index(value) for value in node["in"])
            return ColumnTest(column, math.nan, codes, missing)
        bound = node[kinds[0]]
        if isinstance(bound, bool) or not isinstance(bound, int | float) or math.isnan(bound):
            raise ModelError(f"{where}: {kinds[0]} is a number, found {bound!r}")
        if self._values[column]:
            raise ModelError(f"{where} compares values of {self._names[column]!r} by size")
        at = float(bound) if kinds[0] == "below" else math.nextafter(float(bound), math.inf)
        return ColumnTest(column, at, None, missing)

"""How much memory explaining a network takes, before any of it is taken."""

from __future__ import annotations

from whyproof.engine.errors import UnsupportedError
from whyproof.engine.problem import ExplanationProblem

from .graph import Convolution, Dense, NetworkGraph

__all__ = ["estimated_bytes", "refuse_too_large"]

_WORD = 8
_PASSES = 6
"""Tensors of the size of a layer that a backward pass keeps beside each other."""
_ROWS = 12_000_000
"""Most entries of the rows that hidden layers are bounded with at a time."""


def estimated_bytes(graph: NetworkGraph, batch: int) -> int:
    """Return roughly how many bytes bounds over a network take.

    Parameters
    ----------
    graph
        The network.
    batch
        Sets bounded together.

    Examples
    --------
    >>> from whyproof.encodings.networks.builder import GraphBuilder
    >>> builder = GraphBuilder("x", (1, 4))
    >>> estimated_bytes(builder.finish(builder.input), 64) > 4 * 64 * 8
    True
    """
    weights = sum(n.weight.size for n in graph.nodes if isinstance(n, Dense | Convolution))
    values = sum(node.size for node in graph.nodes)
    rows = batch * graph.n_outputs * max(node.size for node in graph.nodes)
    return _WORD * (3 * weights + _PASSES * batch * values + _PASSES * (rows + _ROWS))


def refuse_too_large(problem: ExplanationProblem, batch: int, most: int) -> None:
    """Refuse a network whose bounds would take too much memory.

    Raises
    ------
    UnsupportedError
        With the estimate, the limit and the way out.
    """
    graph = problem.classifier.structure
    if not isinstance(graph, NetworkGraph):
        return
    needed = estimated_bytes(graph, batch)
    if needed > most:
        raise UnsupportedError(
            f"bounds over this network would take about {needed / 2**30:.1f} GiB, more than the "
            f"limit of {most / 2**30:.1f} GiB; lower OracleOptions.batch (now {batch}) or raise "
            "OracleOptions.memory"
        )

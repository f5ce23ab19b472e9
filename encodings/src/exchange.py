"""Any problem in the format of another solver, with a key to its variables.

Which formats a family has: trees and ensembles, and linear models and naive Bayes over few
values, all of them; linear models over numbers and nearest neighbours LP and MPS; rules,
graphs and binarised networks CNF, OPB, LP and ASP.
"""

from __future__ import annotations

from collections.abc import Callable

from whyproof.engine.errors import InputError, UnsupportedError
from whyproof.engine.names import did_you_mean
from whyproof.engine.problem import ExplanationProblem

from .circuits.circuit import Circuit
from .circuits.exchange import circuit_text
from .graphs.graph import DecisionGraph
from .linear.additive import AdditiveModel
from .linear.exchange import additive_text
from .neighbours.exchange import neighbour_text
from .neighbours.model import NeighbourModel
from .trees.ensemble import TreeEnsemble
from .trees.exchange import FORMATS, exchange_text

__all__ = ["FORMATS", "check_format", "problem_text"]

_WRITERS: tuple[tuple[type, Callable[[ExplanationProblem, str], str]], ...] = (
    (TreeEnsemble, exchange_text),
    (Circuit, circuit_text),
    (DecisionGraph, circuit_text),
    (AdditiveModel, additive_text),
    (NeighbourModel, neighbour_text),
)


def problem_text(problem: ExplanationProblem, to: str) -> str:
    """Write "some point of the region changes the decision" for another solver.

    Parameters
    ----------
    problem
        What is asked; without constraints.
    to
        A key of `FORMATS`.

    Raises
    ------
    InputError
        If there is no such format.
    UnsupportedError
        If the model cannot be written, or not in this format; the message says what can.

    Examples
    --------
    >>> sorted(FORMATS)
    ['asp', 'cnf', 'lp', 'mps', 'opb', 'wcnf']
    """
    check_format(to)
    structure = problem.classifier.structure
    for kind, write in _WRITERS:
        if isinstance(structure, kind):
            return write(problem, to)
    raise UnsupportedError(
        f"a model of type {type(structure).__name__} cannot be written for other solvers; trees, "
        "linear models, naive Bayes, nearest neighbours, graphs, binarised networks and rules can"
    )


def check_format(to: str) -> None:
    """Refuse a format that does not exist, with the nearest name."""
    if to not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(f"no format {to!r}{did_you_mean(to, list(FORMATS))}; known are {known}")

"""Which oracle decides which model: one place to look a structure up.

What depends on the model and the space alone is prepared once and shared by all
instances; what depends on the instance is made for each problem.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from whyproof.engine.errors import MissingExtraError, UnsupportedError
from whyproof.engine.oracle import Oracle
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSpace

from .circuits.circuit import Circuit
from .circuits.constrained import ConstrainedCircuitOracle
from .circuits.constraints import circuit_cells
from .circuits.oracle import CircuitOracle
from .constraints.oracle import ConstrainedOracle, ExactUnderConstraints
from .graphs.constrained import ConstrainedGraphOracle
from .graphs.graph import DecisionGraph
from .graphs.oracle import GraphOracle, graph_cells
from .graphs.single_tree import SingleTreeOracle
from .linear.additive import AdditiveModel
from .linear.constrained import ConstrainedAdditive
from .linear.oracle import AdditiveOracle
from .linear.pieces import Pieces
from .neighbours.model import NeighbourModel
from .neighbours.oracle import NeighbourOracle
from .networks.graph import NetworkGraph
from .trees.boxes import LeafBoxes
from .trees.constrained import ConstrainedTreeOracle
from .trees.encodings import tree_oracles
from .trees.ensemble import TreeEnsemble
from .trees.oracle import TreeOracle

__all__ = ["OracleFactory", "prepare_oracles", "under_constraints"]

OracleFactory: TypeAlias = Callable[[ExplanationProblem], Oracle]
"""Makes the oracle of one problem."""


def prepare_oracles(
    structure: object, space: FeatureSpace, encoding: str = "search"
) -> OracleFactory:
    """Compile a model for exact answers over a space.

    Parameters
    ----------
    structure
        What encoders read: `Classifier.structure`.
    space
        The model's inputs.
    encoding
        For tree ensembles, which of `TREE_ENCODINGS`; all other models have one.

    Raises
    ------
    InputError
        For an unknown encoding.
    UnsupportedError
        If there is no oracle for such a model, or not this encoding.
    DataError
        If the space does not fit the model.
    """
    plain = _prepared(structure, space, encoding)
    if not space.constraints:
        return plain
    return lambda problem: under_constraints(problem, plain)


def under_constraints(problem: ExplanationProblem, oracles: OracleFactory) -> Oracle:
    """Return an oracle that respects the constraints of a problem's space.

    Parameters
    ----------
    problem
        What is asked.
    oracles
        Makes oracles that know no constraints, from `prepare_oracles` without them.
    """
    if not problem.space.constraints:
        return oracles(problem)
    plain = oracles(replace(problem, space=replace(problem.space, constraints=())))
    if isinstance(plain, TreeOracle):
        return ConstrainedTreeOracle(problem, plain.program)
    if isinstance(plain, SingleTreeOracle):
        return ConstrainedTreeOracle(problem)
    if isinstance(plain, CircuitOracle):
        return ConstrainedCircuitOracle(problem)
    if isinstance(plain, GraphOracle):
        return ConstrainedGraphOracle(problem)
    return ConstrainedOracle(problem, plain, _exact(problem, plain))


def _exact(problem: ExplanationProblem, plain: Oracle) -> ExactUnderConstraints | None:
    """Return what decides the questions that a repaired witness leaves open."""
    if isinstance(plain, AdditiveOracle):
        return ConstrainedAdditive(problem, plain)
    if isinstance(problem.classifier.structure, NetworkGraph):
        from .networks.constrained import ConstrainedNetwork
        from .networks.neighbourhood import Neighbourhood

        without = replace(problem, space=replace(problem.space, constraints=()))
        try:
            return ConstrainedNetwork(problem, Neighbourhood(without))
        except UnsupportedError:
            return None
    return None


def _prepared(structure: object, space: FeatureSpace, encoding: str) -> OracleFactory:
    """Compile a model for answers that know no constraints."""
    if isinstance(structure, TreeEnsemble):
        single = len(structure.trees) == 1 and not space.constraints
        if single and encoding == "search":
            leaves = LeafBoxes.of(structure, space)
            return lambda problem: SingleTreeOracle(problem, leaves)
        return tree_oracles(structure, space, encoding)
    if encoding != "search":
        raise UnsupportedError(
            f"the encoding {encoding!r} is for tree ensembles; leave it out for a model of type "
            f"{type(structure).__name__}"
        )
    if isinstance(structure, AdditiveModel):
        pieces = Pieces.of(structure, space)
        return lambda problem: AdditiveOracle(problem, pieces)
    if isinstance(structure, NetworkGraph):
        return _network_oracle
    if isinstance(structure, NeighbourModel):
        return NeighbourOracle
    if isinstance(structure, DecisionGraph):
        graph = graph_cells(structure, space)
        return lambda problem: GraphOracle(problem, graph)
    if isinstance(structure, Circuit):
        cells = circuit_cells(structure, space)
        return lambda problem: CircuitOracle(problem, cells)
    raise UnsupportedError(
        f"there is no exact oracle for a model of type {type(structure).__name__}; "
        "trees and ensembles, decision graphs, additive models (linear, naive Bayes), rules, "
        "gates, nearest neighbours and neural networks are supported"
    )


def _network_oracle(problem: ExplanationProblem) -> Oracle:
    """Make the oracle of a network, which needs torch."""
    try:
        from .networks.oracle import NetworkOracle
    except ImportError as error:
        raise MissingExtraError("torch", "neural", "explain networks") from error
    return NetworkOracle(problem)

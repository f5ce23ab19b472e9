"""Which oracle decides which model: one place to look a structure up.

What depends on the model and the space alone is prepared once and shared by all
instances; what depends on the instance is made for each problem.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from whyproof.engine.errors import InputError, MissingExtraError, UnsupportedError
from whyproof.engine.names import did_you_mean
from whyproof.engine.oracle import Oracle
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSpace

from .circuits.asp import CircuitAspOracle
from .circuits.circuit import Circuit
from .circuits.constraints import circuit_cells
from .circuits.milp import CircuitMilpOracle
from .circuits.oracle import CircuitOracle
from .constraints.oracle import ConstrainedOracle, ExactUnderConstraints
from .graphs.constrained import ConstrainedGraphOracle
from .graphs.graph import DecisionGraph
from .graphs.oracle import GraphOracle, graph_cells
from .graphs.single_tree import SingleTreeOracle
from .linear.additive import AdditiveModel
from .linear.as_trees import additive_as_trees, as_tree_problem
from .linear.constrained import ConstrainedAdditive
from .linear.oracle import AdditiveOracle
from .linear.pieces import Pieces
from .neighbours.model import NeighbourModel
from .neighbours.oracle import NeighbourOracle
from .networks.graph import NetworkGraph
from .trees.asp_oracle import TreeAspOracle
from .trees.boxes import LeafBoxes
from .trees.constrained import ConstrainedTreeOracle
from .trees.encodings import TREE_ENCODINGS, tree_oracles
from .trees.ensemble import TreeEnsemble
from .trees.milp import TreeMilp, TreeMilpOracle
from .trees.oracle import TreeOracle
from .trees.refined import RefinedOracle
from .trees.sat import TreeSatOracle

__all__ = ["OracleFactory", "prepare_oracles", "under_constraints"]

_CIRCUIT_ORACLES: dict[str, Callable[[ExplanationProblem, LeafBoxes], Oracle]] = {
    "clauses": CircuitOracle,
    "program": CircuitMilpOracle,
    "asp": CircuitAspOracle,
}

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
        For tree ensembles, which of `TREE_ENCODINGS`; the same for linear models and naive
        Bayes over few values; for rules, graphs and binarised networks ``"search"``,
        ``"clauses"``, ``"program"`` or ``"asp"``; for nearest neighbours and networks
        ``"search"`` or ``"program"``.

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
    if isinstance(plain, TreeMilpOracle):
        # Rows are added to the program, which other instances must not see.
        alone = TreeMilp(plain.milp.boxes, plain.milp.solver)
        return RefinedOracle(problem, TreeMilpOracle(plain.problem, alone))
    if isinstance(plain, TreeSatOracle | TreeAspOracle | CircuitOracle | CircuitMilpOracle):
        return RefinedOracle(problem, plain)
    if isinstance(plain, CircuitAspOracle):
        return RefinedOracle(problem, plain)
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
    if isinstance(structure, Circuit | DecisionGraph) and encoding in _CIRCUIT_ORACLES:
        make = _CIRCUIT_ORACLES[encoding]
        circuit = structure.as_circuit() if isinstance(structure, DecisionGraph) else structure
        tests = circuit_cells(circuit, space)
        return lambda problem: make(problem, tests)
    if isinstance(structure, AdditiveModel) and encoding in TREE_ENCODINGS[1:]:
        return _as_trees(structure, space, encoding)
    if isinstance(structure, NeighbourModel) and encoding == "program":
        return lambda problem: NeighbourOracle(problem, shortcuts=False)
    if isinstance(structure, NetworkGraph) and encoding == "program":
        return _network_program
    if encoding not in TREE_ENCODINGS:
        hint = did_you_mean(encoding, TREE_ENCODINGS)
        raise InputError(f"no encoding {encoding!r}{hint}; known are {', '.join(TREE_ENCODINGS)}")
    if encoding != "search":
        raise UnsupportedError(
            f"the encoding {encoding!r} is for {_encoded_by(encoding)}; leave it out for a model "
            f"of type {type(structure).__name__}"
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


def _encoded_by(encoding: str) -> str:
    if encoding in _CIRCUIT_ORACLES:
        return "trees, linear models, rules, graphs and binarised networks"
    return "trees and linear models"


def _as_trees(structure: AdditiveModel, space: FeatureSpace, encoding: str) -> OracleFactory:
    """Compile an additive model as the tree ensemble that it is over few values."""
    ensemble = additive_as_trees(structure, space)
    make = tree_oracles(ensemble, space, encoding)

    def oracle(problem: ExplanationProblem) -> Oracle:
        return make(as_tree_problem(problem, ensemble))

    return oracle


def _network_program(problem: ExplanationProblem) -> Oracle:
    """Make the mixed-integer program of a network, which needs torch for its bounds."""
    try:
        from .networks.milp import MilpOracle
    except ImportError as error:
        raise MissingExtraError("torch", "neural", "explain networks") from error
    return MilpOracle(problem)


def _network_oracle(problem: ExplanationProblem) -> Oracle:
    """Make the oracle of a network, which needs torch."""
    try:
        from .networks.oracle import NetworkOracle
    except ImportError as error:
        raise MissingExtraError("torch", "neural", "explain networks") from error
    return NetworkOracle(problem)

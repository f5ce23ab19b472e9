"""The encodings of tree ensembles by name, each as an oracle over a model compiled once.

=========  ===================================================================
search     interval bound and best-first search; binary votes are counted by a solver
clauses    one satisfiability check for all rival classes at once, with cores
program    one mixed-integer program per rival, by HiGHS
gurobi     the same by Gurobi, where its licence allows
asp        answer sets of the program of contrastive reasons, by clingo
=========  ===================================================================

The first is the fast one; the others are second opinions that share no decision with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from whyproof.engine.errors import InputError
from whyproof.engine.names import did_you_mean
from whyproof.engine.oracle import Oracle
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSpace

from .asp_oracle import TreeAspOracle
from .boxes import LeafBoxes
from .ensemble import TreeEnsemble
from .milp import TreeMilp, TreeMilpOracle
from .oracle import TreeOracle
from .program import TreeProgram
from .sat import TreeSatOracle
from .votes import TreeVoteOracle, counts_votes

__all__ = ["TREE_ENCODINGS", "tree_oracles"]

_Factory: TypeAlias = Callable[[ExplanationProblem], Oracle]

TREE_ENCODINGS = ("search", "clauses", "program", "gurobi", "asp")
"""Names of the encodings."""


def tree_oracles(ensemble: TreeEnsemble, space: FeatureSpace, encoding: str = "search") -> _Factory:
    """Compile an ensemble for one encoding; the result makes the oracle of a problem.

    Parameters
    ----------
    ensemble, space
        The model and its inputs.
    encoding
        A name in `TREE_ENCODINGS`.

    Raises
    ------
    InputError
        For an unknown encoding.
    MissingExtraError
        For Gurobi if it is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from whyproof.encodings.trees.ensemble import DecisionRule
    >>> constant = TreeEnsemble(1, (), np.array([0.5]), DecisionRule.POSITIVE, ("no", "yes"))
    >>> callable(tree_oracles(constant, FeatureSpace.of("x"), "clauses"))
    True
    """
    if encoding not in TREE_ENCODINGS:
        hint = did_you_mean(encoding, TREE_ENCODINGS)
        raise InputError(f"no encoding {encoding!r}{hint}; known are {', '.join(TREE_ENCODINGS)}")
    boxes = LeafBoxes.of(ensemble, space)
    if encoding == "clauses":
        return lambda problem: TreeSatOracle(problem, boxes)
    if encoding in ("program", "gurobi"):
        milp = TreeMilp(boxes, "highs" if encoding == "program" else "gurobi")
        return lambda problem: TreeMilpOracle(problem, milp)
    if encoding == "asp":
        return lambda problem: TreeAspOracle(problem, boxes)
    program = TreeProgram(boxes)
    if counts_votes(boxes):
        return lambda problem: TreeVoteOracle(problem, program)
    return lambda problem: TreeOracle(problem, program)

"""What the network oracle is told and what it hands back: options, counts, rows, answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from whyproof.engine.answers import Counterexample
from whyproof.engine.space import FeatureSet

from .attack import AttackOptions
from .bounds.tree import TreeOptions
from .neighbourhood import Play

__all__ = ["LinearRows", "OracleOptions", "Proofs", "Shared", "Tally"]


@dataclass(frozen=True, slots=True)
class OracleOptions:
    """How the oracle works.

    Parameters
    ----------
    tree
        Of branch and bound.
    tree_seconds
        Processor seconds for one tree.
    attack
        Of single questions.
    hard
        Of the whole region, and of questions that a small tree left open: once per case.
    glance
        Processor seconds for the small tree.
    program_seconds
        Seconds for the mixed-integer program of a question with few free columns that
        trees left open; 0 for none.
    program_solver
        ``highs``, or ``gurobi`` where it is installed and licensed.
    generalise
        Whether a proof by bounds is widened to a larger free set, at the price of another
        bound.
    memory
        Bytes that bounds and weights may take by estimate; a larger network is refused.
    batch
        Sets bounded together.
    threads
        Threads inside one torch operation.  Batches of small operations lose by more than
        one; large convolutions may gain.
    """

    tree: TreeOptions = field(default_factory=TreeOptions)
    tree_seconds: float = 10.0
    attack: AttackOptions = field(default_factory=lambda: AttackOptions(steps=20, restarts=2))
    hard: AttackOptions = field(default_factory=lambda: AttackOptions(steps=40, restarts=3))
    glance: float = 0.15
    program_seconds: float = 5.0
    program_solver: str = "highs"
    generalise: bool = True
    memory: int = 16 << 30
    batch: int = 64
    threads: int = 1


@dataclass
class Tally:
    """What was spent: rows attacked, sets bounded, trees and their nodes, replays."""

    attacked: int = 0
    bounded: int = 0
    trees: int = 0
    nodes: int = 0
    proofs: int = 0
    unknown: int = 0
    rounds: int = 0


@dataclass(frozen=True)
class LinearRows:
    """Linear lower bounds over a set: one row per case, in the columns in play.

    Parameters
    ----------
    play
        Columns and features.
    constant
        Rounding error taken off, shape ``(batch, cases)``.
    terms
        Least contribution of each feature in play, shape ``(batch, cases, features)``.
    """

    play: Play
    constant: Tensor
    terms: Tensor


@dataclass(frozen=True)
class Proofs:
    """Bounds of a batch of free sets.

    Parameters
    ----------
    margin
        Lower bound on the lead of the decision, shape ``(batch,)``; a proof where it
        exceeds the oracle's precision.
    rows
        The linear rows behind it.
    """

    margin: Tensor
    rows: LinearRows


@dataclass(frozen=True)
class Shared:
    """Answer to many questions from one tree.

    Parameters
    ----------
    proved, open
        Features by what became of their question.
    refuted
        Feature to its counterexample.
    margin
        Smallest lead among the proofs.
    nodes
        Size of the tree.
    rows
        Constant and coefficients of valid bounds on the parts left open.
    play
        Columns in play.
    """

    proved: FeatureSet
    open: FeatureSet
    refuted: dict[int, Counterexample]
    margin: float
    nodes: int
    rows: list[tuple[Tensor, Tensor]]
    play: Play

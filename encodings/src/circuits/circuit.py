"""Threshold circuits: tests of columns, gates over tests, one winning class.

Decision lists, decision sets, default rules with exceptions, binarised networks and votes
of small models have one form in common: some tests of single columns, and gates that are
true where at least so many of their (weighted) inputs are.  A conjunction needs all, a
disjunction one, a binarised neuron a given number.  Every class has one literal, and at
each point exactly one of these is true.

Literals count from 1, tests first, then gates in an order in which each follows its
inputs; a negative literal is a negation.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.errors import ModelError
from whyproof.engine.space import Points

__all__ = ["Circuit", "ColumnTest", "Gate"]


@dataclass(frozen=True, slots=True)
class ColumnTest:
    """A question about one column: whether it is below a boundary, or among some codes.

    Parameters
    ----------
    column
        Which column.
    boundary
        Holds where ``x < boundary``; ignored with `codes`.
    codes
        Holds where the column has one of these codes.
    missing
        Whether it holds where the value is missing.

    Examples
    --------
    >>> ColumnTest(0, 2.5).holds(np.array([2.0, 2.5, np.nan])).tolist()
    [True, False, False]
    """

    column: int
    boundary: float = math.nan
    codes: frozenset[int] | None = None
    missing: bool = False

    def holds(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Tell for each value whether the test holds, shape ``(rows,)``."""
        absent = np.isnan(values)
        if self.codes is not None:
            found = np.isin(values, list(self.codes))
        else:
            with np.errstate(invalid="ignore"):
                found = values < self.boundary
        return np.where(absent, self.missing, found)

    def stump(self) -> Tree:
        """Return the test as a tree with two leaves: 1 where it holds, else 0."""
        return Tree(
            column=np.array([self.column, -1, -1], dtype=np.int32),
            boundary=np.array([self.boundary if self.codes is None else np.nan, np.nan, np.nan]),
            left=np.array([1, -1, -1], dtype=np.int32),
            right=np.array([2, -1, -1], dtype=np.int32),
            missing_left=np.array([self.missing, False, False]),
            values=np.array([[0.0], [1.0], [0.0]]),
            categories={} if self.codes is None else {0: self.codes},
        )


@dataclass(frozen=True, slots=True)
class Gate:
    """True where the weights of its true inputs add up to at least a bound.

    Parameters
    ----------
    literals
        Inputs, each at most once in either sign.
    bound
        At least so much; nothing is needed where it is zero or less.
    weights
        Positive integers, one each; all 1 if not given.
    """

    literals: tuple[int, ...]
    bound: int
    weights: tuple[int, ...] = ()

    @classmethod
    def all_of(cls, literals: Sequence[int]) -> Gate:
        """Return a conjunction; true without inputs."""
        kept = tuple(dict.fromkeys(literals))
        if any(-literal in kept for literal in kept):
            return cls((), 1)
        return cls(kept, len(kept))

    @classmethod
    def any_of(cls, literals: Sequence[int]) -> Gate:
        """Return a disjunction; false without inputs."""
        kept = tuple(dict.fromkeys(literals))
        return cls((), 0) if any(-literal in kept for literal in kept) else cls(kept, 1)

    @property
    def total(self) -> int:
        """Sum of all weights."""
        return sum(self.weights) if self.weights else len(self.literals)


@dataclass(frozen=True, eq=False)
class Circuit:
    """A classifier made of tests and gates.

    Parameters
    ----------
    n_columns
        Number of inputs.
    tests, gates
        In the order in which literals count.
    wins
        Literal of each class: true exactly where the class is decided.
    classes
        Labels by index.
    family
        What people call such a model.
    names
        What each gate stands for, for encodings that people read; may be empty.

    Examples
    --------
    >>> gate = Gate.all_of([1, -2])
    >>> tests = (ColumnTest(0, 1.0), ColumnTest(1, 0.0))
    >>> circuit = Circuit(2, tests, (gate,), (-3, 3), ("no", "yes"))
    >>> circuit.predict(np.array([[0.5, 3.0], [0.5, -1.0]])).tolist()
    [1, 0]
    """

    n_columns: int
    tests: tuple[ColumnTest, ...]
    gates: tuple[Gate, ...]
    wins: tuple[int, ...]
    classes: tuple[Hashable, ...]
    family: str = "rules"
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.wins) != len(self.classes) or not self.classes:
            raise ModelError(f"{len(self.classes)} classes need as many winning literals")
        for test in self.tests:
            if not 0 <= test.column < self.n_columns:
                raise ModelError(
                    f"a test asks for column {test.column}, the model has {self.n_columns}"
                )
        for k, gate in enumerate(self.gates):
            known = len(self.tests) + k
            if any(not 1 <= abs(v) <= known for v in gate.literals):
                raise ModelError(f"gate {k} has an input that does not come before it")
            if gate.weights and (
                len(gate.weights) != len(gate.literals) or any(w <= 0 for w in gate.weights)
            ):
                raise ModelError(f"gate {k} needs one positive weight for each input")
            if len({abs(v) for v in gate.literals}) != len(gate.literals):
                raise ModelError(f"gate {k} has one input twice")
        if any(not 1 <= abs(v) <= len(self.tests) + len(self.gates) for v in self.wins):
            raise ModelError("a class is decided by a literal that does not exist")

    @property
    def rule(self) -> DecisionRule:
        """How scores become an outcome: the winning class has score 1, the others 0."""
        return DecisionRule.ARGMAX

    @property
    def n_outputs(self) -> int:
        """Number of scores, one for each class."""
        return len(self.classes)

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

    def values(self, points: Points) -> npt.NDArray[np.bool_]:
        """Return the truth of every test and gate, shape ``(rows, tests + gates)``."""
        n = len(self.tests)
        truth = np.zeros((len(points), n + len(self.gates)), dtype=np.bool_)
        for i, test in enumerate(self.tests):
            truth[:, i] = test.holds(points[:, test.column])
        for k, gate in enumerate(self.gates):
            literals = np.array(gate.literals, dtype=np.intp)
            inputs = truth[:, np.abs(literals) - 1] ^ (literals < 0)
            weights = np.array(gate.weights or (1,) * len(literals), dtype=np.int64)
            truth[:, n + k] = inputs @ weights >= gate.bound
        return truth

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return 1 for the winning class and 0 for the others, shape ``(rows, classes)``."""
        truth = self.values(points)
        wins = np.array(self.wins)
        return np.asarray((truth[:, np.abs(wins) - 1] ^ (wins < 0)).astype(np.float64))

    def predict(self, points: Points) -> npt.NDArray[np.int64]:
        """Return class indices, shape ``(rows,)``."""
        return np.asarray(self.sums(points).argmax(axis=1), dtype=np.int64)

    @property
    def fingerprint(self) -> str:
        """``sha256:`` and the hash of everything that decides an outcome."""
        digest = hashlib.sha256(b"whyproof-circuit-1")
        labels = [f"{type(label).__name__}:{label}" for label in self.classes]
        digest.update(repr((self.n_columns, labels, self.wins)).encode())
        for test in self.tests:
            codes = None if test.codes is None else sorted(test.codes)
            digest.update(repr((test.column, test.boundary, codes, test.missing)).encode())
        for gate in self.gates:
            digest.update(repr((gate.literals, gate.bound, gate.weights)).encode())
        return f"sha256:{digest.hexdigest()}"

"""Tree ensembles as data: what every importer produces and every encoder reads.

Every library's peculiarities are translated into four plain facts, so that nothing
after the importer has to know where a model came from:

* a numeric split sends ``cast(x) < boundary`` to the left, with the boundary on the
  grid of the model's own input type (``x <= t`` becomes ``x < nextafter(t)``);
* a categorical split sends a listed set of codes to the left;
* each split says where the missing value goes (and whether zero counts as missing);
* the outcome follows from exact sums of leaf values by one of four decision rules.

What floating-point summation and link functions blur is summed up in `slack`: outside
it, the outcome of exact arithmetic is the outcome of the model that runs.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import ModelError
from whyproof.engine.space import Point, Points

from .flat import FlatTrees

__all__ = ["ZERO_SIZE", "DecisionRule", "InputType", "Tree", "TreeEnsemble", "within_zero"]

InputType = Literal["float32", "float64"]

ZERO_SIZE = float(np.float32(1e-35))
"""Largest size of what counts as zero where zero stands for missing (LightGBM)."""


def within_zero(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Tell which values count as zero where zero stands for the missing value."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(values) <= ZERO_SIZE, dtype=np.bool_)


class DecisionRule(StrEnum):
    """How sums of leaf values become an outcome."""

    ARGMAX = "argmax"
    """Class with the largest sum; ties go to the lowest index."""
    POSITIVE = "positive"
    """Two classes, one sum: class 1 where it is > 0, else class 0."""
    NONNEGATIVE = "nonnegative"
    """Two classes, one sum: class 1 where it is >= 0, else class 0."""
    VALUE = "value"
    """A regressor: the sum (after the link) is the outcome."""


@dataclass(frozen=True, eq=False)
class Tree:
    """One binary decision tree in flat arrays over its nodes; node 0 is the root.

    Parameters
    ----------
    column
        Column tested at each node, -1 at leaves, shape ``(nodes,)``.
    boundary
        Numeric splits: left where ``cast(x) < boundary``; NaN at leaves and at
        categorical splits, shape ``(nodes,)``.
    left, right
        Children, -1 at leaves, shape ``(nodes,)`` each.
    missing_left
        Where the missing value goes, shape ``(nodes,)``.
    values
        Leaf values, zero at inner nodes, shape ``(nodes, outputs)``.
    categories
        Codes that go left, by node, for categorical splits.  A code outside the list
        goes right.
    zero_missing
        Whether zero (up to `ZERO_SIZE`) is treated like the missing value at the
        node, shape ``(nodes,)``; `None` for nowhere.
    """

    column: npt.NDArray[np.int32]
    boundary: npt.NDArray[np.float64]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    missing_left: npt.NDArray[np.bool_]
    values: npt.NDArray[np.float64]
    categories: dict[int, frozenset[int]] = field(default_factory=dict[int, frozenset[int]])
    zero_missing: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        n = len(self.column)
        if n == 0:
            raise ModelError("a tree has no nodes")
        for children in (self.left, self.right):
            inner = children[self.column >= 0]
            if bool((inner <= 0).any()) or bool((inner >= n).any()):
                raise ModelError("a tree refers to a node that does not exist")

    @property
    def n_nodes(self) -> int:
        """Number of nodes, leaves included."""
        return len(self.column)

    @cached_property
    def leaves(self) -> npt.NDArray[np.intp]:
        """Node numbers of the leaves."""
        return np.flatnonzero(self.column < 0)

    @classmethod
    def constant(cls, values: npt.NDArray[np.float64]) -> Tree:
        """Return a tree that is a single leaf, `values` of shape ``(outputs,)``."""
        return cls(
            column=np.array([-1], dtype=np.int32),
            boundary=np.array([np.nan]),
            left=np.array([-1], dtype=np.int32),
            right=np.array([-1], dtype=np.int32),
            missing_left=np.array([False]),
            values=np.asarray(values, dtype=np.float64)[None, :],
        )

    def apply(self, points: Points) -> npt.NDArray[np.intp]:
        """Return the leaf that each (already cast) point reaches, shape ``(rows,)``."""
        node = np.zeros(len(points), dtype=np.intp)
        rows = np.arange(len(points))
        active = np.flatnonzero(self.column[node] >= 0)
        while active.size:
            at = node[active]
            value = points[rows[active], self.column[at]]
            goes_left = self.goes_left(at, value)
            node[active] = np.where(goes_left, self.left[at], self.right[at])
            active = active[self.column[node[active]] >= 0]
        return node

    def goes_left(
        self, at: npt.NDArray[np.intp], value: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.bool_]:
        """Tell for each pair of a split node and a cast value whether it goes left.

        Parameters
        ----------
        at
            Node numbers, shape ``(pairs,)``.
        value
            Values of the nodes' columns on the model's input grid, shape ``(pairs,)``.
        """
        with np.errstate(invalid="ignore"):
            goes_left = value < self.boundary[at]
        for node in set(at.tolist()) & set(self.categories):
            here = at == node
            goes_left[here] = np.isin(value[here], list(self.categories[node]))
        missing = np.isnan(value)
        if self.zero_missing is not None:
            missing |= self.zero_missing[at] & within_zero(value)
        return np.where(missing, self.missing_left[at], goes_left)


@dataclass(frozen=True, eq=False)
class TreeEnsemble:
    """Trees, how their leaves add up, and how the sums become an outcome.

    The score of output ``k`` is ``base[k] + sum of leaf values / divisor`` in exact
    arithmetic over these float64 constants.

    Parameters
    ----------
    n_columns
        Number of inputs.
    trees
        May be empty: then the outcome is constant.
    base
        Shape ``(outputs,)``.
    rule
        Decision rule; one output except for `ARGMAX`.
    classes
        Labels by index; empty for `VALUE`.
    divisor
        Positive; number of trees for averaged forests, else 1.
    input_type
        Type to which the model casts its inputs before it compares.
    slack
        The model that runs agrees with exact arithmetic whenever the deciding
        difference of scores is larger than this.  Zero when all its sums are exact.
    link
        For `VALUE`: function applied to the sum.
    """

    n_columns: int
    trees: tuple[Tree, ...]
    base: npt.NDArray[np.float64]
    rule: DecisionRule
    classes: tuple[Hashable, ...] = ()
    divisor: int = 1
    input_type: InputType = "float32"
    slack: float = 0.0
    link: Literal["identity", "exp", "sigmoid"] = "identity"

    def __post_init__(self) -> None:
        outputs = len(self.base)
        expected = len(self.classes) if self.rule is DecisionRule.ARGMAX else 1
        if outputs != expected:
            raise ModelError(f"the ensemble has {outputs} outputs, its rule needs {expected}")
        for number, tree in enumerate(self.trees):
            if tree.values.shape != (tree.n_nodes, outputs):
                raise ModelError(f"tree {number} has leaf values of shape {tree.values.shape}")
            if int(tree.column.max(initial=-1)) >= self.n_columns:
                raise ModelError(
                    f"tree {number} tests column {int(tree.column.max())}, "
                    f"the model has {self.n_columns}"
                )
            if not bool(np.isfinite(tree.values).all()):
                raise ModelError(f"tree {number} has a leaf value that is not finite")

    @property
    def n_outputs(self) -> int:
        """Number of sums."""
        return len(self.base)

    @cached_property
    def _flat(self) -> FlatTrees:
        return FlatTrees(self.trees)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_flat"}

    def cast(self, points: Points) -> Points:
        """Round points to the model's input type, as float64."""
        if self.input_type == "float64":
            return np.asarray(points, dtype=np.float64)
        with np.errstate(over="ignore"):
            return np.asarray(points, dtype=np.float32).astype(np.float64)

    def apply(self, points: Points) -> npt.NDArray[np.intp]:
        """Return the leaf reached in each tree, shape ``(rows, trees)``."""
        if not self.trees:
            return np.zeros((len(points), 0), dtype=np.intp)
        return np.asarray(self._flat.apply(self.cast(points)) - self._flat.starts, dtype=np.intp)

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return the scores in float64, shape ``(rows, outputs)``."""
        terms = self.terms(points)
        total = np.zeros((len(points), self.n_outputs))
        for number in range(len(self.trees)):
            total += terms[:, number]
        return np.asarray(self.base + total / self.divisor)

    def terms(self, points: Points) -> npt.NDArray[np.float64]:
        """Return the leaf values that add up, shape ``(rows, trees, outputs)``."""
        if not self.trees:
            return np.zeros((len(points), 0, self.n_outputs))
        return np.asarray(self._flat.values[self._flat.apply(self.cast(points))])

    def exact_sums(self, point: Point) -> tuple[Fraction, ...]:
        """Return the scores of one point as exact rationals, one per output."""
        terms = self.terms(point[None])[0]
        return tuple(
            Fraction(float(self.base[k]))
            + sum((Fraction(value) for value in terms[:, k].tolist() if value), Fraction(0))
            / self.divisor
            for k in range(self.n_outputs)
        )

    def predict(self, points: Points) -> npt.NDArray[np.int64] | npt.NDArray[np.float64]:
        """Return outcomes from float64 sums (see `exact_outcome` for exact ones)."""
        sums = self.sums(points)
        match self.rule:
            case DecisionRule.ARGMAX:
                return np.asarray(sums.argmax(axis=1), dtype=np.int64)
            case DecisionRule.POSITIVE:
                return np.asarray(sums[:, 0] > 0, dtype=np.int64)
            case DecisionRule.NONNEGATIVE:
                return np.asarray(sums[:, 0] >= 0, dtype=np.int64)
            case DecisionRule.VALUE:
                return self.linked(sums[:, 0])

    def exact_outcome(self, point: Point) -> int | Fraction:
        """Return the class index, or the sum before the link, in exact arithmetic."""
        sums = self.exact_sums(point)
        match self.rule:
            case DecisionRule.ARGMAX:
                return sums.index(max(sums))
            case DecisionRule.POSITIVE:
                return int(sums[0] > 0)
            case DecisionRule.NONNEGATIVE:
                return int(sums[0] >= 0)
            case DecisionRule.VALUE:
                return sums[0]

    def linked(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Apply the link function of a regressor."""
        match self.link:
            case "identity":
                return values
            case "exp":
                return np.exp(values)
            case "sigmoid":
                return np.asarray(1.0 / (1.0 + np.exp(-values)))

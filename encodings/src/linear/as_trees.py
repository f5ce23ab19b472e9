"""Additive models as trees: one tree for each column, for the encodings of trees.

Over columns of few values an additive model is an ensemble with one tree per column and one
leaf per value.  So every encoding of tree ensembles (clauses, MaxSAT, pseudo-Boolean,
mixed-integer, answer sets) says it too, as a second opinion on the closed form and for other
solvers.  Leaf values are rounded once; `slack` accounts for it and for the model's own sums.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.ensemble import Tree, TreeEnsemble
from whyproof.engine.classifier import Classifier, Predictions
from whyproof.engine.domain import Domain
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import Column, FeatureSpace, Points

from .additive import AdditiveModel, ColumnTerm

__all__ = ["MOST_VALUES", "additive_as_trees", "as_tree_problem", "table_tree"]

MOST_VALUES = 256
"""Most values of a column."""


def additive_as_trees(model: AdditiveModel, space: FeatureSpace) -> TreeEnsemble:
    """Return a tree ensemble that decides as an additive model over a finite space.

    Parameters
    ----------
    model
        Linear, or naive Bayes.
    space
        Columns of few values each.

    Raises
    ------
    UnsupportedError
        If a column that matters has too many values.

    Examples
    --------
    >>> from whyproof.encodings.trees.ensemble import DecisionRule
    >>> from whyproof.engine.domain import Boolean
    >>> term = ColumnTerm.linear(0, np.array([2.0]))
    >>> model = AdditiveModel(1, (term,), np.array([-1.0]), DecisionRule.POSITIVE, ("no", "yes"))
    >>> trees = additive_as_trees(model, FeatureSpace.of("a", {"a": Boolean()}))
    >>> trees.predict(np.array([[0.0], [1.0]])).tolist()
    [0, 1]
    """
    trees: list[Tree] = []
    sizes = float(model.base_sizes.max(initial=0.0))
    for term in model.terms:
        column = space.columns[term.column]
        values = _values(column.domain, column.name)
        trees.append(_tree(term, values))
        y = np.abs(np.nan_to_num(values - term.center))[:, None, None]
        bound = term.sizes[None]
        polynomial = bound[..., 0] + y * (bound[..., 1] + y * bound[..., 2])
        sizes += float(polynomial.max(initial=0.0))
        sizes += 0.0 if term.missing is None else float(np.abs(term.missing).max())
    return TreeEnsemble(
        n_columns=model.n_columns,
        trees=tuple(trees),
        base=model.base,
        rule=model.rule,
        classes=model.classes,
        input_type="float64",
        slack=2 * (model.rounding + 8 * 2.0**-52) * sizes,
        link=model.link,
    )


def as_tree_problem(
    problem: ExplanationProblem, ensemble: TreeEnsemble | None = None
) -> ExplanationProblem:
    """Return the same question about an additive model as one about trees.

    Parameters
    ----------
    problem
        Its classifier's `structure` is an `AdditiveModel`.
    ensemble
        From `additive_as_trees`, to share between instances; made here if not given.
    """
    model = problem.classifier.structure
    if not isinstance(model, AdditiveModel):
        raise UnsupportedError("only additive models are trees with one column each")
    made = ensemble or additive_as_trees(model, problem.space)
    return replace(problem, classifier=_Restructured(problem.classifier, made))


@dataclass(frozen=True)
class _Restructured:
    """A model that runs as it did, with another structure for encoders."""

    model: Classifier
    structure: object

    @property
    def n_columns(self) -> int:
        return self.model.n_columns

    @property
    def classes(self) -> tuple[Hashable, ...]:
        return self.model.classes

    @property
    def fingerprint(self) -> str:
        return self.model.fingerprint

    def predict(self, points: Points) -> Predictions:
        return self.model.predict(points)

    def scores(self, points: Points) -> npt.NDArray[np.float64]:
        return self.model.scores(points)


def table_tree(term: ColumnTerm, column: Column) -> Tree:
    """Return what one column of few values adds as a tree with one leaf per value.

    Parameters
    ----------
    term
        The function of the column.
    column
        Its values.

    Raises
    ------
    UnsupportedError
        If it has too many values.
    """
    return _tree(term, _values(column.domain, column.name))


def _values(domain: Domain, name: str) -> npt.NDArray[np.float64]:
    low, high = domain.bounds
    if not domain.is_discrete or not high - low < MOST_VALUES:
        raise UnsupportedError(
            f"column {name!r} has too many values for clauses ({domain.describe()}); the closed "
            f"form of additive models needs no limit, clauses at most {MOST_VALUES} whole numbers"
        )
    found = np.arange(math.ceil(low), math.floor(high) + 1, dtype=np.float64)
    return np.append(found, np.nan) if domain.nullable else found


def _tree(term: ColumnTerm, values: npt.NDArray[np.float64]) -> Tree:
    """Return a chain of splits ``x < value`` with the missing value at its end."""
    added = term.evaluate(values)
    present = np.flatnonzero(~np.isnan(values) & ~np.isnan(added).any(axis=1))
    steps = [(float(values[i]), added[i]) for i in present.tolist()]
    absent = added[np.isnan(values)]
    column: list[int] = []
    boundary: list[float] = []
    missing: list[bool] = []
    leaves: list[npt.NDArray[np.float64]] = []
    nothing = np.zeros(term.n_outputs)

    def add(at: int, edge: float, left: bool, value: npt.NDArray[np.float64]) -> int:
        column.append(at)
        boundary.append(edge)
        missing.append(left)
        leaves.append(value)
        return len(column) - 1

    lefts: dict[int, int] = {}
    rights: dict[int, int] = {}
    here = -1
    if len(absent) and steps:
        # Nothing is below minus infinity, so that only the missing value goes left.
        here = add(term.column, -math.inf, True, nothing)
        lefts[here] = add(-1, math.nan, False, absent[0])
    elif len(absent):
        add(-1, math.nan, False, absent[0])
    for (_, value), after in zip(steps, [*steps[1:], None], strict=True):
        if after is None:
            node = add(-1, math.nan, False, value)
        else:
            node = add(term.column, after[0], False, nothing)
        if here >= 0:
            rights[here] = node
        if after is not None:
            lefts[node] = add(-1, math.nan, False, value)
            here = node
    n = len(column)
    return Tree(
        column=np.array(column, dtype=np.int32),
        boundary=np.array(boundary),
        left=np.array([lefts.get(i, -1) for i in range(n)], dtype=np.int32),
        right=np.array([rights.get(i, -1) for i in range(n)], dtype=np.int32),
        missing_left=np.array(missing),
        values=np.array(leaves),
    )

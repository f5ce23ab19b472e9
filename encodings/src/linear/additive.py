"""Additive models: every score is an intercept plus one function of each column.

Linear and logistic models, linear support vector machines and naive Bayes all have this
form.  What differs is the function of a column: a straight line, a parabola (the
logarithm of a normal density), or a table (categories, binarised inputs).  All of them
are polynomials of degree two on pieces, and a single value is a piece of its own.

A score of the model that runs is a rounded sum.  It differs from exact arithmetic over the
same constants by at most `AdditiveModel.rounding` times the sum of the *sizes* of its
terms, which are kept beside the coefficients because terms may cancel.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.ensemble import DecisionRule
from whyproof.engine.classifier import Predictions
from whyproof.engine.errors import ModelError
from whyproof.engine.space import Point, Points

__all__ = ["AdditiveModel", "ColumnTerm"]

_NOTHING = np.zeros(0)


@dataclass(frozen=True, eq=False)
class ColumnTerm:
    """What one column adds to each score.

    On a piece with bounds ``lower <= x <= upper`` output ``k`` gets
    ``c[0] + c[1] * (x - center) + c[2] * (x - center) ** 2`` with ``c = coefficients[piece, k]``.
    Values that no piece holds are not admissible.

    Parameters
    ----------
    column
        Position of the column.
    lower, upper
        Bounds of the pieces, both included, ascending and disjoint, shape ``(pieces,)``.
    coefficients
        Shape ``(pieces, outputs, 3)``.
    center
        Where the polynomials are expanded.
    missing
        What the missing value adds, shape ``(outputs,)``; `None` if it is not admissible.
    sizes
        As `coefficients` but not negative: a bound on what is added up, and so on what
        rounding acts upon, as a polynomial of ``abs(x - center)``.  Absolute coefficients
        if not given.

    Examples
    --------
    >>> ColumnTerm.linear(0, np.array([2.0, -1.0])).at(3.0).tolist()
    [6.0, -3.0]
    >>> ColumnTerm.table(0, np.array([[0.5], [0.25]])).at(1.0).tolist()
    [0.25]
    """

    column: int
    lower: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    coefficients: npt.NDArray[np.float64]
    center: float = 0.0
    missing: npt.NDArray[np.float64] | None = None
    sizes: npt.NDArray[np.float64] = field(default_factory=lambda: _NOTHING)

    def __post_init__(self) -> None:
        n = len(self.lower)
        if n == 0 and self.missing is None:
            raise ModelError(f"the term of column {self.column} has no pieces")
        if self.coefficients.ndim != 3 or self.coefficients.shape[::2] != (n, 3):
            raise ModelError(
                f"the term of column {self.column} has coefficients of shape "
                f"{self.coefficients.shape} for {n} pieces"
            )
        if not self.sizes.size:
            object.__setattr__(self, "sizes", np.abs(self.coefficients))
        ordered = bool((self.lower <= self.upper).all()) and bool(
            (self.upper[:-1] < self.lower[1:]).all()
        )
        if not ordered or not bool(np.isfinite(self.coefficients).all()):
            raise ModelError(f"the term of column {self.column} is not a function on intervals")

    @classmethod
    def linear(cls, column: int, slopes: npt.NDArray[np.float64]) -> ColumnTerm:
        """Return a straight line through zero, `slopes` of shape ``(outputs,)``."""
        coefficients = np.zeros((1, len(slopes), 3))
        coefficients[0, :, 1] = slopes
        return cls(column, np.array([-np.inf]), np.array([np.inf]), coefficients)

    @classmethod
    def table(
        cls,
        column: int,
        values: npt.NDArray[np.float64],
        *,
        missing: npt.NDArray[np.float64] | None = None,
        sizes: npt.NDArray[np.float64] | None = None,
    ) -> ColumnTerm:
        """Return a table over the codes 0, 1, ..., `values` of shape ``(codes, outputs)``."""
        coefficients = np.zeros((*values.shape, 3))
        coefficients[:, :, 0] = values
        codes = np.arange(len(values), dtype=np.float64)
        bounds = _NOTHING
        if sizes is not None:
            bounds = np.zeros_like(coefficients)
            bounds[:, :, 0] = sizes
        return cls(column, codes, codes, coefficients, missing=missing, sizes=bounds)

    @property
    def n_outputs(self) -> int:
        """Number of scores."""
        return int(self.coefficients.shape[1])

    @property
    def is_constant(self) -> bool:
        """Whether no score depends on the column."""
        first = self.coefficients[:1, :, :1]
        same = bool((self.coefficients[:, :, :1] == first).all())
        flat = not self.coefficients[:, :, 1:].any()
        absent = self.missing is None or bool((self.missing == first[0, :, 0]).all())
        return same and flat and absent

    def piece(self, value: float) -> int | None:
        """Return the piece that holds a value, `None` if there is none."""
        i = int(np.searchsorted(self.upper, value))
        return i if i < len(self.lower) and self.lower[i] <= value else None

    def at(self, value: float) -> npt.NDArray[np.float64]:
        """Return what one value adds, shape ``(outputs,)``; NaN where it is not admissible."""
        return np.asarray(self.evaluate(np.array([value]))[0])

    def evaluate(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return what values add in float64, shape ``(rows, outputs)``."""
        result = np.full((len(values), self.n_outputs), np.nan)
        missing = np.isnan(values)
        if self.missing is not None:
            result[missing] = self.missing
        if len(self.lower):
            at = np.minimum(np.searchsorted(self.upper, values), len(self.lower) - 1)
            held = ~missing & (self.lower[at] <= values) & (values <= self.upper[at])
            c = self.coefficients[at[held]]
            y = (values[held] - self.center)[:, None]
            result[held] = c[:, :, 0] + y * (c[:, :, 1] + y * c[:, :, 2])
        return result

    def exactly(self, value: float) -> list[Fraction]:
        """Return what one value adds as exact rationals, one for each output."""
        if math.isnan(value):
            absent = self.missing if self.missing is not None else np.zeros(self.n_outputs)
            return [Fraction(float(v)) for v in absent]
        piece = self.piece(value)
        if piece is None:
            raise ModelError(f"{value!r} is not admissible in column {self.column}")
        y = Fraction(value) - Fraction(self.center)
        return [
            sum((Fraction(float(c)) * y**power for power, c in enumerate(row)), Fraction(0))
            for row in self.coefficients[piece]
        ]


@dataclass(frozen=True, eq=False)
class AdditiveModel:
    """Scores that are sums over columns, and how they become an outcome.

    Parameters
    ----------
    n_columns
        Number of inputs.
    terms
        At most one for each column, ascending; other columns add nothing.
    base
        Intercepts, shape ``(outputs,)``.
    rule
        Decision rule; one output except for `ARGMAX`.
    classes
        Labels by index; empty for `VALUE`.
    rounding
        A score of the model that runs is within this share of the sum of the sizes of
        its terms from the exact sum.  By default that of float64 sums in any order.
    base_sizes
        Sizes of what the intercepts were added up from, shape ``(outputs,)``.
    steady
        Whether the model adds one rounded product per column, so that its rounded score
        moves the same way as each of these: then a tie at a corner of a box is settled
        by running the model there.
    link
        For `VALUE`: function applied to the sum.
    family
        What people call such a model, for descriptions.

    Examples
    --------
    >>> terms = (ColumnTerm.linear(0, np.array([1.0])), ColumnTerm.linear(1, np.array([-2.0])))
    >>> model = AdditiveModel(2, terms, np.array([0.5]), DecisionRule.POSITIVE, ("no", "yes"))
    >>> model.predict(np.array([[0.0, 0.0], [0.0, 1.0]])).tolist()
    [1, 0]
    """

    n_columns: int
    terms: tuple[ColumnTerm, ...]
    base: npt.NDArray[np.float64]
    rule: DecisionRule
    classes: tuple[Hashable, ...] = ()
    rounding: float = -1.0
    base_sizes: npt.NDArray[np.float64] = field(default_factory=lambda: _NOTHING)
    steady: bool = False
    link: Literal["identity", "exp", "sigmoid"] = "identity"
    family: str = "additive"

    def __post_init__(self) -> None:
        outputs = len(self.base)
        expected = len(self.classes) if self.rule is DecisionRule.ARGMAX else 1
        if outputs != expected:
            raise ModelError(f"the model has {outputs} scores, its rule needs {expected}")
        if any(term.n_outputs != outputs for term in self.terms):
            raise ModelError(f"a term does not add to {outputs} scores")
        columns = [term.column for term in self.terms]
        if columns != sorted(set(columns)) or any(not 0 <= c < self.n_columns for c in columns):
            raise ModelError("the terms of an additive model need one ascending column each")
        if not bool(np.isfinite(self.base).all()):
            raise ModelError("an intercept is not finite")
        if not self.base_sizes.size:
            object.__setattr__(self, "base_sizes", np.abs(self.base))
        if self.rounding < 0:
            object.__setattr__(self, "rounding", (self.n_columns + 4) * 2.0**-52)

    @property
    def n_outputs(self) -> int:
        """Number of scores."""
        return len(self.base)

    @cached_property
    def _plain(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64], list[ColumnTerm]]:
        """Straight lines through zero, which are one matrix, and the other terms."""
        lines = [
            term
            for term in self.terms
            if len(term.lower) == 1
            and np.isinf(term.lower[0])
            and np.isinf(term.upper[0])
            and not term.center
            and term.missing is None
            and not term.coefficients[:, :, ::2].any()
        ]
        columns = np.array([term.column for term in lines], dtype=np.intp)
        slopes = np.array([term.coefficients[0, :, 1] for term in lines])
        chosen = {id(term) for term in lines}
        return (
            columns,
            slopes.reshape(len(lines), self.n_outputs),
            [term for term in self.terms if id(term) not in chosen],
        )

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return the scores in float64, shape ``(rows, outputs)``."""
        columns, slopes, others = self._plain
        total = points[:, columns] @ slopes + self.base
        for term in others:
            total = total + term.evaluate(points[:, term.column])
        return np.asarray(total)

    def exact_sums(self, point: Point) -> tuple[Fraction, ...]:
        """Return the scores of one point as exact rationals, one for each output."""
        total = [Fraction(float(b)) for b in self.base]
        for term in self.terms:
            added = term.exactly(float(point[term.column]))
            total = [a + b for a, b in zip(total, added, strict=True)]
        return tuple(total)

    def predict(self, points: Points) -> Predictions:
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

"""Pieces: the terms of an additive model over a feature space, in flat arrays.

Each piece is a polynomial on an interval of one column; whole numbers, categories and
missing values have been settled.  Pieces are cut at their centre, so that ``abs(x - center)``
has one sign on each and bounds on rounding errors are polynomials as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from whyproof.engine.domain import Domain, Integers
from whyproof.engine.errors import DataError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSpace, Point

from .additive import AdditiveModel, ColumnTerm

__all__ = ["Extremes", "Pieces"]

Floats = npt.NDArray[np.float64]

_MOST_CODES = 1_000_000


@dataclass(frozen=True, eq=False)
class Extremes:
    """The largest value of a weighted term in each column, and where it is reached.

    Parameters
    ----------
    value
        May be infinite, shape ``(slots,)``; a slot is a column that has pieces.
    at
        Where, shape ``(slots,)``; infinite where the value is.
    """

    value: Floats
    at: Floats


@dataclass(frozen=True, eq=False)
class Pieces:
    """All pieces of a model over a space, ordered by column.

    Parameters
    ----------
    columns
        Columns that have pieces, ascending, shape ``(slots,)``.
    starts
        First piece of each of them, shape ``(slots,)``.
    slot
        Slot of each piece, shape ``(pieces,)``.
    lower, upper
        Admissible values, both included; NaN for the missing value, ``(pieces,)`` each.
    center
        Where the polynomial is expanded, shape ``(pieces,)``.
    coefficients, sizes
        Polynomials of ``x - center``, shape ``(pieces, outputs, 3)`` each.
    discrete
        Whether only whole numbers are admissible, shape ``(pieces,)``.
    """

    columns: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]
    slot: npt.NDArray[np.intp]
    lower: Floats
    upper: Floats
    center: Floats
    coefficients: Floats
    sizes: Floats
    discrete: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, model: AdditiveModel, space: FeatureSpace) -> Pieces:
        """Cut a model over a space into pieces; columns that add a constant have none.

        Raises
        ------
        DataError
            If a column's domain holds values that the model does not take.
        """
        if model.n_columns != space.n_columns:
            raise DataError(
                f"the model has {model.n_columns} inputs, the space {space.n_columns} columns"
            )
        rows: list[_Cut] = []
        columns: list[int] = []
        starts: list[int] = []
        for term in model.terms:
            column = space.columns[term.column]
            cuts = _cuts(term, column.domain, column.name)
            if not term.is_constant:
                columns.append(term.column)
                starts.append(len(rows))
                rows += cuts
        n, k = len(rows), model.n_outputs
        where = np.array([(r.lower, r.upper, r.center, r.whole) for r in rows]).reshape(n, 4)
        bounds = [*starts, n]
        return cls(
            np.array(columns, dtype=np.intp),
            np.array(starts, dtype=np.intp),
            np.repeat(np.arange(len(columns)), np.diff(bounds)),
            where[:, 0],
            where[:, 1],
            where[:, 2],
            np.array([r.coefficients for r in rows]).reshape(n, k, 3),
            # On the left of the centre the distance from it is its negative.
            np.array([r.sizes * [1.0, r.side, 1.0] for r in rows]).reshape(n, k, 3),
            where[:, 3] > 0,
        )

    @property
    def n_slots(self) -> int:
        """Number of columns that have pieces."""
        return len(self.columns)

    def within_region(self, problem: ExplanationProblem) -> Pieces:
        """Return the pieces with the bounds that a region leaves; empty ones have lower > upper."""
        low, high = problem.region.limits(problem.space, problem.instance)
        restricted = problem.region.restricted(problem.space) | problem.space.pinned
        column = self.columns[self.slot]
        missing = np.isnan(self.lower)
        with np.errstate(invalid="ignore"):
            lower = np.maximum(self.lower, low[column])
            upper = np.minimum(self.upper, high[column])
            lower = np.where(self.discrete, np.ceil(lower), lower)
            upper = np.where(self.discrete, np.floor(upper), upper)
        # A restricted column can neither become missing nor stop being so.
        absent = np.isnan(problem.instance[column])
        closed = restricted[column] & (missing != absent)
        lower = np.where(missing, np.nan, np.where(np.isnan(lower), np.inf, lower))
        upper = np.where(missing, np.nan, np.where(np.isnan(upper), -np.inf, upper))
        return replace(
            self, lower=np.where(closed, np.inf, lower), upper=np.where(closed, -np.inf, upper)
        )

    def holding(self, point: Point) -> npt.NDArray[np.intp]:
        """Return for each slot the piece that holds the value of a point.

        Raises
        ------
        DataError
            If a value is in no piece.
        """
        value = point[self.columns[self.slot]]
        with np.errstate(invalid="ignore"):
            held = (self.lower <= value) & (value <= self.upper)
        held |= np.isnan(self.lower) & np.isnan(value)
        first = _first(held, self.starts)
        if bool((first == len(self.slot)).any()):
            column = int(self.columns[int(np.argmax(first == len(self.slot)))])
            raise DataError(
                f"column {column} holds {float(point[column])!r}, which the model does not take"
            )
        return first

    def weighted(self, weights: tuple[float, ...], rounding: float) -> tuple[Floats, Floats]:
        """Return polynomials of a weighted score and of its rounding, ``(pieces, 3)`` each."""
        w = np.array(weights)
        polynomials = np.einsum("nkp,k->np", self.coefficients, w)
        errors = rounding * np.einsum("nkp,k->np", self.sizes, np.abs(w))
        return polynomials, errors

    def values(self, polynomials: Floats, pieces: npt.NDArray[np.intp], point: Point) -> Floats:
        """Return what the slots of a point add, shape ``(slots,)``."""
        y = np.nan_to_num(point[self.columns] - self.center[pieces])
        c = polynomials[pieces]
        return np.asarray(c[:, 0] + y * (c[:, 1] + y * c[:, 2]))

    def extremes(self, polynomials: Floats) -> Extremes:
        """Maximise polynomials of shape ``(pieces, 3)`` over the pieces of each slot."""
        missing = np.isnan(self.lower)
        low, high = self.lower - self.center, self.upper - self.center
        c0, c1, c2 = polynomials.T
        if not polynomials[:, 1:].any():  # tables: any value of a piece will do
            inside = np.where(
                np.isinf(self.lower), np.clip(0.0, self.lower, self.upper), self.lower
            )
            best = np.where(missing, c0, np.where(low > high, -np.inf, c0))
            return self._highest(best, inside)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            candidates = [self.lower, self.upper]
            if bool((c2 < 0).any()):
                vertex = np.where(c2 < 0, -c1 / (2 * c2), np.nan) + self.center
                vertex = np.minimum(np.maximum(vertex, self.lower), self.upper)
                candidates += [
                    np.where(self.discrete, np.floor(vertex), vertex),
                    np.where(self.discrete, np.ceil(vertex), vertex),
                ]
            best = np.full(len(c0), -np.inf)
            at = np.full(len(c0), np.nan)
            for x in candidates:
                y = x - self.center
                value = c0 + y * (c1 + y * c2)
                if bool(np.isinf(x).any()):
                    value = np.where(np.isinf(x), _at_infinity(y, c0, c1, c2), value)
                better = (value > best) & (self.lower <= x) & (x <= self.upper)
                best, at = np.where(better, value, best), np.where(better, x, at)
            # A polynomial that is constant at infinity has that value everywhere.
            flat = np.isinf(at) & np.isfinite(best)
            at = np.where(flat, np.clip(0.0, self.lower, self.upper), at)
        best = np.where(missing, c0, np.where(low > high, -np.inf, best))
        return self._highest(best, at)

    def _highest(self, best: Floats, at: Floats) -> Extremes:
        """Return the best piece of each slot."""
        top = np.maximum.reduceat(best, self.starts) if len(best) else best
        first = _first(best == top[self.slot], self.starts)
        return Extremes(top, at[first])


@dataclass(frozen=True, slots=True)
class _Cut:
    """One piece before it is put into arrays."""

    lower: float
    upper: float
    center: float
    coefficients: Floats
    sizes: Floats
    whole: bool
    side: float = 1.0


def _cuts(term: ColumnTerm, domain: Domain, name: str) -> list[_Cut]:
    low, high = domain.bounds
    cuts: list[_Cut] = []
    reached = low
    for i, (first, last) in enumerate(zip(term.lower.tolist(), term.upper.tolist(), strict=True)):
        first, last = max(first, low), min(last, high)
        if domain.is_discrete:
            first = first if math.isinf(first) else float(math.ceil(first))
            last = last if math.isinf(last) else float(math.floor(last))
        if first > last:
            continue
        if cuts:
            gap = first > (reached + 1 if domain.is_discrete else math.nextafter(reached, math.inf))
        else:
            gap = first > low
        if gap:
            raise DataError(_outside(name, domain))
        reached = last
        cuts += _split(term, i, first, last, domain)
    if not cuts or reached < high:
        raise DataError(_outside(name, domain))
    if domain.nullable:
        if term.missing is None:
            raise DataError(
                f"column {name!r} may be missing, but the model does not take missing values"
            )
        constant = np.zeros((term.n_outputs, 3))
        constant[:, 0] = term.missing
        cuts.append(_Cut(math.nan, math.nan, 0.0, constant, np.abs(constant), False))
    return cuts


def _split(term: ColumnTerm, i: int, first: float, last: float, domain: Domain) -> list[_Cut]:
    """Cut a piece at its centre, or into codes where a column has no order."""
    c, s, whole = term.coefficients[i], term.sizes[i], domain.is_discrete
    if whole and not isinstance(domain, Integers):
        if last - first >= _MOST_CODES:
            raise DataError(f"column {term.column} has more than {_MOST_CODES} codes")
        codes = np.arange(first, last + 1).tolist()
        return [
            _Cut(x, x, term.center, c, s, True, 1.0 if x >= term.center else -1.0) for x in codes
        ]
    center = term.center
    if first >= center or last <= center or not (c[:, 1:].any() or s[:, 1:].any()):
        return [_Cut(first, last, center, c, s, whole, 1.0 if first >= center else -1.0)]
    left, right = (math.floor(center), math.ceil(center)) if whole else (center, center)
    halves = ((first, float(left), -1.0), (float(right), last, 1.0))
    return [_Cut(a, b, center, c, s, whole, side) for a, b, side in halves if a <= b]


def _outside(name: str, domain: Domain) -> str:
    return f"column {name!r} may hold values of {domain.describe()} that the model does not take"


def _first(chosen: npt.NDArray[np.bool_], starts: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return the first chosen position of each run, the total length where there is none."""
    n = len(chosen)
    if not n:
        return np.zeros(0, dtype=np.intp)
    positions = np.where(chosen, np.arange(n), n)
    return np.minimum.reduceat(positions, starts)


def _at_infinity(y: Floats, c0: Floats, c1: Floats, c2: Floats) -> Floats:
    """Return the limit of a polynomial at plus or minus infinity."""
    slope = np.where(c1 != 0, c1 * np.sign(y) * np.inf, c0)
    return np.where(c2 != 0, c2 * np.inf, slope)

"""Training examples as small integers: what the search for literals counts.

Each feature gets one code per row: numbers by rank, then the names and the missing value
one code each.  A feature with many distinct numbers has coarse codes as well, bins of
neighbouring ranks that hold about equally many rows, so that counting touches little
memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from whyproof.asp.rules.literal import Literal, Operator
from whyproof.asp.rules.table import Column, Table
from whyproof.asp.rules.values import Value, text_of

__all__ = ["Candidate", "Codes", "Examples", "FeatureCodes", "Rows"]

Codes = npt.NDArray[np.int32] | npt.NDArray[np.uint16]
Rows = npt.NDArray[np.intp]
"""Numbers of examples, ascending."""

BINS = 512
"""Number of coarse bins of a feature with more distinct numbers than that."""


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A literal in codes; the order is that of preference among equally good ones.

    Parameters
    ----------
    feature
        Position of the feature.
    is_equality
        Whether it tests for one name, else for a number at most the one with rank
        `code`.
    negated
        Whether it is the complement of that.
    code
        Rank of the number, or position of the name behind the numbers.
    """

    feature: int
    is_equality: bool
    negated: bool
    code: int

    @property
    def test(self) -> tuple[int, bool, int]:
        """The test without its sign: a literal and its complement have the same one."""
        return self.feature, self.is_equality, self.code


@dataclass(frozen=True, eq=False)
class FeatureCodes:
    """One feature of the examples.

    Parameters
    ----------
    name
        Its name.
    numbers
        The distinct numbers, ascending.
    names
        The distinct values that are none, the missing value among them.
    fine
        Rank of each row's number, or ``len(numbers)`` plus the position of its name.
    coarse
        Bin of each row's number, or ``n_bins`` plus the position of its name; the fine
        codes themselves when they are few.
    starts
        Rank at which each bin starts, and the number of ranks at last, shape
        ``(n_bins + 1,)``.
    """

    name: str
    numbers: npt.NDArray[np.float64]
    names: tuple[Value, ...]
    fine: Codes
    coarse: Codes
    starts: npt.NDArray[np.int64]

    @property
    def n_bins(self) -> int:
        """Number of bins of numbers."""
        return len(self.starts) - 1

    @property
    def n_codes(self) -> int:
        """Number of coarse codes."""
        return self.n_bins + len(self.names)

    @cached_property
    def shadowed(self) -> tuple[int, ...]:
        """Positions of names that are also the text of a number: no literal tells them apart."""
        column = Column.numeric(self.numbers)
        return tuple(
            k for k, name in enumerate(self.names) if text_of(name) and column.equals(name).any()
        )

    @property
    def is_binned(self) -> bool:
        """Whether a bin holds more than one number."""
        return self.n_bins < len(self.numbers)

    @classmethod
    def of(cls, name: str, column: Column, bins: int = BINS) -> FeatureCodes:
        """Code a column."""
        if column.is_numeric:
            numbers, fine, names = _ranked(column.numbers)
        else:
            numbers, fine, names = _recoded(column)
        starts = np.arange(len(numbers) + 1)
        coarse = fine
        if len(numbers) > bins:
            starts, coarse = _binned(fine, len(numbers), len(names), bins)
        return cls(name, numbers, names, _small(fine), _small(coarse), starts)

    def holds(self, candidate: Candidate, rows: Rows) -> npt.NDArray[np.bool_]:
        """Tell for some rows whether they satisfy a literal on this feature."""
        codes = self.fine[rows]
        if candidate.is_equality:
            mask = codes == len(self.numbers) + candidate.code
        else:
            mask = codes <= candidate.code
        return np.asarray(~mask if candidate.negated else mask)

    def literal(self, candidate: Candidate) -> Literal:
        """Return the literal that a candidate stands for."""
        if candidate.is_equality:
            operator = Operator.NE if candidate.negated else Operator.EQ
            return Literal(self.name, operator, self.names[candidate.code])
        threshold = float(self.numbers[candidate.code])
        return Literal(self.name, Operator.LE, threshold, candidate.negated)


@dataclass(frozen=True, eq=False)
class Examples:
    """Coded features and the weight of each row.

    Parameters
    ----------
    features
        In the table's order.
    weights
        One positive weight per row; `None` when all are one.
    n_rows
        Number of rows.
    """

    features: tuple[FeatureCodes, ...]
    weights: npt.NDArray[np.float64] | None
    n_rows: int

    @classmethod
    def of(
        cls, table: Table, weights: npt.NDArray[np.float64] | None = None, bins: int = BINS
    ) -> Examples:
        """Code all columns of a table, numbers in about as many bins as given."""
        features = tuple(FeatureCodes.of(name, column, bins) for name, column in table.items())
        return cls(features, weights, table.n_rows)

    def weight(self, rows: Rows) -> float:
        """Return the summed weight of some rows."""
        return float(len(rows)) if self.weights is None else float(self.weights[rows].sum())

    def holds(self, candidate: Candidate, rows: Rows) -> npt.NDArray[np.bool_]:
        """Tell for some rows whether they satisfy a literal."""
        return self.features[candidate.feature].holds(candidate, rows)


def _ranked(
    values: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], tuple[Value, ...]]:
    numbers, ranks = np.unique(values, return_inverse=True)
    # NaN sorts behind all numbers and is one value: its rank is the missing value's code
    if len(numbers) and np.isnan(numbers[-1]):
        return numbers[:-1], ranks, (None,)
    return numbers, ranks, ()


def _recoded(
    column: Column,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], tuple[Value, ...]]:
    occurs = np.bincount(column.codes, minlength=len(column.values)) > 0
    sized = [
        (float(value), code)
        for code, value in enumerate(column.values)
        if occurs[code] and isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    sized.sort()
    others = [
        code
        for code in np.flatnonzero(occurs).tolist()
        if code not in {number_code for _, number_code in sized}
    ]
    recode = np.zeros(len(column.values), dtype=np.int64)
    for rank, code in enumerate([code for _, code in sized] + others):
        recode[code] = rank
    numbers = np.array([number for number, _ in sized], dtype=np.float64)
    fine = recode[column.codes] if len(recode) else column.codes
    return numbers, fine, tuple(column.values[code] for code in others)


def _binned(
    fine: npt.NDArray[np.int64], n_numbers: int, n_names: int, bins: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    counts = np.bincount(fine, minlength=n_numbers + n_names)[:n_numbers]
    before = np.cumsum(counts) - counts
    bin_of = before * bins // max(1, int(counts.sum()))
    _, first, bin_of = np.unique(bin_of, return_index=True, return_inverse=True)
    starts = np.append(first, n_numbers)
    coarse_of = np.append(bin_of, len(first) + np.arange(n_names))
    return starts, coarse_of[fine]


def _small(codes: npt.NDArray[np.int64]) -> Codes:
    if int(codes.max(initial=0)) < 2**16:
        return codes.astype(np.uint16)
    return codes.astype(np.int32)

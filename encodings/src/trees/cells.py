"""Cells: the finitely many values of a column that a tree ensemble can tell apart.

The splits of an ensemble cut every column into cells on which all its trees agree.
Inside the cells nothing remains of casts, strict or non-strict comparison, missing
values or categories: a cell goes left or right at a split, and that is all.  Cells that
hold no admissible value (no whole number, nothing inside the domain) do not exist.

Boundaries are moved from the model's input grid to float64 once, here: ``cast(x) < b``
holds exactly when ``x < widen(b)``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whyproof.engine.domain import Categories, Domain
from whyproof.engine.errors import DataError

from .ensemble import ZERO_SIZE, InputType, Tree, TreeEnsemble

__all__ = ["Cell", "ColumnCells", "Runs", "SplitKey", "column_cells", "widen"]

_MOST_CODES = 1_000_000

SplitKey = tuple[int, int]
"""Tree number and node number of a split."""

Runs = tuple[tuple[int, int], ...]
"""Cells that go left, as sorted, separate runs ``(first, last + 1)``."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Values that no split separates.

    Parameters
    ----------
    lower, upper
        Smallest and largest admissible value, both included; NaN for the missing value.
    codes
        The codes of a categorical cell, ascending; empty for a numeric one.
    """

    lower: float
    upper: float
    codes: tuple[int, ...] = ()

    @property
    def is_missing(self) -> bool:
        """Whether this is the cell of the missing value."""
        return math.isnan(self.lower)


@dataclass(frozen=True, eq=False)
class ColumnCells:
    """The cells of one column in a fixed order, and how each split divides them.

    Parameters
    ----------
    cells
        At least one.
    domain
        The column's domain.
    input_type
        Grid of the model's inputs, preferred when a value has to be picked.
    splits
        For every split on the column the cells that go left.
    """

    cells: tuple[Cell, ...]
    domain: Domain
    input_type: InputType
    splits: dict[SplitKey, Runs]

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def is_ascending(self) -> bool:
        """Whether the cells are intervals in ascending order without the missing value."""
        pairs = itertools.pairwise(self.cells)
        return not self.cells[0].is_missing and all(a.upper < b.lower for a, b in pairs)

    def locate(self, value: float) -> int:
        """Return the cell of an admissible value.

        Raises
        ------
        DataError
            If no cell holds it.
        """
        missing = math.isnan(value)
        for i, cell in enumerate(self.cells):
            if missing or cell.is_missing:
                if missing and cell.is_missing:
                    return i
            elif cell.codes:
                if value in cell.codes:
                    return i
            elif cell.lower <= value <= cell.upper:
                return i
        raise DataError(f"the value {value!r} is not in {self.domain.describe()}")

    def only(self, kept: Sequence[int]) -> ColumnCells:
        """Return the column with some of its cells, in the order they have."""
        keep = sorted(kept)

        def narrowed(runs: Runs) -> Runs:
            left = np.zeros(len(self.cells), dtype=np.bool_)
            for first, end in runs:
                left[first:end] = True
            return _runs(left[keep])

        return ColumnCells(
            tuple(self.cells[i] for i in keep),
            self.domain,
            self.input_type,
            {key: narrowed(runs) for key, runs in self.splits.items()},
        )

    def edges(self) -> npt.NDArray[np.float64]:
        """Return the smallest and the largest value of each numeric cell on the grid.

        Shape ``(2, cells)``; where no value of a cell is on the grid, off the grid.
        """
        lower = np.array([cell.lower for cell in self.cells])
        upper = np.array([cell.upper for cell in self.cells])
        if self.domain.is_discrete or self.input_type == "float64":
            return np.stack([lower, upper])
        with np.errstate(over="ignore"):
            first, last = lower.astype(np.float32), upper.astype(np.float32)
            first = np.where(first < lower, np.nextafter(first, np.float32(np.inf)), first)
            last = np.where(last > upper, np.nextafter(last, np.float32(-np.inf)), last)
        first, last = first.astype(np.float64), last.astype(np.float64)
        return np.stack(
            [np.where(first <= upper, first, lower), np.where(last >= lower, last, upper)]
        )

    def pick(self, cell: int, toward: float, lower: float, upper: float) -> float | None:
        """Return an admissible value of a cell, the nearest to `toward` that is on the grid.

        Parameters
        ----------
        cell
            Index of the cell.
        toward
            Where the value should be near; may be NaN.
        lower, upper
            Limits from the region, both included; NaN means that only the missing value
            is allowed.

        Returns
        -------
        float or None
            `None` if the cell holds no value within the limits.
        """
        held = self.cells[cell]
        if held.is_missing:
            return math.nan
        if held.codes:
            allowed = [code for code in held.codes if lower <= code <= upper]
            return float(allowed[0]) if allowed else None
        low, high = max(held.lower, lower), min(held.upper, upper)
        return _nearest(low, high, toward, self.domain.is_discrete, self.input_type)


def column_cells(ensemble: TreeEnsemble, column: int, domain: Domain) -> ColumnCells:
    """Cut one column into cells.

    Parameters
    ----------
    ensemble
        The model.
    column
        Which column.
    domain
        Its admissible values.

    Raises
    ------
    DataError
        If the column has categorical splits and a domain that is not discrete.
    """
    keys = [
        (t, int(node))
        for t, tree in enumerate(ensemble.trees)
        for node in np.flatnonzero(tree.column == column)
    ]
    categorical = any(node in ensemble.trees[t].categories for t, node in keys)
    if categorical and not domain.is_discrete:
        raise DataError(
            f"column {column} has categorical splits; its domain must be categories or "
            f"whole numbers, not {domain.describe()}"
        )
    if categorical or isinstance(domain, Categories):
        cells = _code_cells(ensemble, column, keys, domain)
    else:
        cells = _interval_cells(ensemble, keys, domain)
    if domain.nullable:
        cells.append(Cell(math.nan, math.nan))
    if not cells:
        raise DataError(f"no value of column {column} is admissible in {domain.describe()}")
    if (
        not categorical
        and not domain.nullable
        and not any(_zero_missing(ensemble.trees[t], n) for t, n in keys)
    ):
        # The common case: cells in ascending order, each split sends a prefix left.
        lowers = np.array([cell.lower for cell in cells])
        prefix = np.searchsorted(
            lowers,
            [widen(float(ensemble.trees[t].boundary[n]), ensemble.input_type) for t, n in keys],
        ).tolist()
        prefixes: dict[SplitKey, Runs] = {
            key: ((0, int(k)),) if k else () for key, k in zip(keys, prefix, strict=True)
        }
        return ColumnCells(tuple(cells), domain, ensemble.input_type, prefixes)
    left = _goes_left(ensemble, keys, cells)
    order = _order(cells, left, categorical)
    cells = [cells[i] for i in order]
    splits = {key: _runs(left[row, order]) for row, key in enumerate(keys)}
    return ColumnCells(tuple(cells), domain, ensemble.input_type, splits)


def widen(boundary: float, input_type: InputType) -> float:
    """Return the smallest float64 that casts to at least `boundary`.

    Examples
    --------
    >>> boundary = float(np.float32(0.1))
    >>> first = widen(boundary, "float32")
    >>> first < boundary, float(np.float32(first)) == boundary
    (True, True)
    """
    if input_type == "float64" or not math.isfinite(boundary):
        return boundary
    above = np.float32(boundary)
    below = np.nextafter(above, np.float32(-np.inf))
    if not math.isfinite(float(below)):
        return boundary
    middle = (float(below) + float(above)) / 2
    return middle if np.float32(middle) >= above else math.nextafter(middle, math.inf)


def _interval_cells(ensemble: TreeEnsemble, keys: Sequence[SplitKey], domain: Domain) -> list[Cell]:
    cuts = {widen(float(ensemble.trees[t].boundary[n]), ensemble.input_type) for t, n in keys}
    if any(_zero_missing(ensemble.trees[t], n) for t, n in keys):
        beyond = (
            math.nextafter(ZERO_SIZE, 1.0)
            if ensemble.input_type == "float64"
            else float(np.nextafter(np.float32(ZERO_SIZE), np.float32(1)))
        )
        cuts |= {widen(-ZERO_SIZE, ensemble.input_type), widen(beyond, ensemble.input_type)}
    edges = [-math.inf, *sorted(c for c in cuts if c > -math.inf), math.inf]
    low, high = domain.bounds
    cells: list[Cell] = []
    for start, stop in itertools.pairwise(edges):
        lower = max(start, low)
        upper = min(high, math.nextafter(stop, -math.inf) if stop < math.inf else math.inf)
        if domain.is_discrete:
            lower = lower if math.isinf(lower) else float(math.ceil(lower))
            upper = upper if math.isinf(upper) else float(math.floor(upper))
        if lower <= upper and lower < math.inf and upper > -math.inf:
            cells.append(Cell(lower, upper))
    return cells


def _code_cells(
    ensemble: TreeEnsemble, column: int, keys: Sequence[SplitKey], domain: Domain
) -> list[Cell]:
    low, high = domain.bounds
    if math.isfinite(low) and math.isfinite(high):
        if high - low >= _MOST_CODES:
            raise DataError(f"column {column} has more than {_MOST_CODES} codes")
        codes = list(range(int(low), int(high) + 1))
    else:
        # Every code that no split lists behaves like any other such code.
        named = {c for t, n in keys for c in ensemble.trees[t].categories.get(n, frozenset())}
        codes = [c for c in sorted(named | {max(named, default=-1) + 1}) if low <= c <= high]
    single = [Cell(float(code), float(code), (code,)) for code in codes]
    left = _goes_left(ensemble, keys, single)
    together: dict[bytes, list[int]] = {}
    for i, code in enumerate(codes):
        together.setdefault(left[:, i].tobytes(), []).append(code)
    return [Cell(float(g[0]), float(g[-1]), tuple(g)) for g in together.values()]


def _goes_left(
    ensemble: TreeEnsemble, keys: Sequence[SplitKey], cells: Sequence[Cell]
) -> npt.NDArray[np.bool_]:
    """Evaluate every split on one value of every cell, shape ``(splits, cells)``."""
    values = np.array([_sample(cell) for cell in cells])
    cast = ensemble.cast(values[:, None])[:, 0]
    left = np.zeros((len(keys), len(cells)), dtype=np.bool_)
    for row, (t, node) in enumerate(keys):
        tree = ensemble.trees[t]
        left[row] = tree.goes_left(np.full(len(cells), node), cast)
    return left


def _sample(cell: Cell) -> float:
    if cell.is_missing or math.isfinite(cell.lower):
        return cell.lower
    return cell.upper if math.isfinite(cell.upper) else 0.0


def _zero_missing(tree: Tree, node: int) -> bool:
    return tree.zero_missing is not None and bool(tree.zero_missing[node])


def _order(
    cells: Sequence[Cell], left: npt.NDArray[np.bool_], categorical: bool
) -> npt.NDArray[np.intp]:
    """Order cells so that few splits need more than one run."""
    n = len(cells)
    if categorical:
        # Lexicographic order of the sides puts cells that mostly go together side by side.
        return np.lexsort((~left)[::-1]) if len(left) else np.arange(n)
    missing = [i for i, cell in enumerate(cells) if cell.is_missing]
    present = [i for i, cell in enumerate(cells) if not cell.is_missing]
    goes_left = bool(missing) and bool(2 * left[:, missing].sum() > len(left))
    return np.array(missing + present if goes_left else present + missing, dtype=np.intp)


def _runs(left: npt.NDArray[np.bool_]) -> Runs:
    padded = np.concatenate(([False], left, [False])).astype(np.int8)
    edges = np.diff(padded)
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return tuple(zip(starts.tolist(), stops.tolist(), strict=True))


def _nearest(
    low: float, high: float, toward: float, discrete: bool, input_type: InputType
) -> float | None:
    if discrete:
        low = low if math.isinf(low) else float(math.ceil(low))
        high = high if math.isinf(high) else float(math.floor(high))
    if not low <= high:
        return None
    if math.isnan(toward):
        toward = 0.0
    value = min(max(toward, low), high)
    if discrete or input_type == "float64" or value == toward:
        return value
    # A value on the model's own grid survives being stored and cast again.
    rounded = float(np.float32(value))
    for candidate in (
        rounded,
        float(np.nextafter(np.float32(value), np.float32(np.inf))),
        float(np.nextafter(np.float32(value), np.float32(-np.inf))),
    ):
        if low <= candidate <= high:
            return candidate
    return value

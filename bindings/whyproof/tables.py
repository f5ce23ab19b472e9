"""Tables: rows as their owner writes them, before any model sees them.

A table comes from a CSV file (also gzipped), a Parquet file, a data frame or an array.
Its cells are numbers, words or missing; what a word means to a model is settled by a
feature space (`whyproof.spaces`).  Every complaint names the line and the column.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import DataError
from whyproof.engine.names import did_you_mean, first_duplicate
from whyproof.engine.space import FeatureSpace, Point, Points

__all__ = ["DEFAULT_MAX_BYTES", "DEFAULT_MISSING", "Table", "TableColumn", "read_table"]

DEFAULT_MAX_BYTES = 2 * 1024**3
"""Largest file, and largest unpacked text, that is read unless another limit is given."""

DEFAULT_MISSING = ("", "NA", "N/A", "NaN", "nan", "null")
"""Cells of a CSV file that stand for the missing value."""


@dataclass(frozen=True, eq=False)
class TableColumn:
    """One column: numbers, or words.

    Parameters
    ----------
    name
        Unique in its table.
    numbers
        Shape ``(rows,)``, NaN where missing; `None` for a column of words.
    words
        Cells of a column that is not numeric, `None` where missing; else empty.
    """

    name: str
    numbers: npt.NDArray[np.float64] | None
    words: tuple[Hashable, ...] = ()

    def __len__(self) -> int:
        return len(self.words) if self.numbers is None else len(self.numbers)

    @cached_property
    def is_missing(self) -> npt.NDArray[np.bool_]:
        """Where the cell is missing, shape ``(rows,)``."""
        if self.numbers is not None:
            return np.isnan(self.numbers)
        return np.array([word is None for word in self.words], dtype=np.bool_)

    @cached_property
    def is_whole(self) -> bool:
        """Whether all numbers are whole (and there are some)."""
        if self.numbers is None:
            return False
        present = self.numbers[~self.is_missing]
        return bool(present.size) and bool((present == np.floor(present)).all())

    def value(self, row: int) -> object:
        """Return a cell as its owner knows it; whole numbers of a whole column as `int`."""
        if self.numbers is None:
            return self.words[row]
        number = float(self.numbers[row])
        if np.isnan(number):
            return None
        return int(number) if self.is_whole else number

    @property
    def values(self) -> tuple[object, ...]:
        """All cells, top down."""
        return tuple(self.value(row) for row in range(len(self)))


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of named columns, and perhaps a label for each.

    Parameters
    ----------
    columns
        All of the same length, without the label.
    label
        The column of labels, if one was set apart.
    source
        File name or kind of object, for messages.
    lines
        Line of the file on which each row ends, shape ``(rows,)``; `None` if it is no
        text file.
    has_names
        False if the names were made up, for want of a header: columns then match by
        position.

    Raises
    ------
    DataError
        For no columns, no rows or repeated names.

    Examples
    --------
    >>> table = Table.of({"age": [30.0, None], "job": ["clerk", "cook"]})
    >>> table.names, table.n_rows, table.row(1)
    (('age', 'job'), 2, (None, 'cook'))
    """

    columns: tuple[TableColumn, ...]
    label: TableColumn | None = None
    source: str = "the table"
    lines: npt.NDArray[np.int64] | None = field(default=None, repr=False)
    has_names: bool = True

    def __post_init__(self) -> None:
        if not self.columns:
            raise DataError(f"{self.source} has no columns besides the label")
        twice = first_duplicate(self.names)
        if twice is not None:
            raise DataError(f"{self.source} has two columns named {twice!r}; names must be unique")
        if self.n_rows == 0:
            raise DataError(f"{self.source} has no rows")
        lengths = {len(column) for column in self.columns}
        if self.label is not None:
            lengths.add(len(self.label))
        if len(lengths) != 1:
            raise DataError(f"the columns of {self.source} differ in length: {sorted(lengths)}")

    @classmethod
    def of(cls, columns: dict[str, Sequence[object]], source: str = "the table") -> Table:
        """Build a table from cells by column name; `None` is missing."""
        made = tuple(column_of(name, cells, source) for name, cells in columns.items())
        return cls(made, source=source)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.columns[0])

    @property
    def n_columns(self) -> int:
        """Number of columns, without the label."""
        return len(self.columns)

    @property
    def labels(self) -> tuple[object, ...] | None:
        """The label of each row as its owner writes it; `None` without a label column."""
        return None if self.label is None else self.label.values

    def row(self, index: int) -> tuple[object, ...]:
        """Return one row's cells.

        Raises
        ------
        DataError
            If there is no such row; rows count from 0.
        """
        self.check_row(index)
        return tuple(column.value(index) for column in self.columns)

    def check_row(self, index: int) -> None:
        """Refuse a row number that the table does not have."""
        if not 0 <= index < self.n_rows:
            raise DataError(
                f"row {index} does not exist; {self.source} has rows 0 to {self.n_rows - 1}"
            )

    def column(self, name: str) -> TableColumn:
        """Return a column by name.

        Raises
        ------
        DataError
            If there is none; the message offers the nearest name.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise DataError(f"{self.source} has no column {name!r}{did_you_mean(name, self.names)}")

    def with_label(self, name: str) -> Table:
        """Set one column apart as label."""
        chosen = self.column(name)
        rest = tuple(column for column in self.columns if column is not chosen)
        return replace(self, columns=rest, label=chosen)

    def select(self, names: Sequence[str]) -> Table:
        """Return the table with these columns in this order."""
        chosen = tuple(self.column(name) for name in names)
        return replace(self, columns=chosen)

    def renamed(self, names: Sequence[str]) -> Table:
        """Return the table with other names for its columns."""
        made = tuple(
            TableColumn(name, column.numbers, column.words)
            for name, column in zip(names, self.columns, strict=True)
        )
        return replace(self, columns=made, has_names=True)

    def where(self, row: int, column: str) -> str:
        """Say where a cell stands: ``data.csv, line 7, column 'age'``."""
        place = f"row {row}" if self.lines is None else f"line {int(self.lines[row])}"
        return f"{self.source}, {place}, column {column!r}"

    def points(self, space: FeatureSpace, rows: Sequence[int] | None = None) -> Points:
        """Encode rows as points of a space.

        Parameters
        ----------
        space
            Its columns are looked up in the table by name; by position if the table's
            names were made up.
        rows
            Which rows; all by default.

        Returns
        -------
        Shape ``(rows, columns)``.

        Raises
        ------
        DataError
            For an absent column, or a cell outside its domain, with line and column.
        """
        expected = [column.name for column in space.columns]
        if self.has_names or len(expected) != self.n_columns:
            own_columns = [self.column(name) for name in expected]
        else:
            own_columns = list(self.columns)
        chosen = range(self.n_rows) if rows is None else rows
        for row in chosen:
            self.check_row(row)
        index = np.array(chosen, dtype=np.intp)
        points = np.empty((len(index), space.n_columns))
        for i, (own, wanted) in enumerate(zip(own_columns, space.columns, strict=True)):
            domain = wanted.domain
            if own.numbers is not None and hasattr(domain, "lower"):
                points[:, i] = own.numbers[index]
                low, high = domain.bounds
                bad = (points[:, i] < low) | (points[:, i] > high)
                if domain.is_discrete:
                    bad |= points[:, i] != np.floor(points[:, i])
                bad &= ~np.isnan(points[:, i])
                if not domain.nullable:
                    bad |= np.isnan(points[:, i])
                suspects = np.flatnonzero(bad).tolist()
            else:
                suspects = list(range(len(index)))
            for k in suspects:
                try:
                    points[k, i] = domain.encode(own.value(int(index[k])))
                except DataError as error:
                    raise DataError(f"{self.where(int(index[k]), own.name)}: {error}") from None
        return points

    def point(self, space: FeatureSpace, row: int) -> Point:
        """Encode one row as a point of a space, shape ``(columns,)``."""
        return np.asarray(self.points(space, [row])[0], dtype=np.float64)


def read_table(
    source: object,
    label: str | int | None = None,
    *,
    names: Sequence[str] | None = None,
    missing: Collection[str] = DEFAULT_MISSING,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Table:
    """Read a table from a file, a data frame or an array.

    Parameters
    ----------
    source
        Path to a ``.csv``, ``.csv.gz`` or ``.parquet`` file; a pandas data frame; or an
        array of shape ``(rows, columns)``.
    label
        Name (or position, for arrays) of the column that holds labels: it is set apart.
    names
        Column names, for arrays and for CSV files without a header; ``f0``, ``f1``, ...
        by default.
    missing
        Cells of a CSV file that stand for the missing value.
    max_bytes
        Largest file that is read, and largest text that it may unpack to.

    Returns
    -------
    A column of a CSV file is numeric if all its present cells are numbers.

    Raises
    ------
    DataError
        For a file that cannot be read, a ragged row, repeated or empty names, or an
        infinite number; with the line.
    MissingExtraError
        For Parquet without pyarrow.

    Examples
    --------
    >>> read_table(np.eye(2), names=["a", "b"]).row(0)
    (1, 0)
    """
    if isinstance(source, Table):
        table = source
    elif isinstance(source, str | os.PathLike):
        from .table_files import read_table_file

        table = read_table_file(
            Path(os.fspath(source)), names=names, missing=missing, max_bytes=max_bytes
        )
    elif hasattr(source, "columns") and hasattr(source, "iloc"):
        table = _from_frame(source)
    else:
        table = _from_array(source, names)
    if label is None:
        return table
    if isinstance(label, int):
        if not -table.n_columns <= label < table.n_columns:
            raise DataError(f"{table.source} has no column number {label} to take labels from")
        label = table.names[label]
    return table.with_label(label)


def column_of(name: str, cells: Sequence[object], source: str) -> TableColumn:
    """Build a column from cells; numeric if all present ones are numbers.

    Raises
    ------
    DataError
        For an infinite number.
    """
    present = [cell for cell in cells if not _is_missing(cell)]
    numeric = all(
        isinstance(cell, int | float | np.integer | np.floating)
        and not isinstance(cell, bool | np.bool_)
        for cell in present
    )
    if numeric:
        numbers = np.array(
            [np.nan if _is_missing(cell) else cell for cell in cells], dtype=np.float64
        )
        return numeric_column(name, numbers, source)
    words: list[Hashable] = []
    for cell in cells:
        value = getattr(cell, "item", None)
        plain: Any = value() if callable(value) else cell
        words.append(None if _is_missing(cell) else plain)
    return TableColumn(name, None, tuple(words))


def numeric_column(name: str, numbers: npt.NDArray[np.float64], source: str) -> TableColumn:
    """Build a numeric column, without infinities."""
    infinite = np.isinf(numbers)
    if bool(infinite.any()):
        row = int(np.argmax(infinite))
        raise DataError(f"{source}, row {row}, column {name!r}: infinite numbers are not allowed")
    return TableColumn(name, numbers)


def _from_frame(frame: Any) -> Table:  # noqa: ANN401
    names = [str(name) for name in frame.columns]
    source = "the data frame"
    columns: list[TableColumn] = []
    for position, name in enumerate(names):
        series = frame.iloc[:, position]
        kind = getattr(series.dtype, "kind", "O")
        if kind in "mM":
            raise DataError(f"column {name!r} of {source} holds times; turn them into numbers")
        if kind in "iuf" and str(series.dtype) != "category":
            numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
            columns.append(numeric_column(name, numbers, source))
        else:
            columns.append(column_of(name, series.astype(object).tolist(), source))
    return Table(tuple(columns), source=source)


def _from_array(source: object, names: Sequence[str] | None) -> Table:
    array = np.asarray(source)
    named = names is not None
    if array.ndim != 2:
        raise DataError(f"a table has rows and columns, found an array of shape {array.shape}")
    if names is None:
        names = [f"f{i}" for i in range(array.shape[1])]
    if len(names) != array.shape[1]:
        raise DataError(f"the array has {array.shape[1]} columns, {len(names)} names were given")
    what = "the array"
    if array.dtype.kind in "iuf":
        numbers = array.astype(np.float64)
        columns = [numeric_column(str(n), numbers[:, i], what) for i, n in enumerate(names)]
    else:
        columns = [column_of(str(n), array[:, i].tolist(), what) for i, n in enumerate(names)]
    return Table(tuple(columns), source=what, has_names=named)


def _is_missing(cell: object) -> bool:
    if cell is None:
        return True
    # pandas' NA is equal to nothing, itself included, and has no truth value.
    return type(cell).__name__ in ("NAType", "NaTType") or bool(cell != cell)

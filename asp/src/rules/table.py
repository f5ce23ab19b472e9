"""Tables as rules see them: named columns of numbers, names, or both.

A column keeps what both kinds of comparison need: the number of each row (NaN where the
value is none) and an integer code of its canonical text.  Either is computed when it is
first asked for, once, and shared by all rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import DataError
from whyproof.engine.names import did_you_mean, first_duplicate

from .values import Value, is_missing, number_of, text_of

__all__ = ["Column", "Table"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


class Column:
    """The values of one feature, one per row.

    Use `numeric` for arrays of numbers and `of` for anything else.

    Examples
    --------
    >>> column = Column.of([3, "old", None, 3.0])
    >>> column.numbers.tolist(), column.texts, column.codes.tolist()
    ([3.0, nan, nan, 3.0], ('', '3', 'old'), [1, 2, 0, 1])
    """

    def __init__(
        self,
        numbers: Numbers | None,
        codes: Codes | None = None,
        values: Sequence[Value] | None = None,
    ) -> None:
        self._numbers = numbers
        self._codes = codes
        self._values = None if values is None else tuple(values)

    @classmethod
    def numeric(cls, numbers: npt.ArrayLike) -> Column:
        """Wrap numbers, NaN for the missing value, shape ``(rows,)``."""
        return cls(np.asarray(numbers, dtype=np.float64))

    @classmethod
    def coded(cls, codes: npt.ArrayLike, values: Sequence[Value]) -> Column:
        """Wrap codes into a list of distinct values, shape ``(rows,)``; -1 is missing."""
        given = np.asarray(codes, dtype=np.int64)
        known: list[Value] = [None if is_missing(value) else value for value in values]
        if bool((given < 0).any()):
            known.append(None)
            given = np.where(given < 0, len(known) - 1, given)
        # a number and a name may share a text, yet only the number has a size
        keys = [(text_of(value), np.isnan(number_of(value))) for value in known]
        order = sorted(set(keys))
        rank = {key: k for k, key in enumerate(order)}
        distinct = dict(zip(reversed(keys), reversed(known), strict=True))
        recode = np.array([rank[key] for key in keys], dtype=np.int64)
        return cls(None, recode[given] if len(known) else given, [distinct[key] for key in order])

    @classmethod
    def of(cls, values: Column | Iterable[object] | npt.NDArray[Any]) -> Column:
        """Read any sequence of values: numbers, names, truth values, missing ones."""
        if isinstance(values, Column):
            return values
        array = np.asarray(values) if isinstance(values, np.ndarray) else None
        if array is not None and array.dtype.kind in "iuf":
            return cls.numeric(array)
        if array is not None and array.dtype.kind == "U":
            known, codes = np.unique(array, return_inverse=True)
            return cls.coded(codes, [str(value) for value in known])
        index: dict[tuple[bool, object], int] = {}
        coded: list[int] = []
        for value in values if array is None else array.tolist():
            plain = _plain(value)
            # True == 1 in Python, but they are different values here
            key = (isinstance(plain, bool), plain)
            coded.append(index.setdefault(key, len(index)))
        distinct: list[Any] = [value for _, value in index]
        if distinct and all(
            is_missing(value) or not np.isnan(number_of(value)) for value in distinct
        ):
            known_numbers = np.array([number_of(value) for value in distinct])
            return cls.numeric(known_numbers[np.array(coded, dtype=np.int64)])
        return cls.coded(np.array(coded, dtype=np.int64), distinct)

    def __len__(self) -> int:
        return len(self._numbers if self._codes is None else self._codes)  # type: ignore[arg-type]

    @property
    def is_numeric(self) -> bool:
        """Whether every value is a number or missing."""
        return self._codes is None

    @property
    def is_mixed(self) -> bool:
        """Whether some values are numbers and some are names."""
        return not self.is_numeric and any(not np.isnan(number_of(v)) for v in self.values)

    @cached_property
    def numbers(self) -> Numbers:
        """Each row's number, NaN where its value is none, shape ``(rows,)``."""
        if self._numbers is not None:
            return self._numbers
        known = np.array([number_of(value) for value in self.values], dtype=np.float64)
        return known[self.codes] if len(known) else np.zeros(0)

    @cached_property
    def _coding(self) -> tuple[Codes, tuple[Value, ...]]:
        if self._codes is not None and self._values is not None:
            return self._codes, self._values
        known, codes = np.unique(self.numbers, return_inverse=True)
        column = Column.coded(codes, [None if np.isnan(x) else float(x) for x in known])
        return column.codes, column.values

    @property
    def codes(self) -> Codes:
        """Each row's position in `values`, shape ``(rows,)``."""
        return self._coding[0]

    @property
    def values(self) -> tuple[Value, ...]:
        """The distinct values, in the order of their canonical texts."""
        return self._coding[1]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The canonical texts of `values`, ascending; a number and a name may share one."""
        return tuple(text_of(value) for value in self.values)

    def equals(self, value: Value) -> npt.NDArray[np.bool_]:
        """Tell for each row whether it has this value, shape ``(rows,)``."""
        text = text_of(value)
        if self.is_numeric:
            if not text:
                return np.isnan(self.numbers)
            try:
                number = float(text)
            except ValueError:
                return np.zeros(len(self), dtype=np.bool_)
            if text_of(number) != text:
                return np.zeros(len(self), dtype=np.bool_)
            return np.asarray(self.numbers == number)
        mask = np.zeros(len(self), dtype=np.bool_)
        for code, known in enumerate(self.texts):
            if known == text:
                mask |= self.codes == code
        return mask

    def value(self, row: int) -> Value:
        """Return one row's value."""
        if self.is_numeric:
            number = float(self.numbers[row])
            return None if np.isnan(number) else number
        return self.values[int(self.codes[row])]

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Column:
        """Return the column for some rows."""
        if self._codes is None or self._values is None:
            return Column(self.numbers[rows])
        return Column(None, self._codes[rows], self._values)


class Table(Mapping[str, Column]):
    """Columns by feature name, all of one length.

    Examples
    --------
    >>> table = Table.of({"age": [31, 40], "job": ["clerk", None]})
    >>> table.n_rows, table.row(1)
    (2, {'age': 40.0, 'job': None})
    """

    def __init__(self, columns: Mapping[str, Column], n_rows: int | None = None) -> None:
        self._columns = dict(columns)
        lengths = {len(column) for column in self._columns.values()}
        if n_rows is not None:
            lengths.add(n_rows)
        if len(lengths) > 1:
            raise DataError(f"columns of different lengths: {sorted(lengths)} rows")
        self.n_rows = lengths.pop() if lengths else 0

    @classmethod
    def of(cls, data: object, names: Sequence[str] | None = None) -> Table:
        """Read a table from columns, rows or an array.

        Parameters
        ----------
        data
            A `Table`; a mapping from name to values; a pandas-like frame; a sequence of
            mappings (one per row); or a two-dimensional array or sequence with `names`.
        names
            Column names for data without them; ``x0``, ``x1``, ... by default.

        Raises
        ------
        DataError
            If the data has another shape or the names do not fit.
        """
        if isinstance(data, Table):
            return data
        frame: Any = data
        if hasattr(data, "columns") and hasattr(data, "dtypes"):
            labels = [str(label) for label in frame.columns]
            _refuse_duplicates(labels)
            return cls({name: _series(frame.iloc[:, k]) for k, name in enumerate(labels)})
        if isinstance(data, Mapping):
            return cls({str(name): Column.of(values) for name, values in frame.items()})
        if isinstance(data, Sequence) and data and isinstance(data[0], Mapping):
            found = list(dict.fromkeys(name for row in frame for name in row))
            return cls({str(name): Column.of([row.get(name) for row in frame]) for name in found})
        return cls._of_array(frame, names)

    @classmethod
    def _of_array(cls, data: Any, names: Sequence[str] | None) -> Table:  # noqa: ANN401
        array = data if isinstance(data, np.ndarray) else np.array(data, dtype=object)
        if array.ndim != 2:
            raise DataError(
                f"a table has rows and columns; found {array.ndim} dimension(s), give a "
                "two-dimensional array, a frame, or columns by name"
            )
        given = [f"x{k}" for k in range(array.shape[1])] if names is None else list(names)
        if len(given) != array.shape[1]:
            raise DataError(f"the table has {array.shape[1]} columns but {len(given)} names")
        _refuse_duplicates(given)
        return cls({name: Column.of(array[:, k]) for k, name in enumerate(given)})

    def __getitem__(self, name: str) -> Column:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in order."""
        return tuple(self._columns)

    def column(self, name: str) -> Column:
        """Return a column.

        Raises
        ------
        DataError
            If there is none of this name; a similar name is suggested.
        """
        if name not in self._columns:
            raise DataError(f"no feature {name!r} in the table{did_you_mean(name, self.names)}")
        return self._columns[name]

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Table:
        """Return the table for some rows, by number or by mask."""
        n_rows = int(np.count_nonzero(rows)) if rows.dtype == np.bool_ else len(rows)
        taken = {name: column.take(rows) for name, column in self._columns.items()}
        return Table(taken, n_rows)

    def select(self, names: Iterable[str]) -> Table:
        """Return the table with some of its columns.

        Raises
        ------
        DataError
            If a name is unknown.
        """
        return Table({name: self.column(name) for name in names}, self.n_rows)

    def row(self, number: int) -> dict[str, Value]:
        """Return one row as values by feature name."""
        return {name: column.value(number) for name, column in self._columns.items()}


def _refuse_duplicates(names: Sequence[str]) -> None:
    twice = first_duplicate(names)
    if twice is not None:
        raise DataError(f"two columns are named {twice!r}; names must be unique")


def _plain(value: Any) -> Value:  # noqa: ANN401
    if is_missing(value):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (str, int, float)):
        return None if is_missing(value) else value
    return None if value is not value or str(value) == "<NA>" else str(value)


def _series(series: Any) -> Column:  # noqa: ANN401
    """Read a pandas series without importing pandas."""
    kind = getattr(series.dtype, "kind", "O")
    if kind in "iuf":
        return Column.numeric(series.to_numpy(dtype=np.float64, na_value=np.nan))
    codes, known = series.factorize()
    return _from_distinct(np.asarray(codes, dtype=np.int64), [_plain(value) for value in known])


def _from_distinct(codes: Codes, distinct: list[Value]) -> Column:
    numbers = [number_of(value) for value in distinct]
    if distinct and not any(
        np.isnan(x) and not is_missing(v) for x, v in zip(numbers, distinct, strict=True)
    ):
        known = np.array([*numbers, np.nan])
        return Column.numeric(known[codes])
    return Column.coded(codes, distinct)

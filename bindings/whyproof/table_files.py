"""Table files: CSV through the standard library, Parquet through pyarrow.

A file's size, and the size of what a gzipped one unpacks to, are bounded before and
while it is read.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from whyproof.engine.errors import DataError, MissingExtraError

from .tables import Table, TableColumn, column_of, numeric_column

__all__ = ["read_table_file"]


def read_table_file(
    path: Path, *, names: Sequence[str] | None, missing: Collection[str], max_bytes: int
) -> Table:
    """Read a CSV or Parquet file; the arguments are those of `read_table`."""
    payload = _read(path, max_bytes)
    if payload[:4] == b"PAR1":
        return _read_parquet(payload, path.name)
    if payload[:2] == b"\x1f\x8b":
        payload = _unpack(payload, path, max_bytes)
    try:
        text = payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text (byte {error.start}); save the table as CSV in UTF-8"
        ) from None
    if "\0" in text:
        raise DataError(f"{path} is a binary file; tables are CSV, CSV.gz or Parquet")
    return _read_csv(text, path.name, names, frozenset(missing))


def _read_csv(
    text: str, source: str, names: Sequence[str] | None, missing: frozenset[str]
) -> Table:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count) if any(mark in first for mark in ",;\t") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    header: list[str] | None = list(names) if names is not None else None
    has_names = True
    try:
        for cells in reader:
            if not cells:
                continue
            if header is None:
                if not _is_header(cells):
                    header, has_names = [f"f{i}" for i in range(len(cells))], False
                else:
                    header = [cell.strip() for cell in cells]
                    _check_header(header, source)
                    continue
            if len(cells) != len(header):
                raise DataError(
                    f"{source}, line {reader.line_num}: {len(cells)} cells where "
                    f"{len(header)} are expected"
                )
            rows.append(cells)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(f"{source}, line {reader.line_num}: {error}") from None
    if header is None:
        raise DataError(f"{source} is empty; a table needs a header and rows")
    by_column = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    ends = np.array(lines, dtype=np.int64)
    columns = tuple(
        _column(name, [cell.strip() for cell in cells], missing, source, lines)
        for name, cells in zip(header, by_column, strict=True)
    )
    return Table(columns, source=source, lines=ends, has_names=has_names)


def _column(
    name: str, cells: list[str], missing: frozenset[str], source: str, lines: list[int]
) -> TableColumn:
    numbers = _numbers(cells, missing)
    if numbers is None:
        return TableColumn(name, None, tuple(None if cell in missing else cell for cell in cells))
    infinite = np.isinf(numbers)
    if bool(infinite.any()):
        row = int(np.argmax(infinite))
        raise DataError(
            f"{source}, line {lines[row]}, column {name!r}: {cells[row]!r} is infinite; "
            "infinite numbers are not allowed"
        )
    return TableColumn(name, numbers)


def _numbers(
    cells: list[str], missing: frozenset[str]
) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    """Return the cells as numbers, or `None` if a present one is no number."""
    numbers = np.empty(len(cells))
    for row, cell in enumerate(cells):
        if cell in missing:
            numbers[row] = np.nan
            continue
        try:
            numbers[row] = float(cell)
        except ValueError:
            return None
        # Python reads 1_000 and nan as numbers; a table means something else by them.
        if "_" in cell or numbers[row] != numbers[row]:
            return None
    return numbers


def _is_header(cells: list[str]) -> bool:
    """Tell a header from a first row of numbers; 0, 1, 2, ... are names."""
    if [cell.strip() for cell in cells] == [str(i) for i in range(len(cells))]:
        return True
    return _numbers([cell.strip() for cell in cells], frozenset()) is None


def _check_header(header: list[str], source: str) -> None:
    for position, name in enumerate(header, start=1):
        if not name:
            raise DataError(f"{source}, line 1: column {position} has no name")


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        if path.is_dir():
            raise DataError(f"{path} is a folder; give a table file")
        size = path.stat().st_size
        if size > max_bytes:
            raise DataError(
                f"{path} has {size} bytes, more than the limit of {max_bytes}; "
                "raise max_bytes if that is meant"
            )
        with path.open("rb") as file:
            return file.read(max_bytes)
    except DataError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be read: {reason}") from None


def _unpack(payload: bytes, path: Path, max_bytes: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(payload)) as file:
            text = file.read(max_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is no complete gzip file: {error}") from None
    if len(text) > max_bytes:
        raise DataError(
            f"{path} unpacks to more than {max_bytes} bytes; raise max_bytes if that is meant"
        )
    return text


def _read_parquet(payload: bytes, source: str) -> Table:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("pyarrow", "parquet", "read Parquet tables") from None
    try:
        table = parquet.read_table(pyarrow.BufferReader(payload))
    except (pyarrow.ArrowException, OSError) as error:
        text = " ".join(str(error).split())
        raise DataError(f"{source} is no complete Parquet file: {text[:200]}") from None
    columns: list[TableColumn] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        cells = column.to_pylist()
        if pyarrow.types.is_integer(column.type) or pyarrow.types.is_floating(column.type):
            filled = [np.nan if cell is None else cell for cell in cells]
            columns.append(numeric_column(name, np.array(filled, dtype=np.float64), source))
        else:
            columns.append(column_of(name, cells, source))
    return Table(tuple(columns), source=source)

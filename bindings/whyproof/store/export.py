"""Exports: one explanation a line, with keys that stay.

The keys, in this order (lists are JSON arrays; in CSV they are written as JSON text):

================  ===========================================================
``model``         fingerprint of the model
``row``           number of the row in the audited table, from 0
``input_hash``    hash of the row's values
``row_status``    open, complete or failed: whether the row has more explanations
``number``        number of the explanation in its row, in the order found
``kind``          axp or cxp
``features``      names of its features
``indices``       their positions in the feature space
``size``          how many
``status``        minimal, weak or unknown
``open``          members that may not be needed; empty when minimal
``prediction``    what the model says about the row
``outcome``       cxp: what it says about the counterexample, else null
``changes``       cxp: object of column -> [value in the row, in the counterexample]
``margin``        axp: guaranteed lead in score units, if bounded, else null
``run``, ``at``   the run that found it, and when (UTC)
``record_hash``   its hash in the chain
================  ===========================================================
"""

from __future__ import annotations

import csv
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

from whyproof.engine.errors import DataError, MissingExtraError, StoreError

from .canonical import jsonable
from .records import StoredExplanation, StoredRow
from .store import Store

__all__ = ["EXPORT_KEYS", "FORMATS", "changes", "export", "exported", "refuse_overwriting"]

EXPORT_KEYS: tuple[str, ...] = (
    "model",
    "row",
    "input_hash",
    "row_status",
    "number",
    "kind",
    "features",
    "indices",
    "size",
    "status",
    "open",
    "prediction",
    "outcome",
    "changes",
    "margin",
    "run",
    "at",
    "record_hash",
)

FORMATS = ("jsonl", "csv", "parquet", "duckdb")


def export(store: Store, path: str | Path, to: str = "jsonl") -> int:
    """Write every explanation of a store to a file; all of it or nothing.

    Parameters
    ----------
    store
        Open store.
    path
        File to write; an existing one is replaced once the new one is whole.
    to
        ``jsonl``, ``csv``, ``parquet`` (needs pyarrow) or ``duckdb`` (needs duckdb; a
        database with one table ``explanations``).

    Returns
    -------
    Number of explanations written.

    Raises
    ------
    DataError
        For another format.
    StoreError
        If the file cannot be written.
    MissingExtraError
        For Parquet without pyarrow, and DuckDB without duckdb.
    """
    writers = {
        "jsonl": _write_jsonl,
        "csv": _write_csv,
        "parquet": _write_parquet,
        "duckdb": _write_duckdb,
    }
    if to not in writers:
        raise DataError(f"no export format {to!r}; choose one of {', '.join(FORMATS)}")
    path = Path(path)
    refuse_overwriting(store, path)
    passing = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.new")
    try:
        count = _counted(store, passing, writers[to])
        os.replace(passing, path)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        passing.unlink(missing_ok=True)
    return count


def refuse_overwriting(store: Store, path: Path) -> None:
    """Refuse to write something over the store that it comes from.

    Raises
    ------
    DataError
        If the file is the store.
    """
    if path.exists() and path.samefile(store.path):
        raise DataError(f"{path} is the store itself; name another file")


def exported(store: Store) -> Iterator[dict[str, object]]:
    """Yield the explanations of a store with the keys above."""
    model = store.identity["model"]
    row: StoredRow | None = None
    for stored in store.explanations():  # row by row
        if row is None or row.row != stored.row:
            row = store.row(stored.row)
        yield _line(model, row, stored)


def changes(
    row: Mapping[str, object], evidence: Mapping[str, object]
) -> dict[str, list[object]] | None:
    """Return what a counterexample changes: column -> [old value, new value].

    Parameters
    ----------
    row
        The row's values by column.
    evidence
        As in a record; `None` is returned unless it is a counterexample.

    Examples
    --------
    >>> changes({"a": 1, "b": 2}, {"type": "counterexample", "point": {"a": 1, "b": 5}})
    {'b': [2, 5]}
    """
    if evidence["type"] != "counterexample":
        return None
    point = cast("Mapping[str, object]", evidence["point"])
    return {name: [row[name], value] for name, value in point.items() if row[name] != value}


def _line(model: object, row: StoredRow, stored: StoredExplanation) -> dict[str, object]:
    record = stored.record
    evidence = cast("Mapping[str, object]", record["evidence"])
    values = cast("Mapping[str, object]", row.record["input"])
    line = {
        **record,
        "model": model,
        "input_hash": row.input_hash,
        "row_status": str(row.status),
        "size": len(cast("list[object]", record["indices"])),
        "outcome": evidence.get("outcome"),
        "changes": changes(values, evidence),
        "margin": evidence.get("margin"),
        "record_hash": stored.hash,
    }
    return {key: jsonable(line[key]) for key in EXPORT_KEYS}


def _counted(
    store: Store, path: Path, write: Callable[[Path, Iterator[dict[str, object]]], None]
) -> int:
    count = 0

    def lines() -> Iterator[dict[str, object]]:
        nonlocal count
        for line in exported(store):
            count += 1
            yield line

    write(path, lines())
    return count


def _write_jsonl(path: Path, lines: Iterator[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for line in lines:
            file.write(_compact(line) + "\n")


def _write_csv(path: Path, lines: Iterator[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        _csv(file, lines)


def _csv(file: IO[str], lines: Iterator[dict[str, object]]) -> None:
    writer = csv.DictWriter(file, list(EXPORT_KEYS), lineterminator="\r\n")
    writer.writeheader()
    for line in lines:
        writer.writerow(
            {
                key: _compact(value) if isinstance(value, list | dict) else value
                for key, value in line.items()
            }
        )


def _write_parquet(path: Path, lines: Iterator[dict[str, object]]) -> None:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet", "write Parquet files") from error
    text, whole, names = arrow.string(), arrow.int64(), arrow.list_(arrow.string())
    types = dict.fromkeys(EXPORT_KEYS, text)
    types |= {"row": whole, "number": whole, "size": whole, "run": whole}
    types |= {"features": names, "open": names, "indices": arrow.list_(whole)}
    types |= {"margin": arrow.float64()}
    schema = arrow.schema(list(types.items()))
    with parquet.ParquetWriter(path, schema) as writer:
        batch: list[dict[str, object]] = []
        for line in lines:
            batch.append(_for_parquet(line))
            if len(batch) == 10_000:
                writer.write_table(arrow.Table.from_pylist(batch, schema))
                batch.clear()
        if batch:
            writer.write_table(arrow.Table.from_pylist(batch, schema))


def _write_duckdb(path: Path, lines: Iterator[dict[str, object]]) -> None:
    try:
        import duckdb as package
    except ImportError as error:
        raise MissingExtraError("duckdb", "duckdb", "write DuckDB files") from error
    duckdb: Any = package
    types = dict.fromkeys(EXPORT_KEYS, "VARCHAR")
    types |= dict.fromkeys(("row", "number", "size", "run"), "BIGINT")
    types |= {"features": "VARCHAR[]", "open": "VARCHAR[]", "indices": "BIGINT[]"}
    types |= {"margin": "DOUBLE"}
    passing = path.with_name(f"{path.name}.jsonl")
    try:
        _write_jsonl(passing, (_for_parquet(line) for line in lines))
        columns = ", ".join(f"'{key}': '{kind}'" for key, kind in types.items())
        with duckdb.connect(str(path)) as database:
            database.execute("SET threads = 1")
            database.execute(
                "CREATE TABLE explanations AS SELECT * FROM read_json("
                f"$file, format = 'newline_delimited', columns = {{{columns}}})",
                {"file": str(passing)},
            )
    finally:
        passing.unlink(missing_ok=True)


def _for_parquet(line: dict[str, object]) -> dict[str, object]:
    """Give every column one type: labels and values of any kind are written as JSON text."""
    texts = {
        key: value if isinstance(value, str) else _compact(value)
        for key, value in line.items()
        if key in ("prediction", "outcome", "changes") and value is not None
    }
    margin = line["margin"]
    return {**line, **texts, "margin": None if margin is None else float(str(margin))}


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)

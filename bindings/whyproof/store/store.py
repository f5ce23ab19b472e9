"""Reading a store: its runs, rows and explanations, and the chain that holds them.

Write-ahead logging and one transaction per explanation make a store survive being
killed at any moment: what was committed is there, what was not leaves no trace, and
the next run goes on from what is there.  Every record also carries a hash over itself
and the record before (see `chained`), so that a later change breaks the chain.

What the chain can show: that a record was edited, removed, inserted or moved.  What it
cannot show alone: that somebody rewrote everything after some point, hashes included.
For that, note the head somewhere else; `verify` compares.  The disk is flushed at
checkpoints only, so a power cut (not a killed process) may cost the last transactions;
the chain stays sound and the audit resumes.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from whyproof.engine.errors import DataError, StoreError

from .connection import connect_for_reading
from .records import Head, RowStatus, RunOutcome, StoredExplanation, StoredRow, StoredRun
from .schema import store_errors

__all__ = ["Store"]

_ROWS = """
    SELECT row, status, reason, input_hash, payload,
        (SELECT count(*) FROM explanations AS e WHERE e.row = rows.row AND e.kind = 'axp'),
        (SELECT count(*) FROM explanations AS e WHERE e.row = rows.row AND e.kind = 'cxp')
    FROM rows JOIN journal USING (seq)
"""


class Store:
    """Explanations of the rows of one table by one model, on disk; a context manager.

    `Store.read` opens one; `StoreWriter` makes one and adds to it.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def read(cls, path: str | Path) -> Store:
        """Open an existing store for reading.

        Raises
        ------
        StoreError
            If it is absent, damaged, or of another schema version.
        """
        path = Path(path)
        return Store(path, connect_for_reading(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was added is on disk already."""
        self._connection.close()

    @property
    def identity(self) -> dict[str, object]:
        """What the store is about: model, classes, space, region, question."""
        return cast("dict[str, object]", json.loads(self._meta("identity")))

    @property
    def created(self) -> str:
        """UTC time of creation."""
        return self._meta("created")

    def head(self) -> Head:
        """Return the end of the chain."""
        return Head(int(self._meta("count")), self._meta("head"))

    def runs(self) -> list[StoredRun]:
        """Return the calls of `audit`, first to last."""
        query = "SELECT run, outcome, payload FROM runs JOIN journal USING (seq) ORDER BY run"
        return [
            StoredRun(run, RunOutcome(outcome), json.loads(payload))
            for run, outcome, payload in self._each(query)
        ]

    def rows(self) -> list[StoredRow]:
        """Return the rows, ascending."""
        return [_row(*entry) for entry in self._each(f"{_ROWS} ORDER BY row")]

    def each_row(self, first: int = 0, count: int | None = None) -> Iterator[StoredRow]:
        """Yield rows, ascending, one by one, so that they need not all be in memory.

        Parameters
        ----------
        first
            Rows before this number are left out.
        count
            Most rows; `None` for all.
        """
        query = f"{_ROWS} WHERE row >= ? ORDER BY row LIMIT ?"
        for entry in self._each(query, first, -1 if count is None else count):
            yield _row(*entry)

    def summary(self) -> dict[str, int]:
        """Count rows by status, and explanations by kind, without reading their records.

        Keys are ``rows``, the names of statuses, ``axp`` and ``cxp``.
        """
        counts = {"rows": 0, **{str(status): 0 for status in RowStatus}, "axp": 0, "cxp": 0}
        for status, found in self._each("SELECT status, count(*) FROM rows GROUP BY status"):
            counts[str(status)] = int(found)
            counts["rows"] += int(found)
        for kind, found in self._each("SELECT kind, count(*) FROM explanations GROUP BY kind"):
            counts[str(kind)] = int(found)
        return counts

    def sample(self, count: int, seed: int = 0) -> Iterator[StoredExplanation]:
        """Yield some explanations, the same for equal seeds, spread over the whole store."""
        (total,) = next(self._each("SELECT count(*) FROM explanations"))
        chosen = sorted(random.Random(seed).sample(range(total), min(count, total)))
        query = (
            "SELECT e.row, payload, hash FROM explanations AS e JOIN journal USING (seq) "
            "WHERE seq = (SELECT seq FROM explanations ORDER BY seq LIMIT 1 OFFSET ?)"
        )
        for position in chosen:
            for number, payload, record_hash in self._each(query, position):
                yield StoredExplanation(number, json.loads(payload), record_hash)

    def row(self, number: int) -> StoredRow:
        """Return one row.

        Raises
        ------
        DataError
            If the store does not hold it.
        """
        for entry in self._each(f"{_ROWS} WHERE row = ?", number):
            return _row(*entry)
        raise DataError(f"the store {self.path} holds no row {number}")

    def progress(self, row: int) -> tuple[RowStatus, str, int, int] | None:
        """Return status, reason, number of AXps and of CXps of a row; `None` without it.

        A small part of what `row` returns, at a small part of its price.
        """
        query = "SELECT status, reason FROM rows WHERE row = ?"
        for status, reason in self._each(query, row):
            count = "SELECT kind, count(*) FROM explanations WHERE row = ? GROUP BY kind"
            found = dict(self._each(count, row))
            return RowStatus(status), str(reason), found.get("axp", 0), found.get("cxp", 0)
        return None

    def statuses(self) -> Iterator[tuple[int, RowStatus]]:
        """Yield number and status of each row, ascending, without reading their records."""
        for row, status in self._each("SELECT row, status FROM rows ORDER BY row"):
            yield int(row), RowStatus(status)

    def counts(self) -> Iterator[tuple[int, str, int]]:
        """Yield row, kind and number of explanations, for rows that have some, ascending."""
        query = "SELECT row, kind, count(*) FROM explanations GROUP BY row, kind ORDER BY row"
        yield from ((int(row), str(kind), int(found)) for row, kind, found in self._each(query))

    def explanations(self, row: int | None = None) -> Iterator[StoredExplanation]:
        """Yield the explanations of one row, or of all, row by row in the order found."""
        query = "SELECT row, payload, hash FROM explanations JOIN journal USING (seq)"
        if row is None:
            found = self._each(f"{query} ORDER BY row, seq")
        else:
            found = self._each(f"{query} WHERE row = ? ORDER BY seq", row)
        for number, payload, record_hash in found:
            yield StoredExplanation(number, json.loads(payload), record_hash)

    def counterfactuals(self) -> dict[int, StoredExplanation]:
        """Return the last recorded nearest counterfactual of each row that has one."""
        query = (
            "SELECT json_extract(payload, '$.row'), payload, hash FROM journal "
            'WHERE payload LIKE \'%"record":"counterfactual"%\' ORDER BY seq'
        )
        return {
            row: StoredExplanation(row, json.loads(payload), record_hash)
            for row, payload, record_hash in self._each(query)
        }

    def journal(self) -> Iterator[tuple[int, str, str]]:
        """Yield every record in order: sequence number, canonical JSON, hash."""
        yield from self._each("SELECT seq, payload, hash FROM journal ORDER BY seq")

    def indexed(self, table: str, columns: str, order: str) -> Iterator[tuple[object, ...]]:
        """Yield a table that follows from the journal, for `verify` to compare."""
        yield from self._each(f"SELECT {columns} FROM {table} ORDER BY {order}")

    def _meta(self, key: str) -> str:
        for (value,) in self._each("SELECT value FROM meta WHERE key = ?", key):
            return str(value)
        raise StoreError(f"the store {self.path} is damaged: its {key} is gone")

    def _each(self, query: str, *arguments: object) -> Iterator[tuple[Any, ...]]:
        with store_errors(self.path):
            yield from self._connection.execute(query, arguments)


def _row(
    row: int, status: str, reason: str, input_hash: str, payload: str, axps: int, cxps: int
) -> StoredRow:
    record = json.loads(payload)
    return StoredRow(row, RowStatus(status), reason, input_hash, record, axps, cxps)

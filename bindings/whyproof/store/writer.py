"""Writing a store: whole transactions of records, and nothing else ever changes a record.

Alone, each record is a transaction of its own.  Inside `StoreWriter.batch` several share
one, which is ten times cheaper: killed in between, a store holds all of them or none.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from whyproof.engine.errors import DataError, StoreError

from .canonical import GENESIS, canonical, chained, digest
from .connection import connect_for_writing, create_file
from .description import difference
from .records import Head, RowStatus, RunOutcome
from .schema import store_errors
from .store import Store

__all__ = ["Record", "StoreWriter", "utc_now"]

Record = Mapping[str, object]
"""A record's content, JSON-ready."""


def utc_now() -> str:
    """Return the time in UTC, ISO 8601 with milliseconds: ``2030-01-31T12:00:00.000Z``."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class StoreWriter(Store):
    """A store that can be added to.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with StoreWriter.open(f"{folder.name}/audit.db", {"model": "sha256:0"}) as store:
    ...     run = store.begin_run({"strategy": "witness"})
    ...     store.open_row(run, 7, {"age": 39}, {"prediction": "no"})
    ...     found = {"kind": "axp", "indices": [0], "status": "minimal"}
    ...     store.add(run, 7, found), store.add(run, 7, found)
    (True, False)
    >>> with Store.read(f"{folder.name}/audit.db") as store:
    ...     store.head().count, [row.axps for row in store.rows()]
    (4, [1])
    >>> folder.cleanup()
    """

    _batch: Head | None = None
    """End of the chain inside a batch, where the tables do not know it yet."""

    @classmethod
    def open(cls, path: str | Path, identity: Record) -> StoreWriter:
        """Open a store for writing; create it if the file is absent or empty.

        Parameters
        ----------
        path
            File name.
        identity
            What the store is about, from `identity`: an existing store must agree.

        Raises
        ------
        StoreError
            If it is about something else, or cannot be written; it is left as it is.
        """
        path = Path(path)
        if not path.exists() or (path.is_file() and path.stat().st_size == 0):
            create_file(path, lambda new: cls(path, new)._begin(identity))
        store = cls(path, connect_for_writing(path))
        try:
            differs = difference(store.identity, json.loads(canonical(identity)))
            if differs:
                raise StoreError(
                    f"the store {path} is about {differs}; name another file for this audit"
                )
            with store._transaction():  # a read-only file is refused here, not later
                pass
        except BaseException:
            store.close()
            raise
        return store

    @contextmanager
    def batch(self) -> Generator[None]:
        """Put all records that are added inside into one transaction.

        An error inside undoes all of them; batches do not nest.

        Examples
        --------
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> with StoreWriter.open(f"{folder.name}/a.db", {}) as store, store.batch():
        ...     run = store.begin_run({})
        ...     store.end_run(run, RunOutcome.FINISHED)
        >>> folder.cleanup()
        """
        with self._transaction():
            self._batch = super().head()
            try:
                yield
                self._note_head(self._batch)
            finally:
                self._batch = None

    def head(self) -> Head:
        """Return the end of the chain, what this batch has added included."""
        return self._batch or super().head()

    def begin_run(self, record: Record) -> int:
        """Record the start of a run and return its number.

        Parameters
        ----------
        record
            What may differ between runs: model description, strategy, seed, budget, versions.
        """
        with self._transaction():
            run = int(str(self._value("SELECT coalesce(max(run), 0) + 1 FROM runs")))
            seq = self._append({"record": "run", "run": run, "at": utc_now(), **record})
            self._execute("INSERT INTO runs VALUES (?, ?, ?)", run, seq, str(RunOutcome.RUNNING))
        return run

    def end_run(self, run: int, outcome: RunOutcome) -> None:
        """Record how a run ended."""
        with self._transaction():
            self._append(
                {"record": "run-end", "run": run, "at": utc_now(), "outcome": str(outcome)}
            )
            self._execute("UPDATE runs SET outcome = ? WHERE run = ?", str(outcome), run)

    def open_row(self, run: int, row: int, values: Record, about: Record) -> None:
        """Record a row before its first explanation; a row that is known must be the same.

        Parameters
        ----------
        run, row
            Number of the run, and of the row in its table.
        values
            The user's values by column name.
        about
            More about the row, such as ``prediction``.

        Raises
        ------
        DataError
            If the store holds other values under this number.
        """
        input_hash = digest(values)
        with self._transaction():
            known = self._value("SELECT input_hash FROM rows WHERE row = ?", row)
            if known is None:
                record = {"record": "row", "run": run, "row": row, "at": utc_now()}
                seq = self._append({**record, "input": values, "input_hash": input_hash, **about})
                self._execute(
                    "INSERT INTO rows VALUES (?, ?, ?, ?, ?)",
                    *(row, seq, input_hash, str(RowStatus.OPEN), ""),
                )
        if known is not None and known != input_hash:
            raise self._other_values(row)

    def check_row(self, row: int, values: Record) -> None:
        """Compare a row's values with those that the store holds.

        Raises
        ------
        DataError
            If they are others.
        """
        if self._value("SELECT input_hash FROM rows WHERE row = ?", row) != digest(values):
            raise self._other_values(row)

    def _other_values(self, row: int) -> DataError:
        return DataError(
            f"row {row} of the table is not the row that the store {self.path} holds under "
            "this number; use the table of the first run, or another store"
        )

    def add(self, run: int, row: int, explanation: Record) -> bool:
        """Record an explanation; return false, and write nothing, if it is there already.

        A weak explanation that was proved minimal since is recorded again.

        Parameters
        ----------
        run, row
            Number of the run, and of the row in its table.
        explanation
            `Explanation.as_json`; the keys ``kind``, ``indices`` and ``status`` are read.
        """
        kind, status = str(explanation["kind"]), str(explanation["status"])
        members = canonical(explanation["indices"])
        with self._transaction():
            known = self._value(
                "SELECT status FROM explanations WHERE row = ? AND kind = ? AND members = ?",
                *(row, kind, members),
            )
            if known in ("minimal", status):
                return False
            number = self._value("SELECT count(*) FROM explanations WHERE row = ?", row)
            record = {"record": "explanation", "run": run, "row": row, "at": utc_now()}
            seq = self._append({**record, "number": number, **explanation})
            self._execute(
                "INSERT INTO explanations VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (row, kind, members) DO UPDATE SET seq = excluded.seq, "
                "status = excluded.status",
                *(seq, row, kind, members, status),
            )
        return True

    def add_counterfactual(self, run: int, row: int, found: Record) -> None:
        """Record a row's nearest counterfactual; the last one recorded counts.

        Parameters
        ----------
        run, row
            Number of the run, and of the row in its table.
        found
            JSON-ready answer: status, distance, bound, changes, point, rules, conflict.
        """
        if self.progress(row) is None:
            raise DataError(f"the store {self.path} holds no row {row}")
        with self._transaction():
            record = {"record": "counterfactual", "run": run, "row": row, "at": utc_now()}
            self._append({**record, **found})

    def close_row(
        self, run: int, row: int, status: RowStatus, reason: str = "", details: Record | None = None
    ) -> None:
        """Record how far a row has come; nothing is written if nothing changed.

        Parameters
        ----------
        run, row
            Number of the run, and of the row in its table.
        status, reason
            How far it is; why it is open or failed.
        details
            More to record, such as what a failed replay needs to be repeated.
        """
        known = self.progress(row)
        if known is None:
            raise DataError(f"the store {self.path} holds no row {row}")
        if known[:2] == (status, reason):
            return
        with self._transaction():
            record = {"record": "row-status", "run": run, "row": row, "at": utc_now()}
            self._append({**record, "status": str(status), "reason": reason, **(details or {})})
            self._execute(
                "UPDATE rows SET status = ?, reason = ? WHERE row = ?", str(status), reason, row
            )

    def _begin(self, identity: Record) -> None:
        """Write the first records into empty tables."""
        now = utc_now()
        meta = {"identity": canonical(identity), "created": now, "head": GENESIS, "count": "0"}
        for key, value in meta.items():
            self._execute("INSERT INTO meta VALUES (?, ?)", key, value)
        self._append({"record": "store", "at": now, "identity": identity})

    def _append(self, record: Record) -> int:
        """Put a record at the end of the chain; only inside a transaction."""
        head = self.head()
        seq, payload = head.count + 1, canonical(record)
        record_hash = chained(head.hash, payload)
        self._execute("INSERT INTO journal VALUES (?, ?, ?)", seq, payload, record_hash)
        if self._batch is None:
            self._note_head(Head(seq, record_hash))
        else:
            self._batch = Head(seq, record_hash)
        return seq

    def _note_head(self, head: Head) -> None:
        self._execute("UPDATE meta SET value = ? WHERE key = 'head'", head.hash)
        self._execute("UPDATE meta SET value = ? WHERE key = 'count'", str(head.count))

    @contextmanager
    def _transaction(self) -> Generator[None]:
        if self._batch is not None:
            yield
            return
        with store_errors(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _execute(self, statement: str, *arguments: object) -> None:
        with store_errors(self.path):
            self._connection.execute(statement, arguments)

    def _value(self, query: str, *arguments: object) -> object:
        for (value,) in self._each(query, *arguments):
            return value
        return None

"""Checking a store: that nothing in it was edited, removed, inserted or moved.

Three things are compared.  The chain: each record's hash over its JSON and the hash
before.  The head: count and hash of the last record, so that a cut end is seen.  The
tables: rows and explanations must be what the records say.  Somebody who rewrites all
of it consistently is caught only by a head that was noted elsewhere.

What the tables should be is rebuilt in a passing database on disk and read side by side
with them, so that a store of any size is checked in little memory.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from .canonical import GENESIS, canonical, chained, digest
from .records import Head, RowStatus, RunOutcome
from .store import Store

__all__ = ["Verification", "verify"]

_TABLES = {
    "runs": ("run, seq, outcome", "run"),
    "rows": ("row, seq, input_hash, status, reason", "row"),
    "explanations": ("row, kind, members, seq, status", "row, kind, members"),
}
"""Columns and keys of the tables that follow from the journal."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What the check found.

    Parameters
    ----------
    faults
        One sentence each; empty if the store is sound.
    head
        End of the chain as the store says.
    explanations
        Number of explanations in the journal.
    """

    faults: tuple[str, ...]
    head: Head
    explanations: int

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.faults


def verify(store: Store, noted: str | None = None, limit: int = 20) -> Verification:
    """Check the chain, the head and the tables of a store.

    Parameters
    ----------
    store
        Open store.
    noted
        Head hash that was noted elsewhere, now or earlier: it must stand in the chain.
    limit
        Most faults listed.
    """
    faults: list[str] = []
    identity = canonical(store.identity)
    index = _passing()
    previous, count, explanations = GENESIS, 0, 0
    seen_noted = noted is None or noted == GENESIS
    for seq, payload, record_hash in store.journal():
        count += 1
        if seq != count:
            faults.append(f"record {count} is missing; record {seq} follows")
            count = seq
        if chained(previous, payload) != record_hash:
            faults.append(f"record {seq} was changed, or a record before it was removed or moved")
        previous = record_hash
        seen_noted = seen_noted or record_hash == noted
        try:
            explanations += _replay(index, seq, json.loads(payload), identity)
        except (ValueError, KeyError, TypeError, AttributeError, sqlite3.Error):
            faults.append(f"record {seq} cannot be read")
        if len(faults) >= limit:
            return Verification((*faults, "more faults are not listed"), store.head(), explanations)
    head = store.head()
    if (head.count, head.hash) != (count, previous):
        faults.append(
            f"the store says that it ends with record {head.count} ({head.hash[:16]}), "
            f"but it ends with record {count} ({previous[:16]})"
        )
    if not seen_noted:
        faults.append(f"the noted head {noted} is not in the chain: records were replaced or cut")
    faults.extend(_compare(index, store))
    index.close()
    return Verification(tuple(faults[:limit]), head, explanations)


def _passing() -> sqlite3.Connection:
    """Open an empty database that lives on disk as long as it is open."""
    index = sqlite3.connect("", isolation_level=None)
    index.execute("PRAGMA synchronous = OFF")
    index.execute("PRAGMA journal_mode = OFF")
    for table, (columns, key) in _TABLES.items():
        index.execute(f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({key})) WITHOUT ROWID")
    index.execute("BEGIN")
    return index


def _replay(index: sqlite3.Connection, seq: int, record: dict[str, object], identity: str) -> int:
    """Do to the index what the writer did to the tables; return 1 for an explanation."""
    match record["record"]:
        case "store":
            if canonical(record["identity"]) != identity:
                raise ValueError("identity")
        case "run":
            values = (record["run"], seq, str(RunOutcome.RUNNING))
            index.execute("INSERT INTO runs VALUES (?, ?, ?)", values)
        case "run-end":
            change = "UPDATE runs SET outcome = ? WHERE run = ?"
            _once(index.execute(change, (record["outcome"], record["run"])))
        case "row":
            if digest(record["input"]) != record["input_hash"]:
                raise ValueError("input hash")
            row = (record["row"], seq, record["input_hash"], str(RowStatus.OPEN), "")
            index.execute("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", row)
        case "row-status":
            change = "UPDATE rows SET status = ?, reason = ? WHERE row = ?"
            _once(index.execute(change, (record["status"], record["reason"], record["row"])))
        case "explanation":
            members = canonical(record["indices"])
            found = (record["row"], record["kind"], members, seq, record["status"])
            index.execute("INSERT OR REPLACE INTO explanations VALUES (?, ?, ?, ?, ?)", found)
            return 1
        case "counterfactual":
            row_of = index.execute("SELECT count(*) FROM rows WHERE row = ?", (record["row"],))
            if not row_of.fetchone()[0]:
                raise ValueError("a counterfactual of an unknown row")
        case _:
            raise ValueError("unknown record")
    return 0


def _once(done: sqlite3.Cursor) -> None:
    if done.rowcount != 1:
        raise ValueError("the record changes something that is not there")


def _compare(index: sqlite3.Connection, store: Store) -> Iterator[str]:
    """Read the tables beside what they should be; one sentence for each that differs."""
    for table, (columns, key) in _TABLES.items():
        expected = index.execute(f"SELECT {columns} FROM {table} ORDER BY {key}")
        for right, found in zip_longest(expected, store.indexed(table, columns, key)):
            if right != found:
                first = min((entry for entry in (right, found) if entry), key=lambda e: str(e[0]))
                which = "run" if table == "runs" else "row"
                yield f"the table of {table} does not follow from the records ({which} {first[0]})"
                break

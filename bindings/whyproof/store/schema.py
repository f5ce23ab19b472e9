"""The tables of a store, their version, and the translation of SQLite's errors.

``journal`` is the truth: an append-only list of records, each with a hash over its
canonical JSON and the hash before it.  All other tables can be rebuilt from it; they
are written in the same transaction and `verify` compares them.

=================  ==========================================================
``meta``           identity, time of creation, and the head: hash and count
``journal``        every record in order
``runs``           one line per call of an audit
``rows``           one line per row: its values' hash, status, numbers found
``explanations``   one line per explanation; row, kind and members are unique
=================  ==========================================================
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from whyproof.engine.errors import StoreError

__all__ = ["APPLICATION_ID", "SCHEMA", "SCHEMA_VERSION", "store_errors"]

APPLICATION_ID = 0x57687950
"""Marks a SQLite file as ours: ``WhyP``."""

SCHEMA_VERSION = 1

SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE journal (seq INTEGER PRIMARY KEY, payload TEXT NOT NULL, hash TEXT NOT NULL)",
    "CREATE TABLE runs (run INTEGER PRIMARY KEY, seq INTEGER NOT NULL, outcome TEXT NOT NULL)",
    """CREATE TABLE rows (
        row INTEGER PRIMARY KEY, seq INTEGER NOT NULL, input_hash TEXT NOT NULL,
        status TEXT NOT NULL, reason TEXT NOT NULL
    )""",
    """CREATE TABLE explanations (
        seq INTEGER PRIMARY KEY, row INTEGER NOT NULL, kind TEXT NOT NULL,
        members TEXT NOT NULL, status TEXT NOT NULL, UNIQUE (row, kind, members)
    )""",
)


@contextmanager
def store_errors(path: Path) -> Generator[None]:
    """Turn SQLite's errors into one line that says what to do.

    Raises
    ------
    StoreError
        In place of any `sqlite3.Error`.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(_explain(path, error)) from error


def _explain(path: Path, error: sqlite3.Error) -> str:
    text = str(error)
    if "readonly" in text or "read-only" in text:
        return f"the store {path} cannot be written: it is read-only; what it holds is readable"
    if "full" in text:
        return (
            f"the disk is full while writing the store {path}; "
            "what was stored before is kept, free some space and run the same command again"
        )
    if "locked" in text or "busy" in text:
        return f"the store {path} is in use by another process; wait for it or stop it"
    if "not a database" in text or "malformed" in text:
        return f"{path} is not a whyproof store, or it is damaged ({text}); name another file"
    if "unable to open" in text:
        return f"the store {path} cannot be opened; check that its folder exists and is writable"
    return f"the store {path}: {text}"

"""Opening a store's file: new, existing, or read-only, with every refusal in one line."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from whyproof.engine.errors import StoreError

from .schema import APPLICATION_ID, SCHEMA, SCHEMA_VERSION, store_errors

__all__ = ["connect_for_reading", "connect_for_writing", "create_file"]

_WAIT_SECONDS = 10.0


def connect_for_reading(path: Path) -> sqlite3.Connection:
    """Open an existing store without ever writing to it, on read-only media as well.

    Raises
    ------
    StoreError
        If there is none, or it is of another schema version.
    """
    if not path.is_file():
        raise StoreError(f"there is no store {path}; `whyproof audit ... --store {path}` makes one")
    with store_errors(path):
        # A connection that may write, but does not, tidies up after itself; where it
        # may not, SQLite reads a WAL database only when told that nobody writes to it.
        for mode in ("mode=rw", "mode=ro", "mode=ro&immutable=1"):
            if "immutable" in mode and Path(f"{path}-wal").exists():
                raise StoreError(f"the store {path} is open elsewhere and cannot be read from here")
            connection = _connect(path, mode)
            try:
                connection.execute("PRAGMA query_only = ON")
                _check(path, connection)
                return connection
            except sqlite3.OperationalError as error:
                connection.close()
                failure = error
            except BaseException:
                connection.close()
                raise
        raise failure


def connect_for_writing(path: Path) -> sqlite3.Connection:
    """Open an existing store for writing; writes nothing yet.

    Raises
    ------
    StoreError
        If the file is something else, or a store of another schema version.
    """
    connect_for_reading(path).close()
    with store_errors(path):
        connection = _connect(path, "mode=rw")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection


def create_file(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Make a new store under a passing name and move it into place in one step.

    Killed at any moment, there is a whole store or none.

    Parameters
    ----------
    path
        File name; what stands there is replaced.
    fill
        Writes the first records; runs in one transaction with the tables' creation.

    Raises
    ------
    StoreError
        If it cannot be written; nothing is left behind.
    """
    if not path.parent.is_dir():
        raise StoreError(f"the folder of the store {path} does not exist; create it first")
    passing = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with store_errors(path), closing(_connect(passing, "mode=rwc")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            for statement in SCHEMA:
                connection.execute(statement)
            fill(connection)
            connection.execute("COMMIT")
        passing.replace(path)
    except OSError as error:
        raise (
            error
            if isinstance(error, StoreError)
            else StoreError(f"the store {path} cannot be made: {error.strerror or error}")
        ) from error
    finally:
        for rest in (passing, Path(f"{passing}-wal"), Path(f"{passing}-shm")):
            rest.unlink(missing_ok=True)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{mode}"
    return sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS, isolation_level=None)


def _check(path: Path, connection: sqlite3.Connection) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise StoreError(f"{path} is a database but not a whyproof store; name another file")
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"the store {path} has schema version {version}, this whyproof reads version "
            f"{SCHEMA_VERSION}; use the version that made it, or name another file"
        )
    connection.execute("SELECT count(*) FROM meta").fetchone()

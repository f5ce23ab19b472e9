"""Packing a store: the log folded in, free pages given back, statistics for queries."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from .connection import connect_for_writing
from .schema import store_errors

__all__ = ["Vacuumed", "vacuum"]


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """Bytes of a store before and after, its log included."""

    before: int
    after: int


def vacuum(path: str | Path) -> Vacuumed:
    """Pack a store; no record changes.

    Parameters
    ----------
    path
        Store that nobody writes to; as much again is needed on the disk for a while.

    Raises
    ------
    StoreError
        If it is in use, or the disk is full; it is left as it is then.
    """
    path = Path(path)
    before = _size(path)
    with closing(connect_for_writing(path)) as connection, store_errors(path):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("VACUUM")
        connection.execute("PRAGMA optimize")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Vacuumed(before, _size(path))


def _size(path: Path) -> int:
    files = (path, Path(f"{path}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())

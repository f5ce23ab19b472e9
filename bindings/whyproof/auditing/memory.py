"""How much memory a process holds, and sizes as people write them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from whyproof.engine.errors import DataError

__all__ = ["bytes_named", "megabytes", "resident"]

_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def resident(pid: int | None = None) -> int | None:
    """Return the bytes that a process holds in memory; `None` where nobody tells.

    Parameters
    ----------
    pid
        Process number; this process by default.
    """
    try:
        pages = int(Path(f"/proc/{pid or os.getpid()}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def bytes_named(text: str) -> int:
    """Read a size: ``2G``, ``500 MB``, ``1.5GiB``, or bytes.

    Raises
    ------
    DataError
        If it is something else, or not positive.

    Examples
    --------
    >>> bytes_named("2G") == 2 * 2**30, bytes_named("500 MB") == 500 * 2**20
    (True, True)
    """
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([kmgt]?)i?b?\s*", text.lower())
    size = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if size <= 0:
        raise DataError(f"the size {text!r} is not understood; write 2G, 500M or a number of bytes")
    return size


def megabytes(size: float) -> str:
    """Write a size for people.

    Examples
    --------
    >>> megabytes(3 * 2**20)
    '3 MiB'
    """
    return f"{size / 2**20:.0f} MiB"

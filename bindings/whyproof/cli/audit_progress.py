"""Showing how far an audit is: a live table, JSON lines, and a structured log."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from whyproof.auditing import AuditProgress
from whyproof.engine.errors import DataError, InputError

__all__ = ["Told", "logged", "shown"]

Told = Callable[[AuditProgress], None]
"""Called after each event of an audit."""

_EVERY = 1.0
"""Seconds between two progress lines."""


@contextmanager
def shown(how: str) -> Generator[Told | None]:
    """Show progress on stderr.

    Parameters
    ----------
    how
        ``table``, ``lines``, ``none``, or ``auto``: a table if somebody is looking.

    Raises
    ------
    InputError
        For anything else.
    """
    if how not in ("auto", "table", "lines", "none"):
        raise InputError(f"--progress is auto, table, lines or none, found {how!r}")
    if how == "lines":
        with _lines() as told:
            yield told
    elif how == "table" or (how == "auto" and sys.stderr.isatty()):
        with _table() as told:
            yield told
    else:
        yield None


@contextmanager
def logged(path: Path | None) -> Generator[None]:
    """Append the structured log of an audit to a file, one JSON object a line."""
    if path is None:
        yield
        return
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise DataError(f"the log {path} cannot be written: {error.strerror}") from error
    handler.setFormatter(_AsJson())
    audit = logging.getLogger("whyproof.audit")
    level = audit.level
    audit.addHandler(handler)
    audit.setLevel(logging.INFO)
    try:
        yield
    finally:
        audit.removeHandler(handler)
        audit.setLevel(level)
        handler.close()


class _AsJson(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, object] = getattr(record, "fields", {"event": record.getMessage()})
        return json.dumps({"at": at, "level": record.levelname.lower(), **fields}, default=str)


@contextmanager
def _lines() -> Generator[Told]:
    last = time.monotonic() - _EVERY
    newest: AuditProgress | None = None

    def told(progress: AuditProgress) -> None:
        nonlocal last, newest
        newest = progress
        if time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            _write(progress)

    yield told
    if newest is not None:
        _write(newest)


def _write(progress: AuditProgress) -> None:
    sys.stderr.write(json.dumps(progress.as_json()) + "\n")
    sys.stderr.flush()


@contextmanager
def _table() -> Generator[Told]:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    newest: AuditProgress | None = None

    def table() -> Table:
        rows = Table(box=None, padding=(0, 2, 0, 0))
        for heading in ("rows", "explanations", "rows/s", "rest", "unknown", "failed"):
            rows.add_column(heading, justify="right")
        if newest is not None:
            rest = newest.rest
            rows.add_row(
                f"{newest.done:,} of {newest.rows:,}",
                f"{newest.found:,}",
                f"{newest.rate:.1f}",
                "?" if rest is None else _clock(rest),
                f"{newest.unknown:,}",
                f"{newest.failed:,}",
            )
        return rows

    console = Console(stderr=True)
    with Live(console=console, get_renderable=table, refresh_per_second=4, transient=True):

        def told(progress: AuditProgress) -> None:
            nonlocal newest
            newest = progress

        yield told


def _clock(seconds: float) -> str:
    """Write a duration.

    Examples
    --------
    >>> _clock(75), _clock(7500)
    ('1:15', '2:05:00')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

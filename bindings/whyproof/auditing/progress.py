"""How far an audit is, and what it came to."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from whyproof.store import Head, RunOutcome

from .row import RowFailed

__all__ = ["AuditProgress", "AuditSummary"]


@dataclass
class AuditProgress:
    """How far an audit is.

    Parameters
    ----------
    rows
        Rows asked for.
    done
        Rows that got what was asked for, in this call or before.
    found
        New explanations.
    row
        The row that the last event was about.
    unknown
        Rows of this call that stay open: time ran out, or an oracle gave up.
    failed
        Rows that failed, in this call or before.
    before
        Rows that were done when this call began.
    taken_over
        Rows of this call whose decision is that of another row, cell by cell.
    """

    rows: int
    done: int = 0
    found: int = 0
    row: int | None = None
    unknown: int = 0
    failed: int = 0
    before: int = 0
    taken_over: int = 0
    started: float = field(default_factory=time.monotonic, repr=False)

    @property
    def seconds(self) -> float:
        """Seconds since the call began; no change of the clock moves them."""
        return time.monotonic() - self.started

    @property
    def rate(self) -> float:
        """Rows per second, those before this call not counted."""
        return (self.done - self.before) / max(self.seconds, 1e-9)

    @property
    def rest(self) -> float | None:
        """Seconds until all rows are done, at this rate; `None` before the first."""
        left = self.rows - self.done - self.unknown - self.failed
        return left / self.rate if self.rate > 0 else None

    def as_json(self) -> dict[str, object]:
        """Return one progress line.

        Examples
        --------
        >>> list(AuditProgress(10).as_json())[:4]
        ['event', 'rows', 'done', 'unknown']
        """
        rest = self.rest
        return {
            "event": "progress",
            "rows": self.rows,
            "done": self.done,
            "unknown": self.unknown,
            "failed": self.failed,
            "taken_over": self.taken_over,
            "explanations": self.found,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(self.rate, 3),
            "rest_seconds": None if rest is None else round(rest, 1),
        }


@dataclass(frozen=True, slots=True)
class AuditSummary:
    """What an audit came to.

    Parameters
    ----------
    outcome
        How the call ended.
    complete, open, skipped, failed
        Row numbers by status, of the rows asked for.
    found
        New explanations.
    axps, cxps
        Stored explanations of the rows asked for.
    head
        End of the store's chain: note it elsewhere.
    faults
        What went wrong in this call, by row.
    taken_over
        Rows that took over the explanations of another row with the same decision.
    failed_before
        Rows that failed in an earlier call and were not tried again.
    """

    outcome: RunOutcome
    complete: tuple[int, ...]
    open: tuple[int, ...]
    skipped: tuple[int, ...]
    failed: tuple[int, ...]
    found: int
    axps: int
    cxps: int
    head: Head
    faults: Mapping[int, RowFailed] = field(default_factory=dict[int, RowFailed])
    taken_over: int = 0
    failed_before: tuple[int, ...] = ()

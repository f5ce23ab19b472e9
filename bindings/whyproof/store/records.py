"""What a store hands out: runs, rows and explanations as they were recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Head", "RowStatus", "RunOutcome", "StoredExplanation", "StoredRow", "StoredRun"]


class RowStatus(StrEnum):
    """How far the explanation of a row has come."""

    OPEN = "open"
    """There may be more explanations than those stored."""
    COMPLETE = "complete"
    """Every AXp and every CXp is stored; that there are no more is proved."""
    SKIPPED = "skipped"
    """The question does not arise: the row is already what the question asks for."""
    FAILED = "failed"
    """The row could not be explained; the reason is stored."""


class RunOutcome(StrEnum):
    """How one call of an audit ended."""

    RUNNING = "running"
    """It has not ended, or it was killed."""
    FINISHED = "finished"
    """Every row got what was asked for."""
    BUDGET = "budget"
    """Time ran out."""
    INTERRUPTED = "interrupted"
    """The user stopped it."""
    FAILED = "failed"
    """An error ended it."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: note it elsewhere, and no later change goes unseen.

    Parameters
    ----------
    count
        Number of records.
    hash
        Hash of the last one, 64 hexadecimal digits.
    """

    count: int
    hash: str


@dataclass(frozen=True, slots=True)
class StoredRun:
    """One call of an audit.

    Parameters
    ----------
    run
        Number in the store, from 1.
    outcome
        How it ended.
    record
        Model, strategy, seed, budget, versions, UTC time: keys as recorded.
    """

    run: int
    outcome: RunOutcome
    record: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row of the audited table.

    Parameters
    ----------
    row
        Its number in the table, from 0.
    status, reason
        How far it is; why it is open or failed.
    input_hash
        Hash of its values.
    record
        Keys ``input`` (values by column), ``prediction``, ``question`` in words.
    axps, cxps
        Numbers of stored explanations.
    """

    row: int
    status: RowStatus
    reason: str
    input_hash: str
    record: Mapping[str, object]
    axps: int
    cxps: int


@dataclass(frozen=True, slots=True)
class StoredExplanation:
    """One explanation.

    Parameters
    ----------
    row
        Row that it explains.
    record
        `Explanation.as_json` and the keys ``run``, ``row``, ``number``, ``at``.
    hash
        Hash of its record: its name in the chain.
    """

    row: int
    record: Mapping[str, object]
    hash: str

"""Joining stores: what several machines have found, each in a store of its own.

Records are added to the end of the target's chain, each with the hash that it had in its own
store, so that every explanation can be followed back.  What the target holds already is
not added again, so that a merge may be repeated, and go on after it was killed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from whyproof.engine.errors import DataError, StoreError

from .description import difference
from .records import RowStatus, RunOutcome, StoredRow
from .store import Store
from .verify import verify
from .writer import StoreWriter

__all__ = ["Merged", "merge"]

_BATCH = 500
"""Rows of one transaction."""

_RANK = {RowStatus.FAILED: 0, RowStatus.OPEN: 1, RowStatus.SKIPPED: 2, RowStatus.COMPLETE: 3}
"""What is worth more when two stores disagree about how far a row is."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge added.

    Parameters
    ----------
    stores, rows, explanations
        Stores read; rows and explanations that the target did not hold.
    """

    stores: int
    rows: int
    explanations: int


def merge(target: str | Path, sources: Sequence[str | Path]) -> Merged:
    """Add what several stores hold to one.

    Parameters
    ----------
    target
        File of the store; made if absent.
    sources
        Stores about the same model, space, region and question.  Each is verified first.

    Raises
    ------
    StoreError
        If a store is about something else, is damaged, or cannot be read.
    DataError
        If two stores hold different values under one row number, or nothing is named.
    """
    if not sources:
        raise DataError("there is nothing to merge; name the stores that machines have written")
    target = Path(target)
    identity: dict[str, object] | None = None
    for source in map(Path, sources):
        if target.exists() and source.exists() and source.samefile(target):
            raise DataError(f"{source} is the store to merge into; name it once")
        with Store.read(source) as store:
            found = verify(store)
            if not found.sound:
                raise StoreError(f"the store {source} is not sound: {found.faults[0]}")
            differs = identity and difference(identity, store.identity)
            if differs:
                raise StoreError(f"the store {source} is about {differs} than {sources[0]}")
            identity = store.identity
    rows = explanations = 0
    with StoreWriter.open(target, identity or {}) as writer:
        for source in map(Path, sources):
            with Store.read(source) as store:
                new_rows, new_explanations = _add(writer, store)
            rows, explanations = rows + new_rows, explanations + new_explanations
    return Merged(len(sources), rows, explanations)


def _add(writer: StoreWriter, store: Store) -> tuple[int, int]:
    known = [run.record for run in store.runs()]
    last = known[-1] if known else {}
    head = store.head()
    merged: dict[str, object] = {
        **{key: last.get(key) for key in ("model", "strategy", "bias", "seed", "source")},
        "rows": [],
        "budget": {},
        "jobs": 0,
        "environment": last.get("environment") or {"python": "", "packages": {}},
        "merged": {"store": store.path.name, "head": {"count": head.count, "hash": head.hash}},
    }
    run = writer.begin_run(merged)
    rows = explanations = 0
    for batch in _batched(store.each_row(), _BATCH):
        with writer.batch():
            for row in batch:
                new, found = _add_row(writer, run, store, row)
                rows, explanations = rows + new, explanations + found
    known_already = writer.counterfactuals()
    with writer.batch():
        for number, change in store.counterfactuals().items():
            told = {k: v for k, v in change.record.items() if k not in ("record", "run", "at")}
            if number not in known_already:
                writer.add_counterfactual(run, number, {**told, "merged_from": change.hash})
    writer.end_run(run, RunOutcome.FINISHED)
    return rows, explanations


def _add_row(writer: StoreWriter, run: int, store: Store, row: StoredRow) -> tuple[bool, int]:
    before = writer.progress(row.row)
    about = {k: row.record[k] for k in ("prediction", "scores", "question") if k in row.record}
    values = row.record["input"]
    writer.open_row(run, row.row, values if isinstance(values, dict) else {}, about)
    found = 0
    for stored in store.explanations(row.row):
        kept = {
            key: value
            for key, value in stored.record.items()
            if key not in ("record", "run", "row", "at", "number")
        }
        kept.setdefault("merged_from", stored.hash)
        found += writer.add(run, row.row, kept)
    if before is None or _RANK[row.status] >= _RANK[before[0]]:
        writer.close_row(run, row.row, row.status, row.reason)
    return before is None, found


def _batched(rows: Iterable[StoredRow], size: int) -> Iterator[list[StoredRow]]:
    left = iter(rows)
    while batch := list(itertools.islice(left, size)):
        yield batch

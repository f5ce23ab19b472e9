"""Checking a store: that nothing in it was edited, removed, inserted or moved.

Three things are compared.  The chain: each record's hash over its JSON and the hash
before.  The head: count and hash of the last record, so that a cut end is seen.  The
tables: rows and explanations must be what the records say.  Somebody who rewrites all
of it consistently is caught only by a head that was noted elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from .canonical import GENESIS, canonical, chained, digest
from .records import Head, RowStatus, RunOutcome
from .store import Store

__all__ = ["Verification", "verify"]

_Index = dict[str, dict[tuple[object, ...], tuple[object, ...]]]


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
    index: _Index = {"runs": {}, "rows": {}, "explanations": {}}
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
            explanations += _replay(index, seq, json.loads(payload), store)
        except (ValueError, KeyError, TypeError, AttributeError):
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
    return Verification(tuple(faults[:limit]), head, explanations)


def _replay(index: _Index, seq: int, record: dict[str, object], store: Store) -> int:
    """Do to the index what the writer did to the tables; return 1 for an explanation."""
    match record["record"]:
        case "store":
            if canonical(record["identity"]) != canonical(store.identity):
                raise ValueError("identity")
        case "run":
            index["runs"][(record["run"],)] = (seq, str(RunOutcome.RUNNING))
        case "run-end":
            known = index["runs"][(record["run"],)]
            index["runs"][(record["run"],)] = (known[0], record["outcome"])
        case "row":
            if digest(record["input"]) != record["input_hash"]:
                raise ValueError("input hash")
            index["rows"][(record["row"],)] = (seq, record["input_hash"], str(RowStatus.OPEN), "")
        case "row-status":
            known = index["rows"][(record["row"],)]
            index["rows"][(record["row"],)] = (*known[:2], record["status"], record["reason"])
        case "explanation":
            key = (record["row"], record["kind"], canonical(record["indices"]))
            index["explanations"][key] = (seq, record["status"])
            return 1
        case "counterfactual":
            if (record["row"],) not in index["rows"]:
                raise ValueError("a counterfactual of an unknown row")
        case _:
            raise ValueError("unknown record")
    return 0


def _compare(index: _Index, store: Store) -> Iterator[str]:
    for table, entries in store.indexed().items():
        expected = sorted((*key, *rest) for key, rest in index[table].items())
        if expected != entries:
            differing = set(expected).symmetric_difference(entries)
            keys = sorted({entry[0] for entry in differing}, key=str)
            which = "run" if table == "runs" else "row"
            yield f"the table of {table} does not follow from the records ({which} {keys[0]})"

"""The store of an audit: one SQLite file, one transaction per explanation, a hash chain."""

from __future__ import annotations

from .description import identity, model_as_json, space_as_json
from .export import export, exported
from .merge import Merged, merge
from .records import Head, RowStatus, RunOutcome, StoredExplanation, StoredRow, StoredRun
from .restore import restore
from .store import Store
from .vacuum import Vacuumed, vacuum
from .verify import Verification, verify
from .writer import StoreWriter, utc_now

__all__ = [
    "Head",
    "Merged",
    "RowStatus",
    "RunOutcome",
    "Store",
    "StoreWriter",
    "StoredExplanation",
    "StoredRow",
    "StoredRun",
    "Vacuumed",
    "Verification",
    "export",
    "exported",
    "identity",
    "merge",
    "model_as_json",
    "restore",
    "space_as_json",
    "utc_now",
    "vacuum",
    "verify",
]

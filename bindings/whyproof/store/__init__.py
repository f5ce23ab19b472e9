"""The store of an audit: one SQLite file, one transaction per explanation, a hash chain."""

from __future__ import annotations

from .description import identity, model_as_json, space_as_json
from .export import export, exported
from .records import Head, RowStatus, RunOutcome, StoredExplanation, StoredRow, StoredRun
from .restore import restore
from .store import Store
from .verify import Verification, verify
from .writer import StoreWriter, utc_now

__all__ = [
    "Head",
    "RowStatus",
    "RunOutcome",
    "Store",
    "StoreWriter",
    "StoredExplanation",
    "StoredRow",
    "StoredRun",
    "Verification",
    "export",
    "exported",
    "identity",
    "model_as_json",
    "restore",
    "space_as_json",
    "utc_now",
    "verify",
]

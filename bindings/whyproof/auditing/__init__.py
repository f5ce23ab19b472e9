"""Audits: every explanation of many rows, found by one or several processes, kept in a store."""

from __future__ import annotations

from .audit import AuditProgress, AuditSummary, audit_rows
from .environment import environment
from .row import Fault, RowFailed
from .tables import audit

__all__ = [
    "AuditProgress",
    "AuditSummary",
    "Fault",
    "RowFailed",
    "audit",
    "audit_rows",
    "environment",
]

"""Audits: every explanation of many rows, found by one or many processes, kept in a store."""

from __future__ import annotations

from .audit import audit_rows
from .environment import environment
from .processes import LocalProcesses
from .progress import AuditProgress, AuditSummary
from .row import Fault, RowFailed
from .runners import InProcess, OnExecutor, Runner
from .tables import audit

__all__ = [
    "AuditProgress",
    "AuditSummary",
    "Fault",
    "InProcess",
    "LocalProcesses",
    "OnExecutor",
    "RowFailed",
    "Runner",
    "audit",
    "audit_rows",
    "environment",
]

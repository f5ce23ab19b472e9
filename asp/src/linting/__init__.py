"""Checking rules and worlds before anyone relies on them.

Linting finds what cannot be meant; checking decides over all consistent states whether
rules leave gaps, overlap, conflict or never fire, each with a witness person or a proof;
test cases say what rules must decide and measure what they cover.
"""

from __future__ import annotations

from .cases import Case, CaseReport, read_cases, run_cases
from .check import RuleCheck, check_rules
from .coverage_page import coverage_page
from .finding import Finding, Severity
from .lint import lint_files, lint_world

__all__ = [
    "Case",
    "CaseReport",
    "Finding",
    "RuleCheck",
    "Severity",
    "check_rules",
    "coverage_page",
    "lint_files",
    "lint_world",
    "read_cases",
    "run_cases",
]

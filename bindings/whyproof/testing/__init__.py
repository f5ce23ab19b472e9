"""Conformance checks for oracles and encoders, for use in other projects' tests.

import pytest
from whyproof.testing import Subject, conformance_checks

subject = Subject(problem, MyOracle)

@pytest.mark.parametrize("check", conformance_checks(), ids=str)
def test_my_oracle(check):
check(subject)
"""

from __future__ import annotations

from .conformance import Check, ConformanceError, Subject, check_oracle, conformance_checks

__all__ = ["Check", "ConformanceError", "Subject", "check_oracle", "conformance_checks"]

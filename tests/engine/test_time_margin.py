"""A run stops a little before its limit, so that its last call ends about there."""

from __future__ import annotations

import pytest

from whyproof.engine import budget
from whyproof.engine.answers import UnknownReason
from whyproof.engine.budget import Budget


@pytest.mark.parametrize(("seconds", "early"), [(2.0, 0.1), (100.0, 0.5), (0.01, 0.0005)])
def test_a_run_stops_a_little_early(
    monkeypatch: pytest.MonkeyPatch, seconds: float, early: float
) -> None:
    clock = [50.0]
    monkeypatch.setattr(budget.time, "monotonic", lambda: clock[0])
    meter = Budget(seconds=seconds).start()
    assert meter.remaining == pytest.approx(seconds - early)
    clock[0] = 50.0 + seconds - 1.01 * early
    assert meter.exhausted() is None
    clock[0] = 50.0 + seconds - 0.99 * early
    assert meter.exhausted() is UnknownReason.TIME
    assert meter.remaining == 0.0


def test_without_a_limit_nothing_ends() -> None:
    meter = Budget().start()
    assert meter.remaining == float("inf")
    assert meter.exhausted() is None

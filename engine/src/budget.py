"""Budgets: how much a search may spend, and the meter that watches it.

A `Budget` is a value; `Budget.start` makes the `Meter` of one run.  Searches ask the
meter before each oracle call and stop with what they have; they never raise.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from .answers import UnknownReason
from .errors import DataError

__all__ = ["Budget", "Meter"]

_EARLY, _MOST_EARLY = 0.05, 0.5
"""A run stops by this share of its limit early, and these seconds at most: solvers that
propagate hear the clock late, and what was found has to be handed over."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one search; `None` means without limit.

    Parameters
    ----------
    seconds
        Wall-clock time, positive.
    calls
        Number of oracle questions.
    memory
        Bytes that one oracle may hold for its search.
    count
        Number of explanations.

    Examples
    --------
    >>> meter = Budget(calls=1).start()
    >>> meter.spend(1); meter.exhausted()
    <UnknownReason.CALLS: 'calls'>
    """

    seconds: float | None = None
    calls: int | None = None
    memory: int | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        for name in ("seconds", "calls", "memory", "count"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise DataError(f"the budget's {name} must be positive, found {value!r}")

    def start(self) -> Meter:
        """Begin to measure."""
        return Meter(self)


class Meter:
    """What one run has spent of its budget.  `cancel` may come from any thread."""

    def __init__(self, budget: Budget | None = None) -> None:
        self.budget = budget or Budget()
        self.calls = 0
        self._started = time.monotonic()
        seconds = self.budget.seconds
        self._deadline = (
            math.inf
            if seconds is None
            else self._started + seconds - min(_EARLY * seconds, _MOST_EARLY)
        )
        self._cancelled = False  # set once, from any thread; reading it needs no lock

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    @property
    def remaining(self) -> float:
        """Seconds left before the run has to stop, never negative; infinite without a limit.

        A run stops a little before its limit, so that its last call ends about there.
        """
        return max(0.0, self._deadline - time.monotonic())

    def spend(self, calls: int) -> None:
        """Record oracle questions."""
        self.calls += calls

    def cancel(self) -> None:
        """Ask the search to stop at its next step."""
        self._cancelled = True

    def exhausted(self) -> UnknownReason | None:
        """Return why the search has to stop now, if it has to."""
        if self._cancelled:
            return UnknownReason.CANCELLED
        if time.monotonic() >= self._deadline:
            return UnknownReason.TIME
        if self.budget.calls is not None and self.calls >= self.budget.calls:
            return UnknownReason.CALLS
        return None

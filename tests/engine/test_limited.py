"""SAT calls that end with the budget: hard formulas, easy ones, and calls after an interrupt."""

from __future__ import annotations

import itertools
import threading
import time

import pytest
from pysat.solvers import Solver

from whyproof.engine.budget import Budget, Meter
from whyproof.engine.limited import solve_within

SOLVERS = ["glucose4", "minisat22", "minicard", "glucose3"]


def pigeons(n: int) -> list[list[int]]:
    """Put n + 1 pigeons into n holes: exponential for resolution."""
    at = {(p, h): p * n + h + 1 for p in range(n + 1) for h in range(n)}
    clauses = [[at[p, h] for h in range(n)] for p in range(n + 1)]
    for h in range(n):
        clauses += [[-at[p, h], -at[q, h]] for p, q in itertools.combinations(range(n + 1), 2)]
    return clauses


@pytest.mark.parametrize("name", SOLVERS)
def test_a_hard_call_ends_with_the_budget_and_the_solver_stays_usable(name: str) -> None:
    with Solver(name, pigeons(12)) as solver:
        assert solve_within(solver, [], Budget(seconds=0.3).start()) is None
        solver.add_clause([1000])
        assert solve_within(solver, [-1000], Meter()) is False


@pytest.mark.parametrize("name", SOLVERS)
def test_a_call_that_is_over_in_time_is_answered(name: str) -> None:
    with Solver(name, pigeons(6)) as solver:
        assert solve_within(solver, [], Budget(seconds=120).start()) is False
    with Solver(name, [[1, 2], [-1]]) as solver:
        assert solve_within(solver, [], Meter()) is True
        assert solve_within(solver, [-2], Meter()) is False


@pytest.mark.parametrize("name", SOLVERS)
def test_cancelling_from_another_thread_ends_a_call(name: str) -> None:
    meter = Meter()
    with Solver(name, pigeons(12)) as solver:
        timer = threading.Timer(0.2, meter.cancel)
        timer.start()
        started = time.monotonic()
        assert solve_within(solver, [], meter) is None
        timer.join()
        assert time.monotonic() > started


def test_an_exhausted_budget_asks_nothing() -> None:
    meter = Meter()
    meter.cancel()
    with Solver("glucose4", [[1]]) as solver:
        assert solve_within(solver, [], meter) is None

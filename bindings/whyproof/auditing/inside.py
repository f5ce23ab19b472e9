"""Inside one row: several processes for one decision, from an explainer that can travel."""

from __future__ import annotations

from functools import partial

import numpy as np

from whyproof.engine.budget import Budget
from whyproof.engine.enumerate import Enumeration
from whyproof.engine.explanation import Kind
from whyproof.engine.oracle import Oracle
from whyproof.engine.parallel.marco import enumerate_in_parallel
from whyproof.engine.parallel.portfolio import Won, first_answer
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import Point
from whyproof.explainer import Explainer, kind_named

from .processes import usable_cores
from .shipping import ship

__all__ = ["enumerate_with_processes", "explain_by_portfolio", "posed"]


def posed(explainer: Explainer, instance: Point) -> tuple[ExplanationProblem, Oracle]:
    """Return the problem of an instance and its oracle; processes call this at their start."""
    problem = explainer.problem(np.asarray(instance, dtype=np.float64))
    return problem, explainer.oracle(problem)


def enumerate_with_processes(
    explainer: Explainer,
    instance: Point,
    jobs: int = 0,
    *,
    budget: Budget | None = None,
) -> Enumeration:
    """Find all explanations of one decision with several processes.

    Parameters
    ----------
    explainer
        Its model can be pickled.
    instance
        Codes, shape ``(columns,)``.
    jobs
        Number of processes; one per core by default.
    budget
        Limits.

    Raises
    ------
    UnsupportedError
        If the model cannot be sent to other processes.
    """
    ship(explainer)
    problem, oracle = posed(explainer, instance)
    make = partial(posed, explainer, instance)
    return enumerate_in_parallel(
        problem,
        oracle,
        make,
        jobs or usable_cores(),
        strategy=explainer.strategy,
        budget=budget,
    )


def explain_by_portfolio(
    explainer: Explainer,
    instance: Point,
    kind: Kind | str = Kind.AXP,
    strategies: tuple[str, ...] = ("witness", "swift"),
    *,
    budget: Budget | None = None,
) -> Won:
    """Find one explanation by whichever strategy is fastest, a process each."""
    ship(explainer)
    problem = explainer.problem(np.asarray(instance, dtype=np.float64))
    make = partial(posed, explainer, instance)
    return first_answer(problem, make, kind_named(kind), strategies, budget=budget)

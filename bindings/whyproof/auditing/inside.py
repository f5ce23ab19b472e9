"""Inside one row: several processes for one decision, from an explainer that can travel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from whyproof.engine.budget import Budget, Meter
from whyproof.engine.enumerate import Enumeration
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.minimal import STRATEGIES
from whyproof.engine.minimise import minimise
from whyproof.engine.oracle import Oracle
from whyproof.engine.parallel.marco import enumerate_in_parallel
from whyproof.engine.parallel.oracle import ParallelOracle
from whyproof.engine.parallel.portfolio import first_answer
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import Point
from whyproof.explainer import Explainer

from .processes import usable_cores
from .shipping import ship

__all__ = ["enumerate_with_processes", "explain_with_processes", "posed"]


def posed(explainer: Explainer, instance: Point) -> tuple[ExplanationProblem, Oracle]:
    """Return the problem of an instance and its oracle; processes call this at their start."""
    problem = explainer.problem(np.asarray(instance, dtype=np.float64))
    return problem, explainer.oracle(problem)


def enumerate_with_processes(
    explainer: Explainer,
    instance: Point,
    jobs: int = 0,
    *,
    kinds: Sequence[Kind] = (Kind.AXP, Kind.CXP),
    known: Sequence[Explanation] = (),
    meter: Meter | None = None,
    finish: Callable[[Explanation], Explanation] | None = None,
) -> Enumeration:
    """Find all explanations of one decision with several processes.

    Parameters
    ----------
    explainer
        Its model can be pickled.
    instance
        Codes, shape ``(columns,)``.
    jobs
        Number of processes; one per core with 0.
    kinds, known, meter, finish
        As for `enumerate_explanations`.

    Raises
    ------
    UnsupportedError
        If the model cannot be sent to other processes.
    """
    ship(explainer)
    problem, oracle = posed(explainer, instance)
    return enumerate_in_parallel(
        problem,
        oracle,
        partial(posed, explainer, instance),
        jobs or usable_cores(),
        kinds=kinds,
        strategy=explainer.strategy,
        known=known,
        meter=meter,
        finish=finish,
    )


def explain_with_processes(
    explainer: Explainer,
    instance: Point,
    kind: Kind,
    jobs: int = 0,
    *,
    meter: Meter | None = None,
) -> Explanation | None:
    """Find one explanation with several processes; `None` if it is proved that there is none.

    The strategy ``swift`` asks as many questions at once as there are processes, and calls off
    those that an answer made useless.  Any other strategy is one of a portfolio: each
    process has its own, the explainer's first, and the first minimal answer wins.

    Parameters
    ----------
    explainer
        Its model can be pickled.
    instance
        Codes, shape ``(columns,)``.
    kind
        Abductive or contrastive.
    jobs
        Number of processes; one per core with 0.
    meter
        Limits.

    Raises
    ------
    UnsupportedError
        If the model cannot be sent to other processes.
    """
    ship(explainer)
    problem = explainer.problem(np.asarray(instance, dtype=np.float64))
    make, count = partial(posed, explainer, instance), jobs or usable_cores()
    meter = meter or Budget().start()
    if explainer.strategy == "swift":
        with ParallelOracle(make, count) as oracle:
            return minimise(problem, oracle, kind, strategy="swift", meter=meter)
    strategies = list(dict.fromkeys((explainer.strategy, *_PORTFOLIO, *STRATEGIES)))[:count]
    budget = Budget(seconds=None if meter.budget.seconds is None else meter.remaining)
    return first_answer(problem, make, kind, strategies, budget=budget).explanation


# Those that differ most stand in front: the first few are what most machines have cores for.
_PORTFOLIO = ("witness", "swift", "quickxplain", "dichotomic")

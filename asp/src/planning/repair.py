"""Smallest repairs of a state that violates the rules of its world.

Data and learnt rules disagree: a rule of 71 % precision is broken by more than a quarter of
the rows.  A repair changes as few features as possible (frozen ones never) until all rules
hold; it is found by optimisation over all consistent states, not by actions.
"""

from __future__ import annotations

from collections.abc import Mapping

from whyproof.asp.rules import Value
from whyproof.asp.worlds.feature import Change
from whyproof.asp.worlds.problem import Problem
from whyproof.engine.budget import Meter
from whyproof.engine.errors import DataError

from .facts import facts_of
from .plan import Repair
from .solver import PathSolver

__all__ = ["repair_start"]

_LIMIT = 1000

_PROGRAM = """
kept(F) :- init(F,V), h(F,V,0).
#minimize { 1,F : feature(F), not kept(F) }.
"""


def repair_start(
    problem: Problem, values: Mapping[str, Value], meter: Meter
) -> tuple[dict[str, Value], Repair]:
    """Return the nearest consistent state and what was changed.

    Where several repairs are equally small, the first in the order of features and of
    their values is taken.

    Raises
    ------
    DataError
        If no consistent state has the person's frozen features.
    """
    start = problem.encode(values)
    box = [
        1 << cell if v.feature.change is Change.FROZEN else v.effects | v.targets | 1 << cell
        for v, cell in zip(problem.variables, start, strict=True)
    ]
    violated = tuple(str(rule) for rule in problem.world.violated(values))
    facts = facts_of(problem, box=box)
    found: list[tuple[int, ...]] = []
    arguments = ["--opt-mode=optN"]
    with PathSolver(
        facts, ["state", "states"], meter, parts=(), options=arguments, extra=_PROGRAM
    ) as solver:
        solver.extend(0)
        for model in solver.models(0):
            if model.optimality_proven:
                found.append(solver.path(model).states[0])
            if len(found) == _LIMIT:
                break
    if not found:
        raise DataError(
            "the state violates rules of the world, and no repair keeps its frozen features: "
            + violated[0]
        )
    chosen = min(found, key=lambda s: [(a != b, abs(a - b)) for a, b in zip(s, start, strict=True)])
    repaired = problem.concrete([start, chosen], values)[1]
    changes = {n: (values[n], repaired[n]) for n in problem.names if values[n] != repaired[n]}
    return repaired, Repair(changes, violated, len(set(found)))

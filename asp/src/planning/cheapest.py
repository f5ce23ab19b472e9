"""Cheapest paths: least summed cost of direct actions, proved where it can be.

For each length the solver minimises the cost (weak constraints over whole numbers; prices
are scaled by their common denominator).  A length is skipped once that many of the
cheapest actions cost more than the best path known, which ends the search with a proof
when every action has a price; otherwise the answer is the best within the horizon.

A price per unit of distance needs values, not cells: an interval is replaced by its two
ends, between which a cheapest path never stops (its cost is a sum of distances on number
lines, linear between ends).
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from whyproof.asp.rules.values import number_of
from whyproof.asp.worlds.problem import CellState, Problem
from whyproof.engine.budget import Meter
from whyproof.engine.errors import DataError

from .facts import facts_of
from .options import Objective, PlanOptions
from .path import Path, path_of
from .replay import Verdicts, confirm
from .shortest import CLOSURE, Search, best_first, settle, shortest_paths
from .solver import PathSolver, Stopped
from .unreachable import closed_off

__all__ = ["cheapest_paths"]

_LARGEST = 2**30
"""Largest whole-numbered price; clingo computes with 32 bits."""

_LOOK_FOR_PROOF = 2


def cheapest_paths(
    problem: Problem, options: PlanOptions, verdicts: Verdicts, meter: Meter
) -> Search:
    """Find the cheapest paths.

    Parameters
    ----------
    problem
        Compiled with `ends`.
    options
        Horizon and limit.
    verdicts
        The real model.
    meter
        Budget.

    Raises
    ------
    DataError
        If prices differ too widely to be compared exactly.
    """
    search = Search()
    try:
        _deepen(problem, options, verdicts, meter, search)
    except Stopped as stop:
        search.stopped, search.complete, search.proved = True, False, False
        search.note = f"the budget ran out: {stop.reason}"
    search.paths = best_first(search.paths)
    return search


def _deepen(
    problem: Problem, options: PlanOptions, verdicts: Verdicts, meter: Meter, search: Search
) -> None:
    prices, scale = _prices(problem)
    least = min((v.feature.cost for v in problem.variables if v.targets), default=math.inf)
    best: Fraction | None = None
    length = 0
    while length <= options.horizon:
        if length == 0:
            # nothing to optimise: either the start is a goal or not
            plain = replace(options, objective=Objective.LENGTH, horizon=0)
            search.paths = shortest_paths(problem, plain, verdicts, meter).paths
            if search.paths:
                return
            length = 1
            continue
        if best is not None and Fraction(repr(least)) * length > best:
            break
        found = _optimal(problem, options, verdicts, meter, length, prices, best, scale)
        if found:
            cost = _exact(problem, found[0])
            if best is None or cost < best:
                search.paths, best = [], cost
            search.paths += found
            search.complete = options.limit is None or len(search.paths) < options.limit
        elif not search.paths:
            search.refuted = length
            if length == min(_LOOK_FOR_PROOF, options.horizon) and closed_off(
                problem, meter, verdicts.blocked
            ):
                search.unreachable = CLOSURE
                return
        length += 1
    else:
        search.proved = best is None or (least > 0 and Fraction(repr(least)) * length > best)
    if options.limit is not None:
        search.paths = best_first(search.paths)[: options.limit]
    if not search.paths:
        settle(problem, options, verdicts, meter, search)


def _optimal(
    problem: Problem,
    options: PlanOptions,
    verdicts: Verdicts,
    meter: Meter,
    length: int,
    prices: str,
    best: Fraction | None,
    scale: int,
) -> list[Path]:
    """Return the confirmed paths of one length that cost least, and not above the best."""
    while True:
        arguments = ["--opt-mode=optN"]
        if best is not None:
            arguments = [f"--opt-mode=optN,{math.floor(best * scale)}"]
        facts = facts_of(problem, verdicts.blocked)
        found: dict[tuple[CellState, ...], Path] = {}
        with PathSolver(
            facts,
            ["state", "step", "inertia", "search", "cost"],
            meter,
            parts=("act", "ask", "cost"),
            options=arguments,
            extra=prices,
        ) as solver:
            solver.extend(length)
            for model in solver.models():
                if not model.optimality_proven:
                    continue
                path = path_of(problem, solver.path(model))
                confirm(problem, path, verdicts.blocked)
                # paths that differ in the ends of one interval only are one path
                shown = tuple(problem.grouped(state) for state in path.cells)
                rival = found.get(shown)
                if rival is None or path.cost < rival.cost:
                    found[shown] = path
                if options.limit is not None and len(found) > options.limit:
                    break
        kept = verdicts.confirmed(list(found.values()))
        if kept or not found:
            return kept


def _exact(problem: Problem, path: Path) -> Fraction:
    total = Fraction(0)
    for step in path.steps:
        feature = problem.world.feature(step.direct.feature)
        total += Fraction(repr(float(feature.cost)))
        old, new = number_of(step.direct.old), number_of(step.direct.new)
        if feature.cost_per_unit and old == old and new == new:
            distance = abs(Fraction(repr(new)) - Fraction(repr(old)))
            total += Fraction(repr(float(feature.cost_per_unit))) * distance
    return total


def _prices(problem: Problem) -> tuple[str, int]:
    """Return the facts about prices, in whole numbers, and the factor that made them so."""
    exact: list[tuple[str, Fraction]] = []
    for number, variable in enumerate(problem.variables):
        feature = variable.feature
        if not variable.targets:
            continue
        exact.append((f"price({number},", Fraction(repr(float(feature.cost)))))
        if not feature.cost_per_unit:
            continue
        rate = Fraction(repr(float(feature.cost_per_unit)))
        marks = [number_of(cell.value) for cell in variable.cells if not cell.is_missing]
        for cell in range(1, len(marks)):
            gap = Fraction(repr(marks[cell])) - Fraction(repr(marks[cell - 1]))
            exact.append((f"gap({number},{cell},", rate * gap))
    scale = math.lcm(*(price.denominator for _, price in exact)) if exact else 1
    largest = max((price * scale for _, price in exact), default=Fraction(0))
    if largest > _LARGEST:
        raise DataError(
            "the costs of this world differ too widely to be compared exactly; round them, or "
            "choose a larger unit"
        )
    return "\n".join(f"{name}{price * scale})." for name, price in exact), scale

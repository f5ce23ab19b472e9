"""Paths that change as few features as possible, by inclusion.

Whether a set of features suffices is monotone: more features never hurt.  A set is shrunk
by deletion under assumptions, all its supersets are blocked, and the search repeats until
nothing is left: then every minimal set (within the horizon) is known.
"""

from __future__ import annotations

from dataclasses import replace

from whyproof.asp.worlds.problem import Problem, Variable
from whyproof.engine.budget import Meter

from .facts import facts_of
from .options import Objective, PlanOptions
from .replay import Verdicts
from .shortest import CLOSURE, Search, best_first, settle, shortest_paths
from .solver import PathSolver, Stopped
from .unreachable import closed_off

__all__ = ["fewest_changes", "restricted"]


def fewest_changes(
    problem: Problem, options: PlanOptions, verdicts: Verdicts, meter: Meter
) -> Search:
    """Find all minimal sets of directly changed features, with a shortest path for each.

    Parameters
    ----------
    problem
        With a start.
    options
        Horizon and limit.
    verdicts
        The real model.
    meter
        Budget.
    """
    search = Search()
    try:
        while not _all_sets(problem, options, verdicts, meter, search):
            search.paths = []
        if not search.paths:
            _conclude(problem, options, verdicts, meter, search)
    except Stopped as stop:
        search.stopped, search.complete = True, False
        search.note = f"the budget ran out: {stop.reason}"
    search.paths = best_first(search.paths)
    return search


def restricted(problem: Problem, features: frozenset[int]) -> Problem:
    """Return the problem in which actions may change some features only."""

    def limited(number: int, variable: Variable) -> Variable:
        return variable if number in features else replace(variable, targets=0)

    variables = tuple(limited(i, v) for i, v in enumerate(problem.variables))
    return replace(problem, variables=variables)


def _all_sets(
    problem: Problem, options: PlanOptions, verdicts: Verdicts, meter: Meter, search: Search
) -> bool:
    """Collect a path for each minimal set; false if the model denied a goal on the way."""
    plain = replace(options, objective=Objective.LENGTH, limit=1, extra=0)
    everything = [i for i, v in enumerate(problem.variables) if v.targets]
    facts = facts_of(problem, verdicts.blocked)
    programs = ["state", "step", "inertia", "bounded", "may"]
    with PathSolver(facts, programs, meter, parts=("act", "ask", "may")) as solver:
        solver.extend(options.horizon)
        while True:
            used = _used(solver, everything, frozenset(everything))
            if used is None:
                return True
            for feature in sorted(used):
                smaller = _used(solver, everything, used - {feature})
                used = smaller if smaller is not None else used
            known = len(verdicts.blocked)
            found = shortest_paths(restricted(problem, used), plain, verdicts, meter)
            if found.stopped or len(verdicts.blocked) > known:
                if found.stopped:
                    search.note, search.stopped, search.complete = found.note, True, False
                    return True
                return False
            search.paths += found.paths[:1]
            solver.exclude([("may", (feature,)) for feature in sorted(used)])
            if options.limit is not None and len(search.paths) >= options.limit:
                search.complete = False
                return True


def _used(
    solver: PathSolver, everything: list[int], allowed: frozenset[int]
) -> frozenset[int] | None:
    """Return the features that some path within the allowed ones changes."""
    if allowed == frozenset(everything):
        assumptions = []
    else:
        assumptions = [("may", (f,), f in allowed) for f in everything]
    for model in solver.models(1, assumptions):
        path = solver.path(model)
        return frozenset(action[0] for action in path.actions if action is not None)
    return None


def _conclude(
    problem: Problem, options: PlanOptions, verdicts: Verdicts, meter: Meter, search: Search
) -> None:
    search.refuted = options.horizon
    if closed_off(problem, meter, verdicts.blocked):
        search.unreachable = CLOSURE
    else:
        settle(problem, options, verdicts, meter, search)

"""Shortest paths by iterative deepening.

Lengths 0, 1, 2, ... are asked for one after the other; the first that is satisfiable is
the least, because all shorter ones were refuted.  All its models are all minimal paths.
Where the real model contradicts the rules about a goal, that cell is no goal any more: the
search goes on at the same length, and may now lead through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from whyproof.asp.worlds.problem import CellState, Problem
from whyproof.engine.budget import Meter

from .facts import facts_of
from .irreducible import is_irreducible
from .options import PlanOptions
from .path import Path, path_of
from .replay import Verdicts, confirm
from .solver import CellPath, PathSolver, Stopped
from .unreachable import closed_off, exhaust

__all__ = ["CLOSURE", "Search", "best_first", "settle", "shortest_paths"]

_LOOK_FOR_PROOF = 2
"""Length without a path after which the closure is tried."""

CLOSURE = "closure: no combination of all values that could ever be reached is a goal"
"""How unreachability was proved when values were combined freely."""


@dataclass
class Search:
    """What a search came to.

    Parameters
    ----------
    paths
        Best first.
    refuted
        Every length up to this one was refuted; -1 for none.
    complete
        Whether `paths` holds all of the kind asked for.
    unreachable
        How unreachability was proved, empty if it was not.
    note
        What else is known.
    stopped
        Whether the budget ran out.
    proved
        Whether the first path is proved to be the best.
    """

    paths: list[Path] = field(default_factory=list[Path])
    refuted: int = -1
    complete: bool = True
    unreachable: str = ""
    note: str = ""
    stopped: bool = False
    proved: bool = True
    statistics: dict[str, float] = field(default_factory=dict[str, float])


def shortest_paths(
    problem: Problem, options: PlanOptions, verdicts: Verdicts, meter: Meter
) -> Search:
    """Find the shortest paths.

    Parameters
    ----------
    problem
        With a consistent (or tolerated) start.
    options
        Horizon, limit, extra lengths, distinct goals.
    verdicts
        The real model.
    meter
        Budget.
    """
    search = Search()
    try:
        _deepen(problem, options, verdicts, meter, search)
    except Stopped as stop:
        search.stopped = True
        search.complete = False
        search.note = f"the budget ran out: {stop.reason}"
    return search


def _deepen(
    problem: Problem, options: PlanOptions, verdicts: Verdicts, meter: Meter, search: Search
) -> None:
    length, last = 0, options.horizon
    solver = _solver(problem, [], options, meter)
    while length <= last:
        solver.extend(length)
        kept, every, denied = _confirmed(solver, problem, options, verdicts, len(search.paths))
        search.statistics |= solver.statistics()
        if search.paths:
            kept = [p for p in kept if is_irreducible(problem, p, verdicts.blocked)]
        elif kept:
            last = min(length + options.extra, options.horizon)
        search.paths += best_first(kept)
        search.complete &= every
        if options.limit is not None and len(search.paths) >= options.limit:
            return
        if not search.paths:
            search.refuted = length
            if length == min(_LOOK_FOR_PROOF, last):
                closed = closed_off(problem, meter, verdicts.blocked)
                search.unreachable = CLOSURE if closed else ""
                if closed:
                    return
        if denied:
            # goals that the model denies are no goals, so that longer paths may pass there
            solver = _solver(problem, verdicts.blocked, options, meter)
        length += 1
    if not search.paths:
        settle(problem, options, verdicts, meter, search)


def _confirmed(
    solver: PathSolver,
    problem: Problem,
    options: PlanOptions,
    verdicts: Verdicts,
    known: int,
) -> tuple[list[Path], bool, bool]:
    """Return the confirmed paths of the present length, if they are all, if some were not."""
    denied = False
    while True:
        found, every = _paths(solver, problem, options, known)
        blocked = verdicts.blocked
        for path in found:
            confirm(problem, path, blocked)
        kept = verdicts.confirmed(found)
        if len(kept) == len(found) or every:
            return kept, every, denied or len(kept) < len(found)
        denied = True
        fresh = [state for state in verdicts.blocked if state not in blocked]
        if not fresh:
            return kept, False, denied
        for state in fresh:
            solver.exclude_end(state)


def settle(
    problem: Problem, options: PlanOptions, verdicts: Verdicts, meter: Meter, search: Search
) -> None:
    """Try to prove that no longer path exists either."""
    walk = exhaust(problem, meter, verdicts.blocked, limit=options.max_states)
    if not walk.complete:
        search.note = f"{walk.states} states were visited without an end"
    elif walk.distance is None:
        search.unreachable = f"exhaustive: none of the {walk.states} reachable states is a goal"
    else:
        search.note = f"a path of length {walk.distance} exists beyond the horizon"


def _solver(
    problem: Problem, blocked: Sequence[CellState], options: PlanOptions, meter: Meter
) -> PathSolver:
    programs = ["state", "step", "inertia", "search"]
    arguments: list[str] = []
    if options.goals:
        programs.append("goals")
        arguments = ["--project=project"]
    return PathSolver(facts_of(problem, blocked), programs, meter, options=arguments)


def _paths(
    solver: PathSolver, problem: Problem, options: PlanOptions, known: int
) -> tuple[list[Path], bool]:
    """Return the paths of the present length, one per sequence of states."""
    limit = 0 if options.limit is None else options.limit - known
    found: dict[tuple[CellState, ...], CellPath] = {}
    every = True
    for model in solver.models():
        path = solver.path(model)
        rival = found.get(path.states)
        if rival is not None:
            found[path.states] = min(path, rival, key=lambda p: _rank(problem, p))
            continue
        if limit and len(found) == limit:
            every = False
            break
        found[path.states] = path
    return [path_of(problem, path) for path in found.values()], every


def _rank(problem: Problem, path: CellPath) -> tuple[float, tuple[tuple[int, int], ...]]:
    """Order paths with the same states but other direct actions: the cheaper one is told."""
    return path_of(problem, path).cost, tuple(action or (0, 0) for action in path.actions)


def best_first(paths: Sequence[Path]) -> list[Path]:
    """Order paths by length, cost and then by their states, so that answers are stable."""
    return sorted(paths, key=lambda p: (p.length, p.cost, p.actions, p.cells))

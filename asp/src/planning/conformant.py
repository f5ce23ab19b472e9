"""Conformant plans: sequences of actions that reach the goal whatever the causal effects.

A causal rule may leave a choice of values.  A conformant plan fixes its actions beforehand
and works for every choice: no action becomes inadmissible, and all possible last states are
goals.  Candidates are courses of events that the solver finds; each candidate is carried
through all outcomes by definition (see `transition`), and the part of it that fails is
excluded.  The first length with a plan is minimal, because every shorter plan would have
been a candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from whyproof.asp.worlds.problem import CellState, Problem
from whyproof.engine.budget import Meter

from .facts import facts_of
from .options import PlanOptions
from .path import Path, path_of
from .replay import Verdicts
from .shortest import Search, best_first
from .solver import CellPath, PathSolver, Stopped
from .transition import actions, successors
from .unreachable import closed_off

__all__ = ["conformant_paths", "outcomes"]

Action = tuple[int, int]


def conformant_paths(
    problem: Problem, options: PlanOptions, verdicts: Verdicts, meter: Meter
) -> Search:
    """Find the shortest conformant plans.

    Parameters
    ----------
    problem
        With a start.
    options
        Horizon and limit.
    verdicts
        The real model: it has to confirm every possible last state.
    meter
        Budget.

    Returns
    -------
    Search
        Each path shows one course of events; `Step.outcomes` counts the possible states.
    """
    search = Search()
    try:
        facts = facts_of(problem)
        with PathSolver(facts, ["state", "step", "inertia", "outcomes"], meter) as solver:
            for length in range(options.horizon + 1):
                solver.extend(length)
                _collect(solver, problem, options, verdicts, search)
                if search.paths:
                    break
                search.refuted = length
        if not search.paths and closed_off(problem, meter):
            search.unreachable = "closure: not even the best outcomes reach a goal"
    except Stopped as stop:
        search.stopped, search.complete = True, False
        search.note = f"the budget ran out: {stop.reason}"
    search.paths = best_first(search.paths)
    return search


def outcomes(problem: Problem, plan: Sequence[Action]) -> tuple[list[list[CellState]] | None, int]:
    """Carry a plan through all outcomes.

    Returns
    -------
    layers, failed
        The possible states after each step, the start first; or `None` and the number of
        actions after which some outcome admits no next state.
    """
    layers: list[list[CellState]] = [[problem.start or ()]]
    for number, action in enumerate(plan, start=1):
        following: set[CellState] = set()
        for state in layers[-1]:
            if state[action[0]] == action[1]:
                following.add(state)
                continue
            if action not in set(actions(problem, state)):
                return None, number
            after = successors(problem, state, action)
            if not after:
                return None, number
            following.update(after)
        layers.append(sorted(following))
    return layers, len(plan)


def _collect(
    solver: PathSolver,
    problem: Problem,
    options: PlanOptions,
    verdicts: Verdicts,
    search: Search,
) -> None:
    """Test the candidates of one length."""
    while True:
        candidate: CellPath | None = None
        for model in solver.models(1):
            candidate = solver.path(model)
        if candidate is None:
            return
        plan = [action for action in candidate.actions if action is not None]
        layers, tried = outcomes(problem, plan)
        if layers is not None and _all_reached(problem, layers, verdicts):
            if options.limit is not None and len(search.paths) >= options.limit:
                search.complete = False
                return
            search.paths.append(_shown(problem, candidate, layers))
        failed: list[tuple[str, tuple[int, ...]]] = [
            ("do", (*action, t)) for t, action in enumerate(plan[:tried], start=1)
        ]
        if layers is not None:
            # the plan itself is done with; a longer one may begin with it
            failed.append(("query", (len(plan),)))
        solver.exclude(failed)


def _all_reached(
    problem: Problem, layers: Sequence[Sequence[CellState]], verdicts: Verdicts
) -> bool:
    if not all(problem.is_goal(state) for state in layers[-1]):
        return False
    start, values = problem.start or (), problem.values or {}
    ends = [(state, problem.concrete([start, state], values)[1]) for state in layers[-1]]
    return all(verdicts.accepts(ends))


def _shown(problem: Problem, candidate: CellPath, layers: Sequence[Sequence[CellState]]) -> Path:
    path = path_of(problem, candidate)
    steps = tuple(
        replace(step, outcomes=len(layer))
        for step, layer in zip(path.steps, layers[1:], strict=True)
    )
    return replace(path, steps=steps)

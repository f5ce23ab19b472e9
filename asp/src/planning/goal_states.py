"""All goals of a world: consistent states that the rules decide as wished."""

from __future__ import annotations

from collections.abc import Iterator

from whyproof.asp.worlds.compile import compile_world
from whyproof.asp.worlds.problem import CellState, Problem
from whyproof.asp.worlds.world import World
from whyproof.engine.budget import Meter
from whyproof.engine.errors import DataError

from .facts import facts_of
from .solver import PathSolver

__all__ = ["consistent_states", "goal_states"]


def goal_states(
    world: World, *, limit: int | None = None, meter: Meter | None = None
) -> tuple[Problem, list[CellState]]:
    """Enumerate the goal states of a world, over cells.

    Parameters
    ----------
    world
        With decision rules and a goal that is said.
    limit
        Most states; `None` for all.
    meter
        Budget.

    Returns
    -------
    problem, states
        The cells, and the goals among their combinations.

    Raises
    ------
    DataError
        If the goal is left open: "any other decision" needs a person.

    Examples
    --------
    >>> from whyproof.asp.rules import read_rules
    >>> from whyproof.asp.worlds import Goal, world_from_toml
    >>> world = world_from_toml('''
    ... [features.safety]
    ... values = ["low", "med", "high"]
    ... ''').with_decisions(read_rules("bad :- safety = low."), Goal(undesired=(True,)))
    >>> len(goal_states(world)[1])
    2
    """
    if world.goal.is_open:
        raise DataError("the goal is open; say which decisions are desired or undesired")
    problem = compile_world(world)
    found: list[CellState] = []
    for state in consistent_states(problem, meter or Meter(), [("won", (0,), True)]):
        found.append(state)
        if limit is not None and len(found) == limit:
            break
    return problem, sorted(found)


def consistent_states(
    problem: Problem,
    meter: Meter,
    assumptions: list[tuple[str, tuple[int, ...], bool]] | None = None,
    *,
    box: tuple[int, ...] | None = None,
) -> Iterator[CellState]:
    """Yield the consistent states of a world, in no particular order."""
    with PathSolver(facts_of(problem, box=box), ["state", "states"], meter, parts=()) as solver:
        solver.extend(0)
        for model in solver.models(0, assumptions or []):
            yield solver.path(model).states[0]

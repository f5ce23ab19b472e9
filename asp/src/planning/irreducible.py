"""Padding: whether a path still works with some of its actions left out.

A path longer than the shortest is worth showing only if every action is needed.  The
reference system pads paths to a wished length; here a next-best path is dropped when some
of its actions, in their order and with causal effects of any kind, reach a goal too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from whyproof.asp.worlds.problem import CellState, Problem

from .path import Path
from .transition import actions, successors

__all__ = ["is_irreducible"]

_MOST_ACTIONS = 14
"""Longer paths are kept without the test, which tries every part of them."""


def is_irreducible(problem: Problem, path: Path, blocked: Sequence[CellState] = ()) -> bool:
    """Tell whether no proper part of a path's actions reaches a goal."""
    n = path.length
    if n > _MOST_ACTIONS:
        return True
    closed = set(blocked)
    for size in range(n):
        for kept in combinations(path.actions, size):
            if _reaches(problem, path.cells[0], kept, closed):
                return False
    return True


def _reaches(
    problem: Problem,
    start: CellState,
    plan: Sequence[tuple[int, int]],
    blocked: set[CellState],
) -> bool:
    states = {start}
    for action in plan:
        states = {
            after
            for state in states
            if action in set(actions(problem, state))
            for after in successors(problem, state, action)
        }
    return any(problem.is_goal(state) and state not in blocked for state in states)

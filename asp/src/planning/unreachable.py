"""Proofs that no path of any length leads to the goal.

Two methods.  The *closure* forgets how values combine: starting from the person's values it
adds, feature by feature, every value that some action or effect could give, until nothing
is added; if no consistent state made of these values is a goal, none can be reached (the
delete relaxation of planning; polynomial but for one satisfiability test).  The
*exhaustive* method walks through all reachable states; it is exact and runs on a quotient
in which features and values that no rule tells apart are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from whyproof.asp.worlds.problem import CellState, Problem
from whyproof.engine.budget import Meter

from .facts import facts_of
from .quotient import quotient
from .solver import PathSolver, Stopped
from .transition import actions, successors

__all__ = ["Exhaustion", "closed_off", "closure", "exhaust"]


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """What an exhaustive walk found.

    Parameters
    ----------
    states
        Number of states visited.
    distance
        Least number of actions to a goal; `None` if none was found.
    complete
        Whether every reachable state was visited (or a goal found on the way).
    """

    states: int
    distance: int | None
    complete: bool


def closure(problem: Problem) -> tuple[int, ...]:
    """Return for each variable the mask of cells that might ever be reached.

    Never too small: combinations of values are forgotten, so that more may seem reachable
    than is.
    """
    if problem.start is None:
        return tuple(v.everything for v in problem.variables)
    box = [1 << cell for cell in problem.start]
    while True:
        before = list(box)
        for number in range(len(box)):
            box[number] |= _by_actions(problem, number, box)
        for rule in problem.causal:
            fires = all(box[v] & mask for v, mask in rule.tests)
            if fires and box[rule.head] & ~rule.allowed:
                box[rule.head] |= rule.allowed & problem.variables[rule.head].effects
        if box == before:
            return tuple(box)


def _by_actions(problem: Problem, number: int, box: Sequence[int]) -> int:
    variable = problem.variables[number]
    if not variable.targets:
        return 0
    unmet = [
        pre
        for pre in problem.preconditions
        if pre.variable == number
        and not any(all(box[v] & mask for v, mask in way) for way in pre.requires)
    ]
    reached = 0
    rest = box[number]
    while rest:
        low = rest & -rest
        rest ^= low
        targets = variable.targets_from(low.bit_length() - 1)
        for pre in unmet:
            if pre.source & low:
                targets &= ~pre.target
        reached |= targets
        if reached | box[number] == variable.everything:
            break
    return reached


def closed_off(problem: Problem, meter: Meter, blocked: Sequence[CellState] = ()) -> bool:
    """Tell whether the closure proves that no goal can be reached; false proves nothing."""
    facts = facts_of(problem, blocked, box=closure(problem))
    with PathSolver(facts, ["state", "states"], meter, parts=()) as solver:
        solver.extend(0)
        return not solver.satisfiable([("won", (0,), True)])


def exhaust(
    problem: Problem, meter: Meter, blocked: Sequence[CellState] = (), *, limit: int = 20_000
) -> Exhaustion:
    """Walk through the reachable states that are no goals.

    Parameters
    ----------
    problem
        With a start.
    meter
        Budget.
    blocked
        States that do not count as goals.
    limit
        Most states to visit.
    """
    small, shrink = quotient(problem, blocked)
    if small.start is None:
        return Exhaustion(0, None, complete=False)
    closed = {shrink(state) for state in blocked}
    layer: list[CellState] = [small.start]
    seen = {small.start}
    distance = 0
    while layer:
        following: list[CellState] = []
        for state in layer:
            if small.is_goal(state) and state not in closed:
                return Exhaustion(len(seen), distance, complete=True)
            reason = meter.exhausted()
            if reason is not None:
                raise Stopped(reason)
            if len(seen) > limit:
                return Exhaustion(len(seen), None, complete=False)
            for action in actions(small, state):
                for after in successors(small, state, action):
                    if after not in seen:
                        seen.add(after)
                        following.append(after)
        layer = following
        distance += 1
    return Exhaustion(len(seen), None, complete=True)

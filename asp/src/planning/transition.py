"""Transitions by definition: a second method beside the answer-set program.

A state ``h`` follows a state ``s`` by setting feature ``f`` to ``v`` when (i) ``h(f) = v``;
(ii) ``h`` is consistent; (iii) every other feature keeps its value or is *forced*: a causal
rule with that head has a true body in ``h`` and does not allow the old value; and (iv)
forcing is well-founded: the forced features can be put in an order such that the rule that
forces each rests only on features that did not move or come earlier.

`successors` builds these states in the order of (iv); `is_transition` checks one.  The
planner replays every path of the solver here, proofs of unreachability and conformant plans
are made from it, and tests compare it with plain enumeration.
"""

from __future__ import annotations

from collections.abc import Iterator

from whyproof.asp.worlds.feature import Change
from whyproof.asp.worlds.problem import CellState, Problem, bits

__all__ = ["actions", "foundations", "is_transition", "successors", "unfounded"]


def actions(problem: Problem, state: CellState) -> Iterator[tuple[int, int]]:
    """Yield the direct actions that a state admits: variable and cell."""
    for number, variable in enumerate(problem.variables):
        targets = variable.targets_from(state[number])
        for pre in problem.preconditions:
            if pre.variable == number and pre.source >> state[number] & 1:
                met = any(all(m >> state[v] & 1 for v, m in way) for way in pre.requires)
                if not met:
                    targets &= ~pre.target
        for cell in bits(targets):
            yield number, cell


def successors(problem: Problem, state: CellState, action: tuple[int, int]) -> list[CellState]:
    """Return every state that an action may lead to, in ascending order.

    The action must be one of `actions`.  More than one state results where a causal rule
    leaves a choice, none where its consequences contradict each other.
    """
    first, cell = action
    start = (*state[:first], cell, *state[first + 1 :])
    found: set[CellState] = set()
    seen = {(start, frozenset({first}))}
    waiting = [(start, frozenset({first}))]
    while waiting:
        current, moved = waiting.pop()
        if problem.is_consistent(current) and not unfounded(problem, start, current, first):
            found.add(current)
        for head in _forced(problem, start, current) - moved:
            # the value must suit every rule whose body can no longer change
            settled = moved | {head} | _unmovable(problem)
            allowed = problem.variables[head].effects & ~(1 << start[head])
            for number, rule in enumerate(problem.causal):
                if (
                    rule.head == head
                    and number not in problem.tolerated
                    and all(v in settled and v != head for v, _ in rule.tests)
                    and all(mask >> current[v] & 1 for v, mask in rule.tests)
                ):
                    allowed &= rule.allowed
            for value in bits(allowed):
                entry = ((*current[:head], value, *current[head + 1 :]), moved | {head})
                if entry not in seen:
                    seen.add(entry)
                    waiting.append(entry)
    return sorted(found)


def is_transition(
    problem: Problem, before: CellState, action: tuple[int, int], after: CellState
) -> bool:
    """Tell whether an action may lead from one state to the other."""
    feature, cell = action
    if action not in set(actions(problem, before)) or after[feature] != cell:
        return False
    start = (*before[:feature], cell, *before[feature + 1 :])
    for variable, old, new in zip(problem.variables, start, after, strict=True):
        if old != new and not variable.effects >> new & 1:
            return False
    return problem.is_consistent(after) and not unfounded(problem, start, after, feature)


def unfounded(problem: Problem, start: CellState, after: CellState, action: int) -> set[int]:
    """Return the variables that moved without being forced in a well-founded way.

    Parameters
    ----------
    problem
        The world over cells.
    start
        The state with the direct action done and nothing else.
    after
        The state to be explained.
    action
        The variable of the direct action.
    """
    moved = {v for v in range(len(start)) if start[v] != after[v]}
    if action in moved:
        return moved
    return moved - set(foundations(problem, start, after))


def foundations(problem: Problem, start: CellState, after: CellState) -> dict[int, int]:
    """Return for each variable that was forced the number of the causal rule that forces it.

    Variables come in a well-founded order: the rule of each rests on features that did not
    move or come earlier.
    """
    unexplained = {v for v in range(len(start)) if start[v] != after[v]}
    found: dict[int, int] = {}
    progress = True
    while progress and unexplained:
        progress = False
        for number, rule in enumerate(problem.causal):
            head = rule.head
            if (
                head in unexplained
                and not rule.allowed >> start[head] & 1
                and all(v not in unexplained and m >> after[v] & 1 for v, m in rule.tests)
                and _counts(problem, number, after, unexplained)
            ):
                unexplained.discard(head)
                found[head] = number
                progress = True
    return found


def _counts(problem: Problem, number: int, after: CellState, unexplained: set[int]) -> bool:
    """Tell whether a rule is in force, by features whose move is explained already."""
    if number not in problem.tolerated or problem.start is None:
        return True
    return any(after[v] != problem.start[v] and v not in unexplained for v in problem.scope[number])


def _forced(problem: Problem, start: CellState, current: CellState) -> set[int]:
    """Return the variables that some rule, true at present, forces from their old value."""
    return {
        rule.head
        for number, rule in enumerate(problem.causal)
        if not rule.allowed >> start[rule.head] & 1
        and all(mask >> current[v] & 1 for v, mask in rule.tests)
        and not (number in problem.tolerated and problem.untouched(number, current))
    }


def _unmovable(problem: Problem) -> frozenset[int]:
    """Return the variables that no causal rule can move."""
    movable = {
        rule.head
        for rule in problem.causal
        if problem.variables[rule.head].feature.change is not Change.FROZEN
    }
    return frozenset(range(len(problem.variables))) - movable

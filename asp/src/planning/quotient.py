"""Smaller problems with the same answers: values that no rule tells apart become one.

Two cells of a feature are merged when every mask of every rule treats them alike, and
neither the order of the feature nor its list of allowed moves separates them.  The merged
problem is bisimilar to the given one: the same path lengths, the same reachability.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from whyproof.asp.worlds.feature import Change
from whyproof.asp.worlds.problem import (
    CellBody,
    CellState,
    Conjunction,
    Problem,
    Variable,
)

__all__ = ["quotient"]


def quotient(
    problem: Problem, blocked: Sequence[CellState] = ()
) -> tuple[Problem, Callable[[CellState], CellState]]:
    """Merge cells that no rule tells apart.

    Parameters
    ----------
    problem
        The world over cells.
    blocked
        States that must stay recognisable.

    Returns
    -------
    problem, shrink
        The smaller problem, and the map from old states to new ones.
    """
    masks: list[set[int]] = [set() for _ in problem.variables]
    for conjunction in _conjunctions(problem):
        for variable, mask in conjunction:
            masks[variable].add(mask)
    for rule in problem.causal:
        masks[rule.head].add(rule.allowed)
    for pre in problem.preconditions:
        masks[pre.variable] |= {pre.source, pre.target}
    for state in blocked:
        for variable, cell in enumerate(state):
            masks[variable].add(1 << cell)
    if problem.start is not None:
        for number in problem.tolerated:
            for variable in problem.scope[number]:
                masks[variable].add(1 << problem.start[variable])
    maps = [_classes(v, m) for v, m in zip(problem.variables, masks, strict=True)]

    def shrink(state: CellState) -> CellState:
        return tuple(m[cell] for m, cell in zip(maps, state, strict=True))

    small = replace(
        problem,
        variables=tuple(_merged(v, m) for v, m in zip(problem.variables, maps, strict=True)),
        causal=tuple(
            replace(r, tests=_tests(r.tests, maps), allowed=_mask(r.allowed, maps[r.head]))
            for r in problem.causal
        ),
        denials=tuple(replace(d, tests=_tests(d.tests, maps)) for d in problem.denials),
        preconditions=tuple(
            replace(
                p,
                source=_mask(p.source, maps[p.variable]),
                target=_mask(p.target, maps[p.variable]),
                requires=tuple(_tests(way, maps) for way in p.requires),
            )
            for p in problem.preconditions
        ),
        decisions=tuple(replace(d, body=_body(d.body, maps)) for d in problem.decisions),
        start=None if problem.start is None else shrink(problem.start),
    )
    return small, shrink


def _conjunctions(problem: Problem) -> list[Conjunction]:
    found = [rule.tests for rule in problem.causal]
    found += [denial.tests for denial in problem.denials]
    found += [way for pre in problem.preconditions for way in pre.requires]
    bodies = [decision.body for decision in problem.decisions]
    while bodies:
        body = bodies.pop()
        found.append(body.tests)
        bodies += body.exceptions
    return found


def _classes(variable: Variable, masks: set[int]) -> list[int]:
    """Return for each cell the number of its class; classes are numbered in order."""
    told = sorted({*masks, variable.targets, variable.effects, variable.ordered})
    ordered = variable.feature.change in (Change.UP, Change.DOWN)
    known: dict[object, int] = {}
    found: list[int] = []
    last: object = None
    run = 0
    for cell in range(variable.size):
        signature: object = tuple(mask >> cell & 1 for mask in told)
        if variable.moves is not None:
            signature = cell
        elif ordered:
            # only neighbours may merge, or the order would be lost
            run += signature != last
            last, signature = signature, (signature, run)
        found.append(known.setdefault(signature, len(known)))
    return found


def _merged(variable: Variable, classes: Sequence[int]) -> Variable:
    size = max(classes) + 1
    first = [classes.index(k) for k in range(size)]
    return replace(
        variable,
        cells=tuple(variable.cells[cell] for cell in first),
        targets=_mask(variable.targets, classes),
        moves=None
        if variable.moves is None
        else tuple(_mask(variable.moves[cell], classes) for cell in first),
        effects=_mask(variable.effects, classes),
        group=tuple(range(size)),
    )


def _mask(mask: int, classes: Sequence[int]) -> int:
    found = 0
    for cell, number in enumerate(classes):
        if mask >> cell & 1:
            found |= 1 << number
    return found


def _tests(tests: Conjunction, maps: Sequence[Sequence[int]]) -> Conjunction:
    return tuple((variable, _mask(mask, maps[variable])) for variable, mask in tests)


def _body(body: CellBody, maps: Sequence[Sequence[int]]) -> CellBody:
    return CellBody(_tests(body.tests, maps), tuple(_body(e, maps) for e in body.exceptions))

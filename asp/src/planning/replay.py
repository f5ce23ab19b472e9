"""Replays: no path is handed out before two other programs have confirmed it.

Every step is checked against the definition of a transition (see `transition`), every
state against the rules as their author wrote them, by value and not by cell, and where
there is a real model its decision about the last state is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from whyproof.asp.rules import Value
from whyproof.asp.worlds.problem import CellState, Problem
from whyproof.asp.worlds.world import State
from whyproof.engine.errors import ReplayError

from .judge import Judge
from .path import Path
from .transition import is_transition

__all__ = ["Verdicts", "confirm"]


class Verdicts:
    """What the real model says about goals, asked in batches and remembered.

    Parameters
    ----------
    problem
        With a goal.
    judge
        The real model; `None` when the rules alone decide.
    """

    def __init__(self, problem: Problem, judge: Judge | None) -> None:
        self.problem = problem
        self.judge = judge
        self.labels: dict[CellState, dict[tuple[Value, ...], Value]] = {}

    def confirmed(self, paths: Sequence[Path]) -> list[Path]:
        """Return the paths whose last state the model decides as wished."""
        kept = self.accepts([(path.cells[-1], path.end) for path in paths])
        return [path for path, accepted in zip(paths, kept, strict=True) if accepted]

    def accepts(self, ends: Sequence[tuple[CellState, State]]) -> list[bool]:
        """Tell for each goal, as cells and by value, whether the model decides as wished."""
        if self.judge is None:
            return [True] * len(ends)
        keys = [(cells, tuple(state.values())) for cells, state in ends]
        fresh = {
            key: state
            for key, (cells, state) in zip(keys, ends, strict=True)
            if key[1] not in self.labels.get(cells, {})
        }
        if fresh:
            found = self.judge.decide(list(fresh.values()))
            for (cells, values), label in zip(fresh, found, strict=True):
                self.labels.setdefault(cells, {})[values] = label
        goal = self.problem.world.goal
        return [goal.is_reached(self.labels[cells][values]) for cells, values in keys]

    @property
    def blocked(self) -> list[CellState]:
        """Goals of the rules of which the model confirmed no value that it was asked about."""
        goal = self.problem.world.goal
        return [
            cells
            for cells, known in self.labels.items()
            if not any(goal.is_reached(label) for label in known.values())
        ]

    @property
    def denied(self) -> list[tuple[State, Value]]:
        """States that the model denies, with its label."""
        goal = self.problem.world.goal
        return [
            (dict(zip(self.problem.names, values, strict=True)), label)
            for known in self.labels.values()
            for values, label in known.items()
            if not goal.is_reached(label)
        ]


def confirm(problem: Problem, path: Path, blocked: Sequence[CellState] = ()) -> None:
    """Check a path against definitions.

    Raises
    ------
    ReplayError
        If a step is no transition, a state breaks a rule, or the goal comes too early or
        not at all: a defect of the planner.
    """
    fault = _fault(problem, path, blocked)
    if fault:
        raise ReplayError(
            f"a path failed its replay: {fault}",
            {
                "start": dict(path.start),
                "steps": path.as_json(),
                "cells": [list(state) for state in path.cells],
                "fault": fault,
            },
        )


def _fault(problem: Problem, path: Path, blocked: Sequence[CellState]) -> str:
    world = problem.world
    states = [path.start, *(step.state for step in path.steps)]
    for number, (before, after) in enumerate(pairwise(path.cells)):
        if not is_transition(problem, before, path.actions[number], after):
            return f"step {number + 1} is no transition"
    for number, (cells, state) in enumerate(zip(path.cells, states, strict=True)):
        if problem.encode(state) != cells and not problem_has_ends(problem):
            return f"state {number} lies in other cells"
        broken = [
            str(rule)
            for rule in world.violated(state)
            if not any(rule is known for known in tolerated(problem, cells))
        ]
        if broken:
            return f"state {number} violates: {broken[0]}"
        reached = world.goal.is_reached(world.decide(state)) and cells not in blocked
        if reached != (number == len(states) - 1):
            return f"state {number} is {'already' if reached else 'not'} a goal"
    return ""


def tolerated(problem: Problem, cells: CellState) -> list[object]:
    """Return the rules that a state may violate because nothing of them was touched."""
    return [problem.origins[n] for n in problem.tolerated if problem.untouched(n, cells)]


def problem_has_ends(problem: Problem) -> bool:
    """Tell whether intervals were replaced by their ends."""
    return any(v.group != tuple(range(v.size)) for v in problem.variables)

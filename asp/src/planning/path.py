"""Paths as people see them: concrete steps with what they move, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from whyproof.asp.rules import Value
from whyproof.asp.rules.values import number_of, text_of
from whyproof.asp.worlds.cells import Cell
from whyproof.asp.worlds.feature import WorldFeature
from whyproof.asp.worlds.problem import CellState, Problem
from whyproof.asp.worlds.world import State

from .solver import CellPath

__all__ = ["Move", "Path", "Step", "path_of"]


@dataclass(frozen=True, slots=True)
class Move:
    """One feature's change in one step.

    Parameters
    ----------
    feature
        Its name.
    old, new
        Concrete values; `new` is the one of `cell` that is nearest to `old`.
    cell
        Every value that would do as well.
    unit
        Shown behind values.
    """

    feature: str
    old: Value
    new: Value
    cell: Cell
    unit: str = ""

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        text = f"{self.feature}: {_shown(self.old)} -> {_shown(self.new)}{unit}"
        return text if self.cell.single else f"{text} (any of {self.cell.describe()})"


@dataclass(frozen=True, slots=True)
class Step:
    """One direct action and what it moves along.

    Parameters
    ----------
    direct
        What the person does.
    causal
        What follows by causal rules, in the order of features.
    state
        Value of every feature afterwards.
    cost
        Of the direct action; causal moves are free.
    outcomes
        Number of states that are possible at this point of a conformant plan.
    """

    direct: Move
    causal: tuple[Move, ...]
    state: State
    cost: float
    outcomes: int = 1

    def as_json(self) -> dict[str, object]:
        """Return the step as JSON; `ranges` holds the intervals of values that would do."""
        moves = (self.direct, *self.causal)
        return {
            "direct": {self.direct.feature: [self.direct.old, self.direct.new]},
            "causal": {move.feature: [move.old, move.new] for move in self.causal},
            "state": dict(self.state),
            "ranges": {m.feature: m.cell.describe() for m in moves if not m.cell.single},
            "cost": self.cost,
            **({"outcomes": self.outcomes} if self.outcomes > 1 else {}),
        }


@dataclass(frozen=True)
class Path:
    """A way from the start to the goal.

    Parameters
    ----------
    start
        Value of every feature before the first step.
    steps
        In their order.
    cells
        The same path over cells, the start first.
    actions
        Variable and cell of each direct action.

    Notes
    -----
    `length` counts direct actions.  The CoGS programs count each causal move as a time
    point of its own: that number is `time_points`.
    """

    start: State
    steps: tuple[Step, ...]
    cells: tuple[CellState, ...]
    actions: tuple[tuple[int, int], ...]

    @property
    def length(self) -> int:
        """Number of direct actions."""
        return len(self.steps)

    @property
    def time_points(self) -> int:
        """Number of direct actions and of causal repairs."""
        return len(self.steps) + sum(1 for step in self.steps if step.causal)

    @property
    def cost(self) -> float:
        """Cost of all direct actions."""
        return sum(step.cost for step in self.steps)

    @property
    def end(self) -> State:
        """State after the last step."""
        return self.steps[-1].state if self.steps else self.start

    @cached_property
    def changed(self) -> frozenset[str]:
        """Features that direct actions change."""
        return frozenset(step.direct.feature for step in self.steps)

    def as_json(self) -> list[dict[str, object]]:
        """Return the steps as JSON."""
        return [step.as_json() for step in self.steps]

    def __str__(self) -> str:
        lines: list[str] = []
        for number, step in enumerate(self.steps, start=1):
            lines.append(f"{number}. {step.direct}")
            lines += [f"   and so {move}" for move in step.causal]
        return "\n".join(lines)


def path_of(problem: Problem, found: CellPath) -> Path:
    """Turn a path over cells into concrete steps.

    Parameters
    ----------
    problem
        With a start.
    found
        Time points without an action are left out.
    """
    cells = [found.states[0]]
    actions: list[tuple[int, int]] = []
    for action, state in zip(found.actions, found.states[1:], strict=True):
        if action is not None:
            actions.append(action)
            cells.append(state)
    states = problem.concrete(cells, problem.values or {})
    steps: list[Step] = []
    for (before, after), (old, new), (variable, _) in zip(
        pairwise(cells), pairwise(states), actions, strict=True
    ):
        moves = {
            i: Move(name, old[name], new[name], problem.variables[i].cells[after[i]], feature.unit)
            for i, feature in enumerate(problem.world.features)
            if before[i] != after[i] or i == variable
            for name in [feature.name]
        }
        direct = moves.pop(variable)
        cost = 0.0
        if direct.old != direct.new:
            cost = cost_of(problem.world.features[variable], direct.old, direct.new)
        steps.append(Step(direct, tuple(moves.values()), new, cost))
    return Path(states[0], tuple(steps), tuple(cells), tuple(actions))


def cost_of(feature: WorldFeature, old: Value, new: Value) -> float:
    """Return the cost of one direct change."""
    distance = abs(number_of(new) - number_of(old))
    if not feature.cost_per_unit or distance != distance:
        return feature.cost
    return feature.cost + feature.cost_per_unit * distance


def _shown(value: Value) -> str:
    return text_of(value) or "missing"

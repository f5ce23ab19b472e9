"""A world over cells: what solvers read.

Features are variables with finitely many cells, a literal is a bit mask of cells, and a
rule's body is a conjunction of masks.  Everything here is exact: cells are cut so that no
rule changes its truth inside one (see `cells`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from whyproof.asp.rules import Rule, Value
from whyproof.engine.errors import DataError

from .causal import CausalRule, Denial, Precondition
from .cells import Cell
from .feature import Change, WorldFeature
from .world import World

__all__ = [
    "CellBody",
    "CellCausal",
    "CellDecision",
    "CellDenial",
    "CellPrecondition",
    "CellState",
    "Conjunction",
    "Problem",
    "Test",
    "Variable",
    "bits",
]

CellState = tuple[int, ...]
"""Number of the cell of each variable."""

Test = tuple[int, int]
"""A variable and the mask of cells that satisfy the test."""

Conjunction = tuple[Test, ...]
"""Tests that all must hold, at most one for each variable."""


def bits(mask: int) -> list[int]:
    """Return the positions of the set bits, ascending.

    Examples
    --------
    >>> bits(0b1010)
    [1, 3]
    """
    found: list[int] = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


@dataclass(frozen=True, slots=True)
class Variable:
    """A feature cut into cells.

    Parameters
    ----------
    feature
        What it stands for.
    cells
        Ascending, the missing value last.
    targets
        Mask of cells that a direct action may reach at all.
    moves
        For each cell the mask of cells that a direct action may reach from there; `None`
        when `change` alone says it.
    effects
        Mask of cells that a causal effect may reach.
    group
        For each cell a number; cells with one number are shown as one.
    """

    feature: WorldFeature
    cells: tuple[Cell, ...]
    targets: int
    moves: tuple[int, ...] | None
    effects: int
    group: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of cells."""
        return len(self.cells)

    @property
    def everything(self) -> int:
        """Mask of all cells."""
        return (1 << len(self.cells)) - 1

    def targets_from(self, cell: int) -> int:
        """Return the mask of cells that a direct action may reach from a cell."""
        targets = self.targets & ~(1 << cell)
        if self.moves is not None:
            targets &= self.moves[cell]
        if self.feature.change is Change.UP:
            targets &= -1 << (cell + 1) if self.ordered >> cell & 1 else 0
        elif self.feature.change is Change.DOWN:
            targets &= (1 << cell) - 1 if self.ordered >> cell & 1 else 0
        return targets

    @property
    def ordered(self) -> int:
        """Mask of cells that have a place in the order: all but the missing value."""
        return self.everything >> 1 if self.cells[-1].is_missing else self.everything

    def cell_of(self, value: Value) -> int:
        """Return the number of the cell that holds a value.

        Raises
        ------
        DataError
            If no cell does.
        """
        for number, cell in enumerate(self.cells):
            if cell.contains(value):
                return number
        raise DataError(f"feature {self.feature.name!r}: {value!r} is in no cell")


@dataclass(frozen=True, slots=True)
class CellBody:
    """Tests that must hold and exceptions that must not."""

    tests: Conjunction
    exceptions: tuple[CellBody, ...] = ()

    def holds(self, state: CellState) -> bool:
        """Tell whether a state satisfies the body."""
        return all(mask >> state[v] & 1 for v, mask in self.tests) and not any(
            exception.holds(state) for exception in self.exceptions
        )


@dataclass(frozen=True, slots=True)
class CellCausal:
    """A causal rule with one conjunction, allowing some cells of its head.

    `scope` are the variables of the whole rule that it is a part of.
    """

    tests: Conjunction
    head: int
    allowed: int
    origin: CausalRule
    scope: tuple[int, ...]
    converse: bool = False


@dataclass(frozen=True, slots=True)
class CellDenial:
    """A conjunction that no state satisfies."""

    tests: Conjunction
    origin: Denial
    scope: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CellPrecondition:
    """What a direct change of one variable between two masks requires: any conjunction."""

    variable: int
    source: int
    target: int
    requires: tuple[Conjunction, ...]
    origin: Precondition


@dataclass(frozen=True, slots=True)
class CellDecision:
    """A decision rule, and whether its label is the goal."""

    body: CellBody
    reached: bool
    origin: Rule


@dataclass(frozen=True)
class Problem:
    """A world over cells with a goal.

    Parameters
    ----------
    world
        Where it comes from; its goal is settled (see `Goal.for_decision`).
    variables
        One for each feature.
    causal, denials, preconditions, decisions
        The rules over cells.
    default_reached
        Whether the decision where no rule fires is the goal.
    start
        The person's state; `None` for questions about all states.
    tolerated
        Numbers of causal rules, and behind them of denials, that the start violates and
        that count only where one of their variables differs from the start.
    """

    world: World
    variables: tuple[Variable, ...]
    causal: tuple[CellCausal, ...]
    denials: tuple[CellDenial, ...]
    preconditions: tuple[CellPrecondition, ...]
    decisions: tuple[CellDecision, ...]
    default_reached: bool
    start: CellState | None = None
    values: Mapping[str, Value] | None = None
    tolerated: frozenset[int] = frozenset()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Feature names in order."""
        return self.world.names

    @cached_property
    def scope(self) -> tuple[tuple[int, ...], ...]:
        """For each causal rule, and behind them each denial, the variables it is about."""
        return (*(rule.scope for rule in self.causal), *(d.scope for d in self.denials))

    @cached_property
    def origins(self) -> tuple[CausalRule | Denial, ...]:
        """For each causal rule, and behind them each denial, the statement it comes from."""
        causal: list[CausalRule | Denial] = [rule.origin for rule in self.causal]
        return (*causal, *(denial.origin for denial in self.denials))

    def violations(self, state: CellState) -> list[int]:
        """Return the numbers of causal rules, and behind them denials, that a state breaks."""
        broken = [
            number
            for number, rule in enumerate(self.causal)
            if not rule.allowed >> state[rule.head] & 1
            and all(mask >> state[v] & 1 for v, mask in rule.tests)
        ]
        offset = len(self.causal)
        broken += [
            offset + number
            for number, denial in enumerate(self.denials)
            if all(mask >> state[v] & 1 for v, mask in denial.tests)
        ]
        return [n for n in broken if not (n in self.tolerated and self.untouched(n, state))]

    def untouched(self, number: int, state: CellState) -> bool:
        """Tell whether all variables of a rule are as at the start."""
        start = self.start
        return start is not None and all(state[v] == start[v] for v in self.scope[number])

    def is_consistent(self, state: CellState) -> bool:
        """Tell whether a state satisfies every causal rule and denial."""
        return not self.violations(state)

    def deciding(self, state: CellState) -> int:
        """Return the number of the rule that decides, -1 for the default."""
        for number, decision in enumerate(self.decisions):
            if decision.body.holds(state):
                return number
        return -1

    def is_goal(self, state: CellState) -> bool:
        """Tell whether the decision about a state is the goal."""
        number = self.deciding(state)
        return self.default_reached if number < 0 else self.decisions[number].reached

    def encode(self, values: Mapping[str, Value]) -> CellState:
        """Return the cells of a complete state."""
        return tuple(v.cell_of(values[v.feature.name]) for v in self.variables)

    def grouped(self, state: CellState) -> CellState:
        """Return a state with cells that are shown as one made equal."""
        return tuple(v.group[cell] for v, cell in zip(self.variables, state, strict=True))

    def concrete(
        self, cells: Sequence[CellState], values: Mapping[str, Value]
    ) -> list[dict[str, Value]]:
        """Return concrete states along a path of cells.

        Each feature takes the value of its cell that is nearest to its value before.  On
        the number line, moving no further than needed is never beaten, so the summed
        distance is the least that the cells allow.

        Parameters
        ----------
        cells
            States, the start first.
        values
            The concrete start.
        """
        states = [dict(values)]
        for before, after in pairwise(cells):
            state = dict(states[-1])
            for i, variable in enumerate(self.variables):
                if before[i] != after[i]:
                    name = variable.feature.name
                    state[name] = variable.cells[after[i]].nearest(state[name])
            states.append(state)
        return states

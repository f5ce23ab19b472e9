"""Worlds: features, the rules that hold among them, and what is decided about a person.

Glossary
--------
world
    Features, causal rules, denials, preconditions, decision rules and a goal.
state
    A value for every feature.
direct action
    One feature set to another value, as far as its `Change` allows.
causal rule
    A condition that states satisfy and that moves its head's feature when an action makes
    its body true; it costs nothing.
cell
    Values that no rule can tell apart: planning over cells is exact.
problem
    A world over cells: what solvers read.
"""

from __future__ import annotations

from .causal import CausalRule, Denial, Effect, Precondition
from .cells import Cell
from .compile import compile_world
from .feature import Change, WorldFeature
from .goal import Goal
from .problem import CellState, Problem, Variable
from .text import WorldRules, read_world_rules
from .toml import load_world, world_from_toml
from .world import State, World

__all__ = [
    "CausalRule",
    "Cell",
    "CellState",
    "Change",
    "Denial",
    "Effect",
    "Goal",
    "Precondition",
    "Problem",
    "State",
    "Variable",
    "World",
    "WorldFeature",
    "WorldRules",
    "compile_world",
    "load_world",
    "read_world_rules",
    "world_from_toml",
]

"""Smallest hitting sets by three interchangeable back ends, and smallest explanations."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .asp import AspHittingSets
from .milp import MilpHittingSets
from .sat import SatHittingSets
from .solver import HittingSet, HittingSetProblem, HittingSetSolver

__all__ = [
    "HITTING_SET_SOLVERS",
    "AspHittingSets",
    "HittingSet",
    "HittingSetProblem",
    "HittingSetSolver",
    "MilpHittingSets",
    "SatHittingSets",
]

HITTING_SET_SOLVERS: Mapping[str, type[HittingSetSolver]] = MappingProxyType(
    {"sat": SatHittingSets, "milp": MilpHittingSets, "asp": AspHittingSets}
)
"""Back ends by the name that users choose them by; `sat` is the default."""

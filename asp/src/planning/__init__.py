"""Planning: paths from a state to a goal, with direct actions and their causal effects.

Glossary
--------
path
    Steps from a person's state to a goal; its length counts direct actions.
step
    One direct action and the causal moves that follow from it.
horizon
    Most direct actions that are considered.
angelic, conformant
    Whether a causal choice of values is the best for the person, or anybody's.
judge
    The real model behind the rules; it must confirm every goal.
"""

from __future__ import annotations

from .goal_states import goal_states
from .judge import ClassifierJudge, FunctionJudge, Judge
from .options import Effects, Objective, PlanOptions, StartPolicy
from .path import Move, Path, Step
from .plan import Plan, PlanStatus, Rejected, Repair
from .planner import Planner

__all__ = [
    "ClassifierJudge",
    "Effects",
    "FunctionJudge",
    "Judge",
    "Move",
    "Objective",
    "Path",
    "Plan",
    "PlanOptions",
    "PlanStatus",
    "Planner",
    "Rejected",
    "Repair",
    "StartPolicy",
    "Step",
    "goal_states",
]

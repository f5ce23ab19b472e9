"""Plausible counterfactuals for one row, for groups of rows, and for everybody.

    from whyproof.plausible import PlausibleSearch

    search = PlausibleSearch.fit(model, data, target="good")
    search.local(rows)           # each row has a shift of its own
    search.groups(rows, 6)       # six shifts, every row takes one of them
    search.everyone(rows)        # one shift for all, at each row's own magnitude

Glossary
--------
shift
    What is added to a row, in units of the data; shared by a group or by all.
magnitude
    A row's own positive factor of a shared shift.
valid
    The real model says the target class.
plausible
    The density of the target class exceeds a quantile of what training rows have.
reach
    Which points a row may become: box, directions, whole numbers, categories, relations.
relaxed, proposed
    Where the search in real numbers ends; what is proposed, on the lattice and confirmed.

torch is imported when a search begins, never before.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .flow_files import load_flow as load_flow
    from .flow_files import save_flow as save_flow
    from .flow_training import FlowTraining as FlowTraining
    from .flow_training import train_flow as train_flow
    from .reach import Reach as Reach
    from .repair import Outcome as Outcome
    from .result import Counterfactuals as Counterfactuals
    from .search import PlausibleSearch as PlausibleSearch
    from .settings import Settings as Settings
    from .settings import Weights as Weights

_HOMES = {
    "Counterfactuals": ".result",
    "FlowTraining": ".flow_training",
    "Outcome": ".repair",
    "PlausibleSearch": ".search",
    "Reach": ".reach",
    "Settings": ".settings",
    "Weights": ".settings",
    "load_flow": ".flow_files",
    "save_flow": ".flow_files",
    "train_flow": ".flow_training",
}

__all__ = [
    "Counterfactuals",
    "FlowTraining",
    "Outcome",
    "PlausibleSearch",
    "Reach",
    "Settings",
    "Weights",
    "load_flow",
    "save_flow",
    "train_flow",
]


def __getattr__(name: str) -> object:
    """Import a public name from its home when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'whyproof.plausible' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return __all__

"""Causal worlds: the rule language, the rule learner, the planner, justifications.

The learner's names are looked up when they are first used::

    from whyproof.asp import FoldSE, extract_rules
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .learning import FoldSE as FoldSE
    from .learning import extract_rules as extract_rules
    from .learning import learn_dependencies as learn_dependencies
    from .rules import read_heads as read_heads
    from .rules import read_rules as read_rules

_HOMES = {
    "FoldSE": ".learning",
    "extract_rules": ".learning",
    "learn_dependencies": ".learning",
    "read_heads": ".rules",
    "read_rules": ".rules",
}

__all__ = ["FoldSE", "extract_rules", "learn_dependencies", "read_heads", "read_rules"]


def __getattr__(name: str) -> object:
    """Import a public name from its home when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'whyproof.asp' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name], __name__), name)

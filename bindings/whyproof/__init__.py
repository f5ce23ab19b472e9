"""Whyproof explains decisions of machine-learning models with evidence anyone can check.

    import whyproof as wp

    model = wp.load_model("model.json")
    table = wp.read_table("data.csv", label="approved")
    explainer = wp.Explainer(model, wp.infer_space(table, model))
    row = table.point(explainer.space, 0)
    why = explainer.explain(row, "axp")
    why_not = explainer.explain(row, "cxp")

Names are looked up when they are first used, so that importing costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .auditing import audit as audit
    from .engine.budget import Budget as Budget
    from .engine.explanation import Explanation as Explanation
    from .engine.question import AnyOther as AnyOther
    from .engine.question import KeepMargin as KeepMargin
    from .engine.question import LeaveInterval as LeaveInterval
    from .engine.question import MoveBeyond as MoveBeyond
    from .engine.question import ReachClass as ReachClass
    from .engine.region import Region as Region
    from .engine.space import FeatureSpace as FeatureSpace
    from .explainer import Explainer as Explainer
    from .models import load_model as load_model
    from .report import write_report as write_report
    from .space_files import load_space as load_space
    from .spaces import infer_space as infer_space
    from .store import Store as Store
    from .tables import read_table as read_table

__version__ = "0.1.0"

_HOMES = {
    "AnyOther": ".engine.question",
    "Budget": ".engine.budget",
    "Explainer": ".explainer",
    "Explanation": ".engine.explanation",
    "FeatureSpace": ".engine.space",
    "KeepMargin": ".engine.question",
    "LeaveInterval": ".engine.question",
    "MoveBeyond": ".engine.question",
    "ReachClass": ".engine.question",
    "Region": ".engine.region",
    "Store": ".store",
    "audit": ".auditing",
    "infer_space": ".spaces",
    "load_model": ".models",
    "load_space": ".space_files",
    "read_table": ".tables",
    "write_report": ".report",
}

__all__ = [
    "AnyOther",
    "Budget",
    "Explainer",
    "Explanation",
    "FeatureSpace",
    "KeepMargin",
    "LeaveInterval",
    "MoveBeyond",
    "ReachClass",
    "Region",
    "Store",
    "audit",
    "infer_space",
    "load_model",
    "load_space",
    "read_table",
    "write_report",
]


def __getattr__(name: str) -> object:
    """Import a public name from its home when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'whyproof' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return __all__

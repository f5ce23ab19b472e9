"""One minimal set over a monotone predicate: one algorithm per file."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .deletion import deletion
from .dichotomic import dichotomic
from .predicate import Verdict, WeakExplanation
from .progression import progression
from .quickxplain import quickxplain
from .result import MinimalSet, Strategy
from .swift import SwiftCXp
from .witness import Witness

__all__ = [
    "STRATEGIES",
    "MinimalSet",
    "Strategy",
    "SwiftCXp",
    "Verdict",
    "WeakExplanation",
    "Witness",
    "deletion",
    "dichotomic",
    "progression",
    "quickxplain",
]

STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "witness": Witness(),
        "deletion": deletion,
        "dichotomic": dichotomic,
        "quickxplain": quickxplain,
        "progression": progression,
        "swift": SwiftCXp(),
    }
)
"""Strategies by the name that users choose them by; `witness` is the default."""

"""Justifications: why a decision holds, why a step moved what it moved, in words.

Every comparison appears, with the value that was found and the one it was compared with.
"""

from __future__ import annotations

from .decision import sentence, why_decision
from .diagram import path_diagram
from .page import plan_page, reason_page
from .partial import Matters, what_matters
from .reason import Reason, ReasonKind
from .steps import path_sentences, why_path

__all__ = [
    "Matters",
    "Reason",
    "ReasonKind",
    "path_diagram",
    "path_sentences",
    "plan_page",
    "reason_page",
    "sentence",
    "what_matters",
    "why_decision",
    "why_path",
]

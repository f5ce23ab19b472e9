"""Learning rules from tables and from the predictions of models.

Glossary
--------
ratio
    Most wrong rows per right one that a rule may have before exceptions are learnt.
tail
    Least share of all rows that a rule or an exception must cover.
heuristic
    How literals are judged; see `heuristics`.
fidelity
    Share of rows that rules decide as a model does, measured on rows they never saw.
dependency
    A causal rule that the data suggests and a person has to approve.
"""

from __future__ import annotations

from .dependencies import Dependency, learn_dependencies, write_dependencies
from .extract import Extraction, extract_rules, rules_for_predictions
from .foldse import FoldSE
from .quality import Quality, Spread

__all__ = [
    "Dependency",
    "Extraction",
    "FoldSE",
    "Quality",
    "Spread",
    "extract_rules",
    "learn_dependencies",
    "rules_for_predictions",
    "write_dependencies",
]

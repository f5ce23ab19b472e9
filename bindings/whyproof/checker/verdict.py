"""What a checked certificate proves."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Verdict"]


@dataclass
class Verdict:
    """What was proved, and in which sense.

    Attributes
    ----------
    claims
        One sentence each.
    semantics
        In which sense, one sentence each.
    boxes, witnesses, replayed
        How many boxes were added up, points evaluated, and points confirmed by the model's
        own library.
    refutations
        How many sets of clauses DRAT proofs refuted.
    """

    claims: list[str] = field(default_factory=list[str])
    semantics: list[str] = field(default_factory=list[str])
    boxes: int = 0
    witnesses: int = 0
    replayed: int = 0
    refutations: int = 0

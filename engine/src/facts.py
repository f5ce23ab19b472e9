"""Facts: evidence that decides more free sets than the one it was found for.

A counterexample that moved `M` answers yes for every free set containing `M`; a core
`C` answers no for every free set disjoint from `C`.  Sets are kept as bit masks: a subset
test is one machine instruction for each 30 features.
"""

from __future__ import annotations

from typing import TypeVar

from .answers import Answer, Counterexample, Entailed
from .space import FeatureSet

__all__ = ["Facts", "mask_of"]

_Evidence = TypeVar("_Evidence", Counterexample, Entailed)


def mask_of(features: FeatureSet) -> int:
    """Return the bit mask of a feature set.

    Examples
    --------
    >>> bin(mask_of(frozenset({0, 2})))
    '0b101'
    """
    mask = 0
    for i in features:
        mask |= 1 << i
    return mask


class Facts:
    """Evidence collected for one explanation problem.

    Parameters
    ----------
    limit
        Most facts kept of each kind; the oldest go first.  Forgetting costs time,
        never correctness.

    Examples
    --------
    >>> facts = Facts()
    >>> facts.remember(Entailed(core=frozenset({1, 2})))
    >>> facts.recall(frozenset({0, 3})) is not None, facts.recall(frozenset({1})) is None
    (True, True)
    """

    def __init__(self, limit: int = 2000) -> None:
        self._limit = limit
        self._counterexamples: dict[int, Counterexample] = {}
        self._cores: dict[int, Entailed] = {}

    @property
    def counterexamples(self) -> list[Counterexample]:
        """All remembered counterexamples, oldest first."""
        return list(self._counterexamples.values())

    @property
    def entailments(self) -> list[Entailed]:
        """All remembered proofs, oldest first."""
        return list(self._cores.values())

    def recall(self, free: FeatureSet) -> Answer | None:
        """Return the answer that follows from a remembered fact, if one does."""
        mask = mask_of(free)
        fixed = ~mask
        for moved, counterexample in reversed(self._counterexamples.items()):
            if not moved & fixed:
                return counterexample
        for core, entailed in reversed(self._cores.items()):
            if not core & mask:
                return entailed
        return None

    def remember(self, answer: Answer) -> None:
        """Keep the evidence of an answer; `Unknown` carries none."""
        match answer:
            case Counterexample():
                self._keep(self._counterexamples, mask_of(answer.moved), answer)
            case Entailed():
                self._keep(self._cores, mask_of(answer.core), answer)
            case _:
                pass

    def _keep(self, known: dict[int, _Evidence], mask: int, evidence: _Evidence) -> None:
        if mask in known:
            return
        known[mask] = evidence
        if len(known) > self._limit:
            del known[next(iter(known))]

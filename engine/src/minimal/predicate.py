"""One monotone predicate with two sides: being a weak AXp, and being a weak CXp.

"`S` is a weak explanation" stays true when `S` grows, for both kinds:

====  ==========================  =====================  ============================
kind  `S` is a weak explanation   evidence that it is    evidence that it is not
====  ==========================  =====================  ============================
CXp   freeing `S` can change it   what the point moved   core of the proof
AXp   fixing `S` forces it        core of the proof      what the point moved
====  ==========================  =====================  ============================

In either case evidence *for* is a weak explanation of the same kind inside `S`, and
evidence *against* is a weak explanation of the dual kind outside `S`, which every
explanation of this kind has to hit.  All search algorithms are written against this
symmetry, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..answers import Answer, Counterexample, Entailed, Unknown
from ..budget import Meter
from ..explanation import Kind
from ..facts import Facts
from ..oracle import Oracle, Recall, lanes
from ..space import FeatureSet

__all__ = ["Verdict", "WeakExplanation"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a set is a weak explanation, and why.

    Parameters
    ----------
    holds
        True, false, or `None` when it is not known.
    support
        If it holds: a subset that is already a weak explanation.  If it fails: a set
        outside that every weak explanation of this kind has to hit.  Empty if unknown.
    answer
        The oracle's answer behind it.
    """

    holds: bool | None
    support: FeatureSet
    answer: Answer


class WeakExplanation:
    """The predicate of one kind over subsets of a universe, decided by an oracle.

    Parameters
    ----------
    kind
        Which side to look from.
    oracle
        Decides free sets.
    universe
        Features that may be freed at all (the mutable ones).
    meter
        Budget of the run.
    facts
        Where evidence is remembered, to show necessity without asking.  By default that
        of the oracle if it is a `Recall`, which also answers from it, else new ones.
    """

    def __init__(
        self,
        kind: Kind,
        oracle: Oracle,
        universe: FeatureSet,
        meter: Meter,
        facts: Facts | None = None,
    ) -> None:
        self.kind = kind
        self.oracle = oracle
        self.universe = universe
        self.meter = meter
        recalled = oracle.facts if isinstance(oracle, Recall) else None
        self.facts = facts or recalled or Facts()
        self._remembers = self.facts is not recalled

    @property
    def dual(self) -> WeakExplanation:
        """The same oracle seen from the other side."""
        return WeakExplanation(self.kind.dual, self.oracle, self.universe, self.meter, self.facts)

    @property
    def lanes(self) -> int:
        """How many sets the oracle decides at about the price of one."""
        return lanes(self.oracle)

    def test(self, candidates: Sequence[FeatureSet]) -> list[Verdict]:
        """Decide several sets in one round.

        Parameters
        ----------
        candidates
            Subsets of the universe.
        """
        if not candidates:
            return []
        free_sets = candidates
        if self.kind is Kind.AXP:
            free_sets = [self.universe - candidate for candidate in candidates]
        reason = self.meter.exhausted()
        if reason is not None:
            return [Verdict(None, frozenset(), Unknown(reason))] * len(candidates)
        answers = self.oracle.decide(free_sets, self.meter)
        if self._remembers:
            for answer in answers:
                self.facts.remember(answer)
        return [self.verdict(answer) for answer in answers]

    def test_one(self, candidate: FeatureSet) -> Verdict:
        """Decide one set."""
        return self.test([candidate])[0]

    def necessary(self, members: FeatureSet) -> FeatureSet:
        """Return the elements that evidence seen so far shows to be necessary in `members`.

        Without asking: a dual set that meets a weak explanation in one element only
        shows that what is left of the explanation without this element is none.
        """
        return self.facts.necessary(self.kind, members)

    def necessity(self, members: FeatureSet, elements: Iterable[int]) -> dict[int, Answer]:
        """Return the remembered answers that show the necessity of some `elements`."""
        return self.facts.necessity(self.kind, members, elements)

    def verdict(self, answer: Answer) -> Verdict:
        """Read an answer from the side of this kind."""
        match answer:
            case Counterexample():
                return Verdict(self.kind is Kind.CXP, answer.moved & self.universe, answer)
            case Entailed():
                return Verdict(self.kind is Kind.AXP, answer.core & self.universe, answer)
            case Unknown():
                return Verdict(None, frozenset(), answer)

"""Witness: shrink by evidence, and let the evidence of failures prove necessity.

The default.  Every answer is used in full:

* a yes shrinks the set to its support, the features that a counterexample moved or the
  core of a proof;
* a no names a dual set `D` that every explanation of this kind hits.  If `D` meets what is
  left of the set in one element, that element is necessary and is never asked
  about; a `D` found early does this again and again as the set shrinks, and so does
  evidence that other searches on the same problem left behind.

The question asked next is the boldest one that the evidence does not refute: only the
necessary elements and a hitting set of the refusals of this phase.  A refusal costs
one question and adds to the hitting set, an acceptance drops all the rest.  What then is
still neither dropped nor shown necessary is asked about one by one.

This joins the use of counterexamples in OptUx and XReason (Ignatiev et al., AAAI 2022),
model rotation (Belov and Marques-Silva, FMCAD 2011) and implicit hitting sets, over one
monotone predicate, so that it serves AXp and CXp alike.  With an oracle of several lanes a
round asks the bold question and single deletions together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..space import FeatureSet
from .predicate import Verdict, WeakExplanation
from .result import MinimalSet
from .settle import settle

__all__ = ["Witness"]


@dataclass(frozen=True, slots=True)
class Witness:
    """The evidence-driven strategy.

    Parameters
    ----------
    lanes
        Sets asked in one round; by default as many as the oracle decides at the
        price of one.
    bold
        Whether to ask bold questions at all, or single deletions only.
    """

    lanes: int | None = None
    bold: bool = True

    def __call__(
        self, predicate: WeakExplanation, start: Verdict, candidates: Sequence[int]
    ) -> MinimalSet:
        """Shrink `candidates`; as in `Strategy`."""
        run = _Run(predicate, start, list(candidates), self.bold)
        width = predicate.lanes if self.lanes is None else self.lanes
        while run.step(width):
            pass
        return settle(predicate, run.verdict, {})


@dataclass(slots=True)
class _Run:
    predicate: WeakExplanation
    verdict: Verdict
    order: list[int]
    bold: bool
    members: FeatureSet = frozenset()
    kept: FeatureSet = frozenset()
    given_up: dict[int, FeatureSet] = field(default_factory=dict[int, FeatureSet])

    def __post_init__(self) -> None:
        self.members = self.verdict.support & frozenset(self.order)

    def step(self, width: int) -> bool:
        """Ask one round; false if nothing is left to ask."""
        pinned = self.predicate.necessary(self.members)
        unsettled = [i for i in self.order if i in self.members and i not in pinned]
        loose = [i for i in unsettled if i not in self.given_up]
        if not loose:
            # What stayed unknown may be easier now that the set is smaller.
            loose = [i for i in unsettled if self.given_up[i] != self.members]
            self.kept = self.members
        if not loose:
            return False
        trials = [self.members - {i} for i in loose[:width]]
        bold = pinned | self.kept
        daring = self.bold and len(self.members - bold) > 1
        if daring:
            trials = [bold, *trials[: width - 1]]
        before = self.members
        verdicts = self.predicate.test(trials)
        accepted = [v for v in verdicts if v.holds]
        if accepted:
            self.verdict = min(accepted, key=lambda v: len(v.support))
            self.members, self.kept = self.verdict.support, frozenset()
        elif daring:
            self._refused(verdicts[0])
        for trial, verdict in zip(trials[daring:], verdicts[daring:], strict=True):
            if verdict.holds is None:
                (element,) = before - trial
                self.given_up[element] = before
        return True

    def _refused(self, verdict: Verdict) -> None:
        """Keep some elements of the dual set, so that the next bold question hits it."""
        if verdict.holds is None:
            self.kept = self.members
            return
        hit = [i for i in self.order if i in verdict.support and i in self.members]
        self.kept |= frozenset(hit[len(hit) // 2 :])
        if self.kept >= self.members - self.predicate.necessary(self.members):
            self.kept = self.members

"""Witness: shrink by evidence, and let the evidence of failures prove necessity.

The default.  Every answer is used in full:

* a yes shrinks the set to its support, the features that a counterexample moved or the
  core of a proof;
* a no names a dual set `D` that every explanation of this kind hits.  If `D` meets what is
  left of the set in one element, that element is necessary and is never asked
  about; a `D` found early does this again and again as the set shrinks, and so does
  evidence that other searches on the same problem left behind.

How many elements the next question leaves out follows from how strong the evidence is.
After a yes whose support is smaller than the set asked about, what is left is likely needed:
one element.  After a yes without such a gain four times as many as before, unless the search
began with a gain.  A no that names
several elements keeps them all aside until the set shrinks, so that the next
question hits every dual set seen: a refusal costs one question and is never repeated.

This joins the use of counterexamples in OptUx and XReason (Ignatiev et al., AAAI 2022),
model rotation (Belov and Marques-Silva, FMCAD 2011) and implicit hitting sets, over one
monotone predicate, so that it serves AXp and CXp alike.  With an oracle of several lanes a
round asks the block and single deletions together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from ..space import FeatureSet
from .predicate import Verdict, WeakExplanation
from .result import MinimalSet, Strategy
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
    growth
        Factor by which the block grows after a yes without gain; 1 for single
        deletions throughout.
    """

    lanes: int | None = None
    growth: int = 4

    def __call__(
        self, predicate: WeakExplanation, start: Verdict, candidates: Sequence[int]
    ) -> MinimalSet:
        """Shrink `candidates`; as in `Strategy`."""
        own = _own_search(predicate.oracle)
        if own is not None:
            return own(predicate, start, candidates)
        width = predicate.lanes if self.lanes is None else self.lanes
        run = _Run(predicate, start, candidates, width, self.growth)
        while run.step():
            pass
        return settle(predicate, run.verdict, {})


def _own_search(oracle: object) -> Strategy | None:
    """Return the strategy of an oracle that shares work between a search's questions.

    Such an oracle has an attribute `search`; wrappers are looked through.
    """
    seen: object = oracle
    while seen is not None:
        search = getattr(seen, "search", None)
        if search is not None:
            return cast(Strategy, search)
        seen = getattr(seen, "inner", None)
    return None


class _Run:
    def __init__(
        self,
        predicate: WeakExplanation,
        start: Verdict,
        candidates: Sequence[int],
        width: int,
        growth: int,
    ) -> None:
        self.predicate = predicate
        self.verdict = start
        self.order = candidates
        self.width = width
        self.members = start.support & frozenset(candidates)
        # Evidence that is strong from the start stays so: what is left is likely needed.
        shrunk = len(self.members) < len(predicate.universe)
        self.growth = 1 if shrunk else growth
        self.block = 1 if shrunk or growth == 1 else max(1, len(self.members) // 2)
        self.aside: FeatureSet = frozenset()
        self.given_up: dict[int, FeatureSet] = {}

    def step(self) -> bool:
        """Ask one round; false if nothing is left to ask."""
        members = self.members
        loose = self._loose()
        if not loose:
            return False
        block = [i for i in loose if i not in self.aside]
        if not block:
            self.aside, self.block, block = frozenset(), 1, loose
        left_out = [frozenset(block[: self.block])]
        singles = block if self.block == 1 else loose
        left_out += [frozenset((i,)) for i in singles[self.block == 1 : self.width]]
        verdicts = self.predicate.test([members - out for out in left_out[: self.width]])
        accepted = [(v, out) for v, out in zip(verdicts, left_out, strict=False) if v.holds]
        if accepted:
            self._shrink(*min(accepted, key=lambda pair: len(pair[0].support)))
        elif verdicts[0].holds is False and self.block > 1:
            self.aside |= verdicts[0].support & members
        for verdict, out in zip(verdicts, left_out, strict=False):
            if verdict.holds is None:
                self._give_up(out, members)
        return True

    def _loose(self) -> list[int]:
        """Return what is neither necessary nor given up, in order."""
        pinned = self.predicate.necessary(self.members)
        unsettled = [i for i in self.order if i in self.members and i not in pinned]
        if not self.given_up:
            return unsettled
        loose = [i for i in unsettled if i not in self.given_up]
        if loose:
            return loose
        # What stayed unknown may be easier now that the set is smaller.
        return [i for i in unsettled if self.given_up[i] != self.members]

    def _shrink(self, verdict: Verdict, left_out: FeatureSet) -> None:
        gained = len(self.members) - len(left_out) - len(verdict.support)
        self.block = 1 if gained else self.block * self.growth
        self.verdict, self.members, self.aside = verdict, verdict.support, frozenset()

    def _give_up(self, left_out: FeatureSet, members: FeatureSet) -> None:
        if len(left_out) > 1:
            self.block = 1
        else:
            self.given_up |= dict.fromkeys(left_out, members)

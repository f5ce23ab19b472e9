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
one element.  After a yes without such a gain twice as many as before, up to half of what is
open.  After a no, only the elements of `D` are in doubt: they are bisected, until `D` is down
to one of them, which is then necessary.

This joins the use of counterexamples in OptUx and XReason (Ignatiev et al., AAAI 2022) and
model rotation (Belov and Marques-Silva, FMCAD 2011) with progression (CAV 2013), over one
monotone predicate, so that it serves AXp and CXp alike.  With an oracle of several lanes, a
round asks about many blocks in place of one, and tests the elements that are given up
last for being necessary, as SwiftCXp does with its blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..answers import Answer
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
        price of one.  With more than one the order of candidates is a preference only.
    """

    lanes: int | None = None

    def __call__(
        self, predicate: WeakExplanation, start: Verdict, candidates: Sequence[int]
    ) -> MinimalSet:
        """Shrink `candidates`; as in `Strategy`."""
        run = _Run(predicate, start, candidates, self.lanes or predicate.lanes)
        while run.step():
            pass
        return settle(predicate, run.verdict, run.necessity)


class _Run:
    """One search; `loose` are elements neither shown necessary nor given up, in order."""

    def __init__(
        self, predicate: WeakExplanation, start: Verdict, candidates: Sequence[int], width: int
    ) -> None:
        self.predicate = predicate
        self.verdict = start
        self.order = candidates
        self.width = width
        self.members = start.support & frozenset(candidates)
        self.necessity: dict[int, Answer] = {}
        self.given_up: dict[int, FeatureSet] = {}
        gained = len(self.members) < len(predicate.universe)
        self.block = 1 if gained else len(self.members) // 2
        self.refused: FeatureSet = frozenset()  # dual set in which a necessary element is sought
        self.limit = len(self.members)  # larger blocks stayed unknown

    def step(self) -> bool:
        """Ask one round; false if nothing is left to ask."""
        members = self.members
        loose = self._loose()
        if not loose:
            return False
        blocks = self._blocks(loose)
        left_out = [loose[:size] for size in blocks]
        if self.width > 1:
            left_out += [[i] for i in loose[::-1] if [i] not in left_out][
                : self.width - len(blocks)
            ]
        verdicts = self.predicate.test([members.difference(out) for out in left_out])
        for out, verdict in zip(left_out, verdicts, strict=True):
            if verdict.holds is False and len(out) == 1:
                self.necessity[out[0]] = verdict.answer
            elif verdict.holds is None:
                self._unknown(out)
        accepted = [k for k, verdict in enumerate(verdicts) if verdict.holds]
        best = min(accepted, key=lambda k: len(verdicts[k].support), default=None)
        refused = next((k for k in range(len(blocks)) if verdicts[k].holds is False), None)
        if best is None:
            self.block = max(1, blocks[0] // 2)
            self.refused = verdicts[refused].support if refused is not None else frozenset()
            return True
        self.verdict, self.members = verdicts[best], verdicts[best].support
        self.limit = len(self.members)
        if len(members) - len(left_out[best]) > len(self.members):
            self.block, self.refused = 1, frozenset()
        elif refused is not None and best < refused:
            self.refused = verdicts[refused].support
        elif not self.refused:
            self.block = 2 * len(left_out[best])
        return True

    def _loose(self) -> list[int]:
        settled = self.predicate.necessary(self.members) | self.necessity.keys()
        unsettled = [i for i in self.order if i in self.members and i not in settled]
        if not self.given_up:
            return unsettled
        loose = [i for i in unsettled if i not in self.given_up]
        # What stayed unknown may be easier once the set is smaller.
        return loose or [i for i in unsettled if self.given_up[i] != self.members]

    def _blocks(self, loose: list[int]) -> list[int]:
        """Return how many of the first loose elements to leave out, ascending sizes."""
        doubtful = [at for at, i in enumerate(loose) if i in self.refused]
        if len(doubtful) < 2:
            self.refused = frozenset()
        if self.width == 1:
            if self.refused:
                return [min(doubtful[len(doubtful) // 2], self.limit)]
            return [max(1, min(self.block, len(loose) // 2, self.limit))]
        most = min(doubtful[-1] if self.refused else len(loose), self.limit)
        count = (self.width + 1) // 2
        return sorted({max(1, most * (k + 1) // count) for k in range(count)})

    def _unknown(self, left_out: list[int]) -> None:
        if len(left_out) == 1:
            self.given_up[left_out[0]] = self.members
        else:
            self.limit = min(self.limit, len(left_out) - 1)

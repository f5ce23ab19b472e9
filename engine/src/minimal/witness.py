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
from .handover import own_search
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

    Examples
    --------
    >>> from whyproof.engine.explanation import Kind
    >>> from whyproof.engine.minimise import minimise
    >>> from whyproof.engine.toy import toy
    >>> problem, oracle = toy(4, [{0, 1}, {2}])
    >>> minimise(problem, oracle, Kind.AXP, strategy=Witness(lanes=2)).features
    ('f0', 'f2')
    """

    lanes: int | None = None

    def __call__(
        self, predicate: WeakExplanation, start: Verdict, candidates: Sequence[int]
    ) -> MinimalSet:
        """Shrink `candidates`; as in `Strategy`."""
        own = own_search(predicate.oracle)
        if own is not None:
            return own(predicate, start, candidates)
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
        self.loose = self._unsettled()

    def step(self) -> bool:
        """Ask one round; false if nothing is left to ask."""
        if not self.loose:
            # What stayed unknown may be easier now that the set is smaller.
            asked = self.given_up
            self.given_up = {i: at for i, at in asked.items() if at == self.members}
            self.loose = self._unsettled()
            if not self.loose:
                return False
        if self.width == 1:
            self._ask_one()
        else:
            self._ask_many()
        return True

    def _ask_one(self) -> None:
        doubtful = [at for at, i in enumerate(self.loose) if i in self.refused]
        if len(doubtful) > 1:
            size = doubtful[len(doubtful) // 2]
        else:
            size, self.refused = min(self.block, len(self.loose) // 2), frozenset()
        left_out = self.loose[: max(1, min(size, self.limit))]
        verdict = self.predicate.test_one(self.members.difference(left_out))
        if verdict.holds:
            if self._shrink(verdict, left_out):
                self.block, self.refused = 1, frozenset()
            elif not self.refused:
                self.block = 2 * len(left_out)
            return
        self.block = max(1, len(left_out) // 2)
        if verdict.holds is None:
            self._give_up(left_out, self.members)
        else:
            self._refuse(verdict)

    def _ask_many(self) -> None:
        loose, members = self.loose, self.members
        doubtful = [at for at, i in enumerate(loose) if i in self.refused]
        most = min(doubtful[-1] if len(doubtful) > 1 else len(loose), self.limit)
        count = (self.width + 1) // 2
        sizes = sorted({max(1, most * (k + 1) // count) for k in range(count)})
        left_out = [loose[:size] for size in sizes]
        singles = [[i] for i in reversed(loose) if [i] not in left_out]
        left_out += singles[: self.width - len(sizes)]
        verdicts = self.predicate.test([members.difference(out) for out in left_out])
        accepted = [k for k, verdict in enumerate(verdicts) if verdict.holds]
        best = min(accepted, key=lambda k: len(verdicts[k].support), default=None)
        gained = best is not None and self._shrink(verdicts[best], left_out[best])
        for out, verdict in zip(left_out, verdicts, strict=True):
            if verdict.holds is None:
                self._give_up(out, members)
            elif verdict.holds is False and len(out) == 1:
                self._refuse(verdict)
        # The shortest refused block holds the next necessary element, unless all changed.
        self.refused = frozenset()
        shortest = next((k for k in range(len(sizes)) if verdicts[k].holds is False), None)
        if shortest is not None and not gained and (best is None or best < shortest):
            self._refuse(verdicts[shortest])

    def _shrink(self, verdict: Verdict, left_out: list[int]) -> bool:
        """Go on with the support; tell whether it is smaller than the set asked about."""
        gained = len(verdict.support) < len(self.members) - len(left_out)
        self.verdict, self.members = verdict, verdict.support
        self.limit = len(self.members)
        self.loose = self._unsettled()
        return gained

    def _refuse(self, verdict: Verdict) -> None:
        """Look for a necessary element in the dual set; if it is a single one it is found."""
        self.refused = verdict.support & self.members
        if len(self.refused) == 1:
            (element,) = self.refused
            self.necessity[element] = verdict.answer
            self.refused = frozenset()
            if element in self.loose:
                self.loose.remove(element)

    def _give_up(self, left_out: list[int], members: FeatureSet) -> None:
        if len(left_out) > 1:
            self.limit = min(self.limit, len(left_out) - 1)
            return
        (element,) = left_out
        self.given_up[element] = members
        if element in self.loose:
            self.loose.remove(element)

    def _unsettled(self) -> list[int]:
        settled = self.predicate.necessary(self.members)
        return [
            i
            for i in self.order
            if i in self.members
            and i not in settled
            and i not in self.necessity
            and i not in self.given_up
        ]

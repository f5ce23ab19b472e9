"""Facts: evidence that decides more free sets than the one it was found for.

A counterexample that moved `M` answers yes for every free set containing `M`; a core
`C` answers no for every free set disjoint from `C`.  Both also show necessity: a
dual set that meets an explanation in one element only shows that this element
cannot be left out.  Only the strongest facts are kept; what follows from another one is
dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from .answers import Answer, Counterexample, Entailed
from .bitrows import BitRows, features_of, mask_of
from .explanation import Kind
from .space import FeatureSet

__all__ = ["Facts", "mask_of"]

_Evidence = TypeVar("_Evidence", Counterexample, Entailed)

_FEW = 64
"""Up to so many sets a loop over Python's integers is faster than numpy."""


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
    >>> sorted(facts.necessary(Kind.CXP, frozenset({0, 1, 3})))
    [1]
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._counterexamples = _Antichain[Counterexample](limit)
        self._cores = _Antichain[Entailed](limit)

    @property
    def counterexamples(self) -> list[Counterexample]:
        """The strongest remembered counterexamples, oldest first."""
        return self._counterexamples.values()

    @property
    def entailments(self) -> list[Entailed]:
        """The strongest remembered proofs, oldest first."""
        return self._cores.values()

    def recall(self, free: FeatureSet) -> Answer | None:
        """Return the strongest answer that follows from a remembered fact, if one does."""
        mask = mask_of(free)
        found = self._counterexamples.smallest_within(mask)
        return found if found is not None else self._cores.smallest_apart(mask)

    def remember(self, answer: Answer) -> None:
        """Keep the evidence of an answer; `Unknown` carries none."""
        match answer:
            case Counterexample():
                self._counterexamples.add(mask_of(answer.moved), answer)
            case Entailed():
                self._cores.add(mask_of(answer.core), answer)
            case _:
                pass

    def necessary(self, kind: Kind, members: FeatureSet) -> FeatureSet:
        """Return the members that no explanation of this kind inside `members` lacks.

        An element is among them when a remembered set of the dual kind meets `members`
        in that element only.  The answer is incomplete by nature, never wrong.
        """
        return features_of(self._dual(kind).singles(mask_of(members)))

    def necessity(
        self, kind: Kind, members: FeatureSet, elements: Iterable[int]
    ) -> dict[int, Answer]:
        """Return for each of the `elements` the answer that shows its necessity, if known."""
        return dict(self._dual(kind).single_evidence(mask_of(members), elements))

    def _dual(self, kind: Kind) -> _Antichain[Counterexample] | _Antichain[Entailed]:
        return self._cores if kind is Kind.CXP else self._counterexamples


class _Antichain(Generic[_Evidence]):
    """Evidence by the set it rests on; no set contains another."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._evidence: dict[int, _Evidence] = {}
        self._masks: list[int] = []
        self._row: dict[int, int] = {}
        self._rows: BitRows | None = None  # mirrors `_masks` once these are many

    def values(self) -> list[_Evidence]:
        return list(self._evidence.values())

    def add(self, mask: int, evidence: _Evidence) -> None:
        if mask in self._evidence:
            return
        if self._rows is None:
            follows = any(not known & ~mask for known in self._masks)
            weaker = [known for known in self._masks if not mask & ~known]
        else:
            follows = bool(self._rows.within(mask).size)
            weaker = [self._masks[r] for r in self._rows.around(mask).tolist()]
        if follows:
            return
        for known in weaker:
            self._remove(known)
        if len(self._masks) >= self._limit:
            self._remove(next(iter(self._evidence)))
        self._append(mask, evidence)

    def smallest_within(self, mask: int) -> _Evidence | None:
        """Return the evidence with the smallest set inside `mask`."""
        if self._rows is None:
            return self._smallest([known for known in self._masks if not known & ~mask])
        return self._smallest([self._masks[r] for r in self._rows.within(mask).tolist()])

    def smallest_apart(self, mask: int) -> _Evidence | None:
        """Return the evidence with the smallest set disjoint from `mask`."""
        if self._rows is None:
            return self._smallest([known for known in self._masks if not known & mask])
        return self._smallest([self._masks[r] for r in self._rows.apart(mask).tolist()])

    def singles(self, mask: int) -> int:
        """Return the elements of `mask` in which alone some set meets it."""
        if self._rows is not None:
            return self._rows.singles(mask)
        found = 0
        for known in self._masks:
            meets = known & mask
            if not meets & (meets - 1):
                found |= meets
        return found

    def single_evidence(self, mask: int, elements: Iterable[int]) -> dict[int, _Evidence]:
        """Return, by element, evidence whose set meets `mask` in that element only."""
        if self._rows is not None:
            rows = self._rows.single_rows(mask, elements)
            return {i: self._evidence[self._masks[row]] for i, row in rows.items()}
        wanted = {1 << i: i for i in elements}
        return {
            wanted[known & mask]: self._evidence[known]
            for known in self._masks
            if known & mask in wanted
        }

    def _smallest(self, masks: list[int]) -> _Evidence | None:
        return self._evidence[min(masks, key=int.bit_count)] if masks else None

    def _append(self, mask: int, evidence: _Evidence) -> None:
        self._row[mask] = len(self._masks)
        self._masks.append(mask)
        self._evidence[mask] = evidence
        if self._rows is not None:
            self._rows.append(mask)
        elif len(self._masks) > _FEW:
            self._rows = BitRows(self._masks)

    def _remove(self, mask: int) -> None:
        row = self._row.pop(mask)
        del self._evidence[mask]
        last = self._masks.pop()
        if last != mask:
            self._masks[row] = last
            self._row[last] = row
        if self._rows is not None:
            self._rows.replace_by_last(row)

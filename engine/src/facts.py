"""Facts: evidence that decides more free sets than the one it was found for.

A counterexample that moved `M` answers yes for every free set containing `M`; a core
`C` answers no for every free set disjoint from `C`.  Both also show necessity: a
dual set that meets an explanation in one element only shows that this element
cannot be left out.  Only the strongest facts are kept (what follows from another fact is
dropped), as columns of 64-bit words, so that one pass over thousands of facts takes
some microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from .answers import Answer, Counterexample, Entailed
from .explanation import Kind
from .space import FeatureSet

__all__ = ["Facts", "features_of", "mask_of"]

_Evidence = TypeVar("_Evidence", Counterexample, Entailed)
_Words = npt.NDArray[np.uint64]

_WORD = 64
_LOW = (1 << _WORD) - 1
_ONE = np.uint64(1)


def mask_of(features: Iterable[int]) -> int:
    """Return the bit mask of a set of features.

    Examples
    --------
    >>> bin(mask_of(frozenset({0, 2})))
    '0b101'
    """
    mask = 0
    for i in features:
        mask |= 1 << i
    return mask


def features_of(mask: int) -> FeatureSet:
    """Return the features of a bit mask.

    Examples
    --------
    >>> sorted(features_of(0b101))
    [0, 2]
    """
    members: list[int] = []
    while mask:
        low = mask & -mask
        members.append(low.bit_length() - 1)
        mask ^= low
    return frozenset(members)


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
        return features_of(self._dual(kind).single_meetings(mask_of(members)))

    def necessity(
        self, kind: Kind, members: FeatureSet, elements: Iterable[int]
    ) -> dict[int, Answer]:
        """Return for each of the `elements` the answer that shows its necessity, if known."""
        duals, mask = self._dual(kind), mask_of(members)
        shown: dict[int, Answer] = {}
        for i in elements:
            answer = duals.meeting_only_in(mask, 1 << i)
            if answer is not None:
                shown[i] = answer
        return shown

    def _dual(self, kind: Kind) -> _Antichain[Counterexample] | _Antichain[Entailed]:
        return self._cores if kind is Kind.CXP else self._counterexamples


class _Antichain(Generic[_Evidence]):
    """Evidence by the set it rests on; no set contains another.

    Row `r` of every word column and of `_sizes` belongs to the set `_masks[r]`; a removed
    row is overwritten by the last one.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._evidence: dict[int, _Evidence] = {}
        self._row: dict[int, int] = {}
        self._masks: list[int] = []
        self._words: list[_Words] = [np.zeros(64, dtype=np.uint64)]
        self._sizes = np.zeros(64, dtype=np.int64)

    def values(self) -> list[_Evidence]:
        return list(self._evidence.values())

    def add(self, mask: int, evidence: _Evidence) -> None:
        if mask in self._evidence:
            return
        self._widen(mask)
        if self._rows_where_zero([(self._column(w), ~part) for w, part in self._parts(mask)]).size:
            return  # it follows from what is known
        weaker = self._rows_where_zero([(~self._column(w), part) for w, part in self._parts(mask)])
        for known in [self._masks[r] for r in weaker.tolist()]:
            self._remove(known)
        if len(self._masks) >= self._limit:
            self._remove(next(iter(self._evidence)))
        self._append(mask, evidence)

    def smallest_within(self, mask: int) -> _Evidence | None:
        """Return the evidence with the smallest set inside `mask`."""
        return self._smallest([(self._column(w), ~part) for w, part in self._parts(mask)])

    def smallest_apart(self, mask: int) -> _Evidence | None:
        """Return the evidence with the smallest set disjoint from `mask`."""
        return self._smallest([(self._column(w), part) for w, part in self._parts(mask)])

    def single_meetings(self, mask: int) -> int:
        """Return the elements of `mask` in which alone some set meets it."""
        found = 0
        for w, meets in enumerate(self._singles(mask)):
            if meets.size:
                found |= int(np.bitwise_or.reduce(meets)) << (w * _WORD)
        return found

    def meeting_only_in(self, mask: int, element: int) -> _Evidence | None:
        """Return evidence whose set meets `mask` in one element only."""
        parts = [(self._column(w), part) for w, part in self._parts(mask & ~element)]
        wanted, bit = divmod(element.bit_length() - 1, _WORD)
        if not self._masks or wanted >= len(self._words):
            return None
        holds = (self._column(wanted) >> np.uint64(bit)) & _ONE
        apart = self._rows_where_zero(parts, holds ^ _ONE)
        return self._evidence[self._masks[int(apart[-1])]] if apart.size else None

    def _singles(self, mask: int) -> list[_Words]:
        meets = [self._column(w) & part for w, part in self._parts(mask)]
        if len(meets) == 1:
            only = meets[0]
            return [only[(only & (only - _ONE)) == 0]]
        empty = [part == 0 for part in meets]
        elsewhere = len(meets) - 1
        blanks = np.sum(empty, axis=0)
        return [
            part[(part & (part - _ONE) == 0) & ~blank & (blanks == elsewhere)]
            for part, blank in zip(meets, empty, strict=True)
        ]

    def _smallest(self, parts: list[tuple[_Words, np.uint64]]) -> _Evidence | None:
        rows = self._rows_where_zero(parts)
        if not rows.size:
            return None
        return self._evidence[self._masks[int(rows[self._sizes[rows].argmin()])]]

    def _rows_where_zero(
        self, parts: list[tuple[_Words, np.uint64]], start: _Words | None = None
    ) -> npt.NDArray[np.intp]:
        total = start
        for column, part in parts:
            total = column & part if total is None else total | (column & part)
        if total is None:
            return np.zeros(0, dtype=np.intp)
        return np.flatnonzero(total == 0)

    def _column(self, w: int) -> _Words:
        return self._words[w][: len(self._masks)]

    def _parts(self, mask: int) -> list[tuple[int, np.uint64]]:
        return [(w, np.uint64((mask >> (w * _WORD)) & _LOW)) for w in range(len(self._words))]

    def _widen(self, mask: int) -> None:
        while mask.bit_length() > len(self._words) * _WORD:
            self._words.append(np.zeros(len(self._sizes), dtype=np.uint64))

    def _append(self, mask: int, evidence: _Evidence) -> None:
        row = len(self._masks)
        if row == len(self._sizes):
            self._words = [np.concatenate([w, np.zeros_like(w)]) for w in self._words]
            self._sizes = np.concatenate([self._sizes, np.zeros_like(self._sizes)])
        self._masks.append(mask)
        for w, part in self._parts(mask):
            self._words[w][row] = part
        self._sizes[row] = mask.bit_count()
        self._row[mask] = row
        self._evidence[mask] = evidence

    def _remove(self, mask: int) -> None:
        row = self._row.pop(mask)
        del self._evidence[mask]
        last = self._masks.pop()
        if last != mask:
            end = len(self._masks)
            self._masks[row] = last
            self._row[last] = row
            for column in self._words:
                column[row] = column[end]
            self._sizes[row] = self._sizes[end]

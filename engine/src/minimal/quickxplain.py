"""QuickXplain: divide and conquer for the preferred minimal set.

Junker, "QuickXplain: Preferred Explanations and Relaxations for Over-Constrained
Problems", AAAI 2004.  Halves are searched with the other half in the background; a half
that the background makes superfluous goes at once.  At most 2k log(m/k) + 2k questions.

Candidates that stand early are given up first: they are the least preferred.  The empty
set is tested too, which Junker assumes to be none.  An unknown answer counts as no for the
direction of the search, and the element that rests on it is open.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..answers import Answer
from ..space import FeatureSet
from .predicate import Verdict, WeakExplanation
from .result import MinimalSet
from .settle import settle

__all__ = ["quickxplain"]


def quickxplain(
    predicate: WeakExplanation, start: Verdict, candidates: Sequence[int]
) -> MinimalSet:
    """Shrink `candidates` by divide and conquer.

    Parameters
    ----------
    predicate, start, candidates
        As in `Strategy`.

    Examples
    --------
    >>> from whyproof.engine.explanation import Kind
    >>> from whyproof.engine.minimise import minimise
    >>> from whyproof.engine.toy import toy
    >>> problem, oracle = toy(4, [{0, 1}, {2}])
    >>> minimise(problem, oracle, Kind.AXP, strategy=quickxplain).features
    ('f0', 'f2')
    """
    if not candidates:
        return settle(predicate, start, {})
    empty = predicate.test_one(frozenset())
    if empty.holds:
        return settle(predicate, empty, {})
    search = _Search(predicate)
    preferred = tuple(reversed(candidates))
    _, verdict = search.divide(frozenset(), preferred, start, empty)
    return settle(predicate, verdict, search.necessity)


class _Search:
    def __init__(self, predicate: WeakExplanation) -> None:
        self.predicate = predicate
        self.necessity: dict[int, Answer] = {}

    def divide(
        self, background: FeatureSet, row: tuple[int, ...], whole: Verdict, refusal: Verdict
    ) -> tuple[FeatureSet, Verdict]:
        """Return the members in `row` and the verdict for them with the background.

        `whole` says that background and row are a weak explanation, `refusal` that the
        background alone is none (or unknown).
        """
        if len(row) == 1:
            if refusal.holds is False:
                self.necessity[row[0]] = refusal.answer
            return frozenset(row), whole
        kept, given_up = row[: len(row) // 2], row[len(row) // 2 :]
        late, verdict = self.conquer(background, frozenset(kept), given_up, whole)
        if late:
            early, verdict = self.conquer(background, late, kept, verdict)
            return early | late, verdict
        early, verdict = self.divide(background, kept, verdict, refusal)
        return early, verdict

    def conquer(
        self, background: FeatureSet, added: FeatureSet, row: tuple[int, ...], whole: Verdict
    ) -> tuple[FeatureSet, Verdict]:
        """Ask whether the enlarged background suffices; search the row if it does not."""
        enlarged = background | added
        trial = self.predicate.test_one(enlarged)
        if trial.holds:
            return frozenset(), trial
        return self.divide(enlarged, row, whole, trial)

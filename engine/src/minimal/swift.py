"""SwiftCXp: test many prefixes at once, and whole blocks for being necessary.

Algorithms 2 and 3 of the SwiftCXp paper.  Like dichotomic search, but each round tests up
to `q` prefixes together and keeps the gap between the longest refused and the shortest
accepted one.  Once the row is shorter than a share `delta` of all features, the
feature-disjunction check takes over: are the last `q` elements of the row all necessary?
If so they are members at once; if not, one that is superfluous is dropped.

Two remarks on the text.  Line 14 as printed takes the least prefix answered *no*, a
remnant of the version for AXps; the new upper index is the least one answered *yes*.  And
the paper stops tests of a round early when a neighbour already decides; here a
round is one batch of the oracle.  Unknown answers count as no for the direction of the
search and leave the element open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..answers import Answer
from ..space import FeatureSet
from .predicate import Verdict, WeakExplanation
from .result import MinimalSet
from .settle import settle

__all__ = ["SwiftCXp"]


@dataclass(frozen=True, slots=True)
class SwiftCXp:
    """The strategy of the SwiftCXp paper, for both kinds of explanation.

    Parameters
    ----------
    q
        Sets tested in one round, at least 1.
    delta
        Share of all features, 0 to 1, below which the feature-disjunction check is
        used for the rest of the run; 0 for never.

    Examples
    --------
    >>> from whyproof.engine.explanation import Kind
    >>> from whyproof.engine.minimise import minimise
    >>> from whyproof.engine.toy import toy
    >>> problem, oracle = toy(4, [{0, 1}, {2}])
    >>> minimise(problem, oracle, Kind.CXP, strategy=SwiftCXp(q=2)).features
    ('f0', 'f1')
    """

    q: int = 16
    delta: float = 0.75

    def __call__(
        self, predicate: WeakExplanation, start: Verdict, candidates: Sequence[int]
    ) -> MinimalSet:
        """Shrink `candidates`; as in `Strategy`.  The row is read from their back."""
        run = _Run(predicate, start, list(reversed(candidates)), self.q)
        few = self.delta * len(predicate.universe)
        while run.row:
            if len(run.row) < few:
                run.disjunction()
            elif not run.transition():
                break
        return settle(predicate, run.verdict, run.necessity)


class _Run:
    def __init__(self, predicate: WeakExplanation, start: Verdict, row: list[int], q: int) -> None:
        self.predicate = predicate
        self.verdict = start
        self.row = row
        self.q = q
        self.found: FeatureSet = frozenset()
        self.necessity: dict[int, Answer] = {}

    def transition(self) -> bool:
        """Find the next member by prefixes (Algorithm 2); false if none is missing."""
        low, high = 0, len(self.row)
        refusal: Verdict | None = None
        while low + 1 < high or (high == 1 and refusal is None):
            lengths = self._lengths(low, high)
            trials = self.predicate.test([self.found | frozenset(self.row[:n]) for n in lengths])
            accepted = [n for n, trial in zip(lengths, trials, strict=True) if trial.holds]
            high = min(accepted, default=high)
            for n, trial in zip(lengths, trials, strict=True):
                if n == high:
                    self.verdict = trial
                elif low <= n < high:
                    low, refusal = n, trial
            if high == 0:
                return False
        member = self.row[high - 1]
        if refusal is not None and refusal.holds is False:
            self.necessity[member] = refusal.answer
        self.found |= {member}
        self.row = self.row[: high - 1]
        return True

    def _lengths(self, low: int, high: int) -> list[int]:
        if high == 1:
            return [0]
        inner = high - low - 1
        count = min(self.q, inner)
        return sorted({low + (inner + 1) * (k + 1) // (count + 1) for k in range(count)})

    def disjunction(self) -> None:
        """Take the last elements in if all are necessary, drop one if not (Algorithm 3)."""
        block = self.row[-self.q :]
        whole = self.found | frozenset(self.row)
        trials = self.predicate.test([whole - {element} for element in block])
        for element, trial in zip(block, trials, strict=True):
            if trial.holds:
                self.verdict = trial
                self.row.remove(element)
                return
        for element, trial in zip(block, trials, strict=True):
            if trial.holds is False:
                self.necessity[element] = trial.answer
        self.found |= frozenset(block)
        self.row = self.row[: -len(block)]

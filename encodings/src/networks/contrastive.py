"""One contrastive explanation: shrink by attacks, prove all deletions with one tree.

1. `shrink` the witness until attacks take nothing more;
2. prove all deletions in one shared tree (`NetworkOracle.obligations`).  If the tree finds a
   counterexample, which is rare, it is the next witness and step 1 resumes;
3. a tree that does not end within a glance is a sign of a set that is too large: `polish` it
   first, then give the tree its whole time.

That is a handful of sequential rounds, where dichotomic search asks hundreds of questions
one after another.  What the tree cannot close within its time is retried one by one, and
stays open in the report after that.  As a strategy of the engine it serves enumeration:
`candidates` may be any set that is a weak explanation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from whyproof.engine.answers import Answer, Counterexample, Entailed
from whyproof.engine.minimal.predicate import Verdict, WeakExplanation
from whyproof.engine.minimal.result import MinimalSet
from whyproof.engine.space import FeatureSet

from .bounds.sets import Box
from .bounds.slopes import Ascent
from .oracle import NetworkOracle
from .shrinking import polish, shrink

__all__ = ["Grade", "SharedTree", "grade"]

_DEARER = 10
"""Optimised bounds are taken to last so many times as long as default ones."""


@dataclass(frozen=True)
class SharedTree:
    """The strategy for contrastive explanations of networks.

    Parameters
    ----------
    oracle
        The network oracle behind the predicate.
    seconds
        Processor seconds for the whole.
    glance
        For the first tree; a set that it does not decide is polished.
    single_seconds
        For each deletion that the last tree leaves open.
    singles
        Most deletions retried one by one.
    """

    oracle: NetworkOracle
    seconds: float = 60.0
    glance: float = 1.5
    single_seconds: float = 5.0
    singles: int = 8

    def __call__(
        self, predicate: WeakExplanation, start: Verdict, candidates: Sequence[int]
    ) -> MinimalSet:
        """Shrink to a minimal contrastive explanation; as in `Strategy`."""
        answer = start.answer
        if not isinstance(answer, Counterexample):
            raise TypeError("the shared tree starts from a counterexample")
        oracle = self.oracle
        oracle.meter = predicate.meter
        total = min(self.seconds, predicate.meter.remaining)
        began, whole = oracle.clock(), predicate.meter.remaining

        def left(share: float = 1.0) -> float:
            spent = oracle.clock() - began
            reserved = (1 - share) * whole if whole < float("inf") else 0.0
            return min(share * total - spent, predicate.meter.remaining - reserved)

        # Half of the time is for the proofs.
        witness = shrink(oracle, answer, left(0.5))
        last, graded = False, Grade()
        while True:
            # A tree that does not end leaves time for a grade.
            seconds = left(0.7) if last else min(self.glance, left())
            necessity, still, better = self._prove(predicate, witness, seconds, last=last)
            if better is None and last and still and left() > 0:
                graded = self._grade(witness, left())
                better = graded.smaller
            if better is not None:
                witness = shrink(oracle, better, left(0.5))
            elif last or not still:
                break
            else:
                last = True
                witness = polish(oracle, witness, frozenset(candidates), left() / 4)
        members = witness.moved
        if graded.at_least == len(members):
            necessity |= {i: self._without(members, i, graded.margin) for i in still}
            still = frozenset()
        return MinimalSet(
            members, Verdict(True, members, witness), necessity, still, graded.at_least
        )

    def _grade(self, witness: Counterexample, seconds: float) -> Grade:
        if not self.oracle.problem.region.is_box:
            return Grade()
        return grade(self.oracle, witness.moved, seconds)

    def _without(self, members: FeatureSet, feature: int, margin: float | None) -> Entailed:
        proof = Entailed(self.oracle.problem.universe - (members - {feature}), margin=margin)
        self.oracle.facts.remember(proof)
        return proof

    def _prove(
        self, predicate: WeakExplanation, witness: Counterexample, seconds: float, *, last: bool
    ) -> tuple[dict[int, Answer], FeatureSet, Counterexample | None]:
        """Prove that no feature can be left out, or find a counterexample without one."""
        oracle, members = self.oracle, witness.moved
        seconds = min(seconds, predicate.meter.remaining)
        sample = oracle.place.mask([members])
        is_box = isinstance(oracle.place.box(oracle.place.play(sample[0]), sample), Box)
        necessity: dict[int, Answer] = {}
        still = members
        if is_box:
            shared = oracle.obligations(members, seconds)
            if shared.refuted:
                return {}, members, next(iter(shared.refuted.values()))
            necessity |= {i: self._without(members, i, shared.margin) for i in shared.proved}
            still = shared.open
        if still and last and (len(still) <= self.singles or not is_box):
            for i in sorted(still):
                if predicate.meter.exhausted() is not None:
                    break
                limit = min(self.single_seconds, predicate.meter.remaining)
                answer = oracle.settle(members - {i}, limit)
                if isinstance(answer, Counterexample):
                    return {}, members, answer
                if isinstance(answer, Entailed):
                    necessity[i] = answer
                    oracle.facts.remember(answer)
        still = frozenset(i for i in members if i not in necessity)
        return necessity, still, None


@dataclass(frozen=True)
class Grade:
    """What is known about the sizes of contrastive explanations inside a set.

    Parameters
    ----------
    at_least
        Each has at least so many elements; with the size of the set it is minimal.
    margin
        Of the proof; `None` if there is none.
    smaller
        A counterexample that moves fewer features than the set has, if one turned up.
    """

    at_least: int = 0
    margin: float | None = None
    smaller: Counterexample | None = None


def grade(oracle: NetworkOracle, members: FeatureSet, seconds: float) -> Grade:
    """Look for the largest m for which no counterexample moves at most m of the members.

    Every contrastive explanation inside the members then has at least ``m + 1`` elements;
    with ``m = len(members) - 1`` the set is minimal.  One batch of linear bounds finds
    where to start; from there trees climb by a third of what is left, and halve the step
    when one runs out of time.  A counterexample ends the search.

    Parameters
    ----------
    oracle
        Of a problem whose region is a box.
    members
        A weak contrastive explanation.
    seconds
        Processor seconds in all.
    """
    if len(members) == 1:
        # With nothing free the instance keeps its decision.
        return Grade(1)
    clock = oracle.clock
    deadline = clock() + seconds
    low, margin = _first_grade(oracle, members, seconds / 2)
    high, step = len(members), max(1, (len(members) - low) // 3 if low else 1)
    while high - low > 1 and (left := deadline - clock()) > 0:
        attempt = min(low + step, high - 1)
        # One attempt that fails may not take all that is left.
        answer = oracle.at_most(members, attempt, max(left / 3, min(left, 1.0)))
        if isinstance(answer, Entailed):
            low, margin = attempt, answer.margin
            step = max(1, (high - low) // 3)
            continue
        if isinstance(answer, Counterexample):
            return Grade(low + 1 if low else 0, margin, answer)
        step = max(1, (min(high, attempt) - low) // 2)
    return Grade(low + 1 if low else 0, margin)


def _first_grade(
    oracle: NetworkOracle, members: FeatureSet, seconds: float
) -> tuple[int, float | None]:
    """Return what linear bounds alone prove, for several m in one batch.

    Default lines come first: on large networks there is no time for better ones.
    """
    n = len(members)
    parts = (1, 2, 4, *range(8, 64, 8))
    sizes = sorted({max(1, min(n - 1, n * part // 64)) for part in parts})
    play, sets = oracle.budgets(frozenset(), members, sizes)
    best: tuple[int, float | None] = 0, None
    left = seconds
    for hidden, scores in ((Ascent(steps=0), Ascent(steps=0)), (Ascent(steps=8), Ascent(steps=15))):
        began = oracle.clock()
        found = oracle.bound(play, sets, hidden=hidden, scores=scores, seconds=left)
        took = oracle.clock() - began
        left -= took
        for m, margin in zip(sizes, found.margin.tolist(), strict=True):
            if margin > oracle.precision and m > best[0]:
                best = m, margin
        if left < _DEARER * took:
            break
    return best

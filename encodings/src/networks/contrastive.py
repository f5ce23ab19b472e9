"""One contrastive explanation: shrink by attacks, prove all deletions with one tree.

A witness is a weak explanation of its own support, so attacks alone make the set small:

1. rank the features that the witness moves by the first-order effect on the margin, the
   gradient averaged between instance and witness, and attack one batch of sets without the
   least effective features: as many as the margin pays for, more, and fewer;
2. once large groups fail, attack "everything but one" for the least effective ones too, as
   low as the margin goes; what was easy alone is left out together in the next batch;
   until nothing in a batch succeeds;
3. prove all deletions in one shared tree (`NetworkOracle.obligations`).  If the tree finds a
   counterexample, which is rare, it is the next witness and step 1 resumes.

That is a handful of sequential rounds, where dichotomic search asks hundreds of questions
one after another.  What the tree cannot close within its time is retried one by one, and
stays open in the report after that.  As a strategy of the engine it serves enumeration:
`candidates` may be any set that is a weak explanation.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from whyproof.engine.answers import Answer, Counterexample, Entailed
from whyproof.engine.minimal.predicate import Verdict, WeakExplanation
from whyproof.engine.minimal.result import MinimalSet
from whyproof.engine.space import FeatureSet

from .attack import AttackOptions
from .bounds.sets import Box
from .bounds.slopes import Ascent
from .oracle import NetworkOracle

__all__ = ["SharedTree", "grade", "sensitivity", "shrink"]

_KEPT = (0.04, 0.08, 0.13, 0.2, 0.28, 0.36, 0.45, 0.54, 0.63, 0.71, 0.78, 0.84, 0.89, 0.94)
_SPARED = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.15, 1.35, 1.6, 2.0)
_EASY = (0.04, 0.08, 0.13, 0.2, 0.28, 0.36, 0.45, 0.6, 0.8, 1.0)
_SINGLES = 64
_ALL_SINGLES = 256


def sensitivity(oracle: NetworkOracle, witness: Counterexample) -> Tensor:
    """Return how much each feature can lower the margin, to first order, ``(features,)``."""
    return _effects(oracle, witness)[0]


def _effects(oracle: NetworkOracle, witness: Counterexample) -> tuple[Tensor, float]:
    """Return the effect of each feature, and the least margin at hand.

    The gradient is averaged between instance and witness; the margin is that of the
    witness, or of the corner of its features that the gradient points to.
    """
    place = oracle.place
    target = place.target
    play = place.play(place.movable)
    ends = torch.stack([place.deviation(play, witness.point), torch.zeros_like(play.lower)])
    case = int(target.margins(play.network(ends[:1]))[0].argmin())
    ends = ends.requires_grad_()
    (slope,) = torch.autograd.grad(target.margins(play.network(ends))[:, case].sum(), ends)
    mean = slope.mean(0)
    owner = place.owner[play.columns]
    effect = torch.maximum(-mean * play.lower, -mean * play.upper)
    moved = place.mask([witness.moved])[0][owner]
    corner = torch.where(slope[0] > 0, play.lower, play.upper) * moved
    with torch.no_grad():
        margin = target.margin(play.network(torch.stack([ends[0], corner]))).min()
    return effect.new_zeros(place.n_features).index_add(0, owner, effect), float(margin)


def shrink(
    oracle: NetworkOracle, witness: Counterexample, seconds: float = float("inf")
) -> Counterexample:
    """Return a counterexample from which attacks take nothing more, or time is over.

    Each wave is one batch: leave out the least effective features, as many as the margin
    pays for, more and fewer; what could be left out alone in the wave before, together;
    and, once large groups fail, each of the least effective ones alone.
    """
    easy: list[int] = []
    rng = random.Random(0)
    order, spared = _ranked(oracle, witness)
    coarse = 5 * spared > len(order)
    deadline = oracle.clock() + seconds
    thorough = False
    while oracle.clock() < deadline:
        n = len(order)
        sizes = {round(part * spared) for part in _SPARED} | {2, 3}
        if coarse:
            sizes |= {n - max(1, int(part * n)) for part in _KEPT}
        groups = [order[:k] for k in sorted(sizes) if 1 < k < n]
        easy = [i for i in easy if i in witness.moved]
        for k in sorted({round(part * len(easy)) for part in _EASY}):
            if 1 < k < n:
                groups += [easy[:k], rng.sample(easy, k)]
        alone = [] if coarse else order[:_SINGLES]
        if thorough:
            groups, alone = [], order[_SINGLES:]
        sets = [witness.moved.difference(group) for group in groups]
        sets += [witness.moved - {one} for one in alone]
        options = AttackOptions(steps=12, deep=not coarse)
        hits = oracle.attack(oracle.place.mask(sets), options, warm=witness)
        found = [w for w in hits if w is not None]
        if not found and not coarse:
            if thorough or not _SINGLES < n <= _ALL_SINGLES:
                return witness
            # One last wave for the more effective ones; in large sets the tree finds them.
            thorough = True
            continue
        thorough = False
        if found:
            singles = zip(alone, hits[len(groups) :], strict=True)
            easy = _by_ease(oracle, [(w, i) for i, w in singles if w is not None])
            least = min(len(w.moved) for w in found)
            best = [w for w in found if len(w.moved) == least]
            witness = best[int(oracle.margins(best).argmin())]
            order, spared = _ranked(oracle, witness)
        coarse = len(order) < 0.85 * n
    return witness


def _by_ease(oracle: NetworkOracle, left_out: Sequence[tuple[Counterexample, int]]) -> list[int]:
    """Order features by how clearly the decision changes without them."""
    if not left_out:
        return []
    margins = oracle.margins([w for w, _ in left_out])
    return [left_out[i][1] for i in margins.argsort().tolist()]


def _ranked(oracle: NetworkOracle, witness: Counterexample) -> tuple[list[int], int]:
    """Return what the witness moves, the least effective first, and how many it can spare.

    To first order, the margin pays for leaving out the first so many together.
    """
    effect, margin = _effects(oracle, witness)
    ranking: list[int] = effect.argsort().tolist()
    order = [i for i in ranking if i in witness.moved]
    spared = int((effect[order].cumsum(0) <= -margin).sum())
    return order, spared


@dataclass(frozen=True)
class SharedTree:
    """The strategy for contrastive explanations of networks.

    Parameters
    ----------
    oracle
        The network oracle behind the predicate.
    seconds
        Processor seconds for the shared tree.
    single_seconds
        For each deletion that it leaves open.
    singles
        Most deletions retried one by one.
    """

    oracle: NetworkOracle
    seconds: float = 60.0
    single_seconds: float = 5.0
    singles: int = 8

    def __call__(
        self, predicate: WeakExplanation, start: Verdict, candidates: Sequence[int]
    ) -> MinimalSet:
        """Shrink to a minimal contrastive explanation; as in `Strategy`."""
        answer = start.answer
        if not isinstance(answer, Counterexample):
            raise TypeError("the shared tree starts from a counterexample")
        # Half of the time is for the proofs.
        deadline = self.oracle.clock() + min(self.seconds, predicate.meter.remaining) / 2
        witness = shrink(self.oracle, answer, deadline - self.oracle.clock())
        while True:
            necessity, still, better = self._prove(predicate, witness)
            if better is None:
                break
            witness = shrink(self.oracle, better, deadline - self.oracle.clock())
        members = witness.moved
        verdict = Verdict(True, members, witness)
        return MinimalSet(members, verdict, necessity, still)

    def _prove(
        self, predicate: WeakExplanation, witness: Counterexample
    ) -> tuple[dict[int, Answer], FeatureSet, Counterexample | None]:
        """Prove that no feature can be left out, or find a counterexample without one."""
        oracle, members = self.oracle, witness.moved
        universe = oracle.problem.universe
        seconds = min(self.seconds, predicate.meter.remaining)
        sample = oracle.place.mask([members])
        is_box = isinstance(oracle.place.box(oracle.place.play(sample[0]), sample), Box)
        necessity: dict[int, Answer] = {}
        still = members
        if is_box:
            shared = oracle.obligations(members, seconds)
            if shared.refuted:
                return {}, members, next(iter(shared.refuted.values()))
            for i in shared.proved:
                proof = Entailed(core=universe - (members - {i}), margin=shared.margin)
                necessity[i] = proof
                oracle.facts.remember(proof)
            still = shared.open
        if still and (len(still) <= self.singles or not is_box):
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


def grade(oracle: NetworkOracle, members: FeatureSet, seconds: float) -> tuple[int, Answer | None]:
    """Return the largest m for which no counterexample moves at most m of the members.

    Every contrastive explanation inside the members then has more than m elements; with
    ``m = len(members) - 1`` the set is minimal.  One batch of linear bounds finds where to
    start; from there trees climb by a third of what is left, and halve the step when
    one runs out of time.

    Parameters
    ----------
    oracle
        Of the problem.
    members
        A weak contrastive explanation.
    seconds
        Processor seconds in all.

    Returns
    -------
    m, proof
        Zero and `None` if nothing was shown.
    """
    clock = oracle.clock
    deadline = clock() + seconds
    low, proof = _first_grade(oracle, members)
    high, step = len(members), max(1, (len(members) - low) // 3 if low else 1)
    while high - low > 1 and (left := deadline - clock()) > 0:
        attempt = min(low + step, high - 1)
        answer = oracle.at_most(members, attempt, left)
        if isinstance(answer, Entailed):
            low, proof = attempt, answer
            step = max(1, (high - low) // 3)
            continue
        if isinstance(answer, Counterexample):
            high = min(attempt, len(answer.moved))
        step = max(1, (min(high, attempt) - low) // 2)
    return low, proof


def _first_grade(oracle: NetworkOracle, members: FeatureSet) -> tuple[int, Answer | None]:
    """Return what linear bounds alone prove, for several m in one batch."""
    n = len(members)
    parts = (1, 2, 4, *range(8, 64, 8))
    sizes = sorted({max(1, n * part // 64) for part in parts})
    play, sets = oracle.budgets(frozenset(), members, sizes)
    found = oracle.bound(play, sets, hidden=Ascent(steps=8), scores=Ascent(steps=15))
    best, proof = 0, None
    for m, margin in zip(sizes, found.margin.tolist(), strict=True):
        if margin > oracle.precision:
            best, proof = m, Entailed(core=oracle.problem.universe - members, margin=margin)
    return best, proof

"""One contrastive explanation: shrink by attacks, prove all deletions with one tree.

A witness is a weak explanation of its own support, so attacks alone make the set small:

1. rank the features that the witness moves by the first-order effect on the margin, the
   gradient averaged between instance and witness, and attack a batch of prefixes of that
   order; keep the smallest that succeeds, until none does;
2. attack "everything but one" for each feature in one batch; then leave out several of
   the easiest together; until no single feature can be left out by an attack;
3. prove all deletions in one shared tree (`NetworkOracle.obligations`).  If the tree finds a
   counterexample, which is rare, it is the next witness and step 2 resumes.

That is a handful of sequential rounds, where dichotomic search asks hundreds of questions
one after another.  What the tree cannot close within its time is retried one by one, and
stays open in the report after that.  As a strategy of the engine it serves enumeration:
`candidates` may be any set that is a weak explanation.
"""

from __future__ import annotations

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

_PREFIXES = (0.2, 0.35, 0.5, 0.6, 0.7, 0.78, 0.84, 0.9, 0.94, 0.97)
_GROUPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


def sensitivity(oracle: NetworkOracle, witness: Counterexample) -> Tensor:
    """Return how much each feature can lower the margin, to first order, ``(features,)``."""
    place = oracle.place
    target = place.target
    play = place.play(place.movable)
    ends = torch.stack([place.deviation(play, witness.point), torch.zeros_like(play.lower)])
    case = int(target.margins(play.network(ends[:1]))[0].argmin())
    ends = ends.requires_grad_()
    (slope,) = torch.autograd.grad(target.margins(play.network(ends))[:, case].sum(), ends)
    mean = slope.mean(0)
    effect = torch.maximum(-mean * play.lower, -mean * play.upper)
    return effect.new_zeros(place.n_features).index_add(0, place.owner[play.columns], effect)


def shrink(oracle: NetworkOracle, witness: Counterexample) -> Counterexample:
    """Return a counterexample from which no attack can take a single feature."""
    witness = _by_prefixes(oracle, witness)
    return _by_deletions(oracle, witness)


def _by_prefixes(oracle: NetworkOracle, witness: Counterexample) -> Counterexample:
    options = AttackOptions(steps=15)
    while True:
        moved = oracle.place.mask([witness.moved])[0]
        effect = torch.where(
            moved, sensitivity(oracle, witness), torch.tensor(-1.0).to(moved.device)
        )
        order = effect.argsort(descending=True)[: int(moved.sum())]
        n = len(order)
        sizes = sorted({max(1, int(n * part)) for part in _PREFIXES} | {max(1, n - 1)} - {n})
        if n < 2:
            return witness
        free = torch.zeros((len(sizes), len(moved)), dtype=torch.bool, device=moved.device)
        for row, size in enumerate(sizes):
            free[row, order[:size]] = True
        hits = [w for w in oracle.attack(free, options, warm=witness) if w is not None]
        if not hits:
            return witness
        witness = min(hits, key=lambda w: len(w.moved))


def _by_deletions(oracle: NetworkOracle, witness: Counterexample) -> Counterexample:
    while True:
        members = sorted(witness.moved)
        free = _all_but_one(oracle, members)
        hits = oracle.attack(free, AttackOptions(steps=12), warm=witness)
        easy = [(w, i) for w, i in zip(hits, members, strict=True) if w is not None]
        if not easy:
            return witness
        best = min((w for w, _ in easy), key=lambda w: len(w.moved))
        ranked = _by_ease(oracle, easy)
        sizes = [k for k in _GROUPS if 1 < k <= len(ranked)]
        if sizes:
            whole = oracle.place.mask([witness.moved])
            groups = whole.repeat(len(sizes), 1)
            for row, size in enumerate(sizes):
                groups[row, ranked[:size]] = False
            more = oracle.attack(groups, AttackOptions(steps=15), warm=witness)
            found = [w for w in more if w is not None]
            best = min([best, *found], key=lambda w: len(w.moved))
        witness = best


def _by_ease(oracle: NetworkOracle, easy: Sequence[tuple[Counterexample, int]]) -> list[int]:
    """Order features by how clearly the decision changes without them."""
    place = oracle.place
    play = place.play(place.movable)
    points = torch.stack([place.deviation(play, w.point) for w, _ in easy])
    with torch.no_grad():
        margins = place.target.margin(play.network(points))
    return [easy[i][1] for i in margins.argsort().tolist()]


def _all_but_one(oracle: NetworkOracle, members: Sequence[int]) -> Tensor:
    whole = oracle.place.mask([frozenset(members)])
    free = whole.repeat(len(members), 1)
    free[torch.arange(len(members)), torch.tensor(members)] = False
    return free


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
        witness = shrink(self.oracle, answer)
        while True:
            necessity, still, better = self._prove(predicate, witness)
            if better is None:
                break
            witness = _by_deletions(self.oracle, better)
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

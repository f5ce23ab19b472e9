"""Make a counterexample's support small by attacks alone.

A counterexample is a weak contrastive explanation of what it moves.  `shrink` takes features
away as long as an attack still succeeds without them:

1. rank the features that the witness moves by the first-order effect on the margin, the
   gradient averaged between instance and witness, and attack one batch of sets without the
   least effective features: as many as the margin pays for, more, and fewer;
2. once large groups fail, attack "everything but one" for the least effective ones too, as
   low as the margin goes; what was easy alone is left out together in the next batch;
   until nothing in a batch succeeds.

That ends in a set from which nothing can be taken, which need not be a small one.
`polish` looks around it (large neighbourhood search, Shaw 1998) in two ways: a batch of
rankings with noise, each cut off below the present size, and the set with half as many
effective features again and a few members taken away, shrunk anew.  A few tries of that halve
sets on deep networks, and it is small sets whose minimality can be proved.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from whyproof.engine.answers import Counterexample
from whyproof.engine.space import FeatureSet

from .attack import AttackOptions
from .oracle import NetworkOracle

__all__ = ["polish", "sensitivity", "shrink"]

_KEPT = (0.04, 0.08, 0.13, 0.2, 0.28, 0.36, 0.45, 0.54, 0.63, 0.71, 0.78, 0.84, 0.89, 0.94)
_SPARED = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.15, 1.35, 1.6, 2.0)
_EASY = (0.04, 0.08, 0.13, 0.2, 0.28, 0.36, 0.45, 0.6, 0.8, 1.0)
_SINGLES = 64
_ALL_SINGLES = 256
_STARTS = 3
_CUTS = (0.0, 0.017, 0.04, 0.08)
_BONUS = (0.0, 0.3, 1.0, 3.0)
_SPREAD = (0.05, 0.15, 0.4)


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
            witness = _least(oracle, found)
            order, spared = _ranked(oracle, witness)
        coarse = len(order) < 0.85 * n
    return witness


def _least(oracle: NetworkOracle, found: Sequence[Counterexample]) -> Counterexample:
    """Return one that moves the fewest features, and of these one with the least margin."""
    fewest = min(len(w.moved) for w in found)
    best = [w for w in found if len(w.moved) == fewest]
    return best[int(oracle.margins(best).argmin())]


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


def polish(
    oracle: NetworkOracle,
    witness: Counterexample,
    within: FeatureSet,
    seconds: float,
    *,
    patience: int = 6,
) -> Counterexample:
    """Return a counterexample that moves fewer features, if one is found nearby.

    Parameters
    ----------
    oracle
        Of the problem.
    witness
        A shrunken one.
    within
        Features that may move.
    seconds
        Processor seconds in all.
    patience
        Tries without a smaller set after which to stop.
    """
    rng = random.Random(0)
    noise = torch.Generator().manual_seed(0)
    deadline = oracle.clock() + seconds
    options = AttackOptions(steps=40, deep=True)
    starts = [shrink(oracle, w, (deadline - oracle.clock()) / 4) for w in _starts(oracle, within)]
    best, failures, attempt = _least(oracle, [witness, *starts]), 0, 0
    while failures < patience and oracle.clock() < deadline and len(best.moved) > 2:
        effect, _ = _effects(oracle, best)
        n = len(best.moved)
        sets = _smaller_sets(oracle, effect, best.moved, within, noise)
        near = [w for w in oracle.attack(sets, options, warm=best) if w is not None]
        if near:
            best = shrink(oracle, _least(oracle, near), deadline - oracle.clock())
            failures = 0
            continue
        found = _through_wider(oracle, best, effect, within, attempt, rng, deadline)
        attempt += 1
        smaller = found is not None and len(found.moved) < n
        failures = 0 if smaller else failures + 1
        if found is not None and len(found.moved) <= n:
            best = found
    return best


def _through_wider(
    oracle: NetworkOracle,
    witness: Counterexample,
    effect: Tensor,
    within: FeatureSet,
    attempt: int,
    rng: random.Random,
    deadline: float,
) -> Counterexample | None:
    """Free half as many effective features again, or as many, drop a few, and shrink anew."""
    n = len(witness.moved)
    order: list[int] = effect.argsort(descending=True).tolist()
    others = [i for i in order if i in within and i not in witness.moved]
    added = others[: n // 2 if attempt % 2 == 0 else n]
    dropped = rng.sample(sorted(witness.moved), n // 8) if attempt % 3 else []
    free = witness.moved.union(added).difference(dropped)
    options = AttackOptions(steps=40, deep=True)
    (found,) = oracle.attack(oracle.place.mask([free]), options, warm=witness)
    return None if found is None else shrink(oracle, found, deadline - oracle.clock())


def _starts(oracle: NetworkOracle, within: FeatureSet) -> list[Counterexample]:
    """Return counterexamples deep inside each other decision, the most promising first.

    What is promising needs few features to first order.
    """
    target, options = oracle.place.target, AttackOptions(steps=60, restarts=3, deep=True)
    mask = oracle.place.mask([within])
    found: list[tuple[int, Counterexample]] = []
    for case in target.cases:
        (hit,) = oracle.attack(mask, options, cases=[case])
        if hit is not None:
            order, spared = _ranked(oracle, hit)
            found.append((len(order) - spared, hit))
    return [hit for _, hit in sorted(found, key=lambda one: one[0])[:_STARTS]]


def _smaller_sets(
    oracle: NetworkOracle,
    effect: Tensor,
    members: FeatureSet,
    within: FeatureSet,
    noise: torch.Generator,
) -> Tensor:
    """Return sets smaller than the members: the most effective features, ranked with noise.

    Members may count for more than the rest, so that sets lie near and far.
    """
    allowed, inside = oracle.place.mask([within, members])
    rows: list[Tensor] = []
    for cut, bonus, spread in product(_CUTS, _BONUS, _SPREAD):
        size = max(1, len(members) - max(1, round(cut * len(members))))
        draw = torch.randn(effect.shape, generator=noise, dtype=torch.float64)
        factor = torch.exp(spread * draw).to(effect)
        score = effect.clamp(min=0) * (1 + bonus * inside) * factor
        top = torch.where(allowed, score, -torch.ones_like(score)).topk(size).indices
        rows.append(torch.zeros_like(allowed).index_fill(0, top, True) & allowed)
    return torch.stack(rows)

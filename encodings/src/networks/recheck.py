"""Check an explanation that somebody else published: proved, refuted or open.

An abductive explanation claims that fixing its members forces the decision; a contrastive
one that changing only its members can flip it.  Either claim is one question to the
oracle, answered with a proof or a replayed point, and so is the claim to be minimal: one
shared tree asks for all members at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown
from whyproof.engine.errors import DataError
from whyproof.engine.explanation import Kind
from whyproof.engine.space import FeatureSet

from .attack import AttackOptions
from .oracle import NetworkOracle

__all__ = ["Claim", "Recheck", "recheck"]


class Claim(StrEnum):
    """What became of a claim."""

    PROVED = "proved"
    REFUTED = "refuted"
    OPEN = "open"


@dataclass(frozen=True)
class Recheck:
    """Result of a second look.

    Parameters
    ----------
    kind, members
        What was claimed.
    claim
        Whether the set is an explanation at all.
    answer
        The proof or the counterexample behind it.
    superfluous
        Members that can be left out, so that the set is not minimal.
    needed
        Members shown to be necessary.
    """

    kind: Kind
    members: FeatureSet
    claim: Claim
    answer: Answer
    superfluous: FeatureSet = frozenset()
    needed: FeatureSet = field(default_factory=frozenset[int])

    @property
    def minimal(self) -> Claim:
        """Whether no member can be left out."""
        if self.claim is not Claim.PROVED:
            return self.claim
        if self.superfluous:
            return Claim.REFUTED
        return Claim.PROVED if self.needed == self.members else Claim.OPEN


def recheck(
    oracle: NetworkOracle,
    kind: Kind,
    members: FeatureSet,
    *,
    seconds: float = 30.0,
    minimality: bool = True,
) -> Recheck:
    """Check that a set of features is an explanation, and whether it is minimal.

    Parameters
    ----------
    oracle
        Of the problem.
    kind, members
        What is claimed.
    seconds
        Processor seconds for each of the two questions.
    minimality
        Whether to ask the second one.

    Raises
    ------
    DataError
        For features that do not exist.
    """
    n = oracle.problem.space.n_features
    unknown = [i for i in sorted(members) if not 0 <= i < n]
    if unknown:
        raise DataError(f"feature index {unknown[0]} does not exist; the space has {n} features")
    universe = oracle.problem.universe
    members = members & universe
    free = members if kind is Kind.CXP else universe - members
    answer = _decide(oracle, free, seconds)
    if isinstance(answer, Unknown):
        return Recheck(kind, members, Claim.OPEN, answer)
    if isinstance(answer, Counterexample) is not (kind is Kind.CXP):
        return Recheck(kind, members, Claim.REFUTED, answer)
    if not minimality or not members:
        return Recheck(kind, members, Claim.PROVED, answer)
    if kind is Kind.AXP:
        shared = oracle.extensions(free, members, seconds)
        needed = frozenset(shared.refuted)
        # A column that cannot move is never needed, and the tree does not ask about it.
        still = frozenset(oracle.place.movable.nonzero().ravel().tolist())
        superfluous = shared.proved | (members - still)
        return Recheck(kind, members, Claim.PROVED, answer, superfluous, needed)
    shared = oracle.obligations(members, seconds)
    smaller = frozenset(shared.refuted)
    return Recheck(kind, members, Claim.PROVED, answer, smaller, shared.proved)


def _decide(oracle: NetworkOracle, free: FeatureSet, seconds: float) -> Answer:
    masks = oracle.place.mask([free])
    (witness,) = oracle.attack(masks, AttackOptions(steps=40, restarts=10))
    if witness is not None:
        return witness
    proofs = oracle.prove(masks)
    margin = float(proofs.margin[0])
    if margin > oracle.precision:
        return Entailed(core=oracle.problem.universe - free, margin=margin)
    return oracle.settle(free, seconds)

"""Closed forms: oracles that know a smallest explanation without a search.

Where what features add does not depend on each other, as in additive models, sorting
them gives a smallest set.  An oracle that can do so has a method `least`; its proposal is
checked by the ordinary questions before anyone sees it.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from .explanation import Kind
from .minimal import MinimalSet, WeakExplanation
from .oracle import Oracle
from .space import FeatureSet

__all__ = ["ClosedForm", "checked_proposal"]

_EACH = 32
"""Members up to which each gets a counterexample of its own."""


@runtime_checkable
class ClosedForm(Protocol):
    """An oracle that can propose a smallest explanation."""

    def least(self, kind: Kind, allowed: FeatureSet) -> tuple[FeatureSet, int] | None:
        """Propose an explanation of least size among the `allowed` features.

        Returns
        -------
        members, lower bound
            The set, and a size below which there is none for certain; `None` if there
            is no closed form, or no explanation.
        """
        ...


def checked_proposal(
    oracle: Oracle, predicate: WeakExplanation, allowed: FeatureSet
) -> tuple[MinimalSet, int] | None:
    """Ask an oracle for its proposal and test it, with one round for all necessities.

    That no smaller set exists already says that no element can be left out.  Up to `_EACH`
    members each gets a counterexample of its own nevertheless; of more, so many of them,
    spread evenly, since a counterexample for each takes far longer than the answer.

    Parameters
    ----------
    oracle
        Decides free sets; wrappers are looked through by their attribute `inner`.
    predicate
        Decides sets; of the kind that is wanted.
    allowed
        Features that may occur.

    Returns
    -------
    set, lower bound
        `None` if the oracle has no closed form, or its proposal cannot be confirmed as a
        minimal set whose size is the lower bound.
    """
    inner: object = oracle
    while inner is not None and not isinstance(inner, ClosedForm):
        inner = getattr(inner, "inner", None)
    if inner is None:
        return None
    proposal = inner.least(predicate.kind, allowed)
    if proposal is None or len(proposal[0]) > proposal[1]:
        return None
    members, bound = proposal
    verdict = predicate.test_one(members)
    if not verdict.holds or predicate.meter.exhausted() is not None:
        return None
    order = sorted(members)
    order = order[:: -(-len(order) // _EACH) or 1]
    if predicate.kind is Kind.AXP:
        others = predicate.universe - members
        without = [others | {i} for i in order]
    else:
        without = [members - {i} for i in order]
    # Asked past the memory for facts: so many at once would take longer to keep than to find.
    answers = oracle.decide(without, predicate.meter)
    if any(predicate.verdict(answer).holds is not False for answer in answers):
        return None
    return MinimalSet(members, verdict, dict(zip(order, answers, strict=True))), bound

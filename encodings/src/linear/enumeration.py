"""All explanations of an additive model with two classes, with polynomial delay.

Both kinds are the minimal sets of features whose gains pass a threshold: to flip the decision
for contrastive ones, to leave the others too little for abductive ones (Marques-Silva,
Gerspacher, Cooper, Ignatiev, Narodytska, Explaining Naive Bayes and Other Linear Classifiers
with Polynomial Time and Delay, NeurIPS 2020).  Features are decided in the order of their
gains, largest first: a set that passes by its last and smallest member is minimal, and a branch
is followed only if what is left can still pass, so that no branch is in vain.

Ours differs in rounding: gains have bounds from both sides, and where these disagree the
oracle is asked.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from whyproof.engine.answers import Counterexample, Unknown
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.explanation import Kind
from whyproof.engine.space import FeatureSet

from .oracle import AdditiveOracle

__all__ = ["additive_explanations"]


def additive_explanations(
    oracle: AdditiveOracle, kind: Kind, meter: Meter | None = None
) -> Iterator[FeatureSet]:
    """Enumerate all explanations of one kind, each once.

    Parameters
    ----------
    oracle
        Of a problem about two classes, or one rival.
    kind
        Abductive or contrastive.
    meter
        Budget of the run; when it is exhausted, the enumeration ends early.

    Yields
    ------
    FeatureSet
        Subset-minimal.  Sets that rounding leaves open are left out.

    Raises
    ------
    UnsupportedError
        With several rivals, whose sets are no threshold of one sum.

    Examples
    --------
    >>> additive_explanations.__name__
    'additive_explanations'
    """
    contests = oracle.contests
    if len(contests) != 1:
        raise UnsupportedError(
            "explanations follow one after the other in closed form for two classes only; "
            "use Explainer.enumerate"
        )
    return _Sets(oracle, kind, meter or Budget().start()).run()


class _Sets:
    def __init__(self, oracle: AdditiveOracle, kind: Kind, meter: Meter) -> None:
        self._oracle, self._kind, self._meter = oracle, kind, meter
        contest = oracle.contests[0]
        members = np.array(sorted(oracle.relevant), dtype=np.intp)
        endless = np.isinf(contest.upper[members])
        self._endless = frozenset(members[endless].tolist())
        finite = members[~endless]
        order = finite[np.argsort(-contest.lower[finite], kind="stable")]
        self._order: list[int] = order.tolist()
        low, high = contest.lower[order], contest.upper[order]
        if kind is Kind.CXP:
            # Surely flipped above zero, surely not below.
            needs = (-contest.start_lower, -contest.start_upper)
        else:
            # What is left has to stay below zero whatever rounding does.
            total = contest.start_upper + float(high.sum())
            least = contest.start_lower + float(low.sum())
            needs, low, high = (total, least), high, low
        # A set passes surely if its gains exceed the first, and surely not below the second.
        self._sure, self._hope = needs
        self._low, self._high = low, high
        self._rest = np.append(np.maximum(low, high)[::-1].cumsum()[::-1], 0.0)

    def run(self) -> Iterator[FeatureSet]:
        base: FeatureSet = frozenset()
        if self._kind is Kind.CXP:
            yield from (frozenset({i}) for i in sorted(self._endless))
        else:
            base = self._endless
        if self._passes(base, 0.0, 0.0):
            yield base
            return
        # Positions chosen so far, their sums, and the next position to decide.
        stack: list[tuple[tuple[int, ...], float, float, int]] = [((), 0.0, 0.0, 0)]
        while stack and self._meter.exhausted() is None:
            chosen, low, high, at = stack.pop()
            if at == len(self._order) or max(low, high) + self._rest[at] < self._hope:
                continue
            stack.append((chosen, low, high, at + 1))
            more = (*chosen, at)
            low, high = low + float(self._low[at]), high + float(self._high[at])
            members = base | frozenset(self._order[k] for k in more)
            if not self._passes(members, low, high):
                stack.append((more, low, high, at + 1))
            elif self._minimal(members, more, low, high):
                yield members

    def _passes(self, members: FeatureSet, low: float, high: float) -> bool:
        if low > self._sure:
            return True
        if high < self._hope:
            return False
        return self._asked(members)

    def _minimal(
        self, members: FeatureSet, chosen: tuple[int, ...], low: float, high: float
    ) -> bool:
        """Tell whether no member can be left out; only near ties have to be asked."""
        without = max(low, high) - np.minimum(self._low, self._high)[list(chosen)]
        close = np.flatnonzero(without >= self._hope)
        return not any(self._asked(members - {self._order[chosen[int(k)]]}) for k in close)

    def _asked(self, members: FeatureSet) -> bool:
        """Ask the oracle whether a set is a weak explanation; unknown counts as no."""
        universe = self._oracle.problem.universe
        free = members if self._kind is Kind.CXP else universe - members
        answer = self._oracle.decide([free], self._meter)[0]
        if isinstance(answer, Unknown):
            return False
        return isinstance(answer, Counterexample) == (self._kind is Kind.CXP)

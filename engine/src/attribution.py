"""Formal feature attribution: how often a feature stands in the explanations of a decision.

``FFA(i)`` is the share of all explanations of a kind that contain feature ``i``; the
weighted variant counts each of them with one over its size (Yu, Ignatiev and Stuckey, "On
Formal Feature Attribution and Its Approximation", arXiv 2307.03380, 2023).

While the enumeration is unfinished the shares among what was found are estimates, and
nothing else.  The bounds given here are true whatever is still to come, given that

* features which are a dual explanation by themselves stand in every explanation;
* features that never move, and such as were shown irrelevant, stand in none;
* explanations do not contain each other, which limits their number: by the inequality
  of Lubell, Yamamoto and Meshalkin, ``sum(1 / C(r, size)) <= 1`` over all of them, where
  sizes count the `r` features not covered above.

On wide models that number is astronomical and the bounds of unsettled features come out
near 0 and 1: that is what is known.  They close as features are settled, and at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from .errors import DataError
from .explanation import Explanation, Kind
from .problem import ExplanationProblem
from .space import FeatureSet

__all__ = ["FeatureAttribution", "feature_attribution"]

_Shares = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FeatureAttribution:
    """Shares of explanations by feature, with bounds.

    Parameters
    ----------
    kind
        Which explanations are counted.
    weighted
        Whether an explanation of size `k` counts ``1 / k``.
    complete
        Whether all explanations are known; then all three arrays are equal.
    count
        Explanations known.
    observed
        Shares among the known ones, shape ``(features,)``; an estimate if incomplete.
    lower, upper
        True bounds of the final shares, shape ``(features,)`` each.
    """

    kind: Kind
    weighted: bool
    complete: bool
    count: int
    observed: _Shares
    lower: _Shares
    upper: _Shares

    def ranking(self) -> list[int]:
        """Return feature indices by observed share, largest first, ties by index."""
        return sorted(range(len(self.observed)), key=lambda i: (-self.observed[i], i))


def feature_attribution(
    problem: ExplanationProblem,
    explanations: Iterable[Explanation],
    *,
    complete: bool,
    kind: Kind = Kind.AXP,
    weighted: bool = False,
    irrelevant: Iterable[int] = (),
    at_least: int = 0,
) -> FeatureAttribution:
    """Compute the attribution that a list of explanations supports.

    Parameters
    ----------
    problem
        What the explanations are about.
    explanations
        Those known, of either kind; the dual ones narrow the bounds.  Only those
        proved minimal count.
    complete
        Whether all explanations of `kind` are among them.
    kind
        Which explanations to count.
    weighted
        Weigh each explanation by one over its size.
    irrelevant
        Features that were shown to stand in no explanation.
    at_least
        No explanation still to come is smaller than this (known after an enumeration in
        the order of size).

    Raises
    ------
    DataError
        If a feature called irrelevant stands in a known explanation.

    Notes
    -----
    Without any explanation (no CXp exists) all shares are zero.

    Examples
    --------
    >>> from whyproof.engine.enumerate import enumerate_explanations
    >>> from whyproof.engine.toy import toy
    >>> problem, oracle = toy(4, [{0, 1}, {2}])
    >>> run = enumerate_explanations(problem, oracle)
    >>> found = feature_attribution(problem, list(run), complete=run.complete)
    >>> found.observed.tolist(), found.complete
    ([0.5, 0.5, 1.0, 0.0], True)
    """
    minimal = [e for e in explanations if not e.open]
    counted = list(dict.fromkeys(e.members for e in minimal if e.kind is kind))
    duals = [e.members for e in minimal if e.kind is kind.dual]
    never = (frozenset(range(problem.space.n_features)) - problem.universe) | set(irrelevant)
    always = frozenset(i for dual in duals if len(dual) == 1 for i in dual)
    for members in counted:
        if members & never:
            raise DataError(
                f"feature {min(members & never)} was called irrelevant but stands in an explanation"
            )
    sums = [Fraction(0)] * problem.space.n_features
    for members in counted:
        for i in members:
            sums[i] += Fraction(1, len(members) if weighted else 1)
    count = len(counted)
    observed = np.array([float(s / count) if count else 0.0 for s in sums])
    more = 0 if complete else _most_unknown(problem.universe, counted, always, never, at_least)
    lower, upper = observed.copy(), observed.copy()
    if more:
        for i, known in enumerate(sums):
            if i in never:
                continue
            least, most = _contribution(i, always, problem, never, weighted, at_least)
            low, high = _range(known, count, least, most, more)
            lower[i], upper[i] = _below(low), _above(high)
    return FeatureAttribution(kind, weighted, more == 0, count, observed, lower, upper)


def _most_unknown(
    universe: FeatureSet,
    counted: list[FeatureSet],
    always: FeatureSet,
    never: FeatureSet,
    at_least: int,
) -> int:
    """Return a bound on the number of explanations not known, by the LYM inequality."""
    unsettled = len(universe - always - never)
    room = Fraction(1)
    for members in counted:
        room -= Fraction(1, math.comb(unsettled, len(members - always)))
    smallest = min(max(0, at_least - len(always)), unsettled)
    widest = max(math.comb(unsettled, size) for size in range(smallest, unsettled + 1))
    return math.floor(max(Fraction(0), room) * widest)


def _contribution(
    feature: int,
    always: FeatureSet,
    problem: ExplanationProblem,
    never: FeatureSet,
    weighted: bool,
    at_least: int,
) -> tuple[Fraction, Fraction]:
    """Return the least and the most that one unknown explanation adds to a feature."""
    if not weighted:
        return Fraction(int(feature in always)), Fraction(1)
    largest = max(1, len(problem.universe - never))
    smallest = max(1, at_least, len(always | {feature}))
    return (
        Fraction(1, largest) if feature in always else Fraction(0),
        Fraction(1, min(smallest, largest)),
    )


def _range(
    known: Fraction, count: int, least: Fraction, most: Fraction, more: int
) -> tuple[Fraction, Fraction]:
    """Bound ``(known + added) / (count + m)`` over all ``m`` from 0 to `more`.

    For a fixed contribution this is monotone in ``m``: the ends suffice.
    """
    low = (known + more * least) / (count + more)
    high = (known + more * most) / (count + more)
    if count:
        return min(low, known / count), max(high, known / count)
    return min(low, least), max(high, most)


def _below(value: Fraction) -> float:
    rounded = float(value)
    return rounded if Fraction(rounded) <= value else math.nextafter(rounded, 0.0)


def _above(value: Fraction) -> float:
    rounded = float(value)
    return rounded if Fraction(rounded) >= value else math.nextafter(rounded, 1.0)

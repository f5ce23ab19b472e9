"""A linear bound as a rule about free sets: too little weight, no change.

An oracle that bounds the lead of a decision from below by ``constant - sum of weights of the
free features``, one such row for each way to change it, knows more than the answer to
one question: a free set can change the decision only if its weights reach the constant of
some row.  That is a disjunction of pseudo-Boolean constraints on free sets.  It decides
sets without a question, names a large set that is decided along with a small one, and bounds the
size of every contrastive explanation from below.  `MapSolver` takes such rules lazily: a
seed that keeps to one is lifted above it, or cut away with all that the rule decides around it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .answers import Entailed
from .space import FeatureSet

__all__ = ["LinearRule", "least_size"]

_ROUNDING = 1e-12
"""Relative error allowed for in the sums of weights."""


@dataclass(frozen=True, eq=False)
class LinearRule:
    """``lead(free) >= constant[c] - sum(weights[c, i] for i in free)`` for every case c.

    Parameters
    ----------
    universe
        Features that may be freed.
    constants
        Lower bound on the lead with nothing free, shape ``(cases,)``, score units.
    weights
        How much each feature may cost at most, not negative, shape ``(cases, features)``;
        infinite for features that the bound says nothing about.
    precision
        What is left has to exceed this to be a proof.

    Examples
    --------
    >>> rule = LinearRule(frozenset(range(3)), np.array([1.0]), np.array([[0.4, 0.5, 0.7]]))
    >>> rule.entails({0, 1}), rule.entails({0, 2}), sorted(rule.widened({1}))
    (True, False, [0, 1])
    >>> rule.at_least
    2
    """

    universe: FeatureSet
    constants: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    precision: float = 0.0

    def lead(self, free: Iterable[int]) -> float:
        """Return the lead that is guaranteed while these features are free."""
        chosen = list(free)
        spent = self.weights[:, chosen].sum(1) * (1 + _ROUNDING)
        return float((self.constants - spent).min())

    def entails(self, free: Iterable[int]) -> bool:
        """Tell whether the rule shows that these features cannot change the decision."""
        return self.lead(free) > self.precision

    def widened(self, free: Iterable[int], most: int | None = None) -> FeatureSet:
        """Return a free set that contains this entailed one, is entailed, and is large.

        Features are added by what they cost relative to what is left, the cheapest first,
        not more than `most` of them.  That is a greedy multi-dimensional knapsack
        (Boumazouza et al. 2026); with one row it is optimal.
        """
        chosen = frozenset(free)
        left = self.constants - self.weights[:, list(chosen)].sum(1) * (1 + _ROUNDING)
        room = np.maximum(left - self.precision, 1e-300)
        others = np.array(sorted(self.universe - chosen), dtype=np.int64)
        order = others[np.argsort((self.weights[:, others] / room[:, None]).max(0), kind="stable")]
        spent = np.cumsum(self.weights[:, order], axis=1) * (1 + _ROUNDING)
        fits = ((left[:, None] - spent) > self.precision).all(0)
        count = len(fits) if fits.all() else int(np.argmin(fits))
        count = count if most is None else min(count, most)
        return chosen | frozenset(order[:count].tolist())

    def lifted(self, free: Iterable[int], case: int) -> FeatureSet | None:
        """Return a larger free set that the rule does not decide, few features larger.

        The most effective ones in a case are added until they reach its constant; `None`
        if all of them together do not.
        """
        chosen = frozenset(free)
        left = self.constants[case] - self.weights[case, list(chosen)].sum() - self.precision
        others = np.array(sorted(self.universe - chosen), dtype=np.int64)
        order = others[np.argsort(-self.weights[case, others], kind="stable")]
        enough = np.cumsum(self.weights[case, order]) >= left
        if not enough.any():
            return None
        return chosen | frozenset(order[: int(enough.argmax()) + 1].tolist())

    def answer(self, free: Iterable[int]) -> Entailed | None:
        """Return the proof for a free set, with a core that serves many others."""
        if not self.entails(free):
            return None
        large = self.widened(free)
        return Entailed(core=self.universe - large, margin=self.lead(large))

    @property
    def at_least(self) -> int:
        """Fewest features that can change the decision, as far as the rule tells."""
        members = sorted(self.universe)
        if not members:
            return 0
        largest = -np.sort(-self.weights[:, members], axis=1)
        spent = np.cumsum(largest, axis=1) * (1 + _ROUNDING)
        reached = ~((self.constants[:, None] - spent) > self.precision)
        counts = np.where(reached.any(1), reached.argmax(1) + 1, len(members) + 1)
        none = bool((~(self.constants > self.precision)).any())
        return 0 if none else int(counts.min())


def least_size(rules: Iterable[LinearRule]) -> int:
    """Return how many features every contrastive explanation has at least."""
    return max((rule.at_least for rule in rules), default=0)

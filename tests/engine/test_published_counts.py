"""The published algorithms ask about as often as their reference experiment says.

An additive oracle over 784 features: the decision changes when the freed sensitivities
(absolute normal numbers) sum up to a share of their total.  Calls and rounds are compared
with a simulation of the published pseudo-code on the same kind of oracle (means of 5 seeds).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from whyproof.engine.answers import Answer, Counterexample, Entailed
from whyproof.engine.budget import Meter
from whyproof.engine.explanation import Kind
from whyproof.engine.minimal import (
    Strategy,
    SwiftCXp,
    WeakExplanation,
    Witness,
    deletion,
    dichotomic,
    progression,
    quickxplain,
)
from whyproof.engine.space import FeatureSet

N = 784


class Additive:
    name = "additive"

    def __init__(self, share: float, seed: int) -> None:
        self.sensitivity = np.abs(np.random.default_rng(seed).normal(size=N))
        self.needed = share * self.sensitivity.sum()
        self.calls = 0
        self.rounds = 0

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        self.calls += len(free_sets)
        self.rounds += 1
        everything = frozenset(range(N))
        return [
            Counterexample(np.zeros(0), free, 1.0)
            if self.sensitivity[list(free)].sum() >= self.needed
            else Entailed(everything - free)
            for free in free_sets
        ]


def run(strategy: Strategy, share: float) -> tuple[float, float, float]:
    totals = np.zeros(3)
    for seed in range(3):
        oracle = Additive(share, seed)
        predicate = WeakExplanation(Kind.CXP, oracle, frozenset(range(N)), Meter())
        start = predicate.test_one(predicate.universe)
        order = np.argsort(oracle.sensitivity).tolist()
        before = oracle.calls, oracle.rounds
        found = strategy(predicate, start, order)
        assert not found.open
        calls, rounds = oracle.calls - before[0], oracle.rounds - before[1]
        totals += calls, rounds, len(found.members)
    calls, rounds, size = totals / 3
    return float(calls), float(rounds), float(size)


@pytest.mark.parametrize(
    ("strategy", "share", "calls", "rounds", "size"),
    [
        (deletion, 0.05, 784, 784, 12),
        (deletion, 0.30, 784, 784, 94),
        (dichotomic, 0.05, 34, 34, 12),
        (dichotomic, 0.30, 451, 451, 94),
        (dichotomic, 0.60, 1470, 1470, 244),
        (SwiftCXp(q=30, delta=0.0), 0.05, 108, 13, 12),
        (SwiftCXp(q=30, delta=0.0), 0.30, 2403, 157, 94),
        (SwiftCXp(q=30, delta=0.25), 0.05, 65, 3, 12),
        (SwiftCXp(q=30, delta=0.25), 0.30, 147, 6, 94),
        (SwiftCXp(q=30, delta=0.85), 0.30, 147, 6, 94),
        (SwiftCXp(q=30, delta=0.85), 0.60, 297, 11, 244),
    ],
)
def test_counts(strategy: Strategy, share: float, calls: int, rounds: int, size: int) -> None:
    measured = run(strategy, share)
    for value, reference in zip(measured, (calls, rounds, size), strict=True):
        assert reference / 1.15 <= value <= reference * 1.15


@pytest.mark.parametrize("strategy", [Witness(), quickxplain, progression])
def test_searches_for_few_members_ask_less_than_deletion(strategy: Strategy) -> None:
    calls, _, size = run(strategy, 0.05)
    assert size < 16 and calls < 784 / 3

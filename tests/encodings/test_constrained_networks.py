"""Networks under constraints: proofs stay, witnesses are repaired, the rest is unknown."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from random_constraints import Dice
from test_networks_oracle import problem_of, subsets

from whyproof.encodings.oracles import under_constraints
from whyproof.engine.answers import Counterexample, Entailed
from whyproof.engine.budget import Meter

pytest.importorskip("torch")

from whyproof.encodings.networks.oracle import NetworkOracle


def test_networks_under_constraints_are_never_wrong() -> None:
    seen: Counter[str] = Counter()
    for seed in range(6):
        plain = problem_of(seed, n=4, epsilon=0.6)
        rules = Dice(seed).constraints(plain.space, plain.instance, 2)
        problem = replace(plain, space=replace(plain.space, constraints=rules))
        oracle = under_constraints(problem, NetworkOracle)
        rng = np.random.default_rng(seed)
        low, high = problem.limits
        points = rng.uniform(low, high, (4000, 4))
        for rule in problem.constraints:
            points = points[rule.holds(points)]
        for free in subsets(4)[-6:]:
            (answer,) = oracle.decide([free], Meter())
            seen[type(answer).__name__] += 1
            if isinstance(answer, Counterexample):
                problem.replay(answer.point, free)
            elif isinstance(answer, Entailed):
                fixed = sorted(answer.core)
                rows = points.copy()
                rows[:, fixed] = problem.instance[fixed]
                for rule in problem.constraints:
                    rows = rows[rule.holds(rows)]
                assert not problem.changed(rows).any()
    assert seen["Counterexample"]
    assert seen["Entailed"]
    assert seen["Unknown"] <= 1

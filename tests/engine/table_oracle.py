"""Small monotone problems that brute force can decide, and oracles over them.

A problem over `n` yes/no features is given by weak contrastive sets: the decision changes
exactly where the moved features contain one of them.  The classifier really behaves
like that, so that counterexamples can be replayed.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence

import numpy as np

from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.domain import Boolean
from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet, FeatureSpace, Points


def minimal_sets(family: Iterable[FeatureSet]) -> set[FeatureSet]:
    sets = set(family)
    return {s for s in sets if not any(t < s for t in sets)}


def minimal_hitting_sets(n: int, family: Iterable[FeatureSet]) -> set[FeatureSet]:
    to_hit = list(family)
    subsets = (
        frozenset(c) for size in range(n + 1) for c in itertools.combinations(range(n), size)
    )
    return minimal_sets(s for s in subsets if all(s & t for t in to_hit))


class TableClassifier:
    """Says class 1 where the ones of the point contain a contrastive set."""

    classes = ("keep", "change")
    structure = None
    fingerprint = "sha256:" + "0" * 64

    def __init__(self, n: int, cxps: Iterable[FeatureSet]) -> None:
        self.n_columns = n
        self.cxps = sorted(minimal_sets(cxps), key=sorted)

    def predict(self, points: Points) -> np.ndarray:
        return np.array([int(self.flips(frozenset(np.flatnonzero(p).tolist()))) for p in points])

    def scores(self, points: Points) -> np.ndarray:
        changed = self.predict(points).astype(float)
        return np.stack([1 - changed, changed], axis=1)

    def flips(self, moved: FeatureSet) -> bool:
        return any(cxp <= moved for cxp in self.cxps)


class Table:
    """A problem with its complete answer."""

    def __init__(self, n: int, cxps: Iterable[FeatureSet], immutable: Iterable[int] = ()) -> None:
        self.n = n
        self.classifier = TableClassifier(n, cxps)
        frozen = frozenset(immutable)
        names = [f"f{i}" for i in range(n)]
        space = FeatureSpace.of(
            names, {name: Boolean() for name in names}, immutable=[names[i] for i in frozen]
        )
        self.problem = ExplanationProblem(self.classifier, space, np.zeros(n))
        self.universe = self.problem.universe
        self.cxps = {c for c in self.classifier.cxps if not c & frozen}
        self.axps = minimal_hitting_sets(n, self.cxps)

    def explanations(self, kind: Kind) -> set[FeatureSet]:
        return self.cxps if kind is Kind.CXP else self.axps

    def is_weak(self, kind: Kind, members: FeatureSet) -> bool:
        return any(e <= members for e in self.explanations(kind))

    def is_minimal(self, kind: Kind, members: FeatureSet) -> bool:
        return members in self.explanations(kind)


class TableOracle:
    """Decides free sets of a table; `quality` is how strong its evidence is.

    ``tight``: minimal supports; ``loose``: random ones; ``weak``: the largest that are
    honest, a point that moves all that is free and a core of all that is fixed.
    """

    name = "table"

    def __init__(self, table: Table, quality: str = "loose", seed: int = 0, lanes: int = 1) -> None:
        self.table = table
        self.quality = quality
        self.lanes = lanes
        self.asked: list[FeatureSet] = []
        self._random = random.Random(seed)

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        self.asked.extend(free_sets)
        return [self._decide(free & self.table.universe) for free in free_sets]

    def _decide(self, free: FeatureSet) -> Answer:
        flips = self.table.classifier.flips
        if flips(free):
            moved = self._shrunk(free, flips)
            point = np.zeros(self.table.n)
            point[list(moved)] = 1
            return Counterexample(point, moved, 1.0)
        everything = self.table.universe
        return Entailed(self._shrunk(everything - free, lambda core: not flips(everything - core)))

    def _shrunk(self, members: FeatureSet, holds: object) -> FeatureSet:
        if self.quality == "weak":
            return members
        order = sorted(members)
        self._random.shuffle(order)
        steps = len(order) if self.quality == "tight" else self._random.randint(0, len(order))
        for i in order[:steps]:
            if holds(members - {i}):  # type: ignore[operator]
                members = members - {i}
        return members


class ForgetfulOracle:
    """Answers `Unknown` at random, with the same answer when asked again."""

    name = "forgetful"

    def __init__(self, inner: TableOracle, share: float, seed: int = 0) -> None:
        self.inner = inner
        self.share = share
        self.seed = seed

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        answers = self.inner.decide(free_sets, meter)
        return [
            Unknown(UnknownReason.PRECISION) if self._forgets(free) else answer
            for free, answer in zip(free_sets, answers, strict=True)
        ]

    def _forgets(self, free: FeatureSet) -> bool:
        key = (self.seed, *sorted(free))
        return random.Random(str(key)).random() < self.share


def random_table(n: int, seed: int, most: int = 8) -> Table:
    """Return a table over `n` features with up to `most` contrastive sets."""
    draw = random.Random(seed)
    cxps = [
        frozenset(draw.sample(range(n), draw.randint(1, n))) for _ in range(draw.randint(0, most))
    ]
    frozen = [i for i in range(n) if draw.random() < 0.1]
    return Table(n, cxps, frozen)

"""A tiny lending model over a finite space, and an explainer that knows every answer.

The explainer keeps the contract of `whyproof.explainer.Explainer` by brute force, so that
stores, audits and reports can be tested without any search.  It can be pickled, as an
audit's processes need, and slowed down, so that a test can kill it in between.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from whyproof.engine.answers import Counterexample, Entailed, UnknownReason
from whyproof.engine.budget import Budget
from whyproof.engine.domain import Boolean, Categories, Integers
from whyproof.engine.explanation import Explanation, Kind, SearchStatistics
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, Question
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSet, FeatureSpace, Point, Points

DOMAINS = {
    "age": Integers(lower=0, upper=3),
    "capital gain": Integers(lower=0, upper=2),
    "job": Categories(values=("none", "part-time", "full <time>")),
    "owner": Boolean(),
    "colour": Categories(values=("red", "blue")),
}
WEIGHTS = np.array([2.0, 3.0, 2.0, 1.0, 0.0])


class Lender:
    """Says yes where the weighted sum exceeds 6; colour is never used."""

    n_columns = 5
    classes = ("<=50K", ">50K")
    structure = SimpleNamespace(rule="positive", input_type="float64", slack=0.0)
    library, version, source = "small world", "1.0", "lender.json"

    def __init__(self, threshold: float = 6.5) -> None:
        self.threshold = threshold
        self.fingerprint = "sha256:" + f"{int(threshold * 10):064x}"

    def predict(self, points: Points) -> np.ndarray:
        return np.asarray(points @ WEIGHTS > self.threshold, dtype=np.int64)

    def scores(self, points: Points) -> np.ndarray:
        margin = points @ WEIGHTS - self.threshold
        return np.stack([np.zeros_like(margin), margin], axis=1)


def lending_space(immutable: Sequence[str] = ()) -> FeatureSpace:
    return FeatureSpace.of(list(DOMAINS), DOMAINS, immutable=immutable)


@dataclass
class Enumeration:
    """Explanations of one decision, one after the other."""

    everything: Iterator[Explanation]
    complete: bool = False
    stopped_by: UnknownReason | None = None
    axps: int = 0
    cxps: int = 0

    def __iter__(self) -> Iterator[Explanation]:
        for explanation in self.everything:
            if explanation.kind is Kind.AXP:
                self.axps += 1
            else:
                self.cxps += 1
            yield explanation
        self.complete = True


@dataclass
class BruteExplainer:
    """The explainer's contract over the lending space, by brute force."""

    model: Lender = field(default_factory=Lender)
    space: FeatureSpace = field(default_factory=lending_space)
    region: Region = field(default_factory=Region.everywhere)
    question: Question = field(default_factory=AnyOther)
    strategy: str = "witness"
    pause: float = 0.0

    def problem(self, instance: Point) -> ExplanationProblem:
        return ExplanationProblem(self.model, self.space, instance, self.region, self.question)

    def enumerate(
        self,
        instance: Point,
        *,
        budget: Budget | None = None,
        bias: Kind = Kind.CXP,
        known: Iterable[Explanation] = (),
    ) -> Enumeration:
        return BruteEnumeration(self, instance, budget or Budget(), known)

    def all(self, instance: Point) -> list[Explanation]:
        problem = self.problem(instance)
        points = grid()
        flipped = points[problem.changed(points)]
        moved = [self.space.moved(problem.instance, point) for point in flipped]
        universe = problem.universe
        weak_cxps = {m: p for m, p in zip(moved, flipped, strict=True) if m <= universe}
        cxps = [m for m in weak_cxps if not any(o < m for o in weak_cxps)]
        subsets = (
            frozenset(c)
            for size in range(len(universe) + 1)
            for c in itertools.combinations(sorted(universe), size)
        )
        axps: list[FeatureSet] = []
        for subset in subsets:
            if all(subset & c for c in cxps) and not any(a <= subset for a in axps):
                axps.append(subset)
        statistics = SearchStatistics(oracle_calls=3, rounds=2, seconds=0.001)
        found = [
            Explanation(
                problem, Kind.AXP, a, Entailed(a, self._margin(problem, a)), statistics=statistics
            )
            for a in axps
        ]
        for c in cxps:
            point = weak_cxps[c]
            evidence = Counterexample(point, c, float(self.model.predict(point[None])[0]))
            found.append(Explanation(problem, Kind.CXP, c, evidence, statistics=statistics))
        return sorted(found, key=lambda e: (len(e), sorted(e.members)))

    def _margin(self, problem: ExplanationProblem, fixed: FeatureSet) -> float:
        points = grid()
        keep = sorted(fixed)
        points = points[(points[:, keep] == problem.instance[keep]).all(axis=1)]
        scores = self.model.scores(points)
        kept = int(problem.prediction)
        return float((scores[:, kept] - scores[:, 1 - kept]).min())


class BruteEnumeration(Enumeration):
    def __init__(
        self,
        explainer: BruteExplainer,
        instance: Point,
        budget: Budget,
        known: Iterable[Explanation],
    ) -> None:
        self.budget = budget
        self.pause = explainer.pause
        seen = {(e.kind, e.members) for e in known}
        everything = explainer.all(instance)
        new = [e for e in everything if (e.kind, e.members) not in seen]
        super().__init__(iter(new))
        self.axps = sum(kind is Kind.AXP for kind, _ in seen)
        self.cxps = len(seen) - self.axps

    def __iter__(self) -> Iterator[Explanation]:
        meter = self.budget.start()
        found = 0
        for explanation in super().__iter__():
            time.sleep(self.pause)
            self.stopped_by = meter.exhausted()
            if self.stopped_by is not None:
                return
            yield explanation
            found += 1
            if found == self.budget.count:
                return


def grid() -> Points:
    sizes = [int(domain.bounds[1]) + 1 for domain in DOMAINS.values()]
    return np.array(list(itertools.product(*map(range, sizes))), dtype=np.float64)

"""Random small circuits over random small spaces, and all their cells."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from whyproof.encodings.circuits.builder import CircuitBuilder
from whyproof.encodings.circuits.circuit import Circuit
from whyproof.encodings.circuits.decide import first_that_fires, vote_of_all
from whyproof.engine.domain import Boolean, Categories, Domain, Integers, Real
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, Question, ReachClass
from whyproof.engine.region import Region
from whyproof.engine.space import Column, Feature, FeatureSet, FeatureSpace, Points

THRESHOLDS = [-1.0, 0.0, 0.5, 1.0]


@dataclass(frozen=True)
class Running:
    """Any structure that predicts, as a model that runs."""

    structure: Circuit
    fingerprint: str = "sha256:" + "0" * 64

    @property
    def n_columns(self) -> int:
        return self.structure.n_columns

    @property
    def classes(self) -> tuple[Hashable, ...]:
        return self.structure.classes

    def scores(self, points: Points) -> npt.NDArray[np.float64]:
        return np.eye(len(self.classes))[self.predict(points)]

    def predict(self, points: Points) -> npt.NDArray[np.int64]:
        return self.structure.predict(points)


@st.composite
def domains(draw: st.DrawFn) -> Domain:
    nullable = draw(st.integers(0, 3)) == 0
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return Real(nullable)
    if kind == 1:
        return Integers(nullable, -1, draw(st.integers(0, 2)))
    if kind == 2:
        return Categories(nullable, tuple("abcd"[: draw(st.integers(1, 4))]))
    return Boolean(nullable)


@st.composite
def spaces(draw: st.DrawFn) -> FeatureSpace:
    n = draw(st.integers(1, 4))
    columns = tuple(Column(f"x{i}", draw(domains())) for i in range(n))
    if n >= 3 and draw(st.booleans()):
        rest = tuple(Feature(f"x{i}", (i,)) for i in range(n) if i not in (0, 2))
        return FeatureSpace(columns, (Feature("pair", (0, 2)), *rest))
    frozen = [draw(st.integers(0, 4)) == 0 for _ in range(n)]
    return FeatureSpace(columns, tuple(Feature(f"x{i}", (i,), frozen[i]) for i in range(n)))


def literal(draw: st.DrawFn, builder: CircuitBuilder, space: FeatureSpace) -> int:
    column = draw(st.integers(0, space.n_columns - 1))
    missing = draw(st.booleans())
    if isinstance(space.columns[column].domain, Categories) and draw(st.booleans()):
        found = builder.among(column, draw(st.sets(st.integers(0, 3))), missing=missing)
    elif draw(st.integers(0, 5)) == 0:
        found = builder.is_missing(column)
    else:
        add: Callable[..., int] = draw(st.sampled_from([builder.below, builder.up_to]))
        found = add(column, draw(st.sampled_from(THRESHOLDS)), missing=missing)
    return found if draw(st.booleans()) else -found


@st.composite
def circuits(draw: st.DrawFn, space: FeatureSpace) -> Circuit:
    builder = CircuitBuilder(space.n_columns)
    pool = [literal(draw, builder, space) for _ in range(draw(st.integers(1, 6)))]
    signs = st.sampled_from([-1, 1])
    for _ in range(draw(st.integers(0, 6))):
        inputs = [draw(st.sampled_from(pool)) * draw(signs) for _ in range(draw(st.integers(0, 4)))]
        weights = [draw(st.integers(-3, 3)) for _ in inputs]
        bound = draw(st.integers(-2, 4))
        pool.append(builder.at_least(inputs, bound, weights if draw(st.booleans()) else ()))
    n = draw(st.integers(2, 3))
    fires = [draw(st.sampled_from(pool)) for _ in range(draw(st.integers(0, 4)))]
    heads = [draw(st.integers(0, n - 1)) for _ in fires]
    default = draw(st.integers(0, n - 1))
    if draw(st.booleans()):
        wins = first_that_fires(builder, fires, heads, default, n)
    else:
        votes = [draw(st.integers(1, 3)) for _ in fires]
        wins = vote_of_all(builder, fires, heads, votes, default, n)
    return builder.build(wins, tuple("ABC"[:n]))


@st.composite
def problems(draw: st.DrawFn) -> ExplanationProblem:
    space = draw(spaces())
    running = Running(draw(circuits(space)))
    instance = np.array([draw(st.sampled_from(some_values(c.domain))) for c in space.columns])
    prediction = int(running.predict(instance[None])[0])
    others = [k for k in range(len(running.classes)) if k != prediction]
    question: Question = AnyOther()
    if draw(st.integers(0, 2)) == 0:
        question = ReachClass(draw(st.sampled_from(others)))
    region = Region.everywhere()
    if draw(st.integers(0, 2)) == 0:
        region = Region.ball(draw(st.sampled_from([0.25, 1.0])))
    return ExplanationProblem(running, space, instance, region, question)


def some_values(domain: Domain) -> list[float]:
    """Return admissible values on both sides of every threshold in use."""
    around = [v for t in THRESHOLDS for v in (np.nextafter(t, -9), t, np.nextafter(t, 9))]
    found = [v for v in (*around, -3.0, 0.25, 2.0, 3.0) if domain.contains(v)]
    return [*found, *([float("nan")] if domain.nullable else [])]


def reachable_points(problem: ExplanationProblem, free: FeatureSet) -> Points:
    """Return a point in every combination of cells that the free features can enter."""
    space, instance = problem.space, problem.instance
    lower, upper = problem.limits
    options: list[list[float]] = []
    for i, column in enumerate(space.columns):
        own = float(instance[i])
        if int(space.owner[i]) not in free & problem.universe:
            options.append([own])
            continue
        wanted = [own, *some_values(column.domain), lower[i], upper[i]]
        kept: list[float] = []
        for value in wanted:
            point = instance.copy()
            point[i] = value
            known = any(v == value or (v != v and value != value) for v in kept)
            if not known and np.isfinite(value) | np.isnan(value):
                if problem.region.contains(space, instance, point) and column.domain.contains(
                    float(value)
                ):
                    kept.append(float(value))
        options.append(kept)
    return np.array(list(itertools.product(*options)))

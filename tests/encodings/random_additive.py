"""Random small additive models over random small spaces, with their extreme points listed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from hypothesis import assume
from hypothesis import strategies as st

from whyproof.encodings.linear.additive import AdditiveModel, ColumnTerm
from whyproof.encodings.trees.ensemble import DecisionRule
from whyproof.engine.domain import Boolean, Categories, Domain, Integers, Real
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, KeepMargin, LeaveInterval, Question, ReachClass
from whyproof.engine.region import Region
from whyproof.engine.space import Column, Feature, FeatureSet, FeatureSpace, Points

SLOPES = [-2.0, -1.0, -0.5, 0.0, 0.25, 1.0, 3.0]


@dataclass(frozen=True)
class RunningAdditive:
    """A model that runs in float64."""

    structure: AdditiveModel
    fingerprint: str = "sha256:" + "0" * 64

    @property
    def n_columns(self) -> int:
        return self.structure.n_columns

    @property
    def classes(self) -> tuple[Hashable, ...]:
        return self.structure.classes

    def scores(self, points: Points) -> npt.NDArray[np.float64]:
        sums = self.structure.sums(points)
        if self.structure.rule in (DecisionRule.POSITIVE, DecisionRule.NONNEGATIVE):
            return np.column_stack([np.zeros(len(points)), sums])
        return sums

    def predict(self, points: Points) -> npt.NDArray[np.float64] | npt.NDArray[np.int64]:
        return self.structure.predict(points)


@st.composite
def domains(draw: st.DrawFn, finite: bool) -> Domain:
    kind = draw(st.integers(2 if finite else 0, 5))
    nullable = draw(st.booleans())
    if kind == 0:
        return Real(nullable=nullable)
    if kind == 1:
        return Real(nullable=nullable, lower=-1.0, upper=draw(st.sampled_from([0.5, math.inf])))
    if kind == 2:
        return Integers(nullable=nullable, lower=-2, upper=draw(st.integers(0, 3)))
    if kind == 3:
        return Integers(nullable=nullable, lower=0, upper=2)
    if kind == 4:
        return Categories(nullable=nullable, values=tuple("abcd"[: draw(st.integers(1, 4))]))
    return Boolean(nullable=nullable)


@st.composite
def terms(draw: st.DrawFn, column: int, domain: Domain, outputs: int) -> ColumnTerm:
    slope = st.sampled_from(SLOPES)
    kind = draw(st.integers(0, 3))
    if isinstance(domain, Categories) and kind:
        rows = [[draw(slope) for _ in range(outputs)] for _ in range(4)]
        term = ColumnTerm.table(column, np.array(rows))
    elif kind == 2:
        # A step, as from binarised inputs.
        cut = draw(st.sampled_from([-1.0, 0.0, 0.5]))
        coefficients = np.zeros((2, outputs, 3))
        coefficients[:, :, 0] = [[draw(slope) for _ in range(outputs)] for _ in range(2)]
        lower, upper = np.array([-np.inf, np.nextafter(cut, 9)]), np.array([cut, np.inf])
        term = ColumnTerm(column, lower, upper, coefficients)
    elif kind == 3:
        # Parabolas that open downwards, as of normal densities.
        coefficients = np.zeros((1, outputs, 3))
        coefficients[0, :, 1] = [draw(slope) for _ in range(outputs)]
        coefficients[0, :, 2] = [-abs(draw(slope)) for _ in range(outputs)]
        center = draw(st.sampled_from([0.0, 0.5, -1.0]))
        term = ColumnTerm(column, np.array([-np.inf]), np.array([np.inf]), coefficients, center)
    else:
        term = ColumnTerm.linear(column, np.array([draw(slope) for _ in range(outputs)]))
    if domain.nullable:
        missing = np.array([draw(slope) for _ in range(outputs)])
        term = ColumnTerm(
            column, term.lower, term.upper, term.coefficients, term.center, missing, term.sizes
        )
    return term


@st.composite
def problems(draw: st.DrawFn, finite: bool = False, joint: bool = False) -> ExplanationProblem:
    n = draw(st.integers(1, 4))
    columns = tuple(Column(f"x{i}", draw(domains(finite))) for i in range(n))
    features = tuple(Feature(f"x{i}", (i,), draw(st.integers(0, 4)) == 0) for i in range(n))
    if n >= 3 and draw(st.booleans()):
        features = (
            Feature("pair", (0, 2)),
            *(Feature(f"x{i}", (i,)) for i in range(n) if i not in (0, 2)),
        )
    space = FeatureSpace(columns, features)
    rule = DecisionRule.ARGMAX if joint else draw(st.sampled_from(list(DecisionRule)))
    outputs = draw(st.integers(3 if joint else 2, 4)) if rule is DecisionRule.ARGMAX else 1
    used = [i for i in range(n) if draw(st.integers(0, 5))]
    used += [i for i in range(n) if i not in used and columns[i].domain.nullable]
    model = AdditiveModel(
        n,
        tuple(draw(terms(i, columns[i].domain, outputs)) for i in sorted(used)),
        np.array([draw(st.sampled_from([0.0, 0.5, -1.0])) for _ in range(outputs)]),
        rule,
        tuple("ABCD"[: {DecisionRule.VALUE: 0, DecisionRule.ARGMAX: outputs}.get(rule, 2)]),
    )
    running = RunningAdditive(model)
    instance = np.array([draw(st.sampled_from(_some(c.domain))) for c in columns])
    prediction = float(running.predict(instance[None])[0])
    question = draw(questions(running, prediction, joint))
    assume(not question.changed(running, instance[None], prediction)[0])
    region = Region.everywhere()
    if draw(st.booleans()):
        region = Region.ball(draw(st.sampled_from([0.25, 1.0, 2.0])))
    return ExplanationProblem(running, space, instance, region, question)


@st.composite
def questions(draw: st.DrawFn, model: RunningAdditive, prediction: float, joint: bool) -> Question:
    if model.structure.rule is DecisionRule.VALUE:
        return LeaveInterval(prediction - draw(st.sampled_from([0.0, 0.5])), prediction + 0.25)
    if joint:
        rivals = [k for k in range(len(model.classes)) if k != prediction]
        return ReachClass(draw(st.sampled_from(rivals)))
    return draw(st.sampled_from([AnyOther(), AnyOther(), KeepMargin(0.25)]))


def _some(domain: Domain) -> list[float]:
    values = [v for v in (-2.0, -1.0, -0.25, 0.0, 0.5, 1.0, 2.0) if domain.contains(v)]
    return [*values, *([math.nan] if domain.nullable else [])]


def corner_points(problem: ExplanationProblem, free: FeatureSet) -> Points:
    """Return points among which every separable score has its largest value.

    Unbounded columns are followed far out: values that no bounded corner reaches.
    """
    model = problem.classifier.structure
    assert isinstance(model, AdditiveModel)
    low, high = problem.region.limits(problem.space, problem.instance)
    term_of = {term.column: term for term in model.terms}
    values: list[list[float]] = []
    for i, column in enumerate(problem.space.columns):
        options = [float(problem.instance[i])]
        if int(problem.space.owner[i]) in free & problem.universe and i in term_of:
            wanted = [-1e6, 1e6, low[i], high[i], *_extremes(term_of[i])]
            if column.domain.is_discrete:
                wanted += [math.floor(w) for w in wanted if math.isfinite(w)]
                wanted += [math.ceil(w) for w in wanted if math.isfinite(w)]
            if column.domain.is_discrete:
                wanted += list(range(-3, 5))
            options += [v for v in wanted if math.isfinite(v) and column.domain.contains(v)]
            options += [math.nan] if column.domain.nullable else []
        values.append(_allowed(problem, i, options))
    return np.array(list(itertools.product(*values)))


def _extremes(term: ColumnTerm) -> list[float]:
    found = [*term.lower.tolist(), *term.upper.tolist()]
    weights = [w for k in range(term.n_outputs) for w in _signs(term.n_outputs, k)]
    for piece in term.coefficients:
        for weight in weights:
            _, b, c = np.array(weight) @ piece
            if c:
                found.append(float(term.center - b / (2 * c)))
    return found


def _signs(outputs: int, k: int) -> list[list[float]]:
    rows = [[float(i == k) - float(i == j) for i in range(outputs)] for j in range(outputs)]
    return [*[r for r in rows if any(r)], [float(i == k) for i in range(outputs)]]


def _allowed(problem: ExplanationProblem, column: int, options: list[float]) -> list[float]:
    kept: list[float] = []
    for value in options:
        point = problem.instance.copy()
        point[column] = value
        known = any(v == value or (math.isnan(v) and math.isnan(value)) for v in kept)
        if not known and problem.region.contains(problem.space, problem.instance, point):
            kept.append(value)
    return kept

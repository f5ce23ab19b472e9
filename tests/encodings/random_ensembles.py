"""Random small ensembles over random small spaces, with every admissible cell listed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from hypothesis import assume
from hypothesis import strategies as st

from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.domain import Boolean, Categories, Domain, Integers, Real
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, KeepMargin, LeaveInterval, Question, ReachClass
from whyproof.engine.region import Region
from whyproof.engine.space import Column, Feature, FeatureSet, FeatureSpace, Points

THRESHOLDS = [-1.5, -0.1, 0.0, 0.1, 0.30000001192092896, 1.0, 2.0]


@dataclass(frozen=True)
class RunningModel:
    """A model whose outcome is the exact one, or the one of float32 summation."""

    structure: TreeEnsemble
    float32: bool = False
    fingerprint: str = "sha256:" + "0" * 64

    @property
    def n_columns(self) -> int:
        return self.structure.n_columns

    @property
    def classes(self) -> tuple[Hashable, ...]:
        return self.structure.classes

    def scores(self, points: Points) -> npt.NDArray[np.float64]:
        sums = self._sums(points)
        if self.structure.rule in (DecisionRule.POSITIVE, DecisionRule.NONNEGATIVE):
            return np.column_stack([np.zeros(len(points)), sums])
        return sums

    def predict(self, points: Points) -> npt.NDArray[np.float64] | npt.NDArray[np.int64]:
        if not self.float32:
            return np.array([float(self.structure.exact_outcome(point)) for point in points])
        sums = self._sums(points)
        rule = self.structure.rule
        if rule is DecisionRule.ARGMAX:
            return sums.argmax(axis=1).astype(np.int64)
        if rule is DecisionRule.VALUE:
            return sums[:, 0]
        return np.where(
            sums[:, 0] >= 0 if rule is DecisionRule.NONNEGATIVE else sums[:, 0] > 0, 1, 0
        ).astype(np.int64)

    def _sums(self, points: Points) -> npt.NDArray[np.float64]:
        if not self.float32:
            return np.array(
                [[float(s) for s in self.structure.exact_sums(point)] for point in points]
            )
        total = np.tile(self.structure.base.astype(np.float32), (len(points), 1))
        leaves = self.structure.apply(points)
        for t, tree in enumerate(self.structure.trees):
            total = total + tree.values[leaves[:, t]].astype(np.float32)
        return total.astype(np.float64)


@st.composite
def domains(draw: st.DrawFn) -> Domain:
    nullable = draw(st.booleans())
    kind = draw(st.integers(0, 4))
    if kind == 0:
        return Real(nullable=nullable)
    if kind == 1:
        return Real(nullable=nullable, lower=-0.1, upper=draw(st.sampled_from([0.1, 0.5, 3.0])))
    if kind == 2:
        return Integers(nullable=nullable, lower=-2, upper=draw(st.integers(0, 3)))
    if kind == 3:
        return Categories(nullable=nullable, values=tuple("abcd"[: draw(st.integers(1, 4))]))
    return Boolean(nullable=nullable)


@st.composite
def trees(draw: st.DrawFn, spaces: FeatureSpace, outputs: int, one_output: bool) -> Tree:
    leaf = st.sampled_from([-1.0, -0.5, -0.1, 0.0, 0.1, 0.3, 0.5, 1.0])
    column, boundary, left, right, missing, values = [], [], [], [], [], []
    categories: dict[int, frozenset[int]] = {}
    zero: list[bool] = []
    which = draw(st.integers(0, outputs - 1))

    def grow(depth: int) -> int:
        node = len(column)
        for store, blank in ((column, -1), (boundary, math.nan), (left, -1), (right, -1)):
            store.append(blank)
        missing.append(draw(st.booleans()))
        zero.append(draw(st.booleans()) and draw(st.booleans()))
        values.append([0.0] * outputs)
        if depth == 0 or draw(st.integers(0, 5)) == 0:
            if one_output:
                values[node][which] = draw(leaf)
            else:
                values[node] = [draw(leaf) for _ in range(outputs)]
            return node
        at = draw(st.integers(0, spaces.n_columns - 1))
        column[node] = at
        if isinstance(spaces.columns[at].domain, Categories) and draw(st.booleans()):
            categories[node] = frozenset(draw(st.sets(st.integers(0, 3), min_size=1)))
        else:
            boundary[node] = float(np.float32(draw(st.sampled_from(THRESHOLDS))))
        left[node] = grow(depth - 1)
        right[node] = grow(depth - 1)
        return node

    grow(draw(st.integers(1, 3)))
    return Tree(
        np.array(column, dtype=np.int32),
        np.array(boundary),
        np.array(left, dtype=np.int32),
        np.array(right, dtype=np.int32),
        np.array(missing),
        np.array(values),
        categories,
        np.array(zero) if any(zero) else None,
    )


@st.composite
def spaces(draw: st.DrawFn) -> FeatureSpace:
    n = draw(st.integers(1, 4))
    columns = tuple(Column(f"x{i}", draw(domains())) for i in range(n))
    if n >= 3 and draw(st.booleans()):
        features = (
            Feature("pair", (0, 2)),
            *(Feature(f"x{i}", (i,), draw(st.booleans())) for i in range(n) if i not in (0, 2)),
        )
    else:
        features = tuple(Feature(f"x{i}", (i,), draw(st.integers(0, 4)) == 0) for i in range(n))
    return FeatureSpace(columns, features)


@st.composite
def problems(draw: st.DrawFn, float32: bool = False) -> ExplanationProblem:
    space = draw(spaces())
    rule = draw(st.sampled_from(list(DecisionRule)))
    outputs = draw(st.integers(2, 4)) if rule is DecisionRule.ARGMAX else 1
    one_output = draw(st.booleans())
    grown = tuple(draw(trees(space, outputs, one_output)) for _ in range(draw(st.integers(0, 4))))
    classes = {DecisionRule.VALUE: 0, DecisionRule.ARGMAX: outputs}.get(rule, 2)
    ensemble = TreeEnsemble(
        space.n_columns,
        grown,
        np.array([draw(st.sampled_from([0.0, 0.5, -0.1])) for _ in range(outputs)]),
        rule,
        tuple("ABCD"[:classes]),
        divisor=1 if float32 else draw(st.sampled_from([1, 1, 3])),
        slack=1e-5 if float32 else 0.0,
    )
    model = RunningModel(ensemble, float32)
    instance = np.array([draw(st.sampled_from(admissible(c.domain))) for c in space.columns])
    prediction = float(model.predict(instance[None])[0])
    question = draw(questions(model, prediction))
    assume(not question.changed(model, instance[None], prediction)[0])
    return ExplanationProblem(model, space, instance, draw(regions(space, instance)), question)


@st.composite
def regions(draw: st.DrawFn, space: FeatureSpace, instance: npt.NDArray[np.float64]) -> Region:
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return Region.ball(draw(st.sampled_from([0.1, 0.5, 1.0])))
    if kind == 1:
        lower = np.where(
            np.isnan(instance), -1.0, instance - draw(st.sampled_from([0.0, 0.2, 1.0]))
        )
        return Region.box(lower, np.full(space.n_columns, np.inf))
    return Region.everywhere()


@st.composite
def questions(draw: st.DrawFn, model: RunningModel, prediction: float) -> Question:
    if model.structure.rule is DecisionRule.VALUE:
        below, above = draw(st.sampled_from([0.0, 0.1, 0.5])), draw(st.sampled_from([0.0, 0.3]))
        return LeaveInterval(prediction - below, prediction + above)
    kind = draw(st.integers(0, 3))
    if kind == 0:
        rivals = [k for k in range(len(model.classes)) if k != prediction]
        return ReachClass(draw(st.sampled_from(rivals)))
    if kind == 1:
        return KeepMargin(draw(st.sampled_from([0.0, 0.3, 1.0])))
    return AnyOther()


def admissible(domain: Domain) -> list[float]:
    """Values that represent every cell: thresholds, their float64 and float32 neighbours."""
    around = [-5.0, 5.0, 0.0, 1e-40, -1e-40, *range(-3, 6)]
    for t in THRESHOLDS:
        single = np.float32(t)
        around += [
            float(single),
            float(np.nextafter(single, np.float32(-9))),
            float(np.nextafter(single, np.float32(9))),
        ]
    around += [0.5, 3.0, -0.1, 0.1]
    values = [float(v) for v in around if domain.contains(float(v))]
    return [*sorted(set(values)), *([math.nan] if domain.nullable else [])]


def every_point(problem: ExplanationProblem, free: FeatureSet) -> Points:
    """Return points that represent every combination of cells with `free` free."""
    space, instance = problem.space, problem.instance
    low, high = problem.region.limits(space, instance)
    values: list[list[float]] = []
    for i, column in enumerate(space.columns):
        options = [float(instance[i])]
        if int(space.owner[i]) in free & problem.universe:
            wanted = [*admissible(column.domain), low[i], high[i]]
            options += [float(v) for v in dict.fromkeys(wanted) if column.domain.contains(float(v))]
            options = _one_per_cell(problem, i, options)
        values.append(options)
    points = np.array(list(itertools.product(*values)))
    inside = [problem.region.contains(space, instance, point) for point in points]
    return points[inside]


def _one_per_cell(problem: ExplanationProblem, column: int, options: list[float]) -> list[float]:
    """Keep one admissible option for each way the splits on a column may answer."""
    ensemble = problem.classifier.structure
    assert isinstance(ensemble, TreeEnsemble)
    seen: dict[bytes, float] = {}
    for value in options:
        point = problem.instance.copy()
        point[column] = value
        if not problem.region.contains(problem.space, problem.instance, point):
            continue
        sides = []
        cast = ensemble.cast(np.array([[value]]))[0]
        for tree in ensemble.trees:
            at = np.flatnonzero(tree.column == column)
            if len(at):
                sides.append(tree.goes_left(at, np.repeat(cast, len(at))).tobytes())
        seen.setdefault(b"".join(sides), value)
    return list(seen.values())

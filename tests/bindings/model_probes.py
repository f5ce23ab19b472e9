"""Points that find fault with importers, and the statement that nothing was found."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.ensemble import DecisionRule, TreeEnsemble
from whyproof.models import Model

Rows = npt.NDArray[np.float64]


def neighbours(value: float) -> list[float]:
    """The value and its neighbours on the float32 and the float64 grid."""
    single = np.float32(value)
    return [
        value,
        float(np.nextafter(value, -np.inf)),
        float(np.nextafter(value, np.inf)),
        float(single),
        float(np.nextafter(single, np.float32(-np.inf))),
        float(np.nextafter(single, np.float32(np.inf))),
    ]


def candidates(structure: TreeEnsemble, column: int, *, missing: bool) -> list[float]:
    """Every boundary of a column with its neighbours, zero, and the missing value."""
    found: set[float] = {0.0, -1e3, 1e3}
    codes: set[int] = set()
    for tree in structure.trees:
        for node in np.flatnonzero(tree.column == column).tolist():
            if node in tree.categories:
                codes |= tree.categories[node] | {0, 1, 2, 3}
            elif np.isfinite(tree.boundary[node]):
                found.update(neighbours(float(tree.boundary[node])))
    values = [float(code) for code in codes] or sorted(v for v in found if abs(v) < 3e38)
    return [*values, np.nan] if missing else values


def probes(model: Model, rows: int = 400, seed: int = 0) -> Rows:
    """Random rows over boundary values, then each boundary value of each column once."""
    random = np.random.default_rng(seed)
    structure = model.structure
    values = [
        candidates(structure, column, missing=model.accepts_missing)
        for column in range(structure.n_columns)
    ]
    mixed = np.stack([random.choice(np.array(v), rows) for v in values], axis=1)
    singles = []
    for column, listed in enumerate(values):
        block = mixed[random.integers(0, rows, len(listed))].copy()
        block[:, column] = listed
        singles.append(block)
    return np.concatenate([mixed, *singles])


def lead(structure: TreeEnsemble, row: npt.NDArray[np.float64]) -> float:
    """By how much the exact decision leads, rounded once."""
    sums = structure.exact_sums(row)
    if structure.rule is not DecisionRule.ARGMAX:
        return abs(float(sums[0]))
    best = sorted(sums)
    return float(best[-1] - best[-2]) if len(best) > 1 else float("inf")


def assert_agrees(
    model: Model, points: Rows, outcomes: npt.NDArray[np.generic] | None = None, exact: int = 60
) -> None:
    """State that structure, runtime and (if given) the library's own outcomes agree.

    Parameters
    ----------
    model
        What was imported.
    points
        Rows to compare on.
    outcomes
        What the library's public `predict` says: labels or values.
    exact
        Number of rows that are also decided in rational arithmetic.
    """
    structure = model.structure
    ran = model.predict(points)
    if outcomes is not None:
        expected = np.array(model.classes, dtype=object)[ran] if model.classes else ran
        assert np.array_equal(np.asarray(outcomes).reshape(-1), expected)
    sums = structure.sums(points)
    assert sums.shape == (len(points), structure.n_outputs)
    tolerance = structure.slack + 1e-13 * float(np.abs(sums).max(initial=1.0))
    if model.library != "onnx":
        assert float(np.abs(sums - model.runtime.sums(points)).max()) <= tolerance
    if structure.rule is DecisionRule.VALUE:
        slack = structure.slack + 1e-13 * float(np.abs(sums).max(initial=1.0))
        low, high = structure.linked(sums[:, 0] - slack), structure.linked(sums[:, 0] + slack)
        assert bool(((low <= ran) & (ran <= high)).all())
    step = max(1, len(points) // exact)
    for row, outcome in zip(points[::step], ran[::step], strict=True):
        decided = structure.exact_outcome(row)
        if structure.rule is DecisionRule.VALUE:
            value = float(structure.linked(np.array([float(decided)]))[0])
            assert abs(value - float(outcome)) <= 1e-5 * max(1.0, abs(value))
        elif structure.slack == 0.0 or lead(structure, row) > structure.slack:
            assert decided == outcome
    if structure.rule is DecisionRule.ARGMAX:
        best = np.sort(sums, axis=1)
        clear = best[:, -1] - best[:, -2] > 2 * structure.slack + 1e-12
    else:
        clear = np.abs(sums[:, 0]) > 2 * structure.slack + 1e-12
    if model.classes:
        assert np.array_equal(structure.predict(points)[clear], ran[clear])

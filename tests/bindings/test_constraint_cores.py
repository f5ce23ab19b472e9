"""Which constraints a reason rests on: irreducible wherever reasons come from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from whyproof.auditing.row import RowFound, RowTask
from whyproof.auditing.search import search_row
from whyproof.encodings.constraints.constraint import implies, linear
from whyproof.engine.answers import Entailed
from whyproof.engine.budget import Meter
from whyproof.engine.domain import Integers
from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import Constraint, FeatureSet, FeatureSpace
from whyproof.explainer import Explainer
from whyproof.models import load_model


def world(seed: int) -> tuple[Explainer, np.ndarray]:
    """A small forest over whole numbers with four constraints, and a row that meets them."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 5, size=(150, 4)).astype(float)
    x[:, 1] = np.maximum(x[:, 0], x[:, 1])
    y = (x[:, 0] + x[:, 1] > x[:, 2] + rng.integers(0, 3, 150)).astype(int)
    forest = RandomForestClassifier(n_estimators=3, max_depth=3, random_state=seed).fit(x, y)
    space = FeatureSpace.of("abcd", dict.fromkeys("abcd", Integers(False, 0, 4)))
    rules = (
        linear(space, {"a": 1, "b": -1}, "<=", 0),
        linear(space, {"c": 1, "d": 1}, "<=", 6),
        implies(space, {"a": [3, 4]}, {"c": [0, 1, 2]}),
        implies(space, {"d": 0}, {"b": [2, 3, 4]}),
    )
    rows = [row for row in x if all(bool(rule.holds(row[None])[0]) for rule in rules)]
    return Explainer(load_model(forest), replace(space, constraints=rules)), rows[0]


def forced(
    explainer: Explainer, members: FeatureSet, row: np.ndarray, names: Sequence[str]
) -> bool:
    rules: tuple[Constraint, ...] = explainer.space.constraints
    kept = tuple(rule for rule in rules if rule.name in names)
    space = replace(explainer.space, constraints=kept)
    problem = ExplanationProblem(explainer.model, space, row)
    (answer,) = explainer.oracle(problem).decide([problem.universe - members], Meter())
    return isinstance(answer, Entailed)


def check(explainer: Explainer, members: FeatureSet, row: np.ndarray, used: Sequence[str]) -> None:
    assert forced(explainer, members, row, used)
    for name in used:
        assert not forced(explainer, members, row, [other for other in used if other != name])


@pytest.mark.parametrize("seed", range(6))
def test_enumerated_reasons_name_an_irreducible_set(seed: int) -> None:
    explainer, row = world(seed)
    run = explainer.enumerate(row, kinds=[Kind.AXP])
    found = list(run)
    assert run.complete and found
    assert {e.members for e in found} == {e.members for e in run.axps}
    for explanation in [*found, *run.axps]:
        assert isinstance(explanation.evidence, Entailed)
        check(explainer, explanation.members, row, explanation.evidence.constraints)


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_audited_reasons_name_an_irreducible_set(seed: int, each: bool) -> None:
    explainer, row = world(seed)
    events = list(search_row(explainer, RowTask(0, row, each=each)))
    records = [json.loads(json.dumps(e.record)) for e in events if isinstance(e, RowFound)]
    reasons = [record for record in records if record["kind"] == "axp"]
    assert reasons
    for record in reasons:
        used = record["evidence"].get("constraints", [])
        check(explainer, frozenset(record["indices"]), row, used)


def test_some_reason_needs_a_constraint() -> None:
    used = [
        len(e.evidence.constraints)
        for seed in range(6)
        for explainer, row in [world(seed)]
        for e in explainer.enumerate(row, kinds=[Kind.AXP])
        if isinstance(e.evidence, Entailed)
    ]
    assert max(used) > 0

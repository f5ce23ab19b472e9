"""Extraction is measured honestly; dependencies are proposals with right figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyproof.asp.learning import (
    FoldSE,
    extract_rules,
    learn_dependencies,
    rules_for_predictions,
    write_dependencies,
)
from whyproof.asp.learning.neighbours import default_copies, sources_for, taken_from
from whyproof.asp.learning.quality import quality_of, stratified_folds
from whyproof.asp.rules import Literal, Operator, Table, read_heads
from whyproof.engine.errors import InputError


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_quality_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    decided, truth = (np.array(side) for side in zip(*pairs, strict=True))
    found = quality_of(decided, truth)
    expected = metrics.precision_recall_fscore_support(
        truth, decided, average="weighted", zero_division=0
    )
    np.testing.assert_allclose([found.precision, found.recall, found.f1], expected[:3])
    assert found.accuracy == pytest.approx(metrics.accuracy_score(truth, decided))
    assert found.recall == pytest.approx(found.accuracy)


@given(st.lists(st.integers(0, 2), min_size=6, max_size=60), st.integers(2, 6), st.integers(0, 5))
def test_folds_partition_the_rows_evenly(labels: list[int], folds: int, seed: int) -> None:
    codes = np.array(labels)
    dealt = stratified_folds(codes, folds, seed)
    assert sorted(np.concatenate(dealt).tolist()) == list(range(len(labels)))
    for label in set(labels):
        counts = [int((codes[fold] == label).sum()) for fold in dealt]
        assert max(counts) - min(counts) <= 1
    assert [f.tolist() for f in dealt] == [f.tolist() for f in stratified_folds(codes, folds, seed)]


def people(n: int = 400) -> dict[str, Any]:
    random = np.random.default_rng(1)
    return {
        "age": random.integers(18, 80, n).astype(float),
        "job": random.choice(["clerk", "cook", "none"], n),
        "debt": random.integers(0, 3, n).astype(float),
    }


def decide(X: dict[str, Any]) -> np.ndarray:
    return ((X["age"] > 40) & (X["job"] != "none")).astype(np.int64)


def test_rules_say_what_a_model_does() -> None:
    X = people()
    extraction = extract_rules(decide, X)
    assert extraction.against == "model"
    assert len(extraction.folds) == 5
    assert extraction.quality.mean.fidelity == extraction.quality.mean.accuracy > 0.97
    assert (extraction.learner.predict(X) == decide(X)).mean() > 0.99
    assert set(extraction.rules.features) == {"age", "job"}


def test_models_with_classes_may_return_indices() -> None:
    class Model:
        classes = ("no", "yes")

        def predict(self, X: dict[str, Any]) -> np.ndarray:
            return decide(X)

    X = people()
    truth = np.where(X["age"] > 40, "yes", "no")
    extraction = extract_rules(Model(), X, truth, learner=FoldSE(heuristic="gini"), folds=3)
    assert set(extraction.rules.labels) == {"no", "yes"}
    assert extraction.against == "labels"
    mean = extraction.quality.mean
    assert mean.fidelity > 0.97 > mean.accuracy > 0.6
    assert extraction.learner.heuristic == "gini"


def test_neighbours_come_from_the_rows_at_hand_in_every_form() -> None:
    pandas = pytest.importorskip("pandas")
    columns = {"a": np.arange(10.0), "b": [str(k) for k in range(10)]}
    frame = pandas.DataFrame(columns)
    rows = np.array([1, 3, 5])
    sources = sources_for(rows, 2, 4, 0)
    assert sources.shape == (12, 2) and set(sources.ravel().tolist()) == {1, 3, 5}
    expected = {"a": [float(k) for k in sources[:, 0]], "b": [str(k) for k in sources[:, 1]]}
    forms = (columns, frame, Table.of(frame), frame.to_numpy(dtype=object))
    for form in forms:
        take = taken_from(form)
        assert take is not None
        made = Table.of(take(sources), ["a", "b"])
        assert [made.row(k) for k in range(12)] == [
            {"a": a, "b": b} for a, b in zip(expected["a"], expected["b"], strict=True)
        ]
        assert type(take(sources)) is type(form)
    assert taken_from([[1, 2]]) is None
    assert default_copies(100) == 9 and default_copies(10**6) == 0


def test_neighbours_are_asked_about_and_not_counted() -> None:
    X, asked = people(150), []

    def model(rows: dict[str, Any]) -> np.ndarray:
        asked.append(len(rows["age"]))
        return decide(rows)

    extraction = extract_rules(model, X, copies=3, folds=3)
    assert sorted(asked) == [150, 300, 300, 300, 450]
    supports = [rule.support for rule in extraction.rules.rules]
    supports.append(extraction.rules.default_support)
    assert sum(s.covered for s in supports if s is not None) == 150
    asked.clear()
    extract_rules(model, X, copies=0, folds=3)
    assert asked == [150]


def test_held_out_rows_do_not_help() -> None:
    """Random decisions cannot be imitated on rows that were not seen."""
    random = np.random.default_rng(0)
    X, noise = people(), random.integers(0, 2, 400)
    extraction = rules_for_predictions(noise, X, learner=FoldSE(tail=0.0, order="ordered"))
    assert (extraction.learner.predict(X) == noise).mean() > 0.6
    assert 0.4 < extraction.quality.mean.fidelity < 0.6


def test_extraction_refuses_what_it_cannot_use() -> None:
    X = people(20)
    with pytest.raises(InputError, match="1 class only"):
        extract_rules(lambda rows: np.zeros(len(rows["age"])), X)
    with pytest.raises(InputError, match="the model gave 20 labels for 180 rows"):
        extract_rules(lambda rows: decide(X), X)
    with pytest.raises(InputError, match="cannot be called"):
        extract_rules(3, X)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="1 folds of 20 rows"):
        extract_rules(decide, X, folds=1)
    with pytest.raises(InputError, match="20 rows but 3 labels"):
        extract_rules(decide, X, ["a", "b", "c"])


def test_dependencies_are_found_with_their_figures() -> None:
    X = people()
    random = np.random.default_rng(2)
    X["score"] = np.where(X["debt"] > 0, random.integers(300, 620, 400), 620.0 + X["age"])
    found = learn_dependencies(X, heads=["score"])
    heads = {str(d.rule.head) for d in found if d.precision == 1.0}
    assert any(head.startswith("score <=") for head in heads)
    assert any(head.startswith("score >") for head in heads)
    for dependency in found:
        rule, support = dependency.rule, dependency.rule.support
        fires = rule.fires(Table.of(X))
        holds = rule.head.holds(Table.of(X)[rule.head.feature])
        assert support is not None
        assert (support.covered, support.correct) == (fires.sum(), (fires & holds).sum())
        assert dependency.recall == pytest.approx((fires & holds).sum() / holds.sum())
        assert dependency.accuracy == pytest.approx((fires == holds).mean())
        assert support.interval()[0] > dependency.base
        assert "score" not in rule.features


def test_proposals_can_be_read_back() -> None:
    X = people()
    X["level"] = np.where(X["debt"] > 0, "low", "high")
    found = learn_dependencies(X, heads=["level"], causes=["debt", "age"])
    again = read_heads(write_dependencies(found))
    assert again == tuple(d.rule for d in found)
    assert again[0].head.operator is Operator.EQ
    assert isinstance(again[0].body.literals[0], Literal)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99))
def test_independent_features_give_no_proposals(seed: int) -> None:
    random = np.random.default_rng(seed)
    X = {name: random.choice(["a", "b", "c"], 300) for name in ("f", "g", "h")}
    assert learn_dependencies(X) == ()


def test_unknown_features_are_refused() -> None:
    with pytest.raises(InputError, match=r"no feature 'scor'.*did you mean"):
        learn_dependencies({"score": ["a"], "debt": ["b"]}, heads=["scor"])
    with pytest.raises(InputError, match="confidence lies"):
        learn_dependencies({"score": ["a"], "debt": ["b"]}, least_confidence=2)

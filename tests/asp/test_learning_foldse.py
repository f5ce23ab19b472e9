"""The estimator: conformance, totality, determinism, weights, prior rules, bad input."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyproof.asp.learning import FoldSE
from whyproof.asp.rules import Body, Literal, Operator, Rule, RuleSet, Table, read_rules
from whyproof.asp.rules.write import write_rules
from whyproof.engine.errors import InputError, WhyproofError, WhyproofWarning

WORDS = ("a", "b", "c", None)


@st.composite
def labelled(draw: st.DrawFn) -> tuple[Table, np.ndarray]:
    rows = draw(st.integers(4, 60))
    numbers = st.one_of(st.integers(0, 8), st.none())
    table = Table.of(
        {
            "n": draw(st.lists(numbers, min_size=rows, max_size=rows)),
            "w": draw(st.lists(st.sampled_from(WORDS), min_size=rows, max_size=rows)),
            "m": draw(st.lists(st.sampled_from((1, 2, "x", "y")), min_size=rows, max_size=rows)),
        }
    )
    classes = draw(st.sampled_from((("p", "q"), ("p", "q", "r"))))
    labels = draw(st.lists(st.sampled_from(classes), min_size=rows, max_size=rows))
    labels[:2] = ["p", "q"]
    return table, np.array(labels)


settings_of_learners = st.fixed_dictionaries(
    {
        "heuristic": st.sampled_from(("entropy", "gini", "power")),
        "ratio": st.sampled_from((0.0, 0.3, 0.5, 1.0)),
        "tail": st.sampled_from((0.0, 0.005, 0.1)),
        "order": st.sampled_from(("auto", "one-class", "ordered")),
    }
)


def test_conforms_to_the_estimator_protocol() -> None:
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = checks.check_estimator(FoldSE(), on_fail=None)
    failed = [
        (r["check_name"], r["exception"])
        for r in results
        if r["status"] not in ("passed", "skipped")
    ]
    assert not failed
    assert sum(r["status"] == "passed" for r in results) > 40


def test_works_in_pipelines_and_searches() -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    pipeline = pytest.importorskip("sklearn.pipeline")
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.load_wine(return_X_y=True)
    steps = pipeline.make_pipeline(FoldSE())
    search = selection.GridSearchCV(steps, {"foldse__ratio": [0.3, 0.5]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.8


@settings(max_examples=80, deadline=None)
@given(data=labelled(), options=settings_of_learners)
def test_every_row_gets_a_known_class_from_the_rules(
    data: tuple[Table, np.ndarray], options: dict[str, Any]
) -> None:
    table, labels = data
    learner = FoldSE(**options).fit(table, labels)
    predicted = learner.predict(table)
    assert set(predicted) <= set(learner.classes_)
    assert predicted.tolist() == learner.rules_.predict(table).tolist()
    shares = learner.predict_proba(table)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    decided = learner.decisions(table)
    supports = [rule.support for rule in learner.rules_.rules]
    supports.append(learner.rules_.default_support)
    for number, support in enumerate(supports):
        rows = decided == number
        assert support is not None and support.covered == rows.sum()
        assert support.correct == (predicted[rows] == labels[rows]).sum()
    for rule in learner.rules_.rules:
        assert rule.support is not None and rule.support.covered > 0
    unseen = Table.of({"n": [99, None], "w": ["new", None], "m": ["z", 7]})
    assert set(learner.predict(unseen)) <= set(learner.classes_)


@settings(max_examples=40, deadline=None)
@given(data=labelled(), options=settings_of_learners, seed=st.integers(0, 99))
def test_the_order_of_rows_does_not_matter(
    data: tuple[Table, np.ndarray], options: dict[str, Any], seed: int
) -> None:
    table, labels = data
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    first = FoldSE(**options).fit(table, labels).rules_
    assert FoldSE(**options).fit(table, labels).rules_ == first
    assert FoldSE(**options).fit(table.take(shuffled), labels[shuffled]).rules_ == first


@settings(max_examples=40, deadline=None)
@given(data=labelled(), options=settings_of_learners, seed=st.integers(0, 99))
def test_a_weight_is_a_number_of_rows(
    data: tuple[Table, np.ndarray], options: dict[str, Any], seed: int
) -> None:
    table, labels = data
    weights = np.random.default_rng(seed).integers(0, 4, len(labels))
    weights[:2] = 1
    repeated = np.repeat(np.arange(len(labels)), weights)
    weighted = FoldSE(**options).fit(table, labels, sample_weight=weights).rules_
    assert weighted == FoldSE(**options).fit(table.take(repeated), labels[repeated]).rules_


@settings(max_examples=40, deadline=None)
@given(data=labelled(), options=settings_of_learners)
def test_learnt_rules_survive_their_text(
    data: tuple[Table, np.ndarray], options: dict[str, Any]
) -> None:
    table, labels = data
    rules = FoldSE(**options).fit(table, labels).rules_
    if not rules.rules:
        return
    again = read_rules(write_rules(rules, "fold"))
    assert again.predict(table).tolist() == rules.predict(table).tolist()
    assert [r.support for r in again.rules] == [r.support for r in rules.rules]


def penguins(n: int = 60) -> tuple[dict[str, list[Any]], list[str]]:
    kinds = ["bird", "bird", "bird", "penguin", "cat", "bat"]
    columns = {
        "kind": [kinds[k % 6] for k in range(n)],
        "age": [float(k % 7) for k in range(n)],
    }
    return columns, ["flies" if k in ("bird", "bat") else "walks" for k in columns["kind"]]


def rule(label: str, feature: str, value: str) -> Rule:
    body = Body((Literal(feature, Operator.EQ, value),))
    return Rule(Literal("label", Operator.EQ, label), body, name=f"given {value}")


def test_fixed_prior_rules_stay_first_and_unchanged() -> None:
    X, y = penguins()
    wrong = rule("walks", "kind", "bat")
    learner = FoldSE(prior=[wrong]).fit(X, y)
    assert learner.rules_.rules[0].body == wrong.body
    assert learner.rules_.rules[0].name == "given bat"
    support = learner.rules_.rules[0].support
    assert support is not None and (support.correct, support.covered) == (0, 10)
    assert learner.predict({"kind": ["bat"], "age": [1.0]}).tolist() == ["walks"]


def test_revisable_prior_rules_get_exceptions_or_go() -> None:
    X, y = penguins()
    X["odd"] = ["yes" if k % 12 == 0 else "no" for k in range(60)]
    y = ["walks" if odd == "yes" else label for odd, label in zip(X["odd"], y, strict=True)]
    keep = rule("flies", "kind", "bird")
    learner = FoldSE(prior=[keep], prior_is_fixed=False).fit(X, y)
    assert learner.rules_.rules[0].name == "given bird"
    assert "odd" in learner.rules_.rules[0].features
    assert learner.score(X, y) == 1.0
    hopeless = RuleSet("label", (rule("walks", "kind", "unicorn"),))
    with pytest.warns(WhyproofWarning, match="1 of 1 given rules"):
        FoldSE(prior=hopeless, prior_is_fixed=False).fit(X, y)


def test_prior_rules_must_fit_the_data() -> None:
    X, y = penguins()
    with pytest.raises(InputError, match=r"no feature 'kinds'.*did you mean 'kind'"):
        FoldSE(prior=[rule("flies", "kinds", "bird")]).fit(X, y)
    with pytest.raises(InputError, match="conclude label = one of"):
        FoldSE(prior=[rule("swims", "kind", "bird")]).fit(X, y)


def test_one_class_lists_follow_the_target() -> None:
    X, y = penguins()
    for target in ("flies", "walks"):
        learner = FoldSE(target=target).fit(X, y)
        assert {r.head.value for r in learner.rules_.rules} == {target}
        assert learner.score(X, y) == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, None), "requires y"),
        (lambda X, y: (X, ["flies"] * len(y)), "1 class only, 'flies'"),
        (lambda X, y: (X, [None, *y[1:]]), "row 0 has no label"),
        (lambda X, y: (X, y[:-1]), "inconsistent numbers"),
        (lambda X, y: (X, [k / 7 for k in range(len(y))]), "continuous"),
        (lambda X, y: ({**X, "age": [np.inf] * len(y)}, y), "feature 'age' holds an infinite"),
        (lambda X, y: ({}, y), "0 feature"),
        (lambda X, y: ({"kind": []}, []), "0 sample"),
    ],
)
def test_bad_data_is_refused(change: Callable[..., tuple[object, object]], message: str) -> None:
    X, y = change(*penguins())
    with pytest.raises(InputError, match=message):
        FoldSE().fit(X, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": -1}, "ratio lies in"),
        ({"ratio": "much"}, "ratio is a number"),
        ({"tail": 1.0}, "tail lies in"),
        ({"order": "any"}, "no order 'any'"),
        ({"heuristic": "magic"}, "no heuristic 'magic'"),
        ({"target": "flys"}, "no class 'flys'; did you mean 'flies'"),
    ],
)
def test_bad_parameters_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FoldSE(**options).fit(*penguins())


def test_features_at_prediction_must_be_those_of_training() -> None:
    pandas = pytest.importorskip("pandas")
    X, y = penguins()
    frame = pandas.DataFrame(X)
    learner = FoldSE().fit(frame, y)
    with pytest.raises(InputError, match="yet now missing"):
        learner.predict(frame[["kind"]])
    with pytest.raises(WhyproofError, match="is expecting 2 features"):
        learner.predict(np.array([["bird"]], dtype=object))


def test_weights_are_checked() -> None:
    X, y = penguins()
    for weights, message in (([1.0], "expected"), ([-1.0] * 60, "negative"), ([0.0] * 60, "zero")):
        with pytest.raises(InputError, match=message):
            FoldSE().fit(X, y, sample_weight=weights)

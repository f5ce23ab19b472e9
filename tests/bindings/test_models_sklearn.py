"""Scikit-learn: structure and library agree on, below and above every threshold."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from model_probes import assert_agrees, probes

from whyproof.encodings.trees.ensemble import DecisionRule
from whyproof.engine.domain import Categories
from whyproof.engine.errors import DataError, ModelError, UnsupportedError
from whyproof.models import load_model

pytest.importorskip("sklearn")
from sklearn import ensemble, tree
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

CANCER = load_breast_cancer(return_X_y=True)
WINE = load_wine(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
WORDS = (WINE[0], np.array(["red", "rosé", "white"])[WINE[1]])

TREES = ["DecisionTreeClassifier", "ExtraTreeClassifier"]
FORESTS = ["RandomForestClassifier", "ExtraTreesClassifier"]


def with_gaps(X: np.ndarray, share: float = 0.1) -> np.ndarray:
    X = X.copy()
    X[np.random.default_rng(0).random(X.shape) < share] = np.nan
    return X


def make(name: str, **options: object) -> object:
    if hasattr(ensemble, name):
        return getattr(ensemble, name)(random_state=0, **({"n_estimators": 15} | options))
    return getattr(tree, name)(random_state=0, **options)


@pytest.mark.parametrize("name", TREES + FORESTS)
@pytest.mark.parametrize("data", [CANCER, WORDS], ids=["two", "three"])
@pytest.mark.parametrize("options", [{}, {"max_depth": 3}, {"class_weight": "balanced"}])
def test_trees_and_forests_decide_as_predict_does(
    name: str, data: tuple[np.ndarray, np.ndarray], options: dict[str, object]
) -> None:
    classifier = make(name, **options).fit(*data)
    model = load_model(classifier)
    points = probes(model)
    if model.accepts_missing:
        assert np.isnan(points).any()
    assert_agrees(model, points, classifier.predict(points))
    assert np.array_equal(model.scores(points), classifier.predict_proba(points))


@pytest.mark.parametrize("name", ["RandomForestClassifier", "ExtraTreesClassifier"])
def test_missing_values_take_their_branch(name: str) -> None:
    classifier = make(name).fit(with_gaps(WINE[0]), WINE[1])
    model = load_model(classifier)
    points = probes(model)
    assert model.accepts_missing
    assert_agrees(model, points, classifier.predict(points))


@pytest.mark.parametrize("name", FORESTS)
def test_both_rules_of_forests(name: str) -> None:
    # Averaged probabilities and majority vote differ; an explanation of the vote may
    # explain a class that scikit-learn did not predict.
    classifier = make(name, max_depth=3).fit(*WINE)
    voted = load_model(classifier, vote="majority")
    averaged = load_model(classifier, vote="average")
    points = probes(voted)
    votes = np.stack([e.predict(points) for e in classifier.estimators_], axis=1).astype(int)
    counts = np.stack([(votes == k).sum(axis=1) for k in range(3)], axis=1)
    assert np.array_equal(voted.predict(points), counts.argmax(axis=1))
    assert np.array_equal(voted.scores(points), counts)
    assert voted.structure.slack == 0.0
    ties = np.sort(counts, axis=1)[:, -1] == np.sort(counts, axis=1)[:, -2]
    assert ties.any()
    assert_agrees(voted, points)
    assert (voted.predict(points) != averaged.predict(points)).any()
    assert averaged.fingerprint == load_model(classifier).fingerprint != voted.fingerprint


def test_pure_leaves_have_no_slack_and_ties_go_to_the_first_class() -> None:
    # Fully grown trees vote with 0 and 1: sums are exact and even ties are decided.
    random = np.random.default_rng(0)
    X = random.integers(0, 3, (60, 4)).astype(float)
    y = random.integers(0, 2, 60)
    X = np.column_stack([X, np.arange(60.0)])
    forest = ensemble.RandomForestClassifier(4, random_state=0).fit(X, y)
    model = load_model(forest)
    assert model.structure.slack == 0.0
    points = probes(model, rows=1500)
    scores = model.scores(points)
    tied = scores[:, 0] == scores[:, 1]
    assert tied.any()
    assert not model.predict(points)[tied].any()
    assert_agrees(model, points, forest.predict(points), exact=300)


@pytest.mark.parametrize(
    "name", ["DecisionTreeRegressor", "RandomForestRegressor", "ExtraTreesRegressor"]
)
def test_regressors(name: str) -> None:
    regressor = make(name, max_depth=5).fit(*DIABETES)
    model = load_model(regressor)
    points = probes(model)
    assert model.is_regressor
    assert_agrees(model, points, regressor.predict(points))


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (CANCER, {}),
        (CANCER, {"init": "zero"}),
        (CANCER, {"loss": "exponential"}),
        (CANCER, {"learning_rate": 1.0, "max_depth": 1}),
        (WORDS, {}),
        (WORDS, {"subsample": 0.5}),
    ],
)
def test_gradient_boosting(data: tuple[np.ndarray, np.ndarray], options: dict[str, object]) -> None:
    settings = {"n_estimators": 12, "random_state": 0} | options
    classifier = ensemble.GradientBoostingClassifier(**settings).fit(*data)
    model = load_model(classifier)
    two = len(model.classes) == 2
    assert model.structure.rule is (DecisionRule.NONNEGATIVE if two else DecisionRule.ARGMAX)
    points = probes(model)
    assert_agrees(model, points, classifier.predict(points))
    raw = classifier.decision_function(points).reshape(len(points), -1)
    assert np.array_equal(model.runtime.sums(points), raw)


def test_a_sum_of_zero_is_class_one_for_gradient_boosting_only() -> None:
    X, y = np.array([[0.0], [1.0]] * 10), np.array([0, 1] * 10)
    boosting = ensemble.GradientBoostingClassifier(n_estimators=1, max_leaf_nodes=2)
    # Stumps on an unused column keep the prior, whose odds are one.
    boosting.fit(np.zeros((20, 1)), y)
    assert load_model(boosting).predict(np.zeros((1, 1))).tolist() == [1]
    histogram = ensemble.HistGradientBoostingClassifier(max_iter=1).fit(X, y)
    model = load_model(histogram)
    assert model.structure.rule is DecisionRule.POSITIVE
    assert model.predict(X[:2]).tolist() == histogram.predict(X[:2]).tolist()


def test_gradient_boosting_regressor_takes_no_missing_values() -> None:
    regressor = ensemble.GradientBoostingRegressor(n_estimators=10).fit(*DIABETES)
    model = load_model(regressor)
    points = probes(model)
    assert_agrees(model, points, regressor.predict(points))
    assert not model.accepts_missing
    with pytest.raises(DataError, match="missing"):
        model.predict(np.full((1, 10), np.nan))


@pytest.mark.parametrize("gaps", [0.0, 0.3])
@pytest.mark.parametrize("data", [CANCER, WORDS], ids=["two", "three"])
def test_histogram_boosting(data: tuple[np.ndarray, np.ndarray], gaps: float) -> None:
    X = with_gaps(data[0], gaps)
    classifier = ensemble.HistGradientBoostingClassifier(max_iter=12, max_leaf_nodes=7)
    classifier.fit(X, data[1])
    model = load_model(classifier)
    points = probes(model)
    assert_agrees(model, points, classifier.predict(points))
    tests_for_missing = any(np.isneginf(t.boundary).any() for t in model.structure.trees)
    assert tests_for_missing == (gaps > 0 and len(data[0]) == len(WINE[0]))
    if tests_for_missing:
        # Such a split sends infinity where it sends numbers.
        infinite = np.where(np.isnan(points), np.inf, points)
        with np.errstate(over="ignore"):
            assert np.array_equal(model.structure.predict(infinite), model.predict(infinite))


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "poisson", "gamma"])
def test_histogram_regressors(loss: str) -> None:
    regressor = ensemble.HistGradientBoostingRegressor(loss=loss, max_iter=10).fit(*DIABETES)
    model = load_model(regressor)
    points = probes(model)
    assert_agrees(model, points, regressor.predict(points))


def test_histogram_categories_are_codes_over_the_encoder() -> None:
    pandas = pytest.importorskip("pandas")
    random = np.random.default_rng(0)
    letters = np.array(["u", "v", "w", "x", "yy", "z"])[random.integers(0, 6, 569)]
    frame = pandas.DataFrame(
        {"size": CANCER[0][:, 0], "kind": pandas.Categorical(letters), "also": CANCER[0][:, 1]}
    )
    frame.loc[:30, "kind"] = None
    y = (np.isin(letters, ["u", "x", "yy"]) ^ (CANCER[0][:, 0] > 14)).astype(int)
    classifier = ensemble.HistGradientBoostingClassifier(
        max_iter=10, categorical_features="from_dtype"
    ).fit(frame, y)
    model = load_model(classifier)
    assert model.names == ("size", "kind", "also")
    assert model.domains == {1: Categories(values=("u", "v", "w", "x", "yy", "z"))}
    codes = frame["kind"].cat.codes.to_numpy().astype(float)
    rows = np.column_stack([frame["size"], np.where(codes < 0, np.nan, codes), frame["also"]])
    assert_agrees(model, rows, classifier.predict(frame))
    # Codes that were never seen go where missing values go.
    assert_agrees(model, np.where(np.isnan(rows), 9.0, rows))
    assert_agrees(model, probes(model))


def test_histogram_categories_of_arrays_keep_their_values() -> None:
    random = np.random.default_rng(0)
    X = np.column_stack([CANCER[0][:, 0], random.choice([3.0, 5.0, 8.0], 569)])
    y = ((X[:, 1] == 5) ^ (X[:, 0] > 14)).astype(int)
    classifier = ensemble.HistGradientBoostingClassifier(categorical_features=[1], max_iter=5)
    classifier.fit(X, y)
    model = load_model(classifier)
    assert model.domains == {1: Categories(values=(3.0, 5.0, 8.0))}
    encoded = X.copy()
    encoded[:, 1] = [model.domains[1].encode(value) for value in X[:, 1]]
    assert_agrees(model, encoded, classifier.predict(X))


def test_one_column_constant_models_and_unused_columns() -> None:
    one = tree.DecisionTreeClassifier().fit(np.arange(10.0)[:, None], np.arange(10) % 2)
    assert_agrees(load_model(one), probes(load_model(one)), None)
    single = ensemble.RandomForestClassifier(3).fit(np.zeros((5, 2)), np.ones(5))
    model = load_model(single)
    assert model.classes == (1.0,)
    assert model.predict(np.ones((2, 2))).tolist() == [0, 0]
    assert model.structure.exact_outcome(np.zeros(2)) == 0


def test_names_labels_and_pickles() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(WINE[0], columns=[f"c {i}" for i in range(13)])
    for name in ("RandomForestClassifier", "GradientBoostingClassifier"):
        classifier = getattr(ensemble, name)(n_estimators=3).fit(frame, WORDS[1])
        model = load_model(classifier)
        assert model.names == tuple(frame.columns)
        assert model.classes == ("red", "rosé", "white")
        again = pickle.loads(pickle.dumps(model))
        assert np.array_equal(again.predict(WINE[0]), model.predict(WINE[0]))
        assert again.fingerprint == model.fingerprint


def test_what_is_not_supported_is_named() -> None:
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import SVC

    X, y = CANCER
    refusal = r"SVC are not supported.*LinearSVC.*surrogate rules"
    with pytest.raises(UnsupportedError, match=refusal):
        load_model(SVC())
    with pytest.raises(UnsupportedError, match="best_estimator_"):
        search = GridSearchCV(tree.DecisionTreeClassifier(), {"max_depth": [1]}, cv=2)
        load_model(search.fit(X, y))
    with pytest.raises(ModelError, match="not fitted"):
        load_model(ensemble.RandomForestClassifier())
    with pytest.raises(ModelError, match="not fitted"):
        load_model(ensemble.HistGradientBoostingClassifier())
    with pytest.raises(UnsupportedError, match="2 outputs"):
        load_model(tree.DecisionTreeClassifier().fit(X, np.stack([y, y], axis=1)))
    with pytest.raises(UnsupportedError, match="starts from a DecisionTreeRegressor"):
        init = tree.DecisionTreeRegressor()
        load_model(ensemble.GradientBoostingRegressor(init=init, n_estimators=1).fit(*DIABETES))
    for source in (
        tree.DecisionTreeClassifier().fit(X, y),
        ensemble.RandomForestRegressor(2).fit(X, y),
        ensemble.GradientBoostingClassifier(n_estimators=1).fit(X, y),
    ):
        with pytest.raises(UnsupportedError, match="vote='majority' is for classifying forests"):
            load_model(source, vote="majority")
    with pytest.raises(UnsupportedError, match="vote must be"):
        load_model(source, vote="most")  # type: ignore[arg-type]

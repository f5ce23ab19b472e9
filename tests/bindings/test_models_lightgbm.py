"""LightGBM: structure and library agree on, below and above every threshold."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from model_probes import assert_agrees, probes

from whyproof.encodings.trees.ensemble import ZERO_SIZE
from whyproof.engine.domain import Categories, Integers
from whyproof.engine.errors import ModelError, UnsupportedError
from whyproof.models import from_lightgbm as importer
from whyproof.models import load_model

lightgbm = pytest.importorskip("lightgbm")
datasets = pytest.importorskip("sklearn.datasets")

CANCER = datasets.load_breast_cancer(return_X_y=True)
WINE = datasets.load_wine(return_X_y=True)
DIABETES = datasets.load_diabetes(return_X_y=True)


def dirty(zeros: bool, gaps: bool) -> np.ndarray:
    random = np.random.default_rng(0)
    X = CANCER[0].copy()
    if zeros:
        X[random.random(X.shape) < 0.3] = 0.0
        X[:, 5] -= 0.1
    if gaps:
        X[random.random(X.shape) < 0.1] = np.nan
    return X


def fitted(X: np.ndarray, y: np.ndarray, **options: object) -> object:
    settings = {"n_estimators": 12, "num_leaves": 8, "verbose": -1, "n_jobs": 1} | options
    return lightgbm.LGBMClassifier(**settings).fit(X, y)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"zero_as_missing": True},
        {"use_missing": False},
        {"boosting_type": "dart"},
        {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
        {"sigmoid": 3.0},
    ],
)
def test_binary_classifiers_agree(zeros: bool, gaps: bool, options: dict[str, object]) -> None:
    classifier = fitted(dirty(zeros, gaps), CANCER[1], **options)
    model = load_model(classifier)
    points = probes(model)
    assert_agrees(model, points, classifier.predict(points))
    if not model.structure.divisor > 1:
        assert np.array_equal(
            model.runtime.sums(points)[:, 0], classifier.predict(points, raw_score=True)
        )


NEAR_ZERO = [0.0, 5e-324, 1e-36, ZERO_SIZE, *np.nextafter(ZERO_SIZE, [0.0, 1.0]).tolist(), 1e-34]


@pytest.mark.parametrize("options", [{}, {"zero_as_missing": True}, {"use_missing": False}])
@pytest.mark.parametrize("threshold", [*NEAR_ZERO, *(-value for value in NEAR_ZERO)])
def test_values_next_to_zero_are_zero(options: dict[str, object], threshold: float) -> None:
    # LightGBM drops values up to 1e-35 before it compares, and puts thresholds there.
    X = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], (200, 2))
    classifier = fitted(X, (X[:, 0] == 0) ^ (X[:, 1] > 0), n_estimators=3, **options)
    text = classifier.booster_.model_to_string()
    assert "threshold=" in text
    moved = re.sub(
        r"(?m)^threshold=.*$",
        lambda line: "threshold=" + " ".join([repr(threshold)] * len(line[0].split())),
        re.sub(r"(?m)^tree_sizes=.*\n", "", text),
    )
    points = np.array([[x, y] for x in NEAR_ZERO for y in NEAR_ZERO])
    points = np.concatenate([points, -points, points * [1, -1], [[np.nan, 0.0], [1.0, np.nan]]])
    for source in (text, moved):
        model = importer.load_lightgbm_bytes(source.encode(), "m.txt")
        assert_agrees(model, points, exact=200)


@pytest.mark.parametrize("objective", ["multiclass", "multiclassova"])
def test_classifiers_of_three_classes_agree(objective: str) -> None:
    words = np.array(["red", "rosé", "white"])[WINE[1]]
    classifier = fitted(WINE[0], words, objective=objective, min_child_samples=3)
    model = load_model(classifier)
    assert model.classes == ("red", "rosé", "white")
    points = probes(model)
    assert_agrees(model, points, classifier.predict(points))


@pytest.mark.parametrize(
    "objective",
    [
        "regression",
        "regression_l1",
        "huber",
        "fair",
        "quantile",
        "mape",
        "poisson",
        "gamma",
        "tweedie",
    ],
)
def test_regressors_agree(objective: str) -> None:
    regressor = lightgbm.LGBMRegressor(
        n_estimators=10, num_leaves=8, verbose=-1, objective=objective, n_jobs=1
    ).fit(*DIABETES)
    model = load_model(regressor)
    points = probes(model)
    assert_agrees(model, points, regressor.predict(points))


def test_cross_entropy_is_a_regressor_with_a_sigmoid() -> None:
    settings = {"objective": "cross_entropy", "verbose": -1, "num_leaves": 8}
    booster = lightgbm.train(settings, lightgbm.Dataset(*CANCER), 8)
    model = load_model(booster)
    assert model.structure.link == "sigmoid"
    points = probes(model)
    assert_agrees(model, points, booster.predict(points))


def test_categories(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    random = np.random.default_rng(0)
    letters = np.array(["u", "v", "w", "x", "yy", "z"])[random.integers(0, 6, 569)]
    many = random.integers(0, 40, 569)
    frame = pandas.DataFrame(
        {
            "size": CANCER[0][:, 0],
            "kind": pandas.Categorical(letters),
            "unused": 1.0,
            "many": pandas.Categorical(many),
        }
    )
    frame.loc[:30, "kind"] = None
    y = ((np.isin(letters, ["u", "x"]) ^ (many % 3 == 0)) ^ (CANCER[0][:, 0] > 14)).astype(int)
    classifier = fitted(frame, y, min_child_samples=3, min_data_per_group=5, cat_smooth=1)
    model = load_model(classifier)
    assert model.names == ("size", "kind", "unused", "many")
    assert model.domains == {
        1: Categories(values=("u", "v", "w", "x", "yy", "z")),
        3: Categories(values=tuple(range(40))),
    }
    codes = frame["kind"].cat.codes.to_numpy().astype(float)
    rows = np.column_stack(
        [frame["size"], np.where(codes < 0, np.nan, codes), frame["unused"], many]
    )
    assert_agrees(model, rows, classifier.predict(frame))
    assert_agrees(model, probes(model))
    classifier.booster_.save_model(tmp_path / "m.txt")
    again = load_model(tmp_path / "m.txt")
    assert again.domains == model.domains
    assert again.fingerprint == model.fingerprint


def test_categories_of_arrays_are_codes() -> None:
    X = np.column_stack([CANCER[0][:, 0], np.random.default_rng(0).integers(0, 50, 569)])
    y = ((X[:, 1] % 2 == 0) ^ (X[:, 0] > 14)).astype(int)
    settings = {"objective": "binary", "verbose": -1, "min_data_per_group": 5, "cat_smooth": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(X, y, categorical_feature=[1]), 8)
    model = load_model(booster)
    assert model.domains == {1: Integers(lower=0.0)}
    points = probes(model)
    points[::7, 1] = 77.0
    assert_agrees(model, points, (booster.predict(points) > 0.5).astype(int))


def test_one_model_has_one_fingerprint_and_runs_alone(tmp_path: Path) -> None:
    classifier = fitted(*CANCER)
    path = tmp_path / "m.txt"
    classifier.booster_.save_model(path)
    model = load_model(path)
    assert load_model(classifier).fingerprint == model.fingerprint
    assert load_model(classifier.booster_).fingerprint == model.fingerprint
    again = pickle.loads(pickle.dumps(model))
    points = probes(model)
    assert np.array_equal(again.predict(points), classifier.predict(points))
    code = (
        "import sys, numpy; from whyproof.models import load_model;"
        f"m = load_model({str(path)!r}); m.predict(numpy.zeros((1, 30)));"
        "assert not {'sklearn', 'pandas', 'lightgbm', 'scipy', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_without_the_library_files_run_on_a_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = fitted(dirty(True, True), CANCER[1])
    text = classifier.booster_.model_to_string().encode()
    monkeypatch.setattr(importer, "lightgbm_is_installed", lambda: False)
    model = importer.load_lightgbm_bytes(text, "m.txt")
    assert "simulation" in model.runtime.name
    points = probes(model)
    assert np.array_equal(
        model.runtime.sums(points)[:, 0], classifier.predict(points, raw_score=True)
    )


def test_a_model_without_splits_is_constant() -> None:
    classifier = fitted(CANCER[0][:8], CANCER[1][:8] ^ (np.arange(8) % 2))
    model = load_model(classifier)
    assert all(tree.n_nodes == 1 for tree in model.structure.trees)
    assert_agrees(model, CANCER[0], classifier.predict(CANCER[0]))


def test_early_stopping_keeps_the_best_rounds() -> None:
    X, y = CANCER
    classifier = lightgbm.LGBMClassifier(n_estimators=80, verbose=-1, num_leaves=4, n_jobs=1)
    classifier.fit(
        X[:400],
        y[:400],
        eval_X=X[400:],
        eval_y=1 - y[400:],
        callbacks=[lightgbm.early_stopping(1, verbose=False)],
    )
    model = load_model(classifier)
    assert len(model.structure.trees) == classifier.best_iteration_ < 80
    points = probes(model)
    assert_agrees(model, points, classifier.predict(points))


def test_what_is_not_supported_is_named() -> None:
    X, y = CANCER
    with pytest.raises(UnsupportedError, match="linear trees"):
        load_model(fitted(X, y, linear_tree=True))
    with pytest.raises(UnsupportedError, match="cross_entropy_lambda"):
        settings = {"objective": "cross_entropy_lambda", "verbose": -1}
        load_model(lightgbm.train(settings, lightgbm.Dataset(X, y), 2))
    with pytest.raises(UnsupportedError, match="sqrt"):
        settings = {"objective": "regression", "reg_sqrt": True, "verbose": -1}
        load_model(lightgbm.train(settings, lightgbm.Dataset(*DIABETES), 2))
    with pytest.raises(ModelError, match="not fitted"):
        load_model(lightgbm.LGBMClassifier())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("end of trees", "end", "'end of trees' is missing"),
        ("max_feature_idx=29", "max_feature_idx=3", "column that does not exist"),
        ("max_feature_idx=29", "", "'max_feature_idx' is missing"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=5", "12 trees, 5 a round"),
        (r"(?m)^tree_sizes=.*\n", "", None),
        (r"leaf_value=\S+", "leaf_value=x", "does not hold numbers"),
        (r"leaf_value=\S+", "leaf_value=nan", "not finite"),
        ("leaf_value=", "leaf_value=1 ", "'num_leaves' of tree 0"),
        (r"left_child=\S+", "left_child=900", "does not exist"),
        (r"left_child=\S+", "left_child=0", "does not exist|two ways"),
        ("left_child=", "left_child=1 ", "differ in length"),
        (r"threshold=\S+", "threshold=nan", "not a number"),
        ("num_cat=0", "num_cat=2", "'num_cat' of tree 0"),
        (r"decision_type=\S+", "decision_type=1", "categories that do not exist"),
        ("shrinkage=1", "shrinkage=1.0", "'tree_sizes' does not fit"),
    ],
)
def test_damaged_texts_are_refused(old: str, new: str, message: str | None) -> None:
    text = fitted(*CANCER).booster_.model_to_string()
    if "tree_sizes" not in (message or ""):
        text = re.sub(r"(?m)^tree_sizes=.*\n", "", text)
    damaged = re.sub(old, new, text, count=1)
    if message is None:
        # Older files have no sizes; LightGBM then looks for the trees itself.
        assert importer.load_lightgbm_bytes(damaged.encode(), "m.txt").n_columns == 30
        return
    assert damaged != text
    with pytest.raises(ModelError, match=message):
        importer.load_lightgbm_bytes(damaged.encode(), "m.txt")


def test_truncated_texts_are_refused_at_any_length() -> None:
    text = fitted(*CANCER, n_estimators=2).booster_.model_to_string().encode()
    whole = text.index(b"end of trees") + 12
    for end in range(1, whole, max(1, whole // 40)):
        with pytest.raises(ModelError):
            importer.load_lightgbm_bytes(text[:end], "m.txt")

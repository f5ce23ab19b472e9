"""XGBoost: structure and library agree on, below and above every threshold."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from model_probes import assert_agrees, lead, probes

from whyproof.encodings.trees.ensemble import DecisionRule
from whyproof.engine.domain import Categories, Integers
from whyproof.engine.errors import ModelError, UnsupportedError
from whyproof.models import Model, load_model
from whyproof.models import from_xgboost as importer
from whyproof.models.simulate import SimulatedRuntime

xgboost = pytest.importorskip("xgboost")
datasets = pytest.importorskip("sklearn.datasets")

CANCER = datasets.load_breast_cancer(return_X_y=True)
WINE = datasets.load_wine(return_X_y=True)
DIABETES = datasets.load_diabetes(return_X_y=True)


def with_gaps(X: np.ndarray, share: float = 0.1) -> np.ndarray:
    X = X.copy()
    X[np.random.default_rng(0).random(X.shape) < share] = np.nan
    return X


def fitted(data: tuple[np.ndarray, np.ndarray], **options: object) -> object:
    settings = {"n_estimators": 12, "max_depth": 3, "n_jobs": 1} | options
    return xgboost.XGBClassifier(**settings).fit(*data)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"base_score": 0.5},
        {"base_score": 0.9},
        {"booster": "dart", "rate_drop": 0.5},
        {"objective": "binary:logitraw"},
        {"objective": "binary:hinge"},
        {"num_parallel_tree": 3, "subsample": 0.5},
        {"tree_method": "exact"},
        {"max_depth": 1},
    ],
)
def test_binary_classifiers_agree(options: dict[str, object]) -> None:
    classifier = fitted((with_gaps(CANCER[0]), CANCER[1]), **options)
    model = load_model(classifier)
    points = probes(model)
    assert model.structure.rule is DecisionRule.POSITIVE
    assert_agrees(model, points, classifier.predict(points))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"base_score": 0.5},
        {"booster": "dart", "rate_drop": 0.5},
        {"objective": "multi:softmax"},
        {"multi_strategy": "multi_output_tree", "tree_method": "hist"},
    ],
)
def test_classifiers_of_three_classes_agree(options: dict[str, object]) -> None:
    classifier = fitted((with_gaps(WINE[0]), WINE[1]), **options)
    model = load_model(classifier)
    points = probes(model)
    assert model.structure.rule is DecisionRule.ARGMAX
    assert_agrees(model, points, classifier.predict(points))


def test_the_base_score_is_estimated_and_counts() -> None:
    # XGBoost estimates base_score from the data; a model that ignores it explains
    # decisions that were never made.
    model = load_model(fitted(CANCER))
    share = float(np.mean(CANCER[1]))
    assert model.structure.base[0] == pytest.approx(np.log(share / (1 - share)), abs=1e-4)
    vector = load_model(fitted(WINE)).structure.base
    assert len(set(vector.tolist())) == 3


@pytest.mark.parametrize(
    "objective",
    [
        "reg:squarederror",
        "reg:absoluteerror",
        "reg:pseudohubererror",
        "reg:squaredlogerror",
        "reg:logistic",
        "reg:gamma",
        "reg:tweedie",
        "count:poisson",
    ],
)
def test_regressors_agree(objective: str) -> None:
    X, y = DIABETES
    regressor = xgboost.XGBRegressor(n_estimators=12, max_depth=3, objective=objective)
    regressor.fit(X, y / 400)
    model = load_model(regressor)
    points = probes(model)
    assert model.is_regressor
    assert model.classes == ()
    assert_agrees(model, points, regressor.predict(points))


def test_survival_and_ranking_boosters_agree() -> None:
    X, y = DIABETES
    rows = xgboost.DMatrix(X, label=y / 400)
    cox = xgboost.train({"objective": "survival:cox", "max_depth": 3}, rows, 8)
    ranks = xgboost.DMatrix(X, label=(y > 150).astype(int), qid=np.zeros(len(y)))
    pairwise = xgboost.train({"objective": "rank:pairwise", "max_depth": 3}, ranks, 8)
    for booster in (cox, pairwise):
        model = load_model(booster)
        points = probes(model)
        assert_agrees(model, points, booster.inplace_predict(points))


def test_one_model_has_one_fingerprint_live_and_in_files(tmp_path: Path) -> None:
    classifier = fitted(CANCER)
    loaded = [load_model(classifier), load_model(classifier.get_booster())]
    for name in ("model.json", "model.ubj"):
        classifier.save_model(tmp_path / name)
        loaded.append(load_model(tmp_path / name))
    assert len({model.fingerprint for model in loaded}) == 1
    assert load_model(fitted(CANCER, max_depth=2)).fingerprint != loaded[0].fingerprint
    points = probes(loaded[0])
    for model in loaded:
        assert np.array_equal(model.predict(points), classifier.predict(points))
        assert model.version.startswith(xgboost.__version__[:1])


def test_a_model_survives_the_way_to_a_worker() -> None:
    model = load_model(fitted(WINE))
    points = probes(model)
    expected = model.predict(points)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(points), expected)
    assert again.fingerprint == model.fingerprint


def test_without_the_library_files_run_on_a_simulation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = fitted(CANCER, base_score=0.5)
    classifier.save_model(tmp_path / "model.json")
    monkeypatch.setattr(importer, "xgboost_is_installed", lambda: False)
    model = load_model(tmp_path / "model.json")
    assert isinstance(model.runtime, SimulatedRuntime)
    assert "simulation" in model.notes[0]
    points = probes(model)
    # Leaf after leaf in float32 from the base: the same bits as the library.
    margins = classifier.predict(points, output_margin=True)
    assert np.array_equal(model.runtime.sums(points)[:, 0].astype(np.float32), margins)


def test_files_load_without_the_python_packages(tmp_path: Path) -> None:
    fitted(CANCER).save_model(tmp_path / "model.json")
    code = (
        "import sys, numpy; from whyproof.models import load_model;"
        f"m = load_model({str(tmp_path / 'model.json')!r}); m.predict(numpy.zeros((1, 30)));"
        "assert not {'sklearn', 'pandas', 'xgboost', 'scipy', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_early_stopping_counts_for_the_wrapper_and_not_for_the_booster(tmp_path: Path) -> None:
    X, y = CANCER
    classifier = xgboost.XGBClassifier(n_estimators=60, early_stopping_rounds=2, n_jobs=1)
    random = np.random.default_rng(0)
    noise = np.where(random.random(len(y)) < 0.2, 1 - y, y)
    classifier.fit(X[:400], noise[:400], eval_set=[(X[400:], noise[400:])], verbose=False)
    model = load_model(classifier)
    rounds = classifier.best_iteration + 1
    assert len(model.structure.trees) == rounds < classifier.get_booster().num_boosted_rounds()
    points = probes(model)
    assert_agrees(model, points, classifier.predict(points))
    classifier.save_model(tmp_path / "model.json")
    assert load_model(tmp_path / "model.json").fingerprint == model.fingerprint
    plain = load_model(classifier.get_booster())
    assert len(plain.structure.trees) == classifier.get_booster().num_boosted_rounds()


def test_categories_and_their_labels() -> None:
    pandas = pytest.importorskip("pandas")
    random = np.random.default_rng(0)
    letters = np.array(["u", "v", "w", "x", "yy", "z"])[random.integers(0, 6, 569)]
    frame = pandas.DataFrame(
        {"size": CANCER[0][:, 0], "kind": pandas.Categorical(letters), "unused": 1.0}
    )
    frame.loc[:30, "kind"] = None
    target = (np.isin(letters, ["u", "x", "yy"]) ^ (CANCER[0][:, 0] > 14)).astype(int)
    for one_hot in (1, 10):
        classifier = xgboost.XGBClassifier(
            n_estimators=10, enable_categorical=True, max_cat_to_onehot=one_hot, n_jobs=1
        ).fit(frame, target)
        model = load_model(classifier)
        assert model.names == ("size", "kind", "unused")
        assert model.domains == {1: Categories(values=("u", "v", "w", "x", "yy", "z"))}
        assert any(tree.categories for tree in model.structure.trees)
        codes = frame["kind"].cat.codes.to_numpy().astype(float)
        rows = np.column_stack([frame["size"], np.where(codes < 0, np.nan, codes), frame["unused"]])
        assert_agrees(model, rows, classifier.predict(frame))
        assert_agrees(model, probes(model))


def test_categories_of_arrays_are_codes() -> None:
    X = np.column_stack([CANCER[0][:, 0], np.random.default_rng(0).integers(0, 9, 569)])
    y = ((X[:, 1] % 2 == 0) ^ (X[:, 0] > 14)).astype(int)
    rows = xgboost.DMatrix(X, label=y, feature_types=["q", "c"], enable_categorical=True)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3}, rows, 8)
    model = load_model(booster)
    assert model.domains == {1: Integers(lower=0.0)}
    points = probes(model)
    assert_agrees(model, points, (booster.inplace_predict(points) > 0.5).astype(int))


def test_constant_models_and_zero_trees(tmp_path: Path) -> None:
    X = np.ones((20, 1))
    constant = xgboost.XGBClassifier(n_estimators=3).fit(X, np.arange(20) % 2)
    model = load_model(constant)
    assert_agrees(model, probes(model), constant.predict(probes(model)))
    rows = xgboost.DMatrix(CANCER[0], label=CANCER[1])
    empty = xgboost.train({"objective": "binary:logistic", "base_score": 0.7}, rows, 0)
    empty.save_model(tmp_path / "empty.json")
    model = load_model(tmp_path / "empty.json")
    assert model.structure.trees == ()
    assert model.predict(CANCER[0][:3]).tolist() == [1, 1, 1]


def test_labels_and_names_of_the_user() -> None:
    model = load_model(
        fitted(CANCER), classes=["malignant", "benign"], names=list(map(str, range(30)))
    )
    assert model.classes == ("malignant", "benign")
    assert model.names[29] == "29"
    with pytest.raises(ValueError, match="names its columns itself"):
        load_model(model, names=["x"] * 30)
    with pytest.raises(ValueError, match="two columns are named 'x'"):
        load_model(fitted(CANCER), names=["x"] * 30)
    with pytest.raises(ValueError, match="30 columns but 2 column names"):
        load_model(fitted(CANCER), names=["x", "y"])
    with pytest.raises(ValueError, match="2 classes, 3 labels"):
        load_model(fitted(CANCER), classes=["a", "b", "c"])


def test_scores_are_margins() -> None:
    classifier = fitted(CANCER)
    model = load_model(classifier)
    scores = model.scores(CANCER[0][:5])
    assert scores.shape == (5, 2)
    assert not scores[:, 0].any()
    assert np.array_equal(
        scores[:, 1], classifier.predict(CANCER[0][:5], output_margin=True).astype(float)
    )


def test_what_is_not_supported_is_named() -> None:
    X, y = CANCER
    with pytest.raises(UnsupportedError, match="gblinear"):
        load_model(xgboost.XGBClassifier(booster="gblinear", n_estimators=2).fit(X, y))
    with pytest.raises(UnsupportedError, match="missing"):
        load_model(xgboost.XGBClassifier(n_estimators=2, missing=-1.0).fit(X, y))
    with pytest.raises(UnsupportedError, match="several targets"):
        load_model(xgboost.XGBRegressor(n_estimators=2).fit(X, np.stack([y, y], axis=1)))
    with pytest.raises(ModelError, match="not fitted"):
        load_model(xgboost.XGBClassifier())
    with pytest.raises(UnsupportedError, match="2147483647 columns; at most 1000000"):
        wide = _edited(
            lambda t, m: m["learner_model_param"].__setitem__("num_feature", "2147483647")
        )
        importer.load_xgboost_bytes(wide, "model.json")
    with pytest.raises(UnsupportedError, match="custom:mine"):
        raw = json.loads(bytes(fitted(CANCER).get_booster().save_raw("json")))
        raw["learner"]["objective"]["name"] = "custom:mine"
        importer.load_xgboost_bytes(json.dumps(raw).encode(), "model.json")


def _edited(edit: object) -> bytes:
    raw = json.loads(bytes(fitted(CANCER, n_estimators=2).get_booster().save_raw("json")))
    edit(raw["learner"]["gradient_booster"]["model"]["trees"][1], raw["learner"])  # type: ignore[operator]
    return json.dumps(raw).encode()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t, m: t["left_children"].__setitem__(0, 999), "parents and children"),
        (lambda t, m: t["right_children"].__setitem__(0, 1), "two ways"),
        (lambda t, m: t["parents"].__setitem__(1, 2147483647), "parents and children"),
        (lambda t, m: t["parents"].pop(), "parents and children"),
        (lambda t, m: t["split_type"].__setitem__(0, 1), "kinds of splits"),
        (lambda t, m: t["split_type"].__setitem__(0, 7), "kinds of splits"),
        (lambda t, m: t["categories_nodes"].append(0), "differ in length"),
        (lambda t, m: t["split_indices"].__setitem__(0, -9), "tests column"),
        (lambda t, m: t.__setitem__("id", 5), "tree 1 says that it is 5"),
        (lambda t, m: t["split_indices"].__setitem__(0, 40), "tests column 40"),
        (lambda t, m: t["split_conditions"].pop(), "differ in length"),
        (lambda t, m: t["tree_param"].__setitem__("num_nodes", "99"), "differ in length"),
        (lambda t, m: t["split_conditions"].__setitem__(0, None), "not a number|numbers"),
        (lambda t, m: t["split_conditions"].__setitem__(-1, 1e300), "not finite"),
        (lambda t, m: m["learner_model_param"].__setitem__("base_score", "x"), "base_score"),
        (lambda t, m: m["learner_model_param"].__setitem__("base_score", "1.5"), "base_score"),
        (lambda t, m: m["learner_model_param"].__setitem__("num_feature", "0"), "no columns"),
        (lambda t, m: m["gradient_booster"]["model"]["tree_info"].pop(), "tree_info"),
        (
            lambda t, m: m["gradient_booster"]["model"]["iteration_indptr"].__setitem__(0, -1),
            "iteration_indptr",
        ),
        (lambda t, m: m["gradient_booster"].pop("model"), "'model'"),
        (lambda t, m: m.pop("objective"), "'objective'"),
    ],
)
def test_damaged_documents_are_refused_in_one_line(edit: object, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        importer.load_xgboost_bytes(_edited(edit), "model.json")
    assert "\n" not in str(caught.value)


def test_truncated_files_are_refused_at_any_length() -> None:
    booster = fitted(CANCER, n_estimators=1).get_booster()
    for form in ("json", "ubj"):
        whole = bytes(booster.save_raw(form))
        for end in range(1, len(whole) - 1, max(1, len(whole) // 60)):
            with pytest.raises(ModelError):
                importer.load_xgboost_bytes(whole[:end], "model")


def dumped(classifier: object, path: Path, **options: object) -> Path:
    classifier.get_booster().dump_model(path, **options)  # type: ignore[attr-defined]
    return path


class TestTextDumps:
    """Text dumps against the models that wrote them."""

    def agrees(self, classifier: object, model: Model) -> None:
        original = load_model(classifier)
        points = probes(original)
        assert np.array_equal(model.predict(points), original.predict(points))
        assert np.array_equal(model.runtime.sums(points), original.runtime.sums(points))
        assert_agrees(model, points)

    COLUMNS = tuple(f"f{i}" for i in range(30))

    def test_two_classes(self, tmp_path: Path) -> None:
        classifier = fitted((with_gaps(CANCER[0]), CANCER[1]), base_score=0.5)
        path = dumped(classifier, tmp_path / "m.txt")
        model = load_model(path, classes=[0, 1], names=self.COLUMNS)
        self.agrees(classifier, model)
        assert model.fingerprint == load_model(classifier).fingerprint
        assert any("base_score" in note for note in model.notes)

    def test_three_classes_take_turns(self, tmp_path: Path) -> None:
        classifier = fitted(WINE, base_score=0.5)
        path = dumped(classifier, tmp_path / "m.txt")
        model = load_model(path, classes=["a", "b", "c"], names=list("abcdefghijklm"))
        # XGBoost adds 0.5 to each class, which changes no decision.
        points = probes(model)
        assert np.array_equal(model.predict(points), classifier.predict(points))
        with pytest.raises(ModelError, match="36 trees, not a multiple of 5"):
            load_model(path, classes=range(5))

    def test_another_base_score_is_an_argument(self, tmp_path: Path) -> None:
        classifier = fitted(CANCER, base_score=0.9)
        path = dumped(classifier, tmp_path / "m.txt", with_stats=True)
        model = load_model(path, classes=[0, 1], base_score=0.9, names=self.COLUMNS)
        self.agrees(classifier, model)

    def test_regressors_have_no_classes(self, tmp_path: Path) -> None:
        regressor = xgboost.XGBRegressor(n_estimators=5, base_score=0.5).fit(*DIABETES)
        path = dumped(regressor, tmp_path / "m.txt")
        model = load_model(path, classes=[], names=self.COLUMNS[:10])
        points = probes(model)
        assert np.array_equal(model.predict(points), regressor.predict(points).astype(float))

    def test_names_give_the_order(self, tmp_path: Path) -> None:
        pandas = pytest.importorskip("pandas")
        names = [f"size {i}" for i in range(30)]
        classifier = fitted((pandas.DataFrame(CANCER[0], columns=names), CANCER[1]), base_score=0.5)
        path = dumped(classifier, tmp_path / "m.txt")
        self.agrees(classifier, load_model(path, classes=[0, 1], names=names))
        with pytest.raises(ModelError, match=r"line 2: column 'size .*names="):
            load_model(path, classes=[0, 1])
        with pytest.raises(ModelError, match="did you mean"):
            load_model(path, classes=[0, 1], names=[name.replace("s", "S") for name in names])

    def test_classes_must_be_given(self, tmp_path: Path) -> None:
        path = dumped(fitted(CANCER), tmp_path / "m.txt")
        with pytest.raises(ModelError, match="classes="):
            load_model(path)
        with pytest.raises(ModelError, match="at least two"):
            load_model(path, classes=["only"])

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("booster[0]:\n0:leaf=1e999\n", "not finite"),
            ("booster[0]:\n0:leaf=nan\n", "not finite"),
            ("booster[1]:\n0:leaf=1\n", "line 1: tree 0 was expected"),
            ("booster[0]:\n0:[f0<1] yes=1,no=2,missing=1\n\t1:leaf=1\n", "does not exist"),
            ("booster[0]:\n0:[f0<1] yes=1,no=3,missing=1\n1:leaf=1\n3:leaf=2\n", None),
            ("booster[0]:\n0:[f0<x] yes=1,no=2,missing=1\n1:leaf=1\n2:leaf=2\n", "line 2"),
            ("booster[0]:\n0 leaf 1\n", "line 2: '0 leaf 1' is no node"),
            ("booster[0]:\n999999999:leaf=1\n", "numbers its nodes up to"),
            ("booster[0]:\n", "no nodes"),
        ],
    )
    def test_damaged_dumps(self, tmp_path: Path, text: str, message: str | None) -> None:
        path = tmp_path / "m.txt"
        path.write_text(text)
        if message is None:
            assert load_model(path, classes=[0, 1]).structure.trees[0].n_nodes == 3
            return
        with pytest.raises(ModelError, match=message):
            load_model(path, classes=[0, 1])


def stepped(objective: str, classes: int, leaves: list[float]) -> Model:
    """A booster whose single split chooses between two leaves, the rest being zero."""
    X, y = np.arange(8.0)[:, None], np.arange(8) % max(2, classes)
    settings = {"objective": objective, "base_score": 0.5, "max_depth": 1}
    if classes > 2:
        settings["num_class"] = classes
    booster = xgboost.train(settings, xgboost.DMatrix(X, label=y), 1)
    raw = json.loads(bytes(booster.save_raw("json")))
    for number, tree in enumerate(raw["learner"]["gradient_booster"]["model"]["trees"]):
        arrays = {
            "base_weights": 0.0,
            "loss_changes": 1.0,
            "sum_hessian": 1.0,
            "default_left": 0,
            "split_indices": 0,
            "split_type": 0,
        }
        tree.update({name: [value] * 3 for name, value in arrays.items()})
        tree["left_children"], tree["right_children"] = [1, -1, -1], [2, -1, -1]
        tree["parents"], tree["tree_param"]["num_nodes"] = [2147483647, 0, 0], "3"
        tree["split_conditions"] = [0.5, *(leaves if number == classes // 2 else [0.0, 0.0])]
    return importer.load_xgboost_bytes(json.dumps(raw).encode(), "model.json")


@pytest.mark.parametrize(("objective", "classes"), [("binary:logistic", 1), ("multi:softprob", 3)])
def test_margins_that_the_link_rounds_away_lie_within_the_slack(
    objective: str, classes: int
) -> None:
    rounded = 0
    for size in np.geomspace(1e-9, 1e-5, 60).astype(np.float32).tolist():
        model = stepped(objective, classes, [size, -size])
        for point in np.array([[0.0], [1.0]]):
            exact, ran = model.structure.exact_outcome(point), int(model.predict(point[None])[0])
            if exact != ran:
                rounded += 1
                assert lead(model.structure, point) <= model.structure.slack
    # float32 does make ties of small margins: without the slack these would be wrong proofs.
    assert rounded > 0

"""ONNX: structure and onnxruntime agree on converted and on random graphs."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_probes import assert_agrees, probes
from onnx import TensorProto, helper, numpy_helper

from whyproof.engine.domain import Integers
from whyproof.engine.errors import ModelError, UnsupportedError
from whyproof.models import Model, load_model
from whyproof.models.from_onnx import load_onnx_bytes

ORDERED = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT")
CODED = ("BRANCH_EQ", "BRANCH_NEQ")


def run(payload: bytes, points: np.ndarray, output: int = 0) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(payload, options, providers=["CPUExecutionProvider"])
    kind = np.float64 if "double" in session.get_inputs()[0].type else np.float32
    feed = {session.get_inputs()[0].name: points.astype(kind)}
    if len(session.get_inputs()) > 1:
        feed = {i.name: points[:, [k]].astype(kind) for k, i in enumerate(session.get_inputs())}
    return np.asarray(session.run(None, feed)[output]).reshape(len(points))


def agrees(payload: bytes, model: Model | None = None) -> Model:
    model = model or load_onnx_bytes(payload, "m.onnx")
    points = probes(model, rows=150)
    assert_agrees(model, points, run(payload, points))
    return model


def graph(
    nodes: list[onnx.NodeProto],
    outputs: list[tuple[str, int]],
    columns: int,
    *,
    kind: int = TensorProto.FLOAT,
    version: int = 3,
    constants: tuple[onnx.TensorProto, ...] = (),
) -> bytes:
    made = helper.make_graph(
        nodes,
        "trees",
        [helper.make_tensor_value_info("X", kind, [None, columns])],
        [helper.make_tensor_value_info(name, type_, None) for name, type_ in outputs],
        list(constants),
    )
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", version)]
    proto = helper.make_model(made, opset_imports=opsets, ir_version=8)
    return bytes(proto.SerializeToString())


class Random:
    """Random tree attributes: any mode, thresholds that many rows hit exactly."""

    def __init__(self, seed: int, columns: int, outputs: int, modes: tuple[str, ...]) -> None:
        self.random = np.random.default_rng(seed)
        self.columns, self.outputs, self.modes = columns, outputs, modes
        self.nodes: dict[str, list] = {
            key: []
            for key in (
                "treeids",
                "nodeids",
                "featureids",
                "modes",
                "values",
                "truenodeids",
                "falsenodeids",
                "missing_value_tracks_true",
            )
        }
        self.leaves: dict[str, list] = {key: [] for key in ("treeids", "nodeids", "ids", "weights")}

    def tree(self, number: int, depth: int, weight: object) -> None:
        self._grow(number, 0, depth, weight, [1])

    def _grow(self, tree: int, node: int, depth: int, weight: object, free: list[int]) -> None:
        leaf = depth == 0 or self.random.random() < 0.15
        row = {
            "treeids": tree,
            "nodeids": node,
            "featureids": 0,
            "modes": "LEAF",
            "values": 0.0,
            "truenodeids": 0,
            "falsenodeids": 0,
            "missing_value_tracks_true": 0,
        }
        if leaf:
            for output, value in weight(self.random):  # type: ignore[operator]
                for key, item in zip(self.leaves, (tree, node, output, value), strict=True):
                    self.leaves[key].append(item)
        else:
            coded = set(self.modes) <= set(CODED)
            row["featureids"] = int(self.random.integers(self.columns))
            row["modes"] = str(self.random.choice(self.modes))
            row["values"] = float(
                self.random.integers(0, 40)
                if coded
                else np.float32(self.random.choice([-1.5, 0.0, 0.1, 1e-40, 2.0, 7.25]))
            )
            row["truenodeids"], row["falsenodeids"] = free[0], free[0] + 1
            row["missing_value_tracks_true"] = int(self.random.integers(2))
            free[0] += 2
        for key, value in row.items():
            self.nodes[key].append(value)
        if not leaf:
            self._grow(tree, row["truenodeids"], depth - 1, weight, free)
            self._grow(tree, row["falsenodeids"], depth - 1, weight, free)

    def attributes(self, prefix: str) -> dict[str, object]:
        made: dict[str, object] = {f"nodes_{key}": value for key, value in self.nodes.items()}
        made.update({f"{prefix}_{key}": value for key, value in self.leaves.items()})
        return made


def classifier(
    seed: int,
    labels: list,
    ids: list[int],
    *,
    modes: tuple[str, ...] = ORDERED,
    signed: bool = True,
    base: list[float] | None = None,
    post: str = "NONE",
    dense: bool = True,
) -> bytes:
    low = -1.0 if signed else 0.0

    def weight(random: np.random.Generator) -> list[tuple[int, float]]:
        chosen = ids if dense else [int(random.choice(ids))]
        # Quarters make ties frequent and sums exact.
        return [(k, float(np.round(random.uniform(low, 1.0) * 4) / 4)) for k in chosen]

    made = Random(seed, 3, len(labels), modes)
    for number in range(4):
        made.tree(number, 3, weight)
    attributes = made.attributes("class")
    attributes["post_transform"] = post
    if base is not None:
        attributes["base_values"] = base
    key = "classlabels_strings" if isinstance(labels[0], str) else "classlabels_int64s"
    attributes[key] = labels
    node = helper.make_node(
        "TreeEnsembleClassifier", ["X"], ["label", "scores"], domain="ai.onnx.ml", **attributes
    )
    kind = TensorProto.STRING if isinstance(labels[0], str) else TensorProto.INT64
    return graph([node], [("label", kind), ("scores", TensorProto.FLOAT)], 3)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    coded=st.booleans(),
    signed=st.booleans(),
    post=st.sampled_from(["NONE", "SOFTMAX", "LOGISTIC"]),
    base=st.sampled_from([None, [0.5, -0.25, 0.25, 0.0]]),
    words=st.booleans(),
)
def test_random_classifiers_of_four_classes(
    seed: int, coded: bool, signed: bool, post: str, base: list[float] | None, words: bool
) -> None:
    labels = ["d", "c", "b", "a"] if words else [7, 3, 5, 1]
    payload = classifier(
        seed,
        labels,
        [0, 1, 2, 3],
        modes=CODED if coded else ORDERED,
        signed=signed,
        post=post,
        base=base,
    )
    model = agrees(payload)
    assert model.classes == tuple(labels)
    assert model.structure.slack == 0.0


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    only=st.integers(0, 1),
    signed=st.booleans(),
    based=st.booleans(),
    post=st.sampled_from(["NONE", "LOGISTIC", "SOFTMAX"]),
    words=st.booleans(),
)
def test_random_classifiers_of_two_classes_with_one_score(
    seed: int, only: int, signed: bool, based: bool, post: str, words: bool
) -> None:
    labels = ["no", "yes"] if words else [4, 2]
    base = [0.25] if based and only == 0 else None
    model = agrees(classifier(seed, labels, [only], signed=signed, post=post, base=base))
    assert model.structure.base[0] in (0.0, 0.25, -0.5, -0.25)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_two_classes_with_two_scores_decide_by_the_second(seed: int) -> None:
    # A quirk of onnxruntime: class 1 wins where its own sum is positive.
    agrees(classifier(seed, [0, 1], [0, 1]))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    modes=st.sampled_from([ORDERED, CODED, ("BRANCH_LEQ",), ("BRANCH_LT",), ("BRANCH_EQ",)]),
    average=st.booleans(),
    based=st.booleans(),
    double=st.booleans(),
)
def test_random_regressors(
    seed: int, modes: tuple[str, ...], average: bool, based: bool, double: bool
) -> None:
    made = Random(seed, 3, 1, modes)
    for number in range(5):
        made.tree(number, 3, lambda random: [(0, float(np.float32(random.normal())))])
    attributes = made.attributes("target")
    attributes |= {"n_targets": 1, "aggregate_function": "AVERAGE" if average else "SUM"}
    if based:
        attributes["base_values"] = [0.7]
    if double:
        for name in ("nodes_values", "target_weights", "base_values"):
            if name in attributes:
                values = np.array(attributes.pop(name), dtype=np.float64)
                attributes[f"{name}_as_tensor"] = numpy_helper.from_array(values, name)
    node = helper.make_node(
        "TreeEnsembleRegressor", ["X"], ["Y"], domain="ai.onnx.ml", **attributes
    )
    kind = TensorProto.DOUBLE if double else TensorProto.FLOAT
    model = agrees(graph([node], [("Y", TensorProto.FLOAT)], 3, kind=kind))
    assert model.structure.input_type == ("float64" if double else "float32")
    tested = {int(c) for t in model.structure.trees for c in t.column[t.column >= 0]}
    coded = modes[0] in CODED
    assert model.domains == ({c: Integers(lower=0.0) for c in tested} if coded else {})


def version_five(**changes: object) -> bytes:
    attributes: dict[str, object] = {
        "n_targets": 3,
        "aggregate_function": 1,
        "nodes_featureids": [0, 1, 2, 0],
        "nodes_splits": numpy_helper.from_array(np.array([1.5, 0.0, 2.5, 0.25], np.float32)),
        "nodes_modes": numpy_helper.from_array(np.array([0, 6, 1, 3], np.uint8)),
        "nodes_truenodeids": [1, 0, 2, 4],
        "nodes_trueleafs": [0, 1, 1, 1],
        "nodes_falsenodeids": [2, 1, 3, 5],
        "nodes_falseleafs": [0, 1, 1, 1],
        "leaf_targetids": [0, 1, 2, 0, 1, 2],
        "leaf_weights": numpy_helper.from_array(np.array([1, 2, 3, 4, 2.5, -1], np.float32)),
        "tree_roots": [0, 3],
        "membership_values": numpy_helper.from_array(np.array([2, 5, 40, np.nan], np.float32)),
    } | changes
    nodes = [
        helper.make_node("TreeEnsemble", ["X"], ["scores"], domain="ai.onnx.ml", **attributes),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ]
    return graph(nodes, [("label", TensorProto.INT64)], 3, version=5)


def test_the_operator_of_version_five() -> None:
    model = agrees(version_five())
    assert model.classes == (0, 1, 2)
    assert model.domains == {1: Integers(lower=0.0)}
    assert model.version == "ai.onnx.ml 5"
    with pytest.raises(UnsupportedError, match="both for equality and for order"):
        load_onnx_bytes(version_five(nodes_featureids=[1, 1, 2, 0]), "m.onnx")
    with pytest.raises(UnsupportedError, match="aggregate_function 2"):
        load_onnx_bytes(version_five(aggregate_function=2), "m.onnx")
    with pytest.raises(ModelError, match="two ways"):
        load_onnx_bytes(version_five(nodes_falsenodeids=[1, 1, 3, 5]), "m.onnx")


sklearn = pytest.importorskip("sklearn")
skl2onnx = pytest.importorskip("skl2onnx")
from sklearn import ensemble, tree  # noqa: E402
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine  # noqa: E402

CANCER = load_breast_cancer(return_X_y=True)
WINE = load_wine(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
WORDS = (CANCER[0], np.array(["benign", "malignant"])[CANCER[1]])


def converted(model: object, columns: int, kind: type = np.float32, **options: object) -> bytes:
    proto = skl2onnx.to_onnx(model, np.zeros((1, columns), kind), **options)
    return bytes(proto.SerializeToString())


@pytest.mark.parametrize("data", [CANCER, WORDS, WINE], ids=["two", "words", "three"])
@pytest.mark.parametrize("zipmap", [False, True])
@pytest.mark.parametrize(
    "source",
    [
        tree.DecisionTreeClassifier(random_state=0),
        ensemble.RandomForestClassifier(10, max_depth=4, random_state=0),
        ensemble.ExtraTreesClassifier(10, max_depth=4, random_state=0),
        ensemble.GradientBoostingClassifier(n_estimators=6, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_converted_classifiers(
    source: object, data: tuple[np.ndarray, np.ndarray], zipmap: bool
) -> None:
    fitted = sklearn.base.clone(source).fit(*data)
    payload = converted(fitted, data[0].shape[1], options={"zipmap": zipmap})
    model = agrees(payload)
    assert model.classes == tuple(fitted.classes_.tolist())
    same = fitted.predict(data[0]) == np.array(model.classes)[model.predict(data[0])]
    assert same.mean() > 0.99
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(data[0]), model.predict(data[0]))


@pytest.mark.parametrize(
    "source",
    [
        tree.DecisionTreeRegressor(max_depth=5),
        ensemble.RandomForestRegressor(8, max_depth=5),
        ensemble.GradientBoostingRegressor(n_estimators=8),
    ],
    ids=lambda model: type(model).__name__,
)
def test_converted_regressors(source: object) -> None:
    model = agrees(converted(source.fit(*DIABETES), 10))  # type: ignore[attr-defined]
    assert model.is_regressor


@pytest.mark.parametrize("version", [1, 3, 5])
def test_files_of_several_versions_and_double_inputs(version: int) -> None:
    forest = ensemble.RandomForestClassifier(6, max_depth=3, random_state=0).fit(*CANCER)
    model = agrees(converted(forest, 30, target_opset={"": 15, "ai.onnx.ml": version}))
    assert model.structure.input_type == "float32"
    if version == 1:
        # onnxruntime takes doubles here, and compares and adds as doubles.
        model = agrees(converted(forest, 30, np.float64))
        assert model.structure.input_type == "float64"


def test_one_input_per_column_names_the_columns(tmp_path: Path) -> None:
    proto = onnx.load_model_from_string(forest_bytes())
    names = [f"c {i}" for i in range(13)]
    del proto.graph.input[:]
    proto.graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in names
    )
    proto.graph.node.insert(0, helper.make_node("Concat", names, ["X"], axis=1))
    path = tmp_path / "forest.onnx"
    path.write_bytes(proto.SerializeToString())
    model = load_model(path)
    assert model.names == tuple(names)
    plain = load_onnx_bytes(forest_bytes(), "m.onnx")
    assert plain.fingerprint == model.fingerprint
    assert np.array_equal(model.predict(WINE[0]), plain.predict(WINE[0]))
    agrees(path.read_bytes(), model)


def test_a_graph_of_one_row_runs_row_by_row() -> None:
    proto = onnx.load_model_from_string(forest_bytes())
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    model = load_onnx_bytes(bytes(proto.SerializeToString()), "m.onnx")
    plain = load_onnx_bytes(forest_bytes(), "m.onnx")
    assert np.array_equal(model.predict(WINE[0]), plain.predict(WINE[0]))


def test_converted_boosters() -> None:
    onnxmltools = pytest.importorskip("onnxmltools")
    xgboost, lightgbm = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")
    from onnxmltools.convert.common.data_types import FloatTensorType

    small = {"n_estimators": 6, "max_depth": 3, "n_jobs": 1}
    for data in (CANCER, WINE, DIABETES):
        kind = [("input", FloatTensorType([None, data[0].shape[1]]))]
        regression = data is DIABETES
        booster = (xgboost.XGBRegressor if regression else xgboost.XGBClassifier)(**small)
        proto = onnxmltools.convert_xgboost(booster.fit(*data), initial_types=kind)
        model = agrees(bytes(proto.SerializeToString()))
        if not regression:
            assert (booster.predict(data[0]) == model.predict(data[0])).mean() > 0.99
        gbm = lightgbm.LGBMRegressor if regression else lightgbm.LGBMClassifier
        light = gbm(**small, verbose=-1).fit(*data)
        proto = onnxmltools.convert_lightgbm(light, initial_types=kind)
        model = agrees(bytes(proto.SerializeToString()))
        if not regression:
            assert (light.predict(data[0]) == model.predict(data[0])).mean() > 0.98
        bagging = {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}
        light = gbm(**small, **bagging, verbose=-1).fit(*data)
        proto = onnxmltools.convert_lightgbm(light, initial_types=kind)
        if regression:
            agrees(bytes(proto.SerializeToString()))
            continue
        # The converter divides probabilities by the number of trees and takes the largest.
        with pytest.raises(UnsupportedError, match="ArrayFeatureExtractor"):
            load_onnx_bytes(bytes(proto.SerializeToString()), "m.onnx")
    poisson = lightgbm.LGBMRegressor(**small, objective="poisson", verbose=-1).fit(*DIABETES)
    proto = onnxmltools.convert_lightgbm(poisson, initial_types=kind)
    assert agrees(bytes(proto.SerializeToString())).structure.link == "exp"


def forest_bytes() -> bytes:
    forest = ensemble.RandomForestClassifier(3, max_depth=2, random_state=0).fit(*WINE)
    return converted(forest, 13, options={"zipmap": False})


def edited(**changes: object) -> bytes:
    proto = onnx.load_model_from_string(forest_bytes())
    node = proto.graph.node[0]
    for name, value in changes.items():
        kept = [a for a in node.attribute if a.name != name]
        del node.attribute[:]
        node.attribute.extend(kept)
        if value is not None:
            node.attribute.append(helper.make_attribute(name, value))
    return bytes(proto.SerializeToString())


def test_damaged_files_are_refused() -> None:
    whole = forest_bytes()
    for end in range(3, len(whole) - 1, max(1, len(whole) // 40)):
        with pytest.raises((ModelError, UnsupportedError)):
            load_onnx_bytes(whole[:end], "m.onnx")
    proto = onnx.load_model_from_string(whole)
    attributes = {a.name: helper.get_attribute_value(a) for a in proto.graph.node[0].attribute}
    for name, index, value, message in (
        ("nodes_truenodeids", 0, 999, "do not fit"),
        ("nodes_truenodeids", 0, 0, "does not exist|two ways"),
        ("nodes_featureids", 0, 99, "tests column 99"),
        ("nodes_values", 0, float("nan"), "not a number"),
        ("class_weights", 0, float("inf"), "not finite"),
        ("class_ids", 0, 77, "do not fit"),
        ("nodes_modes", 0, b"BRANCH_MAYBE", "BRANCH_MAYBE|'MAYBE'"),
    ):
        changed = list(attributes[name])
        changed[index] = value
        with pytest.raises((ModelError, UnsupportedError), match=message):
            load_onnx_bytes(edited(**{name: changed}), "m.onnx")
    with pytest.raises(ModelError, match="do not fit"):
        load_onnx_bytes(edited(nodes_values=attributes["nodes_values"][:-1]), "m.onnx")
    with pytest.raises(ModelError, match="do not fit"):
        load_onnx_bytes(edited(nodes_modes=None), "m.onnx")


def test_operators_that_are_not_supported_are_named() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with pytest.raises(UnsupportedError, match=r"0 tree ensembles.*LinearClassifier"):
        load_onnx_bytes(
            converted(LogisticRegression(C=1e-3).fit(WINE[0] / 1e3, WINE[1]), 13), "m.onnx"
        )
    scaled = make_pipeline(StandardScaler(), tree.DecisionTreeClassifier()).fit(*WINE)
    with pytest.raises(UnsupportedError, match=r"operator Scaler.*of ai.onnx.ml \d"):
        load_onnx_bytes(converted(scaled, 13), "m.onnx")
    proto = onnx.load_model_from_string(forest_bytes())
    proto.graph.node.append(proto.graph.node[0])
    with pytest.raises(UnsupportedError, match="2 tree ensembles"):
        load_onnx_bytes(bytes(proto.SerializeToString()), "m.onnx")
    with pytest.raises(UnsupportedError, match="aggregate_function MAX"):
        made = Random(0, 3, 1, ORDERED)
        made.tree(0, 2, lambda random: [(0, 1.0)])
        attributes = made.attributes("target") | {"n_targets": 1, "aggregate_function": "MAX"}
        node = helper.make_node(
            "TreeEnsembleRegressor", ["X"], ["Y"], domain="ai.onnx.ml", **attributes
        )
        load_onnx_bytes(graph([node], [("Y", TensorProto.FLOAT)], 3), "m.onnx")

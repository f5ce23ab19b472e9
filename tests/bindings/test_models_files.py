"""What is no model is refused in one line that says what it is and what to do."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.classifier import Classifier
from whyproof.engine.errors import DataError, InputError, ModelError, UnsupportedError
from whyproof.models import Model, fingerprint_of, load_model
from whyproof.models.simulate import SimulatedRuntime


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.pkl", b"x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.pkl", pickle.dumps([1]), "is a pickle; pickles can run code.*ONNX"),
        ("m.onnx", pickle.dumps([1], protocol=2), "is a pickle"),
        ("m.joblib", b"\x78\x9cabc", "compressed joblib pickle"),
        ("m.pickle", b"(lp0\nI1\na.", "is a pickle"),
        ("m.pt", zipped(), "zip archive.*pickles can run code"),
        ("m.zip", zipped(), "zip archive"),
        ("m.npz", zipped(), "whyproof-binarised-1"),
        ("m.json.gz", gzip.compress(b"{}", mtime=0), "gzip"),
        ("m.h5", b"\x89HDF\r\n", "HDF5"),
        ("m.cbm", b"CBM1....", "CatBoost"),
        ("m.bin", b"binf....", "XGBoost's old binary format"),
        ("m.pmml", b"<?xml version='1.0'?>", "XML"),
        ("m.csv", b"a,b\n1,2\n", "is no model that can be read"),
        ("m.parquet", b"PAR1....", "Parquet"),
        ("m.json", b"{}", "it has no 'learner'"),
        ("m.json", b"[1]", "is no model that can be read"),
        ("m.json", b"{" * 100_000, "is no complete XGBoost model"),
        ("m.json", b'{"learner": 3}', "no 'learner'"),
        ("m.ubj", b"{L" + b"\x00" * 30, "is no complete XGBoost model"),
        ("m.ubj", b"{" + b"[" * 5000, "is no complete XGBoost model"),
        ("m.txt", b"tree\nversion=v4\n", "'end of trees' is missing"),
        ("m.onnx", b"\x08\x07\x12", "ONNX"),
        ("m.onnx", b"\x08\x07", "no model|ONNX"),
        ("m", b"\x00" * 100, "is no model that can be read"),
    ],
)
def test_files_that_are_no_models(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    assert "m" in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        load_model(tmp_path / "absent.json")
    with pytest.raises(ModelError, match="folder"):
        load_model(tmp_path)
    path = tmp_path / "empty.json"
    path.touch()
    with pytest.raises(ModelError, match="is empty"):
        load_model(path)
    path.write_bytes(b"{" * 100)
    with pytest.raises(ModelError, match="100 bytes, more than the limit of 99; raise max_bytes"):
        load_model(path, max_bytes=99)
    with pytest.raises(ModelError, match="cannot be read"):
        load_model("a\0b")


def test_a_sparse_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(3 * 1024**3)
    with pytest.raises(ModelError, match="more than the limit of 2147483648"):
        load_model(path)


def test_objects_and_options_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"builtins\.int are not supported"):
        load_model(3)
    with pytest.raises(UnsupportedError, match="vote is for live"):
        load_model(tmp_path / "m.json", vote="majority")
    path = tmp_path / "m.json"
    path.write_bytes(b"{}")
    with pytest.raises(UnsupportedError, match="base_score is for XGBoost's text dumps"):
        load_model(path, base_score=0.5)


def two_leaves(**changes: object) -> TreeEnsemble:
    tree = Tree(
        column=np.array([0, -1, -1], dtype=np.int32),
        boundary=np.array([0.5, np.nan, np.nan]),
        left=np.array([1, -1, -1], dtype=np.int32),
        right=np.array([2, -1, -1], dtype=np.int32),
        missing_left=np.array([True, False, False]),
        values=np.array([[0.0], [-1.0], [2.0]]),
    )
    settings: dict[str, object] = {
        "n_columns": 2,
        "trees": (tree,),
        "base": np.zeros(1),
        "rule": DecisionRule.POSITIVE,
        "classes": ("no", "yes"),
    }
    return TreeEnsemble(**(settings | changes))  # type: ignore[arg-type]


def test_models_are_classifiers() -> None:
    structure = two_leaves()
    model = Model(structure, SimulatedRuntime(structure), "none")
    assert isinstance(model, Classifier)
    points = np.array([[0.0, 9.0], [0.5, 9.0], [np.nan, 9.0]])
    assert model.predict(points).tolist() == [0, 1, 0]
    assert model.scores(points).tolist() == [[0, -1], [0, 2], [0, -1]]
    model.verify()
    for wrong in (points[0], points[:, :1], np.zeros((2, 3))):
        with pytest.raises(DataError, match="shape"):
            model.predict(wrong)
    with pytest.raises(DataError, match="2 columns but 1 column names"):
        Model(structure, SimulatedRuntime(structure), "none", names=("a",))


def test_fingerprints_tell_what_decides() -> None:
    base = fingerprint_of(two_leaves())
    assert fingerprint_of(two_leaves()) == base
    assert fingerprint_of(two_leaves(slack=1.0)) == base
    assert fingerprint_of(two_leaves(base=-np.zeros(1))) == base
    different = [
        two_leaves(n_columns=3),
        two_leaves(base=np.array([1e-300])),
        two_leaves(rule=DecisionRule.NONNEGATIVE),
        two_leaves(classes=("yes", "no")),
        two_leaves(classes=(0, 1)),
        two_leaves(classes=("0", "1")),
        two_leaves(divisor=2),
        two_leaves(input_type="float64"),
        two_leaves(trees=()),
        two_leaves(rule=DecisionRule.VALUE, classes=()),
        two_leaves(rule=DecisionRule.VALUE, classes=(), link="exp"),
    ]
    assert len({base, *map(fingerprint_of, different)}) == len(different) + 1


class _Lying(SimulatedRuntime):
    def sums(self, points: np.ndarray) -> np.ndarray:
        return super().sums(points) + 0.01


class _Contrary(SimulatedRuntime):
    def predict(self, points: np.ndarray) -> np.ndarray:
        return 1 - super().predict(points)


@pytest.mark.parametrize(("kind", "message"), [(_Lying, "differ by 0.01"), (_Contrary, "decides")])
def test_a_runtime_that_contradicts_its_trees_is_refused(
    kind: type[SimulatedRuntime], message: str
) -> None:
    structure = two_leaves()
    with pytest.raises(UnsupportedError, match=message):
        Model(structure, kind(structure), "none").verify()

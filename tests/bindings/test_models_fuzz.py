"""Damaged files end in one line, never in another exception or a crash of a library.

Each file is a small real model with a few mutations; what still loads has passed the
importer's comparison with the library.  A crash takes the test run down: that is the
point, XGBoost and LightGBM trust their files.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable

import numpy as np
import pytest

from whyproof.engine.errors import WhyproofError
from whyproof.models import Model
from whyproof.models.from_lightgbm import load_lightgbm_bytes
from whyproof.models.from_onnx import load_onnx_bytes
from whyproof.models.from_xgboost import load_xgboost_bytes

sklearn = pytest.importorskip("sklearn")
xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")
skl2onnx = pytest.importorskip("skl2onnx")

ROUNDS = 150


def data() -> tuple[np.ndarray, np.ndarray]:
    X, y = sklearn.datasets.load_wine(return_X_y=True)
    codes = np.random.default_rng(0).integers(0, 6, len(X))
    return np.column_stack([X[:, :4], codes]), (y + (codes == 2)) % 3


def xgboost_file(form: str) -> bytes:
    X, y = data()
    rows = xgboost.DMatrix(X, label=y, feature_types=["q"] * 4 + ["c"], enable_categorical=True)
    settings = {"objective": "multi:softprob", "num_class": 3, "max_cat_to_onehot": 1}
    return bytes(xgboost.train({**settings, "max_depth": 3}, rows, 2).save_raw(form))


def lightgbm_file() -> bytes:
    X, y = data()
    settings = {"objective": "multiclass", "num_class": 3, "num_leaves": 6, "verbose": -1}
    settings |= {"min_data_per_group": 5, "min_data_in_leaf": 3, "cat_smooth": 1}
    rows = lightgbm.Dataset(X, y, categorical_feature=[4])
    return lightgbm.train(settings, rows, 2).model_to_string().encode()


def onnx_file() -> bytes:
    X, y = data()
    forest = sklearn.ensemble.RandomForestClassifier(3, max_depth=3, random_state=0).fit(X, y)
    return bytes(skl2onnx.to_onnx(forest, X[:1].astype(np.float32)).SerializeToString())


def places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    found = [path]
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value[:30])
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        found += places(item, (*path, key))
    return found


def mutate_json(whole: bytes, chance: random.Random) -> bytes:
    document = json.loads(whole)
    for _ in range(chance.randint(1, 2)):
        path = chance.choice(places(document)[1:])
        parent = document
        for key in path[:-1]:
            parent = parent[key]
        old = parent[path[-1]]
        new: object = chance.choice([None, "q", [], -1, 2**31 - 1, 1e30, chance.randint(-3, 60)])
        if isinstance(old, list) and old and chance.random() < 0.7:
            new = copy.deepcopy(old)
            at = chance.randrange(len(old))
            new.insert(at, old[0]) if chance.random() < 0.5 else new.pop(at)  # type: ignore[attr-defined]
        elif isinstance(old, str):
            new = str(new)
        parent[path[-1]] = new
    return json.dumps(document).encode()


def mutate_text(whole: bytes, chance: random.Random) -> bytes:
    lines = whole.decode().split("\n")
    for _ in range(chance.randint(1, 2)):
        at = chance.randrange(len(lines))
        kind = chance.randrange(3)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines[at] = lines[at][: chance.randint(0, len(lines[at]))]
        else:
            lines[at] = re.sub(
                r"-?\d+",
                lambda m: m[0] if chance.random() < 0.7 else str(chance.randint(-9, 70)),
                lines[at],
            )
    if chance.random() < 0.9:
        lines = [line for line in lines if not line.startswith("tree_sizes")]
    return "\n".join(lines).encode()


def mutate_bytes(whole: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(whole)
    for _ in range(chance.randint(1, 3)):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    return bytes(damaged)


@pytest.mark.parametrize(
    ("whole", "mutate", "load"),
    [
        (lambda: xgboost_file("json"), mutate_json, load_xgboost_bytes),
        (lambda: xgboost_file("ubj"), mutate_bytes, load_xgboost_bytes),
        (lightgbm_file, mutate_text, load_lightgbm_bytes),
        (onnx_file, mutate_bytes, load_onnx_bytes),
    ],
    ids=["xgboost json", "xgboost ubj", "lightgbm", "onnx"],
)
def test_damaged_files_end_in_one_line(
    whole: Callable[[], bytes],
    mutate: Callable[[bytes, random.Random], bytes],
    load: Callable[[bytes, str], Model],
) -> None:
    original = whole()
    assert load(original, "model").n_columns == 5
    chance = random.Random(0)
    refused = 0
    for _ in range(ROUNDS):
        try:
            load(mutate(original, chance), "model")
        except WhyproofError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > ROUNDS // 8

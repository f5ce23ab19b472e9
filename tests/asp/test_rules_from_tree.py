"""Rules made from a tree decide as the tree does, at its thresholds too."""

from __future__ import annotations

import numpy as np
import pytest

from whyproof.asp.rules import Table
from whyproof.asp.rules.from_tree import rules_of_tree
from whyproof.engine.errors import UnsupportedError
from whyproof.models import load_model

trees = pytest.importorskip("sklearn.tree")
ensembles = pytest.importorskip("sklearn.ensemble")


@pytest.mark.parametrize("seed", range(8))
def test_rules_decide_as_the_tree(seed: int) -> None:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(80, 3)).round(2)
    y = np.array(["a", "b", "c"])[(x @ draw.normal(size=(3, 3))).argmax(axis=1)]
    missing = seed % 2 == 1
    if missing:
        x[draw.random(x.shape) < 0.1] = np.nan
    fitted = trees.DecisionTreeClassifier(max_depth=4, random_state=seed).fit(x, y)
    rules = rules_of_tree(load_model(fitted).structure, ["u", "v", "w"])
    edges = []
    for column, threshold in zip(fitted.tree_.feature, fitted.tree_.threshold, strict=True):
        if column < 0 or not np.isfinite(threshold):
            continue
        near = np.float32(threshold)
        after = np.nextafter(near, np.float32(np.inf))
        middle = (float(near) + float(after)) / 2
        for centre in (float(threshold), float(near), float(after), middle):
            for value in (np.nextafter(centre, -np.inf), centre, np.nextafter(centre, np.inf)):
                row = x[draw.integers(len(x))].copy()
                row[column] = value
                edges.append(row)
    points = np.concatenate([x, draw.normal(size=(200, 3)), np.array(edges)])
    if missing:
        points[::7, seed % 3] = np.nan
    table = Table.of({name: points[:, k] for k, name in enumerate("uvw")})
    assert rules.predict(table).tolist() == fitted.predict(points).tolist()


def test_other_models_are_refused() -> None:
    x, y = np.arange(8.0)[:, None], np.arange(8) % 2
    forest = ensembles.RandomForestClassifier(3, random_state=0).fit(x, y)
    with pytest.raises(UnsupportedError, match="3 trees"):
        rules_of_tree(load_model(forest).structure, ["x"])
    regressor = trees.DecisionTreeRegressor().fit(x, y)
    with pytest.raises(UnsupportedError, match="value"):
        rules_of_tree(load_model(regressor).structure, ["x"])

"""Decision graphs from JSON, and single trees of scikit-learn by their leaves."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from whyproof.cli import main
from whyproof.encodings.graphs.single_tree import SingleTreeOracle
from whyproof.engine.errors import ModelError
from whyproof.engine.explanation import Kind
from whyproof.engine.question import MoveBeyond
from whyproof.engine.space import FeatureSpace
from whyproof.explainer import Explainer
from whyproof.models import load_model

DOCUMENT: dict[str, object] = {
    "format": "whyproof-graph-1",
    "columns": [{"name": "age"}, {"name": "job", "values": ["clerk", "cook", "vet"]}],
    "classes": ["no", "yes"],
    "root": "start",
    "nodes": {
        "start": {"test": "age", "below": 40, "yes": "a", "no": "old"},
        "a": {"test": "job", "in": ["cook"], "yes": "y", "no": "n", "missing": "yes"},
        "old": {"test": "age", "at_most": 60, "yes": "a", "no": "y"},
        "y": {"class": "yes"},
        "n": {"class": "no"},
    },
}


def test_a_document_comes_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "graph.json").write_text(json.dumps(DOCUMENT))
    (tmp_path / "rows.csv").write_text("age,job\n30,clerk\n70,cook\n30,\n")
    model = load_model(tmp_path / "graph.json")
    points = np.array([[30.0, 0], [60, 0], [60.1, 0], [30, 1], [30, np.nan]])
    assert model.predict(points).tolist() == [0, 0, 1, 1, 1]
    arguments = [str(tmp_path / "graph.json"), str(tmp_path / "rows.csv"), "--row", "0"]
    assert main(["enumerate", *arguments]) == 0
    out = capsys.readouterr().out
    assert "1 AXp and 2 CXps: these are all." in out
    assert "instead of clerk" in out
    for to in ("cnf", "opb", "lp", "asp"):
        written = tmp_path / f"problem.{to}"
        assert main(["encode", *arguments, "--to", to, "--out", str(written)]) == 0
        assert "fixed job" in written.read_text()
        assert model.fingerprint in written.read_text()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("nodes", "a", "yes"), "z", "is no node"),
        (("nodes", "a", "test"), "jib", "did you mean 'job'"),
        (("nodes", "a", "in"), ["cok"], "did you mean 'cook'"),
        (("nodes", "a", "missing"), "perhaps", "missing is yes or no"),
        (("nodes", "start", "below"), "forty", "is a number"),
        (("nodes", "start", "at_most"), 3, "needs one of"),
        (("nodes", "y", "class"), "maybe", "is no class"),
        (("nodes", "old", "no"), "start", "circle"),
        (("root",), "nowhere", "the root"),
        (("nodes",), 3, "no decision graph"),
        (("classes",), None, "no decision graph"),
    ],
)
def test_bad_documents_are_named(
    tmp_path: Path, path: tuple[str, ...], value: object, message: str
) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    (tmp_path / "graph.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path / "graph.json")


def test_a_field_that_is_absent_is_named(tmp_path: Path) -> None:
    (tmp_path / "graph.json").write_text(
        json.dumps({k: v for k, v in DOCUMENT.items() if k != "root"})
    )
    with pytest.raises(ModelError, match="no field 'root'"):
        load_model(tmp_path / "graph.json")


def test_a_tree_knows_all_its_contrastive_explanations() -> None:
    X, y = load_wine(return_X_y=True)
    tree = DecisionTreeClassifier(max_depth=5, random_state=0).fit(X, y)
    explainer = Explainer(load_model(tree))
    for row in X[::40]:
        oracle = explainer.oracle(explainer.problem(row))
        assert isinstance(oracle, SingleTreeOracle)
        found = list(explainer.enumerate(row))
        members = {kind: {e.members for e in found if e.kind is kind} for kind in Kind}
        assert members[Kind.CXP] == set(oracle.contrastive)
        for axp, cxp in itertools.product(members[Kind.AXP], members[Kind.CXP]):
            assert axp & cxp
        why = explainer.explain(row, smallest=True)
        assert why is not None and len(why) == min(map(len, members[Kind.AXP]))
        assert why.margin is not None and why.margin > 0


def test_a_regression_tree_moves_beyond_a_distance() -> None:
    X, y = load_wine(return_X_y=True)
    tree = DecisionTreeRegressor(max_depth=4, random_state=0).fit(X, X[:, 0] + y)
    names = [f"x{i}" for i in range(13)]
    explainer = Explainer(load_model(tree), FeatureSpace.of(names), question=MoveBeyond(0.3))
    flip = explainer.explain(X[0], "cxp", smallest=True)
    assert flip is not None and len(flip) == 1

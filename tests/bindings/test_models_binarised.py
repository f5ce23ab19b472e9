"""Binarised networks: files and torch modules, and every answer against all inputs."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whyproof.cli import main
from whyproof.encodings.circuits.asp import CircuitAspOracle
from whyproof.encodings.circuits.binarised import BinarisedLayer, BinarisedNetwork
from whyproof.encodings.circuits.milp import CircuitMilpOracle
from whyproof.encodings.circuits.oracle import CircuitOracle
from whyproof.engine.answers import Entailed
from whyproof.engine.budget import Budget
from whyproof.engine.domain import Boolean
from whyproof.engine.errors import ModelError, UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSpace
from whyproof.explainer import Explainer
from whyproof.models import load_model
from whyproof.models.from_binarised import binarised_model

DOCUMENT = {
    "format": "whyproof-binarised-1",
    "columns": ["age", "debt"],
    "classes": ["no", "yes"],
    "inputs": [[0, 40.5], [1, 2.0]],
    "layers": [{"weights": [[1, -1], [1, 0]], "thresholds": [0, 1]}],
    "output": {"weights": [[-1, 0], [1, 1]], "biases": [0, 0]},
}


@st.composite
def networks(draw: st.DrawFn) -> BinarisedNetwork:
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    n, width = int(random.integers(1, 6)), int(random.integers(1, 7))
    columns = tuple(range(n)) + ((0,) if random.random() < 0.5 else ())
    cuts = tuple(random.choice([0.0, 0.5, 1.0], len(columns)).tolist())
    layers = []
    inputs = len(columns)
    for _ in range(int(random.integers(0, 3))):
        weights = random.integers(-1, 2, (width, inputs))
        thresholds = random.choice([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0, np.inf, -np.inf], width)
        layers.append(BinarisedLayer(weights, thresholds))
        inputs = width
    classes = int(random.integers(2, 4))
    return BinarisedNetwork(
        n,
        columns,
        cuts,
        tuple(layers),
        random.integers(-2, 3, (classes, inputs)),
        random.choice([0.0, 0.5, -1.0, 1 / 3], classes),
        tuple("ABC"[:classes]),
    )


def _axps(table: np.ndarray, outcome: np.ndarray, row: np.ndarray) -> set[frozenset[int]]:
    own = outcome[(table == row).all(axis=1)][0]
    found: list[frozenset[int]] = []
    for size in range(table.shape[1] + 1):
        for fixed in map(frozenset, itertools.combinations(range(table.shape[1]), size)):
            same = (table[:, list(fixed)] == row[list(fixed)]).all(axis=1)
            if (outcome[same] == own).all() and not any(f <= fixed for f in found):
                found.append(fixed)
    return set(found)


@given(networks())
@settings(max_examples=60, deadline=None)
def test_all_explanations_are_those_of_all_inputs(network: BinarisedNetwork) -> None:
    model = binarised_model(network)
    names = [f"x{i}" for i in range(network.n_columns)]
    table = np.array(list(itertools.product([-1.0, 0.0, 0.5, 1.0], repeat=network.n_columns)))
    outcome = network.predict(table)
    assert (model.structure.predict(table) == outcome).all()
    explainer = Explainer(model, FeatureSpace.of(names))
    row = table[len(table) // 2]
    found = explainer.enumerate(row, kinds=["axp"])
    assert {e.members for e in found} == _axps(table, outcome, row)


@given(networks(), st.integers(0, 31))
@settings(max_examples=40, deadline=None)
def test_three_encodings_agree(network: BinarisedNetwork, bits: int) -> None:
    names = [f"x{i}" for i in range(network.n_columns)]
    space = FeatureSpace.of(names, dict.fromkeys(names, Boolean()))
    problem = ExplanationProblem(binarised_model(network), space, np.zeros(network.n_columns))
    free = frozenset(i for i in range(network.n_columns) if bits >> i & 1)
    kinds = set()
    for make in (CircuitOracle, CircuitMilpOracle, CircuitAspOracle):
        answer = make(problem).decide([free], Budget().start())[0]
        kinds.add(type(answer))
        if not isinstance(answer, Entailed):
            problem.replay(answer.point, free)  # type: ignore[union-attr]
    assert len(kinds) == 1


def test_a_document_comes_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.json").write_text(json.dumps(DOCUMENT))
    (tmp_path / "rows.csv").write_text("debt,age\n1,30\n3,50\n")
    model = load_model(tmp_path / "net.json")
    assert model.names == ("age", "debt")
    assert model.predict(np.array([[30.0, 3.0], [50.0, 1.0]])).tolist() == [0, 1]
    arguments = [str(tmp_path / "net.json"), str(tmp_path / "rows.csv"), "--row", "1"]
    assert main(["explain", *arguments]) == 0
    assert "age = 50" in capsys.readouterr().out


def test_an_npz_file_comes_in(tmp_path: Path) -> None:
    file = tmp_path / "net.npz"
    np.savez(
        file,
        classes=np.array(["no", "yes"]),
        columns=np.array([0, 1]),
        cuts=np.array([40.5, 2.0]),
        weights_0=np.array([[1, -1], [1, 0]]),
        thresholds_0=np.array([0, 1]),
        output_weights=np.array([[-1, 0], [1, 1]]),
        output_biases=np.zeros(2),
    )
    (tmp_path / "net.json").write_text(json.dumps({**DOCUMENT, "columns": []}))
    assert load_model(file).fingerprint == load_model(tmp_path / "net.json").fingerprint
    np.savez(tmp_path / "bad.npz", classes=np.array(["no"]))
    with pytest.raises(ModelError, match="no array 'columns'"):
        load_model(tmp_path / "bad.npz")
    objects = tmp_path / "objects.npz"
    np.savez(objects, classes=np.array([{}], dtype=object), columns=[0])
    with pytest.raises(ModelError, match="no npz file"):
        load_model(objects)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": [{"weights": [[2, 0]], "thresholds": [0]}]}, "none of -1, 0 and 1"),
        ({"layers": [{"weights": [[1]], "thresholds": [0]}]}, r"shape \(1, 1\)"),
        ({"output": {"weights": [[1, 1]], "biases": [0, 0]}}, "2 classes"),
        ({"output": {"weights": [[1, 0.5], [0, 1]], "biases": [0, 0]}}, "whole numbers"),
        ({"inputs": [[0, 40.5], [7, 2.0]]}, "beyond the 2"),
        ({"inputs": 3}, "no binarised network"),
        ({"output": {"weights": [[-1, 0], [1, 1]]}}, "no field 'biases'"),
        ({"inputs": [[0, float("nan")], [1, 2.0]]}, "not finite"),
    ],
)
def test_bad_documents_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    (tmp_path / "net.json").write_text(json.dumps({**DOCUMENT, **change}))
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path / "net.json")


def _modules(seed: int, *, sign_first: bool, norm: bool) -> object:
    torch = pytest.importorskip("torch")

    class Sign(torch.nn.Module):  # type: ignore[name-defined,misc]
        def forward(self, x: object) -> object:
            return torch.where(x >= 0, 1.0, -1.0)

    torch.manual_seed(seed)

    def linear(a: int, b: int) -> object:
        layer = torch.nn.Linear(a, b)
        with torch.no_grad():
            layer.weight.copy_(torch.randint(-1, 2, (b, a)).float())
            layer.bias.copy_(torch.randint(-2, 3, (b,)).float() / 2)
        return layer

    def normalised(width: int) -> list[object]:
        if not norm:
            return [Sign()]
        layer = torch.nn.BatchNorm1d(width)
        with torch.no_grad():
            layer.weight.copy_(torch.randn(width))
            layer.bias.copy_(torch.randn(width))
            layer.running_mean.copy_(torch.randn(width))
        return [layer, Sign()]

    first = [torch.nn.BatchNorm1d(4), Sign()] if sign_first and norm else [Sign()] * sign_first
    hidden = [linear(4, 6), *normalised(6), linear(6, 5), *normalised(5)]
    return torch.nn.Sequential(*first, *hidden, linear(5, 3)).eval()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sign_first", [False, True])
@pytest.mark.parametrize("norm", [False, True])
def test_torch_modules_decide_as_their_circuits(seed: int, sign_first: bool, norm: bool) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    module = _modules(seed, sign_first=sign_first, norm=norm)
    model = load_model(module)
    table = np.array(list(itertools.product([0.0, 1.0], repeat=4)))
    if sign_first:
        table = np.random.default_rng(seed).normal(0, 1, (300, 4))
    expected = module(torch.tensor(table, dtype=torch.float32)).argmax(1).numpy()  # type: ignore[operator]
    assert (model.predict(table) == expected).all()
    assert (model.structure.predict(table) == expected).all()
    why = Explainer(model).explain(table[0])
    assert why is not None and why.open == frozenset()


def test_modules_that_are_not_binarised_are_named() -> None:
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Sign(nn.Module):  # type: ignore[name-defined,misc]
        def forward(self, x: object) -> object:
            return torch.sign(x)

    def whole(a: int, b: int) -> object:
        layer = nn.Linear(a, b, bias=False)
        with torch.no_grad():
            layer.weight.copy_(torch.ones(b, a))
        return layer

    with pytest.raises(UnsupportedError, match="binarise weights"):
        load_model(nn.Sequential(nn.Linear(2, 2), Sign(), whole(2, 2)))
    with pytest.raises(UnsupportedError, match="bias of one half"):
        load_model(nn.Sequential(whole(2, 2), Sign(), whole(2, 2)))
    with pytest.raises(UnsupportedError, match="ReLU is not binarised"):
        load_model(nn.Sequential(whole(2, 2), nn.ReLU(), whole(2, 2), Sign(), whole(2, 2)))
    with pytest.raises(UnsupportedError, match="end with a linear layer"):
        load_model(nn.Sequential(whole(2, 2), Sign()))

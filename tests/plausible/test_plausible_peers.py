"""Other people's packages: with stand-ins called the same way, and for real where installed."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pandas = pytest.importorskip("pandas")

from whyproof.engine.errors import MissingExtraError, UnsupportedError  # noqa: E402
from whyproof.plausible.baselines.dice import dice  # noqa: E402
from whyproof.plausible.baselines.glance_package import glance_package  # noqa: E402
from whyproof.plausible.fitting import Fit  # noqa: E402
from whyproof.plausible.flow_training import FlowTraining  # noqa: E402
from whyproof.plausible.perceptron import Perceptron  # noqa: E402
from whyproof.plausible.search import PlausibleSearch  # noqa: E402
from whyproof.plausible.zuko_flow import ZukoFlow  # noqa: E402

ROWS = np.random.default_rng(0).random((80, 2))


def searched() -> PlausibleSearch:
    model = Perceptron([(torch.tensor([[-3.0, 0.0], [3.0, 0.0]]), torch.tensor([1.5, -1.5]))])
    return PlausibleSearch.fit(model, ROWS, density="mixture")


def install(monkeypatch: pytest.MonkeyPatch, name: str, **members: object) -> None:
    parts = name.split(".")
    for i in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:i]), ModuleType(".".join(parts[:i])))
    for key, value in members.items():
        setattr(sys.modules[name], key, value)


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


class NoneFound(Exception):
    """What DiCE raises."""


class Explainer:
    """Answers as DiCE does: nothing, an error, or the nearest row of the class."""

    def __init__(self, described: Any, model: Any, method: str) -> None:
        assert method == "random"
        self.frame, self.model = described, model

    def generate_counterfactuals(self, query: Any, **options: Any) -> Any:
        assert options["total_CFs"] == 1 and len(query) == 1
        first = float(query.to_numpy()[0, 0])
        if first < 0.1:
            raise NoneFound
        if first < 0.2:
            return SimpleNamespace(cf_examples_list=[SimpleNamespace(final_cfs_df=None)])
        known = self.frame.drop(columns=["outcome"])
        reached = known[self.model.predict(known) == options["desired_class"]]
        assert self.model.predict_proba(known).shape == (len(known), 2)
        found = reached.iloc[[0]].assign(outcome=options["desired_class"])
        return SimpleNamespace(cf_examples_list=[SimpleNamespace(final_cfs_df=found)])


def test_dice_is_called_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    install(
        monkeypatch,
        "dice_ml",
        Data=lambda dataframe, continuous_features, outcome_name: dataframe,
        Model=lambda model, backend: model,
        Dice=Explainer,
    )
    install(monkeypatch, "raiutils.exceptions", UserConfigValidationException=NoneFound)
    search = searched()
    rows = np.array([[0.05, 0.5], [0.15, 0.5], [0.3, 0.5]])
    points = dice(search.subject, ROWS, rows, 1)
    assert np.array_equal(points[:2], rows[:2])
    assert search.subject.says(points)[2] == 1


def test_dice_names_the_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "dice_ml")
    with pytest.raises(MissingExtraError, match=r"dice_ml .*whyproof\[peers\]"):
        dice(searched().subject, ROWS, ROWS[:1], 1)


def test_dice_itself_finds_points() -> None:
    pytest.importorskip("dice_ml")
    search = searched()
    rows = ROWS[search.subject.says(ROWS) == 0][:2]
    assert (search.subject.says(dice(search.subject, ROWS, rows, 1)) == 1).all()


class CGlance:
    """Called as the class of the package; two actions, one of which flips only some rows."""

    def __init__(self, model: Any, **options: Any) -> None:
        assert options["initial_clusters"] == 5 and options["final_clusters"] == 2
        self.model = model

    def fit(self, known: Any, said: Any, train: Any, **options: Any) -> None:
        assert list(train.columns) == [*known.columns, "target"]
        assert set(said) <= {0, 1}
        assert options["cf_generator"] == "NearestNeighbors"

    def explain_group(self, asked: Any) -> tuple[int, float]:
        assert (self.model.predict(asked) == 0).all()
        return 1, 1.0

    def global_actions(self) -> list[Any]:
        return [pandas.Series({"f0": 0.9, "f1": 0.0}), pandas.Series({"f0": 0.2, "f1": 0.0})]


def test_glance_is_called_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "humancompatible.explain.glance.iterative_merges.iterative_merges"
    install(monkeypatch, name, C_GLANCE=CGlance)
    parent = sys.modules["humancompatible.explain.glance.iterative_merges"]
    monkeypatch.setattr(parent, "iterative_merges", sys.modules[name], raising=False)
    search = searched()
    rows = np.array([[0.05, 0.5], [0.2, 0.5], [0.35, 0.5], [0.45, 0.5], [0.02, 0.1]])
    points, action = glance_package(search.subject, ROWS, rows, 1, 2)
    said = search.subject.says(rows + np.array([0.2, 0.0])) == 1
    # The small action where it suffices, else the large one.
    assert action.tolist() == [1 if s else 0 for s in said]
    assert np.allclose((points - rows)[:, 0], np.where(said, 0.2, 0.9))


def test_glance_says_where_its_package_is(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "humancompatible")
    with pytest.raises(UnsupportedError, match=r"github\.com/humancompatible/explain"):
        glance_package(searched().subject, ROWS, ROWS[:5], 1, 2)


class Lazy(torch.nn.Module):
    """Called as a masked autoregressive flow of zuko."""

    def __init__(self, columns: int, classes: int, **options: Any) -> None:
        super().__init__()
        assert set(options) == {"transforms", "hidden_features"}
        self.centre = torch.nn.Parameter(torch.zeros(classes, columns))

    def forward(self, context: Any) -> Any:
        normal = torch.distributions.Normal(context @ self.centre, 0.3)
        return torch.distributions.Independent(normal, 1)


def test_a_flow_of_zuko_is_trained_like_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "zuko.flows", MAF=Lazy)
    monkeypatch.setattr(sys.modules["zuko"], "flows", sys.modules["zuko.flows"], raising=False)
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60).astype(np.int64)
    points = random.normal(0.3, 0.1, (120, 2)) + 0.5 * labels[:, None]
    how = FlowTraining(noise=0.0, fit=Fit(batch=32, rate=5e-2, epochs=30))
    density = ZukoFlow.trained(points, labels, how)
    middle = [np.asarray(density._flow.centre[k]) for k in (0, 1)]
    for k in (0, 1):
        assert np.abs(middle[k] - points[labels == k].mean(axis=0)).max() < 0.06
    again = ZukoFlow.trained(points, labels, how)
    assert torch.equal(density._flow.centre, again._flow.centre)


def test_without_zuko_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "zuko")
    with pytest.raises(MissingExtraError, match=r"whyproof\[flows\]"):
        ZukoFlow.trained(ROWS, np.zeros(len(ROWS), dtype=np.int64))


def test_zuko_itself_is_a_density() -> None:
    pytest.importorskip("zuko")
    model = Perceptron([(torch.tensor([[-3.0, 0.0], [3.0, 0.0]]), torch.tensor([1.5, -1.5]))])
    quick = FlowTraining(2, 8, 1, 0.03, Fit(epochs=5))
    search = PlausibleSearch.fit(model, ROWS, density="zuko", training=quick)
    assert search.density is not None and search.density.name == "zuko flow"
    found = search.local(ROWS[:10])
    assert found.valid.all()

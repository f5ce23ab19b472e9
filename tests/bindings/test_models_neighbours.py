"""Scikit-learn's nearest neighbours, alone and behind scaling and encoding."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris, load_wine
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, MinMaxScaler, OneHotEncoder, StandardScaler

from whyproof.encodings.neighbours.model import NeighbourModel
from whyproof.engine.domain import Integers, Real
from whyproof.engine.errors import DataError, ModelError, UnsupportedError
from whyproof.engine.space import FeatureSpace
from whyproof.explainer import Explainer
from whyproof.models import load_model
from whyproof.spaces import infer_space
from whyproof.tables import Table

IRIS = load_iris(return_X_y=True)
WINE = load_wine(return_X_y=True)


def _space(X: np.ndarray) -> FeatureSpace:
    names = [f"x{i}" for i in range(X.shape[1])]
    ends = zip(X.min(axis=0).tolist(), X.max(axis=0).tolist(), strict=True)
    return FeatureSpace.of(
        names, {n: Real(lower=a, upper=b) for n, (a, b) in zip(names, ends, strict=True)}
    )


@pytest.mark.parametrize("algorithm", ["brute", "kd_tree"])
@pytest.mark.parametrize(
    ("k", "p", "weights"),
    [(1, 2, "uniform"), (3, 1, "uniform"), (2, 2, "distance"), (4, 2, "uniform")],
)
def test_neighbours_explain(k: int, p: int, weights: str, algorithm: str) -> None:
    random = np.random.default_rng(0)
    X, y = IRIS[0] + random.normal(0, 0.01, IRIS[0].shape), IRIS[1]
    fitted = KNeighborsClassifier(k, p=p, weights=weights, algorithm=algorithm).fit(X[::3], y[::3])
    model = load_model(fitted)
    points = random.uniform(X.min(axis=0), X.max(axis=0), (200, 4))
    assert (model.predict(points) == fitted.predict(points)).all()
    assert (model.structure.predict(points) == model.predict(points)).all()
    explainer = Explainer(model, _space(X))
    why = explainer.explain(X[0])
    assert why is not None and not why.open
    corners = np.repeat(X[:1], 400, axis=0)
    free = [i for i in range(4) if i not in why.members]
    corners[:, free] = random.uniform(X.min(axis=0), X.max(axis=0), (400, 4))[:, free]
    assert (fitted.predict(corners) == fitted.predict(X[:1])[0]).all()
    flip = explainer.explain(X[0], "cxp", smallest=True)
    assert flip is not None and fitted.predict(flip.evidence.point[None])[0] != y[0]  # type: ignore[union-attr]


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler()])
def test_scaled_neighbours_speak_of_original_columns(scaler: object) -> None:
    X, y = WINE[0][:, :5], WINE[1]
    fitted = make_pipeline(scaler, KNeighborsClassifier(3)).fit(X[::4], y[::4])
    model = load_model(fitted)
    assert isinstance(model.structure, NeighbourModel)
    explainer = Explainer(model, _space(X))
    flip = explainer.explain(X[0], "cxp", smallest=True)
    assert flip is not None
    point = flip.evidence.point  # type: ignore[union-attr]
    assert fitted.predict(point[None])[0] != fitted.predict(X[:1])[0]


def test_words_in_front_of_neighbours() -> None:
    pandas = pytest.importorskip("pandas")
    random = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {"age": random.normal(40, 10, 60), "job": random.choice(["cook", "clerk", "vet"], 60)}
    )
    label = np.where((frame.age > 40) ^ (frame.job == "vet"), "yes", "no")
    columns = ColumnTransformer([("a", StandardScaler(), ["age"]), ("j", OneHotEncoder(), ["job"])])
    model = load_model(make_pipeline(columns, KNeighborsClassifier(1)).fit(frame, label))
    table = Table.of({"age": frame.age.tolist(), "job": frame.job.tolist()})
    explainer = Explainer(model, infer_space(table, model, ranges="data"))
    found = list(explainer.enumerate([frame.age[0], frame.job[0]]))
    assert found and all(set(e.features) <= {"age", "job"} for e in found)


def test_whole_numbers_stay_whole() -> None:
    X = np.array([[0.0, 0], [100, 0], [0, 100], [90, 95]])
    model = load_model(KNeighborsClassifier(1).fit(X, [0, 1, 0, 1]))
    domain = Integers(lower=0, upper=100)
    explainer = Explainer(model, FeatureSpace.of("ab", {"a": domain, "b": domain}))
    flip = explainer.explain(X[0], "cxp")
    assert flip is not None and flip.features == ("a",)
    assert float(flip.evidence.point[0]).is_integer()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (KNeighborsClassifier(3, metric="chebyshev"), "chebyshev"),
        (KNeighborsClassifier(3, p=3), "minkowski"),
        (KNeighborsClassifier(3, weights="distance"), "votes of 3 neighbours by distance"),
        (KNeighborsClassifier(3, weights=lambda d: 1 / (d + 1)), "weights of its own"),
        (KNeighborsRegressor(3), "KNeighborsRegressor are not supported"),
        (make_pipeline(Binarizer(), KNeighborsClassifier(3)), "clipped or binarised"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_is_not_supported_is_named(estimator: object, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        load_model(estimator.fit(*IRIS))  # type: ignore[attr-defined]


def test_unfitted_large_and_unbounded() -> None:
    with pytest.raises(ModelError, match="not fitted"):
        load_model(KNeighborsClassifier())
    random = np.random.default_rng(0)
    large = KNeighborsClassifier().fit(random.normal(0, 1, (2001, 2)), random.integers(0, 2, 2001))
    with pytest.raises(UnsupportedError, match=r"too large.*surrogate rules"):
        load_model(large)
    model = load_model(KNeighborsClassifier().fit(*IRIS))
    with pytest.raises(DataError, match="unbounded"):
        Explainer(model).explain(IRIS[0][0])

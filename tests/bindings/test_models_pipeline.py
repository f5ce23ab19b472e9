"""Pipelines: the model over the original columns is the pipeline that runs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

from whyproof.encodings.trees.ensemble import TreeEnsemble
from whyproof.engine.domain import Boolean, Categories
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSpace
from whyproof.explainer import Explainer
from whyproof.models import load_model
from whyproof.models.column_maps import Arithmetic, Chain, preimages

RANDOM = np.random.default_rng(3)
NUMBERS = np.column_stack(
    [RANDOM.normal(40, 12, 160), RANDOM.exponential(3.0, 160), RANDOM.normal(0, 1e-3, 160)]
)
LABELS = np.where(NUMBERS[:, 0] + 4 * NUMBERS[:, 1] > 52, "yes", "no")
FINALS = [
    LogisticRegression(),
    GaussianNB(),
    BernoulliNB(),
    DecisionTreeClassifier(max_depth=4, random_state=0),
    RandomForestClassifier(5, max_depth=4, random_state=0),
    GradientBoostingClassifier(n_estimators=5, random_state=0),
]
SCALERS = [
    [StandardScaler()],
    [MinMaxScaler()],
    [MinMaxScaler(clip=True), StandardScaler()],
    [RobustScaler(), MaxAbsScaler()],
    [SimpleImputer(strategy="median"), StandardScaler(with_mean=False)],
    [Binarizer(threshold=3.0)],
    [SelectKBest(k=2), StandardScaler()],
]


def _fresh(estimator: object) -> object:
    from sklearn.base import clone

    return clone(estimator)


@pytest.mark.parametrize("final", FINALS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("steps", SCALERS, ids=lambda s: "-".join(type(e).__name__ for e in s))
def test_scaled_models_decide_as_their_pipeline(steps: list[object], final: object) -> None:
    pipeline = make_pipeline(*(_fresh(s) for s in steps), _fresh(final)).fit(NUMBERS, LABELS)
    model = load_model(pipeline)
    structure = model.structure
    points = np.concatenate([NUMBERS, NUMBERS * 10 - 50, -NUMBERS])
    if isinstance(structure, TreeEnsemble):
        # On both sides of every boundary, where a wrong preimage would show.
        for tree in structure.trees:
            for node in np.flatnonzero((tree.column >= 0) & np.isfinite(tree.boundary)):
                boundary = tree.boundary[node]
                for value in (boundary, np.nextafter(boundary, -np.inf)):
                    point = NUMBERS[:1].copy()
                    point[0, tree.column[node]] = value
                    points = np.concatenate([points, point])
    expected = pipeline.predict(points)
    assert (np.array(model.classes)[model.predict(points)] == expected).all()
    assert (np.array(model.classes)[structure.predict(points)] == expected).mean() > 0.999
    assert np.allclose(structure.sums(points), model.runtime.sums(points), rtol=1e-9, atol=1e-9)


def _frame() -> tuple[object, np.ndarray]:
    pandas = pytest.importorskip("pandas")
    random = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "age": random.normal(40, 10, 200),
            "job": random.choice(["cook", "clerk", "vet"], 200),
            "sex": random.choice(["f", "m"], 200),
            "rooms": random.integers(1, 5, 200),
        }
    )
    labels = np.where((frame.age > 40) ^ (frame.job == "clerk") ^ (frame.rooms > 3), "yes", "no")
    return frame, labels


def _encoded(final: object) -> object:
    columns = ColumnTransformer(
        [
            ("age", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
            ("words", OneHotEncoder(drop="if_binary"), ["job", "sex"]),
            ("rooms", OrdinalEncoder(), ["rooms"]),
        ]
    )
    return make_pipeline(columns, final)


@pytest.mark.parametrize("final", FINALS, ids=lambda e: type(e).__name__)
def test_words_come_back_as_words(final: object) -> None:
    frame, labels = _frame()
    pipeline = _encoded(_fresh(final)).fit(frame, labels)
    model = load_model(pipeline)
    assert model.names == ("age", "job", "sex", "rooms")
    assert model.domains[1] == Categories(values=("clerk", "cook", "vet"))
    assert model.domains[3] == Categories(values=(1, 2, 3, 4))
    explainer = Explainer(model)
    rows = np.array(
        [explainer.space.encode([frame.iloc[i][name] for name in model.names]) for i in range(60)]
    )
    assert (np.array(model.classes)[model.predict(rows)] == pipeline.predict(frame[:60])).all()
    assert (model.structure.predict(rows) == model.predict(rows)).all()
    row = [frame.iloc[0][name] for name in model.names]
    for kind in Kind:
        found = explainer.explain(row, kind)
        assert found is not None
        assert set(found.features) <= {"age", "job", "sex", "rooms"}


@pytest.mark.parametrize("final", FINALS[2:5], ids=lambda e: type(e).__name__)
def test_all_explanations_over_words_agree_with_all_rows(final: object) -> None:
    frame, labels = _frame()
    names = ["job", "sex", "rooms"]
    steps = ColumnTransformer([("w", OneHotEncoder(), names)])
    pipeline = make_pipeline(steps, _fresh(final)).fit(frame[names], labels)
    explainer = Explainer(load_model(pipeline))
    sizes = [len(c.domain.values) for c in explainer.space.columns]  # type: ignore[attr-defined]
    table = np.array(list(itertools.product(*(range(s) for s in sizes))), dtype=float)
    outcome = explainer.model.predict(table)
    for row in table[::5]:
        mine = explainer.model.predict(row[None])[0]
        weak = []
        for size in range(4):
            for fixed in itertools.combinations(range(3), size):
                same = (table[:, list(fixed)] == row[list(fixed)]).all(axis=1)
                if (outcome[same] == mine).all() and not any(w <= set(fixed) for w in weak):
                    weak.append(set(fixed))
        found = explainer.enumerate(row, kinds=["axp"])
        assert {frozenset(e.members) for e in found} == {frozenset(w) for w in weak}


def test_gaps_are_filled_as_the_pipeline_fills_them() -> None:
    frame, labels = _frame()
    pipeline = _encoded(LogisticRegression()).fit(frame, labels)
    model = load_model(pipeline)
    assert model.accepts_missing
    point = np.array([[math.nan, 0.0, 1.0, 2.0], [40.0, 0.0, 1.0, math.nan]])
    filled = frame[:1].assign(age=math.nan, job="clerk", sex="m", rooms=3)
    assert model.classes[int(model.predict(point[:1])[0])] == pipeline.predict(filled)[0]
    assert np.allclose(model.structure.sums(point[:1]), model.runtime.sums(point[:1]))
    with pytest.raises(DataError, match="rooms"):
        model.predict(point[1:])


def test_regressors_and_naive_bayes_over_codes() -> None:
    frame, labels = _frame()
    ridge = make_pipeline(StandardScaler(), Ridge()).fit(NUMBERS, NUMBERS[:, 0] * 2)
    model = load_model(ridge)
    assert model.is_regressor
    assert np.allclose(model.structure.sums(NUMBERS)[:, 0], ridge.predict(NUMBERS))
    words = frame[["job", "sex"]]
    bayes = make_pipeline(OrdinalEncoder(), CategoricalNB()).fit(words, labels)
    codes = np.array(list(itertools.product(range(3), range(2))), dtype=float)
    model = load_model(bayes)
    assert np.allclose(model.structure.sums(codes), model.runtime.sums(codes))


@given(
    st.floats(-1e3, 1e3),
    st.floats(1e-3, 1e3),
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8),
)
@settings(max_examples=150, deadline=None)
def test_preimages_are_exact(mean: float, scale: float, boundaries: list[float]) -> None:
    chain = Chain(0, (Arithmetic("subtract", mean), Arithmetic("divide", scale)))
    found = preimages(chain.apply, boundaries)
    assert (chain.apply(found) >= boundaries).all()
    assert (chain.apply(np.nextafter(found, -np.inf)) < boundaries).all()


def test_steps_that_are_not_supported_are_named() -> None:
    with pytest.raises(UnsupportedError, match=r"PCA is not supported.*StandardScaler"):
        load_model(make_pipeline(PCA(2), LogisticRegression()).fit(NUMBERS, LABELS))
    with pytest.raises(UnsupportedError, match="end with a model"):
        load_model(make_pipeline(StandardScaler(), "passthrough").fit(NUMBERS, LABELS))
    frame, labels = _frame()
    rare = make_pipeline(OneHotEncoder(min_frequency=70), LogisticRegression())
    with pytest.raises(UnsupportedError, match="infrequent"):
        load_model(rare.fit(frame[["job"]], labels))


def test_a_boolean_column_may_stand_for_a_number() -> None:
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    data = (NUMBERS > [40, 3, 0]).astype(float)
    model = load_model(pipeline.fit(data, LABELS))
    space = FeatureSpace.of("abc", {c: Boolean() for c in "abc"})
    problem = ExplanationProblem(model, space, data[0])
    found = Explainer(model, space).smallest(data[0], "axp")
    assert found is None or found.proved
    assert problem.prediction in (0.0, 1.0)

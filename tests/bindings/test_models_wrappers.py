"""Votes and calibrations: the wrapper's own decisions, exactly, or a clear refusal."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_wine, make_classification
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from whyproof.encodings.trees.ensemble import TreeEnsemble
from whyproof.engine.domain import Integers
from whyproof.engine.errors import ModelError, UnsupportedError
from whyproof.engine.space import FeatureSpace
from whyproof.explainer import Explainer
from whyproof.models import load_model

CANCER = load_breast_cancer(return_X_y=True)
WINE = load_wine(return_X_y=True)


def _tree(depth: int, seed: int = 0) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=depth, max_features=0.5, random_state=seed)


def _members(*kinds: object) -> list[tuple[str, object]]:
    return [(f"m{i}", kind) for i, kind in enumerate(kinds)]


FOREST = RandomForestClassifier(3, max_depth=3, random_state=0)
EXTRA = ExtraTreesClassifier(4, max_depth=3, random_state=0)
SCALED = make_pipeline(StandardScaler(), _tree(4, 5))
EXACT = [
    VotingClassifier(_members(_tree(2), _tree(3, 1), _tree(4, 2))),
    VotingClassifier(_members(_tree(2), _tree(3, 1), _tree(4, 2)), weights=[0.7, 1, 0.3]),
    VotingClassifier(_members(_tree(2), _tree(3, 1), SCALED), voting="soft"),
    VotingClassifier(_members(_tree(2), FOREST, EXTRA), voting="soft", weights=[2, 1, 3]),
    VotingClassifier(_members(_tree(2), FOREST), voting="soft", weights=[0.3, 0.7]),
    CalibratedClassifierCV(_tree(3), cv=3),
    CalibratedClassifierCV(_tree(3), method="isotonic", cv=3),
    CalibratedClassifierCV(_tree(3), ensemble=False),
    make_pipeline(StandardScaler(), VotingClassifier(_members(_tree(2), _tree(3)), voting="soft")),
]
TWO_CLASSES = [
    CalibratedClassifierCV(LogisticRegression(), ensemble=False),
    CalibratedClassifierCV(LinearSVC(), method="isotonic", ensemble=False),
    CalibratedClassifierCV(FOREST, ensemble=False),
    CalibratedClassifierCV(FOREST, method="isotonic", ensemble=False),
    CalibratedClassifierCV(GradientBoostingClassifier(n_estimators=8), ensemble=False),
    make_pipeline(StandardScaler(), CalibratedClassifierCV(LogisticRegression(), ensemble=False)),
]


def _name(estimator: object) -> str:
    shown = "".join(str(estimator).split())
    return shown.replace("Classifier", "")[:60]


def _fitted(estimator: object, X: np.ndarray, y: np.ndarray) -> object:
    from sklearn.base import clone

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clone(estimator).fit(X, y)  # type: ignore[attr-defined]


@pytest.mark.parametrize("labels", ["two", "three"])
@pytest.mark.parametrize("estimator", EXACT, ids=_name)
def test_wrappers_of_trees_decide_as_they_do(estimator: object, labels: str) -> None:
    X, y = WINE if labels == "three" else (CANCER[0][:250, :12], CANCER[1][:250])
    words = np.array(["red", "green", "blue"])[y]
    _agrees(_fitted(estimator, X, words), X)


@pytest.mark.parametrize("estimator", TWO_CLASSES, ids=_name)
def test_one_calibrated_score_has_another_threshold(estimator: object) -> None:
    X, y = CANCER[0][:250, :8] / CANCER[0][:, :8].max(axis=0), CANCER[1][:250]
    _agrees(_fitted(estimator, X, np.where(y, "b", "m")), X)


def _agrees(fitted: object, X: np.ndarray) -> None:
    model = load_model(fitted)
    random = np.random.default_rng(0)
    points = np.concatenate([X, random.uniform(X.min(axis=0), X.max(axis=0), (300, X.shape[1]))])
    expected = fitted.predict(points)  # type: ignore[attr-defined]
    assert (np.array(model.classes)[model.predict(points)] == expected).all()
    structure = model.structure
    found = np.array(model.classes)[structure.predict(points)]
    assert (found == expected).mean() > 0.99
    explainer = Explainer(model, FeatureSpace.of([f"x{i}" for i in range(X.shape[1])]))
    why = explainer.explain(X[0])
    assert why is not None and not why.open
    flip = explainer.explain(X[0], "cxp", smallest=True)
    assert flip is None or not flip.open


@pytest.mark.parametrize("estimator", [EXACT[0], EXACT[1], EXACT[3], EXACT[6]], ids=_name)
@pytest.mark.parametrize("seed", range(3))
def test_all_explanations_are_those_of_all_rows(estimator: object, seed: int) -> None:
    X, y = make_classification(
        150,
        4,
        n_informative=3,
        n_redundant=0,
        n_classes=3,
        n_clusters_per_class=1,
        random_state=seed,
    )
    X = np.clip(np.round(X), -2, 2)
    fitted = _fitted(estimator, X, y)
    model = load_model(fitted)
    names = list("abcd")
    domain = Integers(lower=-2, upper=2)
    explainer = Explainer(model, FeatureSpace.of(names, dict.fromkeys(names, domain)))
    table = np.array(list(itertools.product(range(-2, 3), repeat=4)), dtype=float)
    outcome = fitted.predict(table)  # type: ignore[attr-defined]
    row = X[0]
    own = outcome[(table == row).all(axis=1)][0]
    weak: list[frozenset[int]] = []
    for size in range(5):
        for fixed in map(frozenset, itertools.combinations(range(4), size)):
            same = (table[:, list(fixed)] == row[list(fixed)]).all(axis=1)
            if (outcome[same] == own).all() and not any(w <= fixed for w in weak):
                weak.append(fixed)
    found = list(explainer.enumerate(row, kinds=["axp"]))
    assert {e.members for e in found} == set(weak)


def test_a_constant_calibration_never_changes() -> None:
    X, y = CANCER[0][:200, :3], np.zeros(200, dtype=int)
    y[:3] = 1
    isotonic = CalibratedClassifierCV(LinearSVC(), method="isotonic", ensemble=False, cv=3)
    fitted = _fitted(isotonic, X * 0, y)
    model = load_model(fitted)
    assert isinstance(model.structure, TreeEnsemble) and not model.structure.trees
    explainer = Explainer(model)
    why = explainer.explain(X[0])
    assert why is not None and why.features == ()
    assert explainer.explain(X[0], "cxp") is None


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (VotingClassifier(_members(_tree(2), LogisticRegression())), "LogisticRegression"),
        (VotingClassifier(_members(_tree(2), FOREST)), "counts votes of a RandomForestClassifier"),
        (VotingClassifier(_members(_tree(2), GaussianNB()), voting="soft"), "averages.*GaussianNB"),
        (VotingClassifier(_members(_tree(2), SVC())), "SVC are not supported"),
        (CalibratedClassifierCV(LogisticRegression()), "ensemble=False"),
        (CalibratedClassifierCV(GaussianNB(), ensemble=False), "GaussianNB.*no sum"),
    ],
    ids=lambda v: _name(v) if not isinstance(v, str) else "",
)
def test_what_is_inexact_is_refused_with_the_way_out(estimator: object, message: str) -> None:
    X, y = CANCER[0][:200, :4], CANCER[1][:200]
    with pytest.raises(UnsupportedError, match=message) as caught:
        load_model(_fitted(estimator, X, y))
    assert "surrogate rules" in str(caught.value)


def test_several_classes_and_unfitted_wrappers_are_refused() -> None:
    several = CalibratedClassifierCV(LogisticRegression(max_iter=200), ensemble=False)
    with pytest.raises(UnsupportedError, match="several classes"):
        load_model(_fitted(several, WINE[0], WINE[1]))
    for estimator in (EXACT[0], EXACT[5]):
        from sklearn.base import clone

        with pytest.raises(ModelError, match="not fitted"):
            load_model(clone(estimator))
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"job": ["a", "b"] * 30})
    worded = VotingClassifier(_members(make_pipeline(OneHotEncoder(), _tree(2))))
    with pytest.raises(UnsupportedError, match="in front of the wrapper"):
        load_model(_fitted(worded, frame, np.arange(60) % 2))

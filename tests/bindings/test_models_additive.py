"""Linear models and naive Bayes of scikit-learn: explained as they predict."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine, make_classification
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Perceptron,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.naive_bayes import (
    BernoulliNB,
    CategoricalNB,
    ComplementNB,
    GaussianNB,
    MultinomialNB,
)
from sklearn.svm import SVC, LinearSVC

from whyproof.encodings.linear.oracle import AdditiveOracle
from whyproof.engine.answers import Counterexample, Entailed
from whyproof.engine.budget import Budget
from whyproof.engine.domain import Categories, Real
from whyproof.engine.errors import ModelError, UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, LeaveInterval, Question, ReachClass
from whyproof.engine.space import FeatureSpace
from whyproof.explainer import Explainer
from whyproof.models import load_model


def _table(classes: int, columns: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x, y = make_classification(
        120,
        columns,
        n_informative=columns,
        n_redundant=0,
        n_classes=classes,
        n_clusters_per_class=1,
        random_state=seed,
    )
    return x, y


LINEAR = [
    LogisticRegression(),
    LinearSVC(),
    RidgeClassifier(),
    Perceptron(),
    SGDClassifier(random_state=0),
]


@pytest.mark.parametrize("estimator", LINEAR, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("classes", [2, 3])
def test_linear_classifiers_predict_as_their_sums_say(estimator: object, classes: int) -> None:
    x, y = _table(classes)
    labels = np.array(["red", "green", "blue"])[y]
    fitted = type(estimator)(**estimator.get_params()).fit(x, labels)
    model = load_model(fitted)
    assert model.classes == tuple(sorted(set(labels)))
    named = np.array(model.classes)[model.predict(x)]
    assert (named == fitted.predict(x)).all()
    assert np.allclose(model.structure.sums(x), model.runtime.sums(x))
    assert (model.structure.predict(x) == model.predict(x)).all()


def _bayes() -> list[tuple[object, np.ndarray, np.ndarray]]:
    x, y = _table(3)
    counts = np.random.default_rng(0).integers(0, 4, (80, 5))
    z = (counts[:, 0] + counts[:, 1] > 3).astype(int) + (counts[:, 2] > 2)
    return [
        (GaussianNB().fit(x, y), x, y),
        (CategoricalNB().fit(counts, z), counts, z),
        (BernoulliNB(binarize=0.2).fit(x, y), x, y),
        (BernoulliNB(binarize=None).fit(counts > 1, z), (counts > 1) * 1.0, z),
        (MultinomialNB().fit(counts, z), counts, z),
        (ComplementNB().fit(counts, z), counts, z),
    ]


@pytest.mark.parametrize("case", _bayes(), ids=lambda case: type(case[0]).__name__)
def test_naive_bayes_predicts_as_its_sums_say(case: tuple[object, np.ndarray, np.ndarray]) -> None:
    fitted, x, _ = case
    model = load_model(fitted)
    x = x.astype(float)
    assert np.allclose(model.structure.sums(x), model.runtime.sums(x))
    assert (np.array(model.classes)[model.predict(x)] == fitted.predict(x)).all()


@pytest.mark.parametrize("case", _bayes(), ids=lambda case: type(case[0]).__name__)
def test_naive_bayes_answers_against_a_grid(case: tuple[object, np.ndarray, np.ndarray]) -> None:
    """What is entailed holds on every point of a grid; what is not is replayed."""
    fitted, x, _ = case
    model = load_model(fitted)
    columns = x.shape[1]
    low, high = x.min(axis=0).astype(float), x.max(axis=0).astype(float)
    domains = {
        f"x{i}": model.domains[i]
        if isinstance(model.domains.get(i), Categories)
        else Real(lower=float(low[i]), upper=float(high[i]))
        for i in range(columns)
    }
    space = FeatureSpace.of([f"x{i}" for i in range(columns)], domains)
    grid = [
        np.arange(d.bounds[1] + 1) if isinstance(d, Categories) else np.linspace(*d.bounds, 5)
        for d in domains.values()
    ]
    questions: list[Question] = [AnyOther()]
    for row, question in itertools.product(x[:4].astype(float), questions):
        problem = ExplanationProblem(model, space, row, question=question)
        rivals = [k for k in range(len(model.classes)) if k != problem.prediction]
        for asked in (
            problem,
            ExplanationProblem(model, space, row, question=ReachClass(rivals[0])),
        ):
            oracle = AdditiveOracle(asked)
            for size in (1, 2, columns):
                free = frozenset(range(size))
                answer = oracle.decide([free], Budget().start())[0]
                axes = [grid[i] if i in free else row[i : i + 1] for i in range(columns)]
                points = np.array(list(itertools.product(*axes)))
                if isinstance(answer, Counterexample):
                    asked.replay(answer.point, free)
                else:
                    assert isinstance(answer, Entailed)
                    assert not asked.changed(points).any()


def test_the_smallest_explanations_of_a_linear_model_are_those_of_sorted_weights() -> None:
    x, y = load_wine(return_X_y=True)
    x, y = x[y < 2], y[y < 2]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    fitted = LogisticRegression().fit(x, y)
    model = load_model(fitted)
    domains = {
        f"x{i}": Real(lower=float(x[:, i].min()), upper=float(x[:, i].max()))
        for i in range(x.shape[1])
    }
    explainer = Explainer(model, FeatureSpace.of(domains, domains))
    for row in x[:6]:
        score = float(fitted.decision_function(row[None])[0])
        sign = 1.0 if score > 0 else -1.0
        worst = np.where(sign * fitted.coef_[0] > 0, x.min(axis=0), x.max(axis=0))
        losses = np.sort(sign * fitted.coef_[0] * (row - worst))[::-1]
        flips = next(k for k in range(14) if losses[:k].sum() > abs(score))
        keeps = next(k for k in range(14) if losses[k:].sum() < abs(score))
        assert len(explainer.explain(row, "cxp", smallest=True)) == flips
        assert len(explainer.explain(row, "axp", smallest=True)) == keeps


def test_regressors_answer_interval_questions() -> None:
    x, y = load_iris(return_X_y=True)
    for estimator in (LinearRegression(), Ridge()):
        model = load_model(estimator.fit(x, y))
        assert model.is_regressor
        value = float(model.predict(x[:1])[0])
        domains = {f"x{i}": Real(lower=0.0, upper=8.0) for i in range(4)}
        explainer = Explainer(
            model, FeatureSpace.of(domains, domains), question=LeaveInterval(value - 5, value + 0.1)
        )
        flip = explainer.explain(x[0], "cxp")
        assert flip is not None


def test_column_names_are_kept_and_not_warned_about() -> None:
    pandas = pytest.importorskip("pandas")
    x, y = _table(2)
    frame = pandas.DataFrame(x, columns=["a", "b", "c", "d"])
    model = load_model(LogisticRegression().fit(frame, y))
    assert model.names == ("a", "b", "c", "d")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(x)


def test_unfitted_and_unsupported_estimators_are_named() -> None:
    with pytest.raises(ModelError, match="LogisticRegression is not fitted"):
        load_model(LogisticRegression())
    with pytest.raises(ModelError, match="GaussianNB is not fitted"):
        load_model(GaussianNB())
    x, y = _table(2)
    with pytest.raises(UnsupportedError, match="SVC"):
        load_model(SVC().fit(x, y))
    with pytest.raises(UnsupportedError, match="2 outputs"):
        load_model(LinearRegression().fit(x, np.column_stack([y, y])))


def test_fingerprints_tell_models_apart() -> None:
    x, y = _table(2)
    first, second = LogisticRegression().fit(x, y), LogisticRegression(C=0.1).fit(x, y)
    assert load_model(first).fingerprint == load_model(first).fingerprint
    assert load_model(first).fingerprint != load_model(second).fingerprint

"""Real models of real libraries, explained and checked against brute force on the library."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from whyproof.encodings.trees.ensemble import TreeEnsemble
from whyproof.engine.answers import Counterexample, Entailed
from whyproof.engine.budget import Budget
from whyproof.engine.domain import Real
from whyproof.engine.explanation import Explanation, Kind, Status
from whyproof.engine.question import KeepMargin, MoveBeyond, ReachClass
from whyproof.engine.space import FeatureSet, FeatureSpace
from whyproof.explainer import Explainer
from whyproof.models import load_model

Rows = npt.NDArray[np.float64]

N_COLUMNS = 4


def _data(classes: int, seed: int) -> tuple[Rows, npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    rows = np.round(rng.normal(size=(160, N_COLUMNS)), 1)
    score = rows[:, 0] + rows[:, 1] * rows[:, 2] + 0.4 * rows[:, 3]
    cuts = np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1])
    return rows, np.searchsorted(cuts, score)


def _forest(x: Rows, y: Any) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(5, max_depth=3, random_state=1).fit(x, y)


def _boosting(x: Rows, y: Any) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(n_estimators=4, max_depth=2, random_state=1).fit(x, y)


def _histogram(x: Rows, y: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    holes = np.where(np.random.default_rng(5).random(x.shape) < 0.15, np.nan, x)
    return HistGradientBoostingClassifier(
        max_iter=4, max_leaf_nodes=4, min_samples_leaf=5, random_state=1
    ).fit(holes, y)


def _xgboost(x: Rows, y: Any) -> Any:
    import xgboost

    holes = np.where(np.random.default_rng(5).random(x.shape) < 0.15, np.nan, x)
    return xgboost.XGBClassifier(n_estimators=4, max_depth=2, random_state=1).fit(holes, y)


def _lightgbm(x: Rows, y: Any) -> Any:
    import lightgbm

    holes = np.where(np.random.default_rng(5).random(x.shape) < 0.15, np.nan, x)
    return lightgbm.LGBMClassifier(
        n_estimators=4, num_leaves=4, min_child_samples=5, verbose=-1, random_state=1
    ).fit(holes, y)


FITTERS = {
    "forest": _forest,
    "boosting": _boosting,
    "histogram": _histogram,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
}
TAKES_MISSING = {"histogram", "xgboost", "lightgbm"}


def _space(nullable: bool) -> FeatureSpace:
    names = "abcd"
    return FeatureSpace.of(names, {name: Real(nullable=nullable) for name in names})


def _every_point(explainer: Explainer, row: Rows, free: FeatureSet) -> Rows:
    """Return one point for every combination of cells of the free columns."""
    structure = explainer.model.structure
    assert isinstance(structure, TreeEnsemble)
    options: list[list[float]] = []
    for i, column in enumerate(explainer.space.columns):
        values = [float(row[i])]
        if i in free:
            cuts = {
                float(b)
                for tree in structure.trees
                for b in tree.boundary[tree.column == i]
                if np.isfinite(b)
            }
            values += [-1e6, *cuts]
            if structure.input_type == "float64":
                values += [float(np.nextafter(c, -np.inf)) for c in cuts]
            else:
                values += [float(np.nextafter(np.float32(c), np.float32(-9e9))) for c in cuts]
            if column.domain.nullable:
                values.append(np.nan)
        options.append(values)
    return np.array(list(itertools.product(*options)))


def _minimal_sets(changes: Callable[[FeatureSet], bool]) -> dict[Kind, set[FeatureSet]]:
    """Return all AXps and CXps by trying every set."""
    everything = frozenset(range(N_COLUMNS))
    sets = [frozenset(s) for k in range(N_COLUMNS + 1) for s in itertools.combinations(range(4), k)]
    weak = {
        Kind.CXP: [s for s in sets if changes(s)],
        Kind.AXP: [s for s in sets if not changes(everything - s)],
    }
    return {k: {s for s in found if not any(t < s for t in found)} for k, found in weak.items()}


def _check_evidence(explanation: Explanation) -> None:
    assert explanation.status is Status.MINIMAL
    assert set(explanation.necessity) == explanation.members
    if explanation.kind is Kind.CXP:
        assert isinstance(explanation.evidence, Counterexample)
        explanation.problem.replay(explanation.evidence.point, explanation.members)
    else:
        assert isinstance(explanation.evidence, Entailed)
        assert explanation.evidence.core <= explanation.members


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", FITTERS)
def test_all_explanations_agree_with_brute_force_on_the_library(name: str, classes: int) -> None:
    x, y = _data(classes, seed=3)
    model = load_model(FITTERS[name](x, y))
    explainer = Explainer(model, _space(nullable=name in TAKES_MISSING))
    for row in x[:4]:
        problem = explainer.problem(row)

        def changes(free: FeatureSet, row: Rows = row, problem: Any = problem) -> bool:
            return bool(problem.changed(_every_point(explainer, row, free)).any())

        wanted = _minimal_sets(changes)
        enumeration = explainer.enumerate(row)
        found = list(enumeration)
        assert enumeration.complete
        for kind in Kind:
            assert {e.members for e in found if e.kind is kind} == wanted[kind]
            single = explainer.explain(row, kind)
            if single is None:
                assert not wanted[kind]
                continue
            assert single.members in wanted[kind]
            least = explainer.explain(row, kind, smallest=True)
            assert least is not None
            assert len(least) == min(map(len, wanted[kind]))
            _check_evidence(least)
        for explanation in found:
            _check_evidence(explanation)


@pytest.mark.parametrize("vote", ["average", "majority"])
def test_both_votes_of_a_forest_explain_their_own_prediction(vote: Any) -> None:
    x, y = _data(3, seed=4)
    forest = _forest(x, y)
    explainer = Explainer(load_model(forest, vote=vote), _space(nullable=False))
    votes = np.stack([t.predict(x.astype(np.float32)) for t in forest.estimators_]).astype(int)
    majority = np.array([np.bincount(v, minlength=3).argmax() for v in votes.T])
    wanted = forest.predict(x) if vote == "average" else majority
    for i in range(5):
        assert explainer.problem(x[i]).prediction == wanted[i]


def test_the_margin_of_an_axp_is_the_weakest_lead_it_allows() -> None:
    x, y = _data(2, seed=6)
    explainer = Explainer(load_model(_boosting(x, y)), _space(nullable=False))
    for row in x[:5]:
        why = explainer.explain(row, "axp")
        assert why is not None
        free = frozenset(range(4)) - why.members
        scores = explainer.model.scores(_every_point(explainer, row, free))
        kept = int(why.problem.prediction)
        lead = float((scores[:, kept] - scores[:, 1 - kept]).min())
        assert why.margin == pytest.approx(lead, abs=1e-9)


def test_a_floor_on_the_margin_asks_for_more_features() -> None:
    x, y = _data(2, seed=6)
    model = load_model(_boosting(x, y))
    plain = Explainer(model, _space(nullable=False))
    row = max(x[:20], key=lambda r: abs(model.scores(r[None])[0, 1]))
    lead = abs(float(model.scores(row[None])[0, 1]))
    floor = Explainer(model, _space(nullable=False), question=KeepMargin(0.8 * lead))
    strong, weak = floor.explain(row, "axp"), plain.explain(row, "axp")
    assert strong is not None
    assert weak is not None
    free = frozenset(range(4)) - strong.members
    scores = model.scores(_every_point(floor, row, free))
    kept = int(plain.problem(row).prediction)
    assert float((scores[:, kept] - scores[:, 1 - kept]).min()) >= 0.8 * lead
    assert len(strong) >= len(weak)


def test_a_targeted_question_reaches_that_class() -> None:
    x, y = _data(3, seed=8)
    model = load_model(_xgboost(x, y))
    row = x[0]
    kept = int(model.predict(row[None])[0])
    for target in {0, 1, 2} - {kept}:
        explainer = Explainer(model, _space(nullable=False), question=ReachClass(target))
        change = explainer.explain(row, "cxp")
        if change is None:
            points = _every_point(explainer, row, frozenset(range(4)))
            assert not (model.predict(points) == target).any()
            continue
        assert isinstance(change.evidence, Counterexample)
        assert change.evidence.outcome == target


def test_a_regressor_is_asked_with_a_distance() -> None:
    from sklearn.ensemble import RandomForestRegressor

    x, _ = _data(2, seed=9)
    forest = RandomForestRegressor(4, max_depth=3, random_state=0).fit(x, x[:, 0] * 3 + x[:, 1])
    model = load_model(forest)
    explainer = Explainer(model, _space(nullable=False), question=MoveBeyond(0.5))
    for row in x[:3]:
        prediction = float(model.predict(row[None])[0])
        why = explainer.explain(row, "axp")
        assert why is not None
        free = frozenset(range(4)) - why.members
        values = model.predict(_every_point(explainer, row, free))
        assert float(np.abs(values - prediction).max()) <= 0.5 + 1e-9


@pytest.mark.parametrize("kind", ["axp", "cxp"])
def test_a_budget_that_ends_is_never_read_as_none(kind: str) -> None:
    """Regression: with preferences, "ran out" was handed out as "proved that there is none"."""
    x, y = _data(2, seed=3)
    explainer = Explainer(load_model(_xgboost(x, y)), _space(nullable=True))
    whole = explainer.explain(x[0], kind)
    assert whole is not None
    member = min(whole.members)
    for options in ({"must_contain": [member]}, {"smallest": True}, {"must_not_contain": [3]}):
        found = explainer.explain(x[0], kind, budget=Budget(seconds=1e-9), **options)
        assert found is not None
        assert found.status is Status.UNKNOWN
    wanted = explainer.explain(x[0], kind, must_contain=[member])
    assert wanted is not None
    assert member in wanted.members


def test_an_explainer_travels_to_a_worker() -> None:
    import pickle

    x, y = _data(2, seed=3)
    explainer = Explainer(load_model(_forest(x, y)), _space(nullable=False))
    before = explainer.explain(x[0])
    there = pickle.loads(pickle.dumps(explainer))  # our own bytes
    after = there.explain(x[0])
    assert before is not None
    assert before.members == after.members

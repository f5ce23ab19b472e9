"""Nearest changes of any model by bisection of balls, against closed forms and trees."""

from __future__ import annotations

import numpy as np
import pytest
from random_ensembles import RunningModel

from whyproof.encodings.oracles import prepare_oracles
from whyproof.encodings.recourse.answer import NearestStatus
from whyproof.encodings.recourse.bisection import BisectionSearch
from whyproof.encodings.recourse.distance import Distance
from whyproof.encodings.recourse.nearest import NearestSearch
from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.budget import Budget
from whyproof.engine.domain import Categories, Real
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.question import ReachClass
from whyproof.engine.space import FeatureSpace
from whyproof.models import load_model

sklearn = pytest.importorskip("sklearn")


def search_of(model: object, space: FeatureSpace, **options: object) -> BisectionSearch:
    loaded = load_model(model)
    return BisectionSearch(
        loaded,
        space,
        prepare_oracles(loaded.structure, space),
        Distance.of(space, "linf", weights=options.pop("weights", None)),  # type: ignore[arg-type]
        **options,  # type: ignore[arg-type]
    )


def test_a_linear_model_is_as_far_as_the_dual_norm_says() -> None:
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(0)
    x = draw.normal(size=(200, 4))
    y = (x @ np.array([1.0, -2.0, 0.5, 0.0]) > 0.3).astype(int)
    fitted = LogisticRegression().fit(x, y)
    space = FeatureSpace.of("abcd")
    search = search_of(fitted, space, weights={"a": 2.0})
    factors = np.array([2.0, 1.0, 1.0, 1.0])
    for row in x[:8]:
        score = float(row @ fitted.coef_[0] + fitted.intercept_[0])
        expected = abs(score) / float((np.abs(fitted.coef_[0]) / factors).sum())
        found = search.nearest(row)
        assert found.status is NearestStatus.OPTIMAL
        assert found.distance == pytest.approx(expected, rel=1e-3)
        assert found.bound <= expected * (1 + 1e-9)
        assert found.point is not None
        assert fitted.predict(found.point[None])[0] != fitted.predict(row[None])[0]


def test_it_agrees_with_the_program_over_cells() -> None:
    trees = tuple(
        Tree(
            np.array([c, -1, -1], dtype=np.int32),
            np.array([b, np.nan, np.nan]),
            np.array([1, -1, -1], dtype=np.int32),
            np.array([2, -1, -1], dtype=np.int32),
            np.array([True, False, False]),
            np.array([[0.0], [-g], [g]]),
        )
        for c, b, g in ((0, 1.5, 1.0), (1, 0.75, 0.7), (2, 2.5, 2.0), (1, 4.0, 0.5))
    )
    model = RunningModel(TreeEnsemble(3, trees, np.zeros(1), DecisionRule.POSITIVE, ("no", "yes")))
    space = FeatureSpace.of("abc")
    distance = Distance.of(space, "linf")
    one = NearestSearch([model], space, distance=distance).nearest(np.zeros(3))
    two = BisectionSearch(model, space, prepare_oracles(model.structure, space), distance).nearest(
        np.zeros(3)
    )
    assert one.distance == pytest.approx(two.distance, rel=1e-3)


def test_none_unknown_and_already_are_told_apart() -> None:
    from sklearn.linear_model import LogisticRegression

    x = np.array([[0.0], [1.0], [4.0], [5.0]])
    fitted = LogisticRegression().fit(x, [0, 0, 1, 1])
    bounded = FeatureSpace.of("a", {"a": Real(lower=-1.0, upper=1.0)})
    found = search_of(fitted, bounded).nearest(x[0])
    assert found.status is NearestStatus.NONE
    late = search_of(fitted, FeatureSpace.of("a")).nearest(x[0], budget=Budget(seconds=1e-9))
    assert late.status is NearestStatus.UNKNOWN
    there = search_of(fitted, FeatureSpace.of("a"), question=ReachClass(0)).nearest(x[0])
    assert there.status is NearestStatus.ALREADY


def test_what_balls_do_not_measure_is_refused() -> None:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(UnsupportedError, match="has categories"):
        search_of(fitted, FeatureSpace.of("a", {"a": Categories(values=("x", "y", "z"))}))
    loaded, space = load_model(fitted), FeatureSpace.of("a")
    with pytest.raises(UnsupportedError, match="norm linf, not l1"):
        BisectionSearch(
            loaded, space, prepare_oracles(loaded.structure, space), Distance.of(space, "l1")
        )

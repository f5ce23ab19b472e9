"""One model by every encoding: the same explanations, and clear words where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from whyproof.encodings.trees.encodings import TREE_ENCODINGS
from whyproof.engine.errors import InputError, MissingExtraError, UnsupportedError
from whyproof.engine.explanation import Kind
from whyproof.explainer import Explainer
from whyproof.models import load_model

sklearn = pytest.importorskip("sklearn")


def _rows() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(1)
    x = draw.normal(size=(200, 5)).round(1)
    return x, np.digitize(x[:, 0] + x[:, 1] * x[:, 2], [-0.5, 0.5])


@pytest.mark.parametrize("vote", ["average", "majority"])
@pytest.mark.parametrize("classes", [2, 3])
def test_all_encodings_list_the_same_explanations(vote: str, classes: int) -> None:
    from sklearn.ensemble import RandomForestClassifier

    x, y = _rows()
    forest = RandomForestClassifier(7, max_depth=3, random_state=0)
    forest.fit(x, np.minimum(y, classes - 1))
    model = load_model(forest, vote=vote)  # type: ignore[arg-type]
    for row in x[:2]:
        listed = {
            encoding: {
                (e.kind, e.features) for e in Explainer(model, encoding=encoding).enumerate(row)
            }
            for encoding in ("search", "clauses")
        }
        assert listed["search"] == listed["clauses"]
        for kind in Kind:
            why = Explainer(model, encoding="program").explain(row, kind)
            assert why is None or not why.open or vote == "average"
            if why is not None and not why.open:
                assert (kind, why.features) in listed["search"]


def test_what_cannot_be_is_said() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.tree import DecisionTreeClassifier

    x, y = _rows()
    tree = load_model(DecisionTreeClassifier(max_depth=2).fit(x, y))
    with pytest.raises(InputError, match="did you mean 'clauses'"):
        Explainer(tree, encoding="clause").explain(x[0])
    linear = load_model(LogisticRegression().fit(x, y))
    with pytest.raises(UnsupportedError, match="has too many values for clauses"):
        Explainer(linear, encoding="clauses").explain(x[0])
    with pytest.raises(InputError, match="did you mean 'clauses'"):
        Explainer(linear, encoding="clause").explain(x[0])
    near = load_model(KNeighborsClassifier(1).fit(x, y))
    with pytest.raises(UnsupportedError, match="'asp' is for trees, linear models, rules"):
        Explainer(near, encoding="asp").explain(x[0])
    assert set(TREE_ENCODINGS) == {"search", "clauses", "program", "gurobi", "asp"}
    try:
        import gurobipy  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtraError, match="gurobi"):
            Explainer(tree, encoding="gurobi").explain(x[0])

"""Scikit-learn's decision trees and forests, by averaged probabilities or by vote.

Inputs are cast to float32 and compared with float64 thresholds by ``<=``.  A forest's
`predict` takes the class with the largest *averaged* probability (float64 sums in tree
order, then a division; ties to the lowest index), which is not the majority of its
trees' votes: the two differ on about one row in a hundred.  Both can be explained; the
default is what `predict` does.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.classifier import Predictions
from whyproof.engine.errors import ModelError, UnsupportedError
from whyproof.engine.space import Points

from .build import boundaries_up_to, build_tree
from .model import Model
from .rounding import UNIT, deciding_slack, summation_errors, sums_are_exact

__all__ = ["FOREST_NAMES", "ForestRuntime", "Vote", "load_sklearn_forest", "sklearn_tree"]

Vote = Literal["average", "majority"]

FOREST_NAMES = frozenset(
    {
        "DecisionTreeClassifier",
        "DecisionTreeRegressor",
        "ExtraTreeClassifier",
        "ExtraTreeRegressor",
        "ExtraTreesClassifier",
        "ExtraTreesRegressor",
        "RandomForestClassifier",
        "RandomForestRegressor",
    }
)


@dataclass(frozen=True, eq=False)
class ForestRuntime:
    """Scikit-learn's own compiled trees, combined as its Python code combines them.

    The estimator's `predict` goes through input checks and joblib, which take ten times
    as long as the trees; the operations here are the same and give the same bits.

    Parameters
    ----------
    trees
        The estimators' ``tree_`` objects.
    vote
        Averaged probabilities or majority of the trees' own predictions.
    outputs
        Number of classes; 1 for a regressor.
    regressor
        Whether outcomes are values.
    version
        Of scikit-learn.
    """

    trees: tuple[Any, ...]
    vote: Vote
    outputs: int
    regressor: bool
    version: str

    @property
    def name(self) -> str:
        """Name the library and its version."""
        return f"scikit-learn {self.version}"

    def sums(self, points: Points) -> npt.NDArray[np.float64]:
        """Return averaged probabilities, numbers of votes, or averaged values."""
        with np.errstate(over="ignore"):
            cast = np.ascontiguousarray(points, dtype=np.float32)
        total = np.zeros((len(points), self.outputs))
        if self.vote == "majority":
            rows = np.arange(len(points))
            for tree in self.trees:
                total[rows, tree.predict(cast).argmax(axis=1)] += 1.0
            return total
        for tree in self.trees:
            total += tree.predict(cast)
        total /= len(self.trees)
        return total

    def predict(self, points: Points) -> Predictions:
        """Return class indices (first largest), or values."""
        sums = self.sums(points)
        return sums[:, 0] if self.regressor else np.asarray(sums.argmax(axis=1), dtype=np.int64)


def load_sklearn_forest(source: Any, vote: Vote | None) -> Model:  # noqa: ANN401
    """Import a fitted decision tree or forest of scikit-learn.

    Parameters
    ----------
    source
        Classifier or regressor.
    vote
        Rule of a classifying forest; what `predict` does by default.

    Raises
    ------
    ModelError
        If it is not fitted.
    UnsupportedError
        For several outputs.
    """
    import sklearn

    kind = type(source).__name__
    is_forest = hasattr(source, "estimators_") or hasattr(source, "n_estimators")
    estimators: Sequence[Any] = getattr(source, "estimators_", [source])
    if not all(hasattr(estimator, "tree_") for estimator in estimators):
        raise ModelError(f"the {kind} is not fitted; fit it first")
    if int(source.n_outputs_) != 1:
        raise UnsupportedError(f"a {kind} with {source.n_outputs_} outputs is not supported")
    regressor = not hasattr(source, "classes_")
    if vote is not None and (regressor or not is_forest):
        raise UnsupportedError(f"vote={vote!r} is for classifying forests, not for a {kind}")
    vote = vote or "average"
    classes: tuple[Hashable, ...] = ()
    if not regressor:
        classes = tuple(np.asarray(source.classes_).tolist())
    outputs = len(classes) or 1
    raw = tuple(estimator.tree_ for estimator in estimators)
    trees = tuple(
        sklearn_tree(number, tree, _leaf_values(tree, outputs, vote))
        for number, tree in enumerate(raw)
    )
    base = np.zeros(outputs)
    divisor = len(trees) if vote == "average" else 1
    slack = 0.0
    # Three spare bits: dividing different sums must not make them equal.
    if not sums_are_exact(trees, base, "float64", spare=3):
        errors = summation_errors(trees, base, "float64") / divisor
        largest = max(float(np.abs(tree.values).max()) for tree in trees)
        slack = deciding_slack(errors + 2.0 * UNIT["float64"] * largest)
    structure = TreeEnsemble(
        n_columns=int(source.n_features_in_),
        trees=trees,
        base=base,
        rule=DecisionRule.VALUE if regressor else DecisionRule.ARGMAX,
        classes=classes,
        divisor=divisor,
        input_type="float32",
        slack=slack,
    )
    model = Model(
        structure=structure,
        runtime=ForestRuntime(raw, vote, outputs, regressor, sklearn.__version__),
        library="scikit-learn",
        version=sklearn.__version__,
        names=tuple(str(name) for name in getattr(source, "feature_names_in_", ())),
        accepts_missing=_accepts_missing(source),
        source=kind,
        notes=() if vote == "average" else ("the decision is the majority of the trees' votes",),
    )
    model.verify()
    return model


def sklearn_tree(number: int, tree: Any, values: npt.NDArray[np.float64]) -> Tree:  # noqa: ANN401
    """Translate one compiled tree, with given leaf values of shape ``(nodes, outputs)``."""
    left = np.asarray(tree.children_left, dtype=np.int64)
    leaf = left < 0
    threshold = np.where(leaf, 0.0, np.asarray(tree.threshold, dtype=np.float64))
    return build_tree(
        number,
        np.where(leaf, -1, np.asarray(tree.feature, dtype=np.int64)),
        boundaries_up_to(threshold, "float32"),
        left,
        np.asarray(tree.children_right, dtype=np.int64),
        np.asarray(tree.missing_go_to_left, dtype=np.bool_),
        values,
        always=np.isposinf(threshold),
    )


def _leaf_values(tree: Any, outputs: int, vote: Vote) -> npt.NDArray[np.float64]:  # noqa: ANN401
    values = np.asarray(tree.value, dtype=np.float64)[:, 0, :outputs]
    if vote == "average":
        return values
    votes = np.zeros_like(values)
    votes[np.arange(len(values)), values.argmax(axis=1)] = 1.0
    return votes


def _accepts_missing(source: Any) -> bool:  # noqa: ANN401
    if hasattr(source, "__sklearn_tags__"):
        return bool(source.__sklearn_tags__().input_tags.allow_nan)
    return bool(source._get_tags().get("allow_nan", False))

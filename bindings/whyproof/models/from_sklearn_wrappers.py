"""Scikit-learn's voting and calibrated classifiers, where they are exact.

* A vote of decision trees, by labels (hard) or probabilities (soft), and a soft vote of trees
  and forests, is a tree ensemble again.
* A calibrated decision tree has calibrated leaves, and an average of several is an ensemble.
* One calibrated model of two classes whose score is a sum decides by that sum against
  another threshold: calibration is monotone, and the first score on the other side is
  found by bisection over the calibrator that runs.

Anything else adds up functions of sums (sigmoids of several margins, votes of forests), which
none of our encodings can say: it is refused, with the way to surrogate rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.encodings.linear.additive import AdditiveModel, ColumnTerm
from whyproof.encodings.trees.cells import widen
from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.classifier import Predictions
from whyproof.engine.errors import ModelError, UnsupportedError
from whyproof.engine.space import Points

from .column_maps import preimages
from .model import Model
from .rounding import UNIT, deciding_slack, summation_errors, sums_are_exact
from .sklearn_runtime import class_indices, column_names_of

__all__ = ["WRAPPER_NAMES", "WrapperRuntime", "load_sklearn_calibrated", "load_sklearn_voting"]

WRAPPER_NAMES = frozenset({"CalibratedClassifierCV", "VotingClassifier"})

_SURROGATE = (
    "learn surrogate rules from its predictions instead (whyproof.asp.extract_rules, or "
    "'whyproof learn' on a table with a column of its predictions) and explain these"
)

Load = Callable[[object], Model]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WrapperRuntime:
    """A wrapper that predicts for itself.

    Parameters
    ----------
    estimator
        Fitted; will be given rows without column names.
    scores
        What the structure's outputs are, from rows.
    version
        Of scikit-learn.
    """

    estimator: Any
    scores: Callable[[Points], Floats]
    version: str

    @property
    def name(self) -> str:
        """Name the library and its version."""
        return f"scikit-learn {self.version}"

    def predict(self, points: Points) -> Predictions:
        """Return class indices as the wrapper decides."""
        return class_indices(np.asarray(self.estimator.classes_), self.estimator.predict(points))

    def sums(self, points: Points) -> Floats:
        """Return scores, shape ``(rows, outputs)``."""
        return self.scores(points)


@dataclass(frozen=True, slots=True)
class _Averaged:
    """Averaged probabilities of a wrapper."""

    estimator: Any

    def __call__(self, points: Points) -> Floats:
        return np.asarray(self.estimator.predict_proba(points), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Counted:
    """Weighted votes of a wrapper's members."""

    estimator: Any

    def __call__(self, points: Points) -> Floats:
        members = self.estimator.estimators_
        weights = self.estimator._weights_not_none or [1.0] * len(members)
        total = np.zeros((len(points), len(self.estimator.classes_)))
        for member, weight in zip(members, weights, strict=True):
            votes = np.asarray(member.predict(points), dtype=np.int64)
            total[np.arange(len(points)), votes] += weight
        return total


@dataclass(frozen=True, slots=True)
class _Beyond:
    """Score of the model inside, less a threshold."""

    member: Model
    sign: float
    threshold: float
    column: int

    def __call__(self, points: Points) -> Floats:
        found = self.member.runtime.sums(points)[:, self.column]
        return np.asarray(self.sign * (found - self.threshold))[:, None]


def load_sklearn_voting(source: Any, load: Load) -> Model:  # noqa: ANN401
    """Import a fitted `VotingClassifier`.

    Parameters
    ----------
    source
        The wrapper.
    load
        Imports a member.

    Raises
    ------
    UnsupportedError
        Naming the member that makes it inexact, and what to do instead.
    ModelError
        If it is not fitted.
    """
    members = getattr(source, "estimators_", None)
    if members is None:
        raise ModelError("the VotingClassifier is not fitted; fit it first")
    weights = source._weights_not_none
    hard = source.voting == "hard"
    given = [1.0] * len(members) if weights is None else [float(w) for w in weights]
    if any(w < 0 for w in given) or not any(given):
        raise UnsupportedError("a VotingClassifier with negative or no weights is not supported")
    n = len(source.classes_)
    parts = [_trees_of(member, load, n, hard) for member in members]
    kinds = {part.input_type for part in parts}
    parts = parts if len(kinds) == 1 else [_in_float64(part) for part in parts]
    if hard:
        trees = [
            _mapped(part.trees[0], lambda leaf, w=w: w * np.eye(n)[leaf.argmax(axis=1)])  # type: ignore[misc]
            for part, w in zip(parts, given, strict=True)
        ]
        divisor, exact = 1, True
    else:
        # Factors are whole where weights are: then sums stay exact as long as may be.
        whole = all(w == int(w) for w in given)
        common = math.lcm(*(part.divisor for part in parts))
        total = sum(given)
        scale = [w * (common // p.divisor) for w, p in zip(given, parts, strict=True)]
        divisor = common * int(total) if whole else common
        factor = 1.0 if whole else 1.0 / total
        trees = [
            _mapped(tree, lambda leaf, c=c * factor: leaf * c)  # type: ignore[misc]
            for part, c in zip(parts, scale, strict=True)
            for tree in part.trees
        ]
        exact = whole and all(p.divisor == 1 for p in parts) and set(given) == {1.0}
    score = _Counted(_nameless(source)) if hard else _Averaged(_nameless(source))
    rows = TreeEnsemble(
        n_columns=int(source.n_features_in_),
        trees=tuple(trees),
        base=np.zeros(n),
        rule=DecisionRule.ARGMAX,
        classes=tuple(np.asarray(source.classes_).tolist()),
        divisor=divisor,
        input_type=parts[0].input_type,
        slack=_slack(trees, n, divisor, exact=exact),
    )
    how = "by the majority of votes" if hard else "by averaged probabilities"
    return _model(source, rows, score, f"members decide together {how}", members)


def load_sklearn_calibrated(source: Any, load: Load) -> Model:  # noqa: ANN401
    """Import a fitted `CalibratedClassifierCV`; parameters as `load_sklearn_voting`.

    Raises
    ------
    UnsupportedError
        Naming what makes it inexact, and what to do instead.
    ModelError
        If it is not fitted.
    """
    calibrated = getattr(source, "calibrated_classifiers_", None)
    if calibrated is None:
        raise ModelError("the CalibratedClassifierCV is not fitted; fit it first")
    method = calibrated[0].method
    if method not in ("sigmoid", "isotonic"):
        raise UnsupportedError(
            f"a CalibratedClassifierCV by {method} is not supported; sigmoid and isotonic are"
        )
    n = len(source.classes_)
    members = [load(part.estimator) for part in calibrated]
    for member in members:
        _refuse_words(member)
    structures = [member.structure for member in members]
    trees = [s for s in structures if isinstance(s, TreeEnsemble) and _is_one_tree(s, n)]
    if len(trees) == len(structures):
        leaves = [
            _mapped(tree.trees[0], lambda leaf, part=part: _probabilities(part, leaf))  # type: ignore[misc]
            for tree, part in zip(trees, calibrated, strict=True)
        ]
        ensemble = replace(
            trees[0],
            trees=tuple(leaves),
            base=np.zeros(n),
            classes=tuple(np.asarray(source.classes_).tolist()),
            divisor=len(leaves),
            slack=_slack(leaves, n, len(leaves), exact=len(leaves) == 1),
        )
        score = _Averaged(_nameless(source))
        return _model(source, ensemble, score, f"leaves are calibrated by {method}", members)
    if len(members) > 1 or n > 2:
        why = "averages several calibrated models" if len(members) > 1 else "has several classes"
        hint = " (ensemble=False calibrates one model)" if len(members) > 1 else ""
        raise UnsupportedError(
            f"a CalibratedClassifierCV of a {members[0].source} that {why} adds up functions of "
            f"sums{hint}; decision trees inside are supported, or {_SURROGATE}"
        )
    return _one_threshold(source, calibrated[0], members[0])


def _one_threshold(source: Any, part: Any, member: Model) -> Model:  # noqa: ANN401
    """Move the threshold of a sum to where the calibrated probability passes one half."""
    by_margin = hasattr(part.estimator, "decision_function")
    structure = member.structure
    column = 0
    if isinstance(structure, TreeEnsemble) and structure.n_outputs == 2 and not by_margin:
        column = 1
    elif not (
        by_margin
        and isinstance(structure, TreeEnsemble | AdditiveModel)
        and structure.n_outputs == 1
    ):
        raise UnsupportedError(
            f"a calibrated {member.source} is not supported: its score is no sum; {_SURROGATE}"
        )

    def decides(scores: Floats) -> Floats:
        with np.errstate(over="ignore"):
            found = np.asarray(part.calibrators[0].predict(scores), dtype=np.float64)
        return np.where(found > 1.0 - found, 1.0, 0.0)

    ends = np.array([-1e300, 1e300]) if by_margin else np.array([0.0, 1.0])
    rises = decides(ends).tolist()
    sign = -1.0 if rises[0] > rises[1] else 1.0
    if rises[0] == rises[1]:
        threshold = -math.inf if rises[0] else math.inf
    else:
        threshold = sign * float(preimages(lambda x: decides(sign * x), [0.5])[0])
    classes = tuple(np.asarray(source.classes_).tolist())
    shifted: TreeEnsemble | AdditiveModel
    if math.isinf(threshold):
        threshold = 0.0
        base = np.array([1.0 if rises[0] else -1.0])
        shifted = TreeEnsemble(
            structure.n_columns, (), base, DecisionRule.POSITIVE, classes, input_type="float64"
        )
        score: Callable[[Points], Floats] = _Constant(float(base[0]))
    else:
        score = _Beyond(member, sign, threshold, column)
        if isinstance(structure, AdditiveModel):
            shifted = _shifted_sum(structure, sign, threshold, classes)
        else:
            shifted = _shifted_trees(structure, sign, threshold, column, classes)
    note = f"the score of the {member.source} decides from {threshold:g} on, by calibration"
    return _model(source, shifted, score, note, [member])


@dataclass(frozen=True, slots=True)
class _Constant:
    value: float

    def __call__(self, points: Points) -> Floats:
        return np.full((len(points), 1), self.value)


def _shifted_sum(
    model: AdditiveModel, sign: float, threshold: float, classes: tuple[Hashable, ...]
) -> AdditiveModel:
    terms = tuple(
        ColumnTerm(
            term.column,
            term.lower,
            term.upper,
            sign * term.coefficients,
            term.center,
            None if term.missing is None else sign * term.missing,
            term.sizes,
        )
        for term in model.terms
    )
    return replace(
        model,
        terms=terms,
        base=sign * (model.base - threshold),
        base_sizes=model.base_sizes + abs(threshold),
        rule=DecisionRule.NONNEGATIVE,
        classes=classes,
    )


def _shifted_trees(
    model: TreeEnsemble,
    sign: float,
    threshold: float,
    column: int,
    classes: tuple[Hashable, ...],
) -> TreeEnsemble:
    trees = tuple(_mapped(tree, lambda leaf: sign * leaf[:, [column]]) for tree in model.trees)
    base = sign * (model.base[[column]] - threshold)
    errors = summation_errors(trees, base * model.divisor, "float64", base_roundings=2)
    size = abs(threshold) + float(np.abs(model.base).max(initial=0.0)) + 1.0
    slack = float(errors[0]) / model.divisor + model.slack + 8 * UNIT["float64"] * size
    return replace(
        model,
        trees=trees,
        base=base,
        rule=DecisionRule.NONNEGATIVE,
        classes=classes,
        slack=slack,
    )


def _trees_of(member: Any, load: Load, n: int, hard: bool) -> TreeEnsemble:  # noqa: ANN401
    """Return a member as trees whose leaves can be added up, or refuse it."""
    kind = type(member).__name__
    how = "counts votes" if hard else "averages probabilities"
    try:
        model = load(member)
    except UnsupportedError as error:
        raise UnsupportedError(f"a member of the VotingClassifier: {error}") from None
    _refuse_words(model)
    found = model.structure
    if (
        isinstance(found, TreeEnsemble)
        and found.rule is DecisionRule.ARGMAX
        and found.n_outputs == n
        and hasattr(member, "predict_proba")
        and not bool(found.base.any())
        and (len(found.trees) == 1 or not hard)
        and (len(found.trees) == found.divisor)
    ):
        return found
    allowed = "decision trees" if hard else "decision trees and forests"
    raise UnsupportedError(
        f"a VotingClassifier that {how} of a {kind} adds up functions of sums; members may be "
        f"{allowed}, or {_SURROGATE}"
    )


def _is_one_tree(structure: TreeEnsemble, n: int) -> bool:
    return (
        len(structure.trees) == 1
        and structure.rule is DecisionRule.ARGMAX
        and structure.n_outputs == n
        and not bool(structure.base.any())
        and structure.divisor == 1
    )


def _refuse_words(model: Model) -> None:
    if model.domains:
        raise UnsupportedError(
            "a member encodes words itself; put the encoders in front of the wrapper, as steps of "
            "one pipeline"
        )


def _mapped(tree: Tree, change: Callable[[Floats], Floats]) -> Tree:
    """Return a tree with other leaf values."""
    leaves = tree.leaves
    made = np.asarray(change(tree.values[leaves]), dtype=np.float64)
    values = np.zeros((tree.n_nodes, made.shape[1]))
    values[leaves] = made
    return replace(tree, values=values)


def _in_float64(ensemble: TreeEnsemble) -> TreeEnsemble:
    """Return an ensemble whose boundaries are on the grid of float64."""
    if ensemble.input_type == "float64":
        return ensemble
    trees = tuple(
        replace(tree, boundary=np.array([widen(b, "float32") for b in tree.boundary.tolist()]))
        for tree in ensemble.trees
    )
    return replace(ensemble, trees=trees, input_type="float64")


def _probabilities(part: Any, leaf: Floats) -> Floats:  # noqa: ANN401
    """Calibrate the class probabilities of leaves as scikit-learn does."""
    n = len(part.classes)
    found = np.zeros((len(leaf), n))
    positions = np.searchsorted(np.asarray(part.classes), part.estimator.classes_).tolist()
    if n == 2:
        found[:, 1] = part.calibrators[0].predict(leaf[:, 1])
        found[:, 0] = 1.0 - found[:, 1]
    else:
        for k, (position, calibrator) in enumerate(zip(positions, part.calibrators, strict=True)):
            found[:, position] = calibrator.predict(leaf[:, k])
        total = found.sum(axis=1, keepdims=True)
        found = np.divide(found, total, out=np.full_like(found, 1 / n), where=total != 0)
    found[(found > 1.0) & (found <= 1.0 + 1e-5)] = 1.0
    return found


def _slack(trees: Sequence[Tree], n: int, divisor: int, *, exact: bool) -> float:
    """Bound how far scores that run are from exact sums."""
    base = np.zeros(n)
    if exact and sums_are_exact(trees, base, "float64", spare=3):
        return 0.0
    errors = summation_errors(trees, base, "float64", roundings=4, ordered=False) / divisor
    largest = max(float(np.abs(tree.values).max()) for tree in trees)
    return deciding_slack(errors + 8 * UNIT["float64"] * largest)


def _nameless(source: Any) -> Any:  # noqa: ANN401
    """Return a wrapper that will be given rows without column names."""
    import copy

    nameless = copy.copy(source)
    if hasattr(nameless, "feature_names_in_"):
        del nameless.feature_names_in_
    return nameless


def _model(
    source: Any,  # noqa: ANN401
    structure: TreeEnsemble | AdditiveModel,
    score: Callable[[Points], Floats],
    note: str,
    members: Sequence[Any],
) -> Model:
    import sklearn

    model = Model(
        structure=structure,
        runtime=WrapperRuntime(_nameless(source), score, sklearn.__version__),
        library="scikit-learn",
        version=sklearn.__version__,
        names=column_names_of(source),
        accepts_missing=all(_allows_missing(member) for member in members),
        source=type(source).__name__,
        notes=(note,),
    )
    model.verify(48)
    return model


def _allows_missing(member: Any) -> bool:  # noqa: ANN401
    if isinstance(member, Model):
        return member.accepts_missing
    if hasattr(member, "__sklearn_tags__"):
        return bool(member.__sklearn_tags__().input_tags.allow_nan)
    return bool(member._get_tags().get("allow_nan", False))

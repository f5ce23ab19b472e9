"""Rules that say what a model does: any classifier's own decisions as labels.

The rules are learnt from all rows; how faithful such rules are is measured on held-out
folds, where neither the rules nor the folds' choice saw the rows.  The surrogate is marked
as such: what it says about a row has to be replayed on the model before it counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from whyproof.asp.rules.rule import RuleSet
from whyproof.asp.rules.table import Table
from whyproof.asp.rules.values import text_of
from whyproof.engine.errors import InputError

from .foldse import FoldSE
from .inputs import read_features
from .quality import Quality, Spread, quality_of, spread_of, stratified_folds

__all__ = ["Extraction", "Predictor", "extract_rules", "rules_for_predictions"]


class Predictor(Protocol):
    """Anything that predicts a label for each row."""

    def predict(self, X: Any) -> Any:  # noqa: ANN401
        """Return one label per row."""
        ...


@dataclass(frozen=True, eq=False)
class Extraction:
    """Rules for a model and how far they can be trusted.

    Parameters
    ----------
    learner
        Fitted on all rows.
    folds
        Quality of rules learnt without each fold, on that fold.  Accuracy and the rest
        are against the true labels if they were given, else against the model.
    against
        ``"labels"`` or ``"model"``.
    """

    learner: FoldSE
    folds: tuple[Quality, ...]
    against: str

    @property
    def rules(self) -> RuleSet:
        """The rules."""
        return self.learner.rules_

    @property
    def quality(self) -> Spread:
        """Mean and standard deviation over the folds."""
        return spread_of(self.folds)


def extract_rules(
    model: Predictor | Callable[[Any], Any],
    X: object,
    y: object = None,
    *,
    learner: FoldSE | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Extraction:
    """Learn rules that imitate a model.

    Parameters
    ----------
    model
        Has ``predict``, or is called, with `X` as it is given here; a model with
        ``classes`` (a sequence of labels) may return class indices.
    X
        The rows, in the form that the model takes and with the names that rules shall
        use: best a frame.
    y
        True labels, if accuracy is of interest as well.
    learner
        An unfitted learner; by default one that learns an ordered list, which is more
        faithful than rules for one class.
    folds
        Number of held-out folds, 2 or more.
    seed
        Deals the rows into folds.

    Raises
    ------
    InputError
        If the model decides all rows alike or does not return one label per row.

    Examples
    --------
    >>> X = {"age": [float(k % 50) for k in range(200)], "job": ["a", "b"] * 100}
    >>> def model(X):
    ...     return np.where((np.array(X["age"]) > 30) & (np.array(X["job"]) == "a"), "yes", "no")
    >>> extraction = extract_rules(model, X)
    >>> extraction.quality.mean.fidelity
    1.0
    >>> print(extraction.rules.rules[0])
    label = no if age <= 31
    """
    predict = getattr(model, "predict", model)
    if not callable(predict):
        raise InputError(f"{type(model).__name__} has no predict and cannot be called")
    predicted = np.asarray(predict(X))
    known = getattr(model, "classes", None)
    if known is not None and not callable(known) and predicted.dtype.kind in "iu" and len(known):
        predicted = np.asarray(known, dtype=object)[predicted]
    return rules_for_predictions(predicted, X, y, learner=learner, folds=folds, seed=seed)


def rules_for_predictions(
    predicted: npt.NDArray[Any],
    X: object,
    y: object = None,
    *,
    learner: FoldSE | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Extraction:
    """Learn rules that imitate a model whose predictions are at hand.

    Parameters
    ----------
    predicted
        The model's label for each row.
    X, y, learner, folds, seed
        As for `extract_rules`.
    """
    table = read_features(X)
    if folds < 2 or folds > table.n_rows:
        raise InputError(f"{folds} folds of {table.n_rows} rows; give 2 or more, at most one a row")
    template = FoldSE(order="ordered") if learner is None else learner
    fitted = FoldSE(**template.get_params()).fit(table, predicted)
    coder = _Coder()
    said = coder.codes(predicted)
    reference = said if y is None else coder.codes(np.asarray(y))
    if len(reference) != table.n_rows:
        raise InputError(f"{table.n_rows} rows but {len(reference)} labels; give one per row")
    qualities = list[Quality]()
    for held_out in stratified_folds(said, folds, seed):
        rest = np.setdiff1d(np.arange(table.n_rows), held_out, assume_unique=True)
        decided = _decided(template, table, predicted, rest, held_out)
        codes = coder.codes(decided)
        qualities.append(quality_of(codes, reference[held_out], said[held_out]))
    return Extraction(fitted, tuple(qualities), "model" if y is None else "labels")


def _decided(
    template: FoldSE,
    table: Table,
    labels: npt.NDArray[Any],
    rest: npt.NDArray[np.intp],
    held_out: npt.NDArray[np.intp],
) -> npt.NDArray[Any]:
    """Learn without a fold and decide it; one class alone needs no rules."""
    if len(np.unique(labels[rest])) < 2:
        return np.full(len(held_out), labels[rest][0])
    learner = FoldSE(**template.get_params()).fit(table.take(rest), labels[rest])
    return learner.predict(table.take(held_out))


class _Coder:
    """Numbers labels by their text, the same for predictions and true labels."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}

    def codes(self, labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        known, codes = np.unique(labels, return_inverse=True)
        numbers = [self._index.setdefault(text_of(v), len(self._index)) for v in known.tolist()]
        return np.array(numbers, dtype=np.int64)[codes]

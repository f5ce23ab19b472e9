"""Rules that say what a model does: any classifier's own decisions as labels.

The rules are learnt from all rows; how faithful such rules are is measured on held-out
folds, whose rows neither the rules nor the made-up rows beside them (`neighbours`) come
from.  The surrogate is marked as such: what it says about a row has to be replayed on the
model before it counts.
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
from .neighbours import WEIGHT, Sources, default_copies, sources_for, taken_from
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
    copies: int | None = None,
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
        An unfitted learner; by default an ordered list, which is more faithful than
        rules for one class, by Gini impurity if there are neighbours and ``"power"``
        otherwise.
    copies
        Number of made-up neighbours of each row that the model is asked about as well,
        0 for none; by default up to 9, so that there are at most 30,000.  They need a
        frame, an array, a `Table` or a mapping of columns.
    folds
        Number of held-out folds, 2 or more.
    seed
        Deals the rows into folds and draws neighbours.

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
    >>> sorted(extraction.rules.features)
    ['age', 'job']
    """
    predict = getattr(model, "predict", model)
    if not callable(predict):
        raise InputError(f"{type(model).__name__} has no predict and cannot be called")
    known = getattr(model, "classes", None)

    def labels_of(rows: object) -> npt.NDArray[Any]:
        said = np.asarray(predict(rows))
        if known is None or callable(known) or said.dtype.kind not in "iu" or not len(known):
            return said
        named: npt.NDArray[Any] = np.asarray(known, dtype=object)
        return np.asarray(named[said])

    take = taken_from(X)

    def ask(sources: Sources) -> npt.NDArray[Any]:
        return labels_of(take(sources)) if take is not None else np.zeros(0)

    return rules_for_predictions(
        labels_of(X),
        X,
        y,
        learner=learner,
        ask=None if take is None else ask,
        copies=copies,
        folds=folds,
        seed=seed,
    )


def rules_for_predictions(
    predicted: npt.NDArray[Any],
    X: object,
    y: object = None,
    *,
    learner: FoldSE | None = None,
    ask: Callable[[Sources], npt.NDArray[Any]] | None = None,
    copies: int | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Extraction:
    """Learn rules that imitate a model whose predictions are at hand.

    Parameters
    ----------
    predicted
        The model's label for each row.
    ask
        Returns the model's label for made-up rows, given the row that each value comes
        from; `None` if the model cannot be asked.
    X, y, learner, copies, folds, seed
        As for `extract_rules`.
    """
    table = read_features(X)
    if folds < 2 or folds > table.n_rows:
        raise InputError(f"{folds} folds of {table.n_rows} rows; give 2 or more, at most one a row")
    if len(predicted) != table.n_rows:
        raise InputError(f"{table.n_rows} rows but {len(predicted)} predictions; give one per row")
    everything = np.arange(table.n_rows)
    made = default_copies(table.n_rows) if copies is None else copies
    # the fewer answers there are, the more a sharp measure helps
    heuristic = "power" if ask is None or made < 1 else "gini"
    template = FoldSE(order="ordered", heuristic=heuristic) if learner is None else learner
    student = _Student(template, table, predicted, ask, made)
    fitted = student.learn(everything, seed)
    coder = _Coder()
    said = coder.codes(predicted)
    reference = said if y is None else coder.codes(np.asarray(y))
    if len(reference) != table.n_rows:
        raise InputError(f"{table.n_rows} rows but {len(reference)} labels; give one per row")
    qualities = list[Quality]()
    for number, held_out in enumerate(stratified_folds(said, folds, seed)):
        rest = np.setdiff1d(everything, held_out, assume_unique=True)
        if len(np.unique(said[rest])) < 2:
            decided = np.full(len(held_out), predicted[rest][0])
        else:
            decided = student.learn(rest, seed + 1 + number).predict(table.take(held_out))
        codes = coder.codes(decided)
        qualities.append(quality_of(codes, reference[held_out], said[held_out]))
    return Extraction(fitted, tuple(qualities), "model" if y is None else "labels")


@dataclass(frozen=True, eq=False)
class _Student:
    """Learns from some real rows and, where the model can be asked, their neighbours."""

    template: FoldSE
    table: Table
    predicted: npt.NDArray[Any]
    ask: Callable[[Sources], npt.NDArray[Any]] | None
    copies: int

    def learn(self, rows: npt.NDArray[np.intp], seed: int) -> FoldSE:
        learner = FoldSE(**self.template.get_params())
        real, labels = self.table.take(rows), self.predicted[rows]
        if self.ask is None or self.copies < 1:
            return learner.fit(real, labels)
        sources = sources_for(rows, len(self.table), self.copies, seed)
        columns = {
            name: column.take(np.concatenate([rows, sources[:, k]]))
            for k, (name, column) in enumerate(self.table.items())
        }
        answers = self.ask(sources)
        if len(answers) != len(sources):
            raise InputError(f"the model gave {len(answers)} labels for {len(sources)} rows")
        every = np.concatenate([labels, answers])
        return learner.fit_measured(Table(columns), every, len(rows), WEIGHT)


class _Coder:
    """Numbers labels by their text, the same for predictions and true labels."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}

    def codes(self, labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        known, codes = np.unique(labels, return_inverse=True)
        numbers = [self._index.setdefault(text_of(v), len(self._index)) for v in known.tolist()]
        return np.array(numbers, dtype=np.int64)[codes]

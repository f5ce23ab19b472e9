"""Can changing only these features flip a decision: of given people, counted exactly.

A model tells finitely many values of a column apart.  Where the chosen features have few
such cells, every combination of them is put into every row and run through the model that
runs: what no combination changes is proved, since within a cell the model does the same
additions.  Where they have many, the exact oracle answers row by row.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.encodings.trees.ensemble import TreeEnsemble
from whyproof.encodings.trees.oracle import TreeOracle
from whyproof.encodings.trees.program import TreeProgram
from whyproof.engine.answers import Counterexample, Entailed
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.classifier import Classifier
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, Question
from whyproof.engine.space import FeatureSet, FeatureSpace, Points

__all__ = ["Affected", "affected_rows"]

_MOST_COMBINATIONS = 512
_BATCH = 1 << 17


@dataclass(frozen=True, eq=False)
class Affected:
    """Which of some people the chosen features alone can flip.

    Parameters
    ----------
    flips
        Whether a witness was found, shape ``(rows,)``.
    decided
        Whether the answer is proved either way, shape ``(rows,)``.
    witnesses
        For each row that flips a point that differs in the chosen features alone.
    outcomes
        What the model says about the rows, shape ``(rows,)``.
    """

    flips: npt.NDArray[np.bool_]
    decided: npt.NDArray[np.bool_]
    witnesses: dict[int, npt.NDArray[np.float64]]
    outcomes: npt.NDArray[np.float64]

    @property
    def share(self) -> tuple[float, float]:
        """Smallest and largest share of rows that flip, equal if all are decided."""
        n = max(len(self.flips), 1)
        open_rows = int((~self.decided).sum())
        return float(self.flips.sum()) / n, float(self.flips.sum() + open_rows) / n


def affected_rows(
    model: Classifier,
    space: FeatureSpace,
    features: FeatureSet,
    rows: Points,
    *,
    question: Question | None = None,
    budget: Budget | None = None,
    meter: Meter | None = None,
) -> Affected:
    """Decide for each row whether changing only some features changes the decision.

    Parameters
    ----------
    model
        Classifier whose `structure` is a `TreeEnsemble`.
    space
        Its inputs; constraints have to hold for the changed row.  That a feature is
        immutable does not matter: the question is about the model, not about the person.
    features
        Indices of the features to change.
    rows
        Admissible points, shape ``(rows, columns)``.
    question
        What counts as a change; another class by default.
    budget, meter
        Limits, or those of a run that has begun.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from whyproof.models import load_model
    >>> x, y = load_iris(return_X_y=True)
    >>> model = load_model(DecisionTreeClassifier(max_depth=2, random_state=0).fit(x, y))
    >>> affected_rows(model, FeatureSpace.of("abcd"), frozenset({3}), x).share
    (1.0, 1.0)
    """
    ensemble = model.structure
    if not isinstance(ensemble, TreeEnsemble):
        raise UnsupportedError("this needs a model that is a tree ensemble")
    if not features:
        raise DataError("name the features to change")
    meter = meter or (budget or Budget()).start()
    question = question or AnyOther()
    free = replace(space, features=tuple(replace(f, immutable=False) for f in space.features))
    boxes = LeafBoxes.of(ensemble, replace(free, constraints=()))
    columns = [c for f in sorted(features) for c in space.features[f].columns]
    count = math.prod(int(boxes.n_cells[c]) for c in columns)
    outcomes = np.asarray(model.predict(rows), dtype=np.float64)
    if count <= _MOST_COMBINATIONS and not space.constraints:
        return _enumerated(model, boxes, columns, rows, outcomes, question, meter)
    return _asked(model, free, features, rows, outcomes, question, meter)


def _enumerated(
    model: Classifier,
    boxes: LeafBoxes,
    columns: Sequence[int],
    rows: Points,
    outcomes: npt.NDArray[np.float64],
    question: Question,
    meter: Meter,
) -> Affected:
    """Put every combination of cells into every row."""
    held = {c: rows[~np.isnan(rows[:, c]), c] for c in columns}
    usual = {c: float(np.median(values)) if len(values) else 0.0 for c, values in held.items()}
    options = [
        [
            float(value)
            for k in range(len(boxes.columns[c]))
            if (value := boxes.columns[c].pick(k, usual[c], *boxes.columns[c].domain.bounds))
            is not None
        ]
        for c in columns
    ]
    combinations = np.array(list(itertools.product(*options)))
    flips = np.zeros(len(rows), dtype=np.bool_)
    decided = np.zeros(len(rows), dtype=np.bool_)
    witnesses: dict[int, npt.NDArray[np.float64]] = {}
    step = max(1, _BATCH // len(combinations))
    for first in range(0, len(rows), step):
        if meter.exhausted() is not None:
            break
        part = rows[first : first + step]
        points = np.repeat(part, len(combinations), axis=0)
        points[:, columns] = np.tile(combinations, (len(part), 1))
        changed = np.zeros((len(part), len(combinations)), dtype=np.bool_)
        predictions = outcomes[first : first + step]
        owner = np.repeat(predictions, len(combinations))
        for kept in np.unique(predictions).tolist():
            chosen = owner == kept
            _, these = question.evaluate(model, points[chosen], kept)
            changed.reshape(-1)[chosen] = these
        decided[first : first + step] = True
        flips[first : first + step] = changed.any(axis=1)
        for row in np.flatnonzero(changed.any(axis=1)).tolist():
            at = row * len(combinations) + int(changed[row].argmax())
            witnesses[first + row] = points[at]
    return Affected(flips, decided, witnesses, outcomes)


def _asked(
    model: Classifier,
    space: FeatureSpace,
    features: FeatureSet,
    rows: Points,
    outcomes: npt.NDArray[np.float64],
    question: Question,
    meter: Meter,
) -> Affected:
    """Ask the exact oracle row by row."""
    ensemble = model.structure
    program = (
        TreeProgram(LeafBoxes.of(ensemble, space)) if isinstance(ensemble, TreeEnsemble) else None
    )
    flips = np.zeros(len(rows), dtype=np.bool_)
    decided = np.zeros(len(rows), dtype=np.bool_)
    witnesses: dict[int, npt.NDArray[np.float64]] = {}
    for number, row in enumerate(rows):
        if meter.exhausted() is not None:
            break
        problem = ExplanationProblem(model, space, row, question=question)
        answer = TreeOracle(problem, program).decide([features], meter)[0]
        if isinstance(answer, Counterexample):
            problem.replay(answer.point, features)
            flips[number], witnesses[number] = True, answer.point
        decided[number] = isinstance(answer, Counterexample | Entailed)
    return Affected(flips, decided, witnesses, outcomes)

"""The real model behind the rules, as the planner asks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast

import numpy as np

from whyproof.asp.rules import Value
from whyproof.asp.worlds.world import State
from whyproof.engine.classifier import Classifier
from whyproof.engine.errors import DataError
from whyproof.engine.names import did_you_mean
from whyproof.engine.space import FeatureSpace

__all__ = ["ClassifierJudge", "FunctionJudge", "Judge"]


class Judge(Protocol):
    """Decides about states; its labels are those of the decision rules."""

    def decide(self, states: Sequence[State]) -> list[Value]:
        """Return one label per state."""
        ...


class FunctionJudge:
    """A function from states to labels.

    Examples
    --------
    >>> judge = FunctionJudge(lambda states: ["yes" if s["age"] > 17 else "no" for s in states])
    >>> judge.decide([{"age": 20}])
    ['yes']
    """

    def __init__(self, function: Callable[[Sequence[State]], Sequence[object]]) -> None:
        self._function = function

    def decide(self, states: Sequence[State]) -> list[Value]:
        """Return one label per state."""
        found = [_plain(label) for label in self._function(list(states))]
        if len(found) != len(states):
            raise DataError(f"the model gave {len(found)} labels for {len(states)} states")
        return found


class ClassifierJudge:
    """A classifier of the engine; columns that the world does not know keep given values.

    Parameters
    ----------
    classifier
        The model that runs.
    space
        Its columns.
    others
        Values of columns that are no features of the world.

    Raises
    ------
    DataError
        If the classifier is a regressor.
    """

    def __init__(
        self,
        classifier: Classifier,
        space: FeatureSpace,
        others: Mapping[str, object] | None = None,
    ) -> None:
        if not classifier.classes:
            raise DataError("the model is a regressor; a plan needs a model that decides on labels")
        self.classifier = classifier
        self.space = space
        self.others = dict(others or {})

    def decide(self, states: Sequence[State]) -> list[Value]:
        """Return one label per state."""
        names = [column.name for column in self.space.columns]
        rows: list[dict[str, object]] = []
        for state in states:
            row = {n: state[n] if n in state else self.others.get(n, _ABSENT) for n in names}
            absent = [name for name, value in row.items() if value is _ABSENT]
            if absent:
                known = [*state, *self.others]
                raise DataError(
                    f"the model needs column {absent[0]!r}, which is no feature of the world and "
                    f"has no given value{did_you_mean(absent[0], known)}"
                )
            rows.append(row)
        if not rows:
            return []
        points = np.stack([self.space.encode(row) for row in rows])
        classes = self.classifier.classes
        return [_plain(classes[int(code)]) for code in self.classifier.predict(points)]


_ABSENT = object()


def _plain(label: object) -> Value:
    if isinstance(label, np.generic):
        label = cast("object", label.item())
    if label is None or isinstance(label, str | int | float | bool):
        return label
    return str(label)

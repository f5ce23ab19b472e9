"""Recording nearest counterfactuals in the store of an audit, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from whyproof.auditing.environment import environment
from whyproof.encodings.recourse.nearest import NearestSearch
from whyproof.engine.space import Point
from whyproof.store import RunOutcome, StoreWriter, identity, model_as_json
from whyproof.store.canonical import canonical, jsonable

__all__ = ["Recording"]


class Recording:
    """A run that adds counterfactuals to a store; a context manager.

    Parameters
    ----------
    writer
        The open store.
    search
        Model, question, rules and distance.
    source
        Where the rows come from.
    """

    def __init__(
        self, writer: StoreWriter, search: NearestSearch, source: Mapping[str, object]
    ) -> None:
        self._writer, self._search = writer, search
        self._asked = jsonable(
            {
                "norm": search.distance.norm,
                "factors": search.distance.factors,
                "rules": [rule.text for rule in search.rules],
                "models": [model.fingerprint for model in search.models],
            }
        )
        self._known = writer.counterfactuals()
        self._run = writer.begin_run(
            {
                "model": model_as_json(search.models[0]),
                "strategy": "nearest counterfactual",
                "budget": {},
                "seed": None,
                "asked": self._asked,
                "source": jsonable(source),
                "environment": environment(),
            }
        )

    @classmethod
    def open(
        cls, path: str | Path, search: NearestSearch, source: Mapping[str, object]
    ) -> Recording:
        """Open the store of an audit of the same model and space, or make one.

        Raises
        ------
        StoreError
            If the store is about something else.
        """
        about = identity(search.models[0], search.space, search.region, search.question)
        return cls(StoreWriter.open(path, about), search, source)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        outcome = RunOutcome.FINISHED if error is None else RunOutcome.FAILED
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            outcome = RunOutcome.INTERRUPTED
        self._writer.end_run(self._run, outcome)
        self._writer.close()

    def has(self, row: int, instance: Point) -> bool:
        """Tell whether a row's nearest counterfactual is known under the same rules."""
        known = self._known.get(row)
        if known is None or known.record.get("status") not in ("optimal", "none", "already"):
            return False
        self._writer.check_row(row, self._search.space.decode(instance))
        return canonical(known.record.get("asked")) == canonical(self._asked)

    def add(self, row: int, instance: Point, answer: Mapping[str, Any]) -> None:
        """Record an answer, and the row if the store does not hold it."""
        model, search = self._search.models[0], self._search
        if self._writer.progress(row) is None:
            prediction = float(model.predict(instance[None])[0])
            self._writer.open_row(
                self._run,
                row,
                search.space.decode(instance),
                {
                    "prediction": jsonable(
                        model.classes[int(prediction)] if model.classes else prediction
                    ),
                    "scores": jsonable(model.scores(instance[None])[0]),
                    "question": search.question.describe(model, prediction),
                },
            )
        else:
            self._writer.check_row(row, search.space.decode(np.asarray(instance)))
        self._writer.add_counterfactual(self._run, row, {"asked": self._asked, **answer})

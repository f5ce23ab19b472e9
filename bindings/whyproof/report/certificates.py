"""Certificates for the sheets of persons: the explanations that a sheet cites, proved again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from whyproof.certificates import CertificateBuilder, Unproved
from whyproof.engine.budget import Budget
from whyproof.engine.domain import Boolean, Categories, Domain, Integers, Real
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, KeepMargin, LeaveInterval, Question, ReachClass
from whyproof.engine.region import Region
from whyproof.engine.space import Column, Feature, FeatureSpace, Point
from whyproof.models import load_model
from whyproof.store import Store, restore

from .findings import Person

__all__ = ["PersonCertificates", "question_of", "region_of", "space_of"]

_TOGETHER = 100
"""Certificates that are checked at once."""


class PersonCertificates:
    """Writes certificates of stored explanations.

    Parameters
    ----------
    store
        Where they stand.
    model_file
        The model's file, as it will be given to ``whyproof check``.
    seconds
        Time limit for each person.

    Raises
    ------
    DataError
        If the file is another model than the store's.
    UnsupportedError
        If there are no certificates for such a model, space or question.
    """

    def __init__(self, store: Store, model_file: str | Path, *, seconds: float = 30.0) -> None:
        identity = cast("Mapping[str, Any]", store.identity)
        model = load_model(model_file)
        if model.fingerprint != identity["model"]:
            raise DataError(
                f"{model_file} is another model than the store's ({model.fingerprint[:19]}, not "
                f"{str(identity['model'])[:19]}); name the audited one"
            )
        self._model, self._space = model, space_of(identity)
        self._question, self._region = (
            question_of(identity["question"]),
            region_of(identity["region"]),
        )
        self._builder = CertificateBuilder(model_file, model, self._space)
        self._seconds = seconds
        self._waiting: list[tuple[Point, Path]] = []

    def add(self, person: Person, cited: Sequence[str], path: Path) -> bool:
        """Collect the certificate of one person; tell whether there is one.

        Files appear after `finish`, or earlier: they are checked together, which spares
        reading the model again for each.

        Parameters
        ----------
        person
            Whose explanations.
        cited
            Hashes of the AXps that a sheet cites; changes of one feature are added.
        path
            File to write.
        """
        instance = self._space.encode(person.values)
        problem = ExplanationProblem(
            self._model, self._space, instance, self._region, self._question
        )
        wanted = set(cited)
        views = [v for v in person.axps if v.hash in wanted and v.status == "minimal"]
        views += [v for v in person.cxps if len(v.indices) == 1 and v.status == "minimal"]
        meter = Budget(seconds=self._seconds).start()
        added = 0
        for view in views:
            try:
                self._builder.add(restore(problem, view.record), meter=meter)
                added += 1
            except Unproved:
                continue
        if added:
            self._waiting.append((instance, path))
        if len(self._waiting) >= _TOGETHER:
            self.finish()
        return bool(added)

    def finish(self) -> None:
        """Check what was collected and write it.

        Raises
        ------
        Unproved
            If the checker does not accept it: a defect, and nothing is written.
        """
        if self._waiting:
            self._builder.write_each(self._waiting)
        self._waiting = []
        self._builder.begin()


def space_of(identity: Mapping[str, Any]) -> FeatureSpace:
    """Return the space that a store is about.

    Raises
    ------
    UnsupportedError
        If it has constraints, which a store describes in words.
    """
    space = identity["space"]
    if space.get("constraints"):
        raise UnsupportedError("certificates of reports do not know constraints over features")
    columns = tuple(Column(c["name"], _domain(c["domain"]), c["unit"]) for c in space["columns"])
    position = {column.name: i for i, column in enumerate(columns)}
    features = tuple(
        Feature(f["name"], tuple(position[name] for name in f["columns"]), f["immutable"])
        for f in space["features"]
    )
    return FeatureSpace(columns, features)


def _domain(told: Mapping[str, Any]) -> Domain:
    nullable = bool(told["nullable"])
    match told["type"]:
        case "categories":
            return Categories(nullable, tuple(told["values"]))
        case "boolean":
            return Boolean(nullable)
        case "integers":
            return Integers(nullable, float(told["lower"]), float(told["upper"]))
        case _:
            return Real(nullable, float(told["lower"]), float(told["upper"]))


def question_of(told: Mapping[str, Any]) -> Question:
    """Return the question that a store is about."""
    match told["type"]:
        case "AnyOther":
            return AnyOther()
        case "ReachClass":
            return ReachClass(int(told["target"]))
        case "KeepMargin":
            return KeepMargin(float(told["floor"]))
        case "LeaveInterval":
            return LeaveInterval(float(told["lower"]), float(told["upper"]))
        case other:
            raise UnsupportedError(f"certificates of reports do not know the question {other}")


def region_of(told: Mapping[str, Any]) -> Region:
    """Return the region that a store is about."""

    def numbers(values: Any) -> Any:  # noqa: ANN401  # JSON: a number, a list, or nothing
        if isinstance(values, list):
            return np.array([float(v) for v in values])
        return values

    return Region(
        told["norm"], numbers(told["epsilon"]), numbers(told["lower"]), numbers(told["upper"])
    )

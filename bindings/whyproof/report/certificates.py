"""Certificates for the sheets of persons: the explanations that a sheet cites, proved again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from whyproof.certificates import CertificateBuilder, Unproved
from whyproof.encodings.recourse.answer import Nearest, NearestStatus
from whyproof.encodings.recourse.distance import Distance
from whyproof.encodings.recourse.nearest import NearestSearch
from whyproof.engine.budget import Budget
from whyproof.engine.domain import Boolean, Categories, Domain, Integers, Real
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, KeepMargin, LeaveInterval, Question, ReachClass
from whyproof.engine.region import Norm, Region
from whyproof.engine.space import Column, Feature, FeatureSpace, Point
from whyproof.models import load_model
from whyproof.recourse.certificate import nearest_claim
from whyproof.store import Store, restore

from .findings import Person

__all__ = ["PersonCertificates", "question_of", "region_of", "space_of"]

_TOGETHER = 100
"""Certificates that are checked at once."""

_NEAREST_SECONDS = 2.0
"""Longest time to prove one distance again."""


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
        self._searches: dict[tuple[str, tuple[float, ...]], NearestSearch] = {}

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
        added += self._add_nearest(person, problem)
        if added:
            self._waiting.append((instance, path))
        if len(self._waiting) >= _TOGETHER:
            self.finish()
        return bool(added)

    def _add_nearest(self, person: Person, problem: ExplanationProblem) -> int:
        """Prove again that nothing is nearer than the recorded counterfactual, where that can be.

        Records name rules in words, so that only changes without rules are proved again.
        """
        change = person.change
        if change is None or change.get("status") != "optimal" or not change.get("point"):
            return 0
        asked = change.get("asked") or {}
        if asked.get("rules") or len(asked.get("models", ())) != 1:
            return 0
        try:
            search = self._search(str(asked["norm"]), asked["factors"])
            found = Nearest(
                NearestStatus.OPTIMAL,
                problem.instance,
                self._space.encode(change["point"]),
                float(change["distance"]),
                float(change["bound"]),
            )
            meter = Budget(seconds=min(self._seconds, _NEAREST_SECONDS)).start()
            claim, _ = nearest_claim(search, found, problem, meter)
        except (UnsupportedError, Unproved, DataError):
            return 0
        self._builder.add_claim(problem, claim)
        return 1

    def _search(self, norm: str, factors: Sequence[float]) -> NearestSearch:
        """Return the search that a record tells of; one for each distance."""
        key = (norm, tuple(float(f) for f in factors))
        if key not in self._searches:
            if any(len(feature.columns) > 1 for feature in self._space.features):
                raise UnsupportedError("sheets prove distances again for features of one column")
            weights = Distance.of(self._space).weights
            norms: dict[str, Norm] = {"l1": "l1", "l2": "l2"}
            if norm not in norms:
                raise UnsupportedError("sheets prove distances again in the norms l1 and l2")
            distance = Distance(self._space, norms[norm], np.array(key[1]), weights)
            self._searches[key] = NearestSearch(
                [self._model],
                self._space,
                distance=distance,
                question=self._question,
                region=self._region,
            )
        return self._searches[key]

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

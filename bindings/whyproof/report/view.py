"""One explanation as reports see it: records of a store and live objects alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from whyproof.engine.explanation import Explanation
from whyproof.store.canonical import jsonable
from whyproof.store.description import identity

from .values import Setting, listed, settings, transition

__all__ = ["ExplanationView", "Subject", "view_of"]

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Subject:
    """What explanations are about: the identity of a store, with lookups.

    Parameters
    ----------
    identity
        Keys ``model``, ``classes``, ``space``, ``region``, ``question``.
    """

    identity: Json

    @cached_property
    def features(self) -> list[dict[str, Any]]:
        """Features in order: ``name``, ``columns``, ``immutable``, ``units``."""
        space = self.identity["space"]
        units = {column["name"]: column["unit"] for column in space["columns"]}
        return [
            {**feature, "units": {name: units[name] for name in feature["columns"]}}
            for feature in space["features"]
        ]

    @cached_property
    def names(self) -> list[str]:
        """Feature names in order."""
        return [feature["name"] for feature in self.features]

    @property
    def mutable(self) -> frozenset[int]:
        """Indices of features that may change."""
        return frozenset(i for i, f in enumerate(self.features) if not f["immutable"])


@dataclass(frozen=True)
class ExplanationView:
    """An explanation with the row that it explains.

    Parameters
    ----------
    subject
        What was asked.
    row
        The row's values by column.
    record
        Keys as `Explanation.as_json`.
    hash
        Hash of the stored record; empty if it is not stored.
    """

    subject: Subject
    row: Json
    record: Json
    hash: str = ""

    @property
    def kind(self) -> str:
        """``axp`` or ``cxp``."""
        return str(self.record["kind"])

    @property
    def status(self) -> str:
        """``minimal``, ``weak`` or ``unknown``."""
        return str(self.record["status"])

    @property
    def indices(self) -> tuple[int, ...]:
        """Feature indices, ascending."""
        return tuple(self.record["indices"])

    @property
    def features(self) -> Sequence[str]:
        """Feature names."""
        return tuple(self.record["features"])

    @property
    def open(self) -> Sequence[str]:
        """Names of members that may not be needed."""
        return tuple(self.record["open"])

    @property
    def evidence(self) -> Json:
        """What shows it."""
        evidence: Json = self.record["evidence"]
        return evidence

    @property
    def margin(self) -> float | None:
        """Guaranteed lead in score units; `None` if it is not bounded or not an AXp."""
        margin = self.evidence.get("margin")
        return None if margin is None else float(margin)

    @property
    def outcome(self) -> object:
        """What the model says about the counterexample; `None` for an AXp."""
        return self.evidence.get("outcome")

    @property
    def settings(self) -> list[Setting]:
        """Columns of the members and their values in the row."""
        return [
            setting
            for i in self.indices
            for setting in settings(self.subject.features[i], self.row)
        ]

    @property
    def transitions(self) -> list[tuple[str, str, str]]:
        """For a CXp: each changed column, its value in the row and in the counterexample."""
        point = self.evidence.get("point")
        if point is None:
            return []
        found: list[tuple[str, str, str]] = []
        for feature in self.subject.features:
            old, new = settings(feature, self.row), settings(feature, point)
            if len(old) == len(new) == 1 and len(feature["columns"]) > 1:
                if old != new:
                    found.append((feature["name"], old[0][1], new[0][1]))
                continue
            for name in feature["columns"]:
                if self.row.get(name) != point[name]:
                    unit = feature["units"][name]
                    found.append((name, *transition(self.row.get(name), point[name], unit)))
        return found

    @property
    def free(self) -> list[str]:
        """For an AXp: names of the other features that may change."""
        members = frozenset(self.indices)
        return [self.subject.names[i] for i in sorted(self.subject.mutable - members)]

    def __str__(self) -> str:
        return f"{self.kind.upper()} {{{listed(self.features, ',')}}}"


def view_of(explanation: Explanation) -> ExplanationView:
    """Return the view of a live explanation."""
    problem = explanation.problem
    about = identity(problem.classifier, problem.space, problem.region, problem.question)
    row = jsonable(problem.space.decode(problem.instance))
    record = jsonable(explanation.as_json())
    return ExplanationView(Subject(about), _mapping(row), _mapping(record))


def _mapping(value: object) -> Json:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected a mapping, found {type(value).__name__}")
    return value

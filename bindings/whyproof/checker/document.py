"""A certificate's fields, read strictly: what is absent, new or of the wrong type is refused."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .cells import Column
from .refusal import Refused

__all__ = [
    "FORMAT",
    "UNDER_CONSTRAINTS",
    "VERSION",
    "Document",
    "Feature",
    "digest_of",
    "fields",
    "number",
]

FORMAT, VERSION, UNDER_CONSTRAINTS = "whyproof-certificate", 1, 2
"""Version 2 has constraints, version 1 has none; nothing else differs."""


@dataclass(frozen=True, slots=True)
class Feature:
    """Columns that are free or fixed together."""

    name: str
    columns: tuple[int, ...]
    immutable: bool


@dataclass(frozen=True)
class Document:
    """What a certificate says about model and space, and its decisions as they stand."""

    model_hash: str
    classes: tuple[str, ...]
    base_score: float | None
    slack: float
    columns: tuple[Column, ...]
    features: tuple[Feature, ...]
    decisions: tuple[Any, ...]
    constraints: tuple[Any, ...] = ()

    @classmethod
    def read(cls, text: str) -> Document:
        """Read a certificate.

        Raises
        ------
        Refused
            If it is not one, or was changed after it was written.
        """
        try:
            content = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise Refused(f"the certificate is no JSON ({error})") from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise Refused(f"the file is no certificate: its format is not {FORMAT!r}")
        version = content.get("version")
        if version not in (VERSION, UNDER_CONSTRAINTS) or type(version) is not int:
            raise Refused(
                f"the certificate has version {version!r}, not {VERSION} or {UNDER_CONSTRAINTS}"
            )
        keys = ("format", "version", "model", "slack", "space", "decisions", "digest")
        top = fields(content, "the certificate", keys)
        if top["digest"] != digest_of(content):
            raise Refused("the digest does not fit: the certificate was changed or damaged")
        model = fields(top["model"], "the model", ("hash", "classes", "base_score"))
        more = ("constraints",) if version == UNDER_CONSTRAINTS else ()
        space = fields(top["space"], "the space", ("columns", "features", *more))
        columns = tuple(_column(entry) for entry in _list(space["columns"], "columns"))
        features = tuple(_feature(entry) for entry in _list(space["features"], "features"))
        owned = sorted(c for feature in features for c in feature.columns)
        if owned != list(range(len(columns))) or not columns:
            raise Refused("the features of the certificate do not share out its columns")
        names = [*(f"column {c.name}" for c in columns), *(f"feature {f.name}" for f in features)]
        if len(set(names)) != len(names):
            raise Refused("a name of the certificate stands twice")
        base_score = None if model["base_score"] is None else number(model["base_score"])
        slack = number(top["slack"])
        if not 0 <= slack < math.inf:
            raise Refused(f"the slack of the certificate is {slack!r}")
        classes = _list(model["classes"], "classes")
        return cls(
            _text(model["hash"]),
            tuple(_text(label) for label in classes),
            base_score,
            slack,
            columns,
            features,
            tuple(_list(top["decisions"], "decisions")),
            tuple(_list(space["constraints"], "constraints")) if more else (),
        )


def digest_of(content: dict[str, Any]) -> str:
    """Return ``sha256:`` and the hash of everything but the digest, keys in order, no spaces."""
    rest = {key: value for key, value in content.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def fields(entry: object, what: str, names: Sequence[str]) -> dict[str, Any]:
    """Return a mapping that has exactly these keys."""
    if not isinstance(entry, dict) or set(entry) != set(names):
        raise Refused(f"{what} needs the fields {', '.join(names)}")
    return entry


def number(value: object) -> float:
    """Read a number: as JSON has it, ``null`` for missing, ``"inf"`` and ``"-inf"`` as text."""
    if value is None:
        return math.nan
    if value in ("inf", "-inf"):
        return math.inf if value == "inf" else -math.inf
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"{value!r} stands where a number is needed")
    return float(value)


def _column(entry: object) -> Column:
    names = ("name", "kind", "lower", "upper", "nullable")
    given = fields(entry, "a column", names)
    kind, nullable = given["kind"], given["nullable"]
    if kind not in ("real", "integers", "codes") or not isinstance(nullable, bool):
        raise Refused(f"column {given['name']!r} is not understood")
    lower, upper = number(given["lower"]), number(given["upper"])
    if not lower <= upper:
        raise Refused(f"column {given['name']!r} has no values")
    return Column(_text(given["name"]), kind, lower, upper, nullable)


def _feature(entry: object) -> Feature:
    given = fields(entry, "a feature", ("name", "columns", "immutable"))
    columns = _list(given["columns"], "columns")
    if not isinstance(given["immutable"], bool) or not all(type(c) is int for c in columns):
        raise Refused(f"feature {given['name']!r} is not understood")
    return Feature(_text(given["name"]), tuple(columns), given["immutable"])


def _list(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise Refused(f"{what} is no list")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Refused(f"{value!r} stands where a text is needed")
    return value


def _refuse_constant(text: str) -> float:
    raise Refused(f"{text} is no number of JSON")

"""Feature spaces as TOML files, for people to read and write.

::

    immutable = ["age"]

    [columns.age]
    type = "integers"
    lower = 0
    upper = 120
    unit = "years"

    [columns.income]
    nullable = true

    [columns.job]
    values = ["clerk", "cook", "other"]

    [groups]
    place = ["street", "town"]

    [rules]
    constraints = ["age >= 18 :- job = clerk.", "at_most_one(car, bike)."]

``type`` is ``real`` (the default), ``integers``, ``boolean`` or ``categories`` (implied by
``values``).  Columns stand in the model's order; given the names of a table or a model,
a file may leave out columns that are plain real numbers.  Constraints are written as in rule
files, see `whyproof.asp.rules.constraints`.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from whyproof.engine.domain import Boolean, Categories, Domain, Integers, Real
from whyproof.engine.errors import DataError
from whyproof.engine.names import did_you_mean
from whyproof.engine.space import Column, Constraint, Feature, FeatureSpace

__all__ = ["dump_space", "load_space", "space_as_toml", "space_from_toml"]

_MAX_BYTES = 64 * 1024**2
_TYPES = ("real", "integers", "boolean", "categories")
_KEYS = ("type", "lower", "upper", "values", "nullable", "unit")


def load_space(path: str | os.PathLike[str], names: Sequence[str] | None = None) -> FeatureSpace:
    """Read a feature space from a TOML file.

    Parameters
    ----------
    path
        The file.
    names
        Column names of the model or table, in order.  Columns that the file does not
        describe are real numbers; without names, the file's columns are the space.

    Raises
    ------
    DataError
        For a file that cannot be read or says something impossible, with the line.
    """
    path = Path(os.fspath(path))
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} is larger than {_MAX_BYTES} bytes; it is no space file")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; it is no space file") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    return space_from_toml(text, names, str(path))


def dump_space(space: FeatureSpace, path: str | os.PathLike[str]) -> None:
    """Write a feature space as TOML; the file appears whole or not at all.

    Raises
    ------
    DataError
        If the file cannot be written, or the space has constraints or categories that
        TOML does not know.
    """
    text = space_as_toml(space)
    path = Path(os.fspath(path))
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from None


def space_from_toml(
    text: str, names: Sequence[str] | None = None, source: str = "the space"
) -> FeatureSpace:
    """Read a feature space from TOML text; see `load_space`.

    Examples
    --------
    >>> space = space_from_toml('''
    ... immutable = ["age"]
    ... [columns.age]
    ... type = "integers"
    ... lower = 0
    ... [columns.job]
    ... values = ["clerk", "cook"]
    ... ''')
    >>> [c.domain.describe() for c in space.columns], space.features[0].immutable
    (['whole numbers 0 .. inf', '{clerk, cook}'], True)
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{source}: {error}") from None
    reader = _Reader(text, source)
    reader.keys("", content, ("columns", "groups", "immutable", "rules"))
    described = reader.mapping("columns", content.get("columns", {}))
    columns = {name: reader.column(name, entry) for name, entry in described.items()}
    if names is not None:
        for name in columns:
            if name not in names:
                raise reader.fail(name, f"no column {name!r}{did_you_mean(name, list(names))}")
        columns = {name: columns.get(name, Column(name)) for name in names}
    if not columns:
        raise DataError(f"{source} describes no columns; add a table [columns.NAME]")
    return reader.space(columns, content)


def space_as_toml(space: FeatureSpace) -> str:
    """Return a feature space as TOML text.

    Examples
    --------
    >>> print(space_as_toml(FeatureSpace.of(["size"], {"size": Real(lower=0.0)})))
    [columns.size]
    type = "real"
    lower = 0.0
    <BLANKLINE>
    """
    statements = [getattr(constraint, "text", "") for constraint in space.constraints]
    for constraint, statement in zip(space.constraints, statements, strict=True):
        if not statement:
            raise DataError(
                f"constraint {constraint.name!r} cannot be written to a space file; "
                "keep constraints in a rule file"
            )
    parts: list[str] = []
    frozen = [feature.name for feature in space.features if feature.immutable]
    if frozen:
        parts.append(f"immutable = {_toml_list(frozen)}\n")
    for column in space.columns:
        parts.append(_column_as_toml(column))
    groups: list[str] = []
    for feature in space.features:
        members = [space.columns[i].name for i in feature.columns]
        if members != [feature.name]:
            groups.append(f"{_key(feature.name)} = {_toml_list(members)}\n")
    if groups:
        parts.append("[groups]\n" + "".join(groups))
    if statements:
        lines = "".join(f"    {_toml_text(statement)},\n" for statement in statements)
        parts.append(f"[rules]\nconstraints = [\n{lines}]\n")
    return "\n".join(parts)


class _Reader:
    """Turns entries into columns and finds the line that a complaint is about."""

    def __init__(self, text: str, source: str) -> None:
        self.lines = text.splitlines()
        self.source = source

    def fail(self, name: str, what: str) -> DataError:
        """Return an error with the first line that mentions a name."""
        pattern = re.compile(rf"(?<![\w]){re.escape(name)}(?![\w])")
        for number, line in enumerate(self.lines, start=1):
            if name and pattern.search(line):
                return DataError(f"{self.source}, line {number}: {what}")
        return DataError(f"{self.source}: {what}")

    def keys(self, name: str, entry: Mapping[str, object], known: Sequence[str]) -> None:
        for key in entry:
            if key not in known:
                of = f" of column {name!r}" if name else ""
                raise self.fail(key, f"no setting {key!r}{of}{did_you_mean(key, known)}")

    def mapping(self, name: str, value: object) -> Mapping[str, object]:
        if not isinstance(value, dict):
            raise self.fail(name, f"{name!r} must be a table")
        return {str(key): item for key, item in value.items()}

    def text(self, name: str, what: str, value: object) -> str:
        if not isinstance(value, str):
            raise self.fail(name, f"the {what} of column {name!r} must be a text")
        return value

    def bound(self, name: str, what: str, value: object, default: float) -> float:
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fail(name, f"the {what} bound of column {name!r} must be a number")
        return float(value)

    def names(self, what: str, value: object) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fail(what, f"{what!r} must be a list of names")
        return [str(item) for item in value]

    def column(self, name: str, value: object) -> Column:
        entry = self.mapping(name, value)
        self.keys(name, entry, _KEYS)
        kind = str(entry.get("type", "categories" if "values" in entry else "real"))
        if kind not in _TYPES:
            raise self.fail(
                name, f"no type {kind!r} of column {name!r}{did_you_mean(kind, _TYPES)}"
            )
        if "values" in entry and kind != "categories":
            raise self.fail(name, f"column {name!r} of type {kind!r} cannot list values")
        if kind in ("boolean", "categories") and ("lower" in entry or "upper" in entry):
            raise self.fail(name, f"column {name!r} of type {kind!r} cannot have bounds")
        nullable = entry.get("nullable", False)
        if not isinstance(nullable, bool):
            raise self.fail(name, f"'nullable' of column {name!r} must be true or false")
        try:
            domain = self._domain(name, kind, entry, nullable)
        except DataError as error:
            if self.source in str(error):
                raise
            raise self.fail(name, f"column {name!r}: {error}") from None
        return Column(name, domain, self.text(name, "unit", entry.get("unit", "")))

    def _domain(self, name: str, kind: str, entry: Mapping[str, object], nullable: bool) -> Domain:
        if kind == "boolean":
            return Boolean(nullable)
        if kind == "categories":
            values = entry.get("values")
            if not isinstance(values, list) or not all(
                isinstance(value, str | int | float | bool) for value in values
            ):
                raise self.fail(name, f"column {name!r} needs a list of values")
            return Categories(nullable, tuple(values))
        lower = self.bound(name, "lower", entry.get("lower"), -np.inf)
        upper = self.bound(name, "upper", entry.get("upper"), np.inf)
        return (Integers if kind == "integers" else Real)(nullable, lower, upper)

    def space(self, columns: Mapping[str, Column], content: Mapping[str, object]) -> FeatureSpace:
        groups = {
            name: self.names(name, members)
            for name, members in self.mapping("groups", content.get("groups", {})).items()
        }
        immutable = self.names("immutable", content.get("immutable", []))
        for what, members in (*groups.items(), ("immutable", immutable)):
            known = [*columns, *groups] if what == "immutable" else list(columns)
            for member in members:
                if member not in known:
                    raise self.fail(
                        member, f"{what}: no column {member!r}{did_you_mean(member, known)}"
                    )
        try:
            plain = FeatureSpace.of(list(columns), groups=groups)
        except DataError as error:
            raise DataError(f"{self.source}: {error}") from None
        for name in immutable:
            if name not in plain.names:
                raise self.fail(
                    name, f"immutable: {name!r} belongs to a group; name the group instead"
                )
        features = tuple(
            Feature(feature.name, feature.columns, feature.name in immutable)
            for feature in plain.features
        )
        space = FeatureSpace(tuple(columns.values()), features)
        return self.constrained(space, content.get("rules", {}))

    def constrained(self, space: FeatureSpace, rules: object) -> FeatureSpace:
        """Add the constraints that the file states, each with the line where it stands."""
        table = self.mapping("rules", rules)
        self.keys("rules", table, ("constraints",))
        statements = self.names("constraints", table.get("constraints", []))
        if not statements:
            return space
        from whyproof.asp.rules.constraints import read_constraints
        from whyproof.encodings.constraints.consistency import constrained

        found: list[Constraint] = []
        for statement in statements:
            number = next((n for n, text in enumerate(self.lines, 1) if statement in text), 1)
            ended = statement if statement.rstrip().endswith(".") else f"{statement}."
            # Blank lines in front let positions speak of the lines of this file.
            found += read_constraints("\n" * (number - 1) + ended, space, file=self.source)
        return constrained(space, found)


def _column_as_toml(column: Column) -> str:
    domain = column.domain
    lines = [f"[columns.{_key(column.name)}]"]
    match domain:
        case Categories():
            lines.append(f"values = {_toml_list(list(domain.values), column.name)}")
        case Boolean():
            lines.append('type = "boolean"')
        case Real() | Integers():
            lines.append('type = "real"' if isinstance(domain, Real) else 'type = "integers"')
            for name, bound in (("lower", domain.lower), ("upper", domain.upper)):
                if np.isfinite(bound):
                    whole = isinstance(domain, Integers)
                    lines.append(f"{name} = {int(bound) if whole else float(bound)!r}")
        case _:
            raise DataError(f"the domain of column {column.name!r} cannot be written")
    if domain.nullable:
        lines.append("nullable = true")
    if column.unit:
        lines.append(f"unit = {_toml_text(column.unit)}")
    return "\n".join(lines) + "\n"


def _toml_list(values: Sequence[object], column: str = "") -> str:
    written: list[str] = []
    for value in values:
        match value:
            case bool():
                written.append("true" if value else "false")
            case int():
                written.append(str(value))
            case float() if np.isfinite(value):
                written.append(repr(value))
            case str():
                written.append(_toml_text(value))
            case _:
                raise DataError(f"category {value!r} of column {column!r} cannot be written")
    return "[" + ", ".join(written) + "]"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml_text(name)


def _toml_text(text: str) -> str:
    # JSON's escapes are TOML's, but for the one control character that JSON lets pass.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

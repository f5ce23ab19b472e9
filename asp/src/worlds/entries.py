"""Entries of a TOML file, read with complaints that name their line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from whyproof.asp.rules import Position, RuleError, Value
from whyproof.engine.errors import DataError, InputError
from whyproof.engine.names import did_you_mean

__all__ = ["Entry", "Source"]


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a TOML file and its name."""

    text: str
    name: str

    def position(self, words: Sequence[str]) -> Position | None:
        """Return the first line that mentions the last word behind all others, in order."""
        lines = self.text.splitlines()
        line, found = 0, None
        for word in words:
            pattern = re.compile(rf"(?<![\w]){re.escape(word)}(?![\w])")
            for number in range(line, len(lines)):
                match = pattern.search(lines[number].partition(" #")[0])
                if match:
                    line, found = number, Position(self.name, number + 1, match.start() + 1)
                    break
        return found


@dataclass(frozen=True, slots=True)
class Entry:
    """One table of a TOML file.

    Parameters
    ----------
    source
        The file.
    content
        The table.
    path
        Dotted name of the table, empty for the file itself.
    number
        Which table of an array it is, counted from 1; 0 if it is none.
    """

    source: Source
    content: Mapping[str, Any]
    path: str
    number: int = 0

    def position(self, *words: str) -> Position | None:
        """Return where the table, or a word in it, stands."""
        start = self.source
        if self.number:
            heading = f"[[{self.path}]]"
            at = -1
            for _ in range(self.number):
                at = start.text.find(heading, at + 1)
            before = start.text[: max(at, 0)]
            inner = Source(start.text[max(at, 0) :], start.name).position([*words] or [self.path])
            shift = before.count("\n")
            return inner and Position(inner.file, inner.line + shift, inner.column)
        return start.position([*self.path.split("."), *words] if self.path else words)

    def fail(self, what: str, *words: str) -> InputError:
        """Return an error with the place of the table or of a word in it."""
        position = self.position(*words)
        if position is None:
            return DataError(f"{self.source.name}: {what}")
        return RuleError(what, position)

    def keys(self, known: Sequence[str]) -> None:
        """Refuse settings that do not exist."""
        for key in self.content:
            if key not in known:
                of = f" of {self.path}" if self.path else ""
                raise self.fail(f"no setting {key!r}{of}{did_you_mean(key, known)}", key)

    def table(self, key: str) -> Entry:
        """Return a table inside, empty when absent."""
        value = self.content.get(key, {})
        if not isinstance(value, dict):
            raise self.fail(f"{key!r} must be a table", key)
        path = f"{self.path}.{key}" if self.path else key
        return Entry(self.source, cast("dict[str, Any]", value), path)

    def tables(self, key: str) -> list[Entry]:
        """Return an array of tables, empty when absent."""
        value = self.content.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.fail(f"{key!r} must be an array of tables, written [[{key}]]", key)
        path = f"{self.path}.{key}" if self.path else key
        return [Entry(self.source, item, path, i) for i, item in enumerate(value, start=1)]

    def text(self, key: str, default: str = "") -> str:
        """Return a text."""
        value = self.content.get(key, default)
        if not isinstance(value, str):
            raise self.fail(f"{key!r} must be a text, found {value!r}", key)
        return value

    def required(self, key: str) -> str:
        """Return a text that must be there."""
        if key not in self.content:
            raise self.fail(f"{self.path} needs {key!r}")
        value = self.content[key]
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value) if isinstance(value, int | float) else self.text(key)

    def number_of(self, key: str, default: float | None = None) -> float | None:
        """Return a number."""
        value = self.content.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise self.fail(f"{key!r} must be a number, found {value!r}", key)
        return value

    def flag(self, key: str) -> bool:
        """Return a truth value, false when absent."""
        value = self.content.get(key, False)
        if not isinstance(value, bool):
            raise self.fail(f"{key!r} must be true or false, found {value!r}", key)
        return value

    def names(self, key: str) -> list[str]:
        """Return a list of texts, empty when absent."""
        value = self.content.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fail(f"{key!r} must be a list of texts", key)
        return [str(item) for item in value]

    def values(self, key: str) -> tuple[Value, ...]:
        """Return a list of values, or a single one; empty when absent."""
        value = self.content.get(key, [])
        listed = value if isinstance(value, list) else [value]
        for item in listed:
            if not isinstance(item, str | int | float | bool):
                raise self.fail(f"{key!r} must list texts, numbers or truth values", key)
        return tuple(listed)

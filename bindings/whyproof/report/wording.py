"""Wording: what people are told a factor is called, from a file that its user writes.

::

    [factors]
    income = "Income insufficient for the amount of credit requested"
    duration = "Length of the credit"

    [outcomes]
    bad = "declined"

A factor that a report has to name and the file does not is an error: nobody is told a
column's name by accident.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from whyproof.engine.errors import DataError
from whyproof.engine.names import did_you_mean

from .values import shown

__all__ = ["Wording", "read_wording"]

_MAX_BYTES = 1 << 22


@dataclass(frozen=True)
class Wording:
    """How factors and outcomes are called.

    Parameters
    ----------
    factors
        Words by feature name; `None` to use the names themselves.
    outcomes
        Words by class label, as text; labels that it lacks stand for themselves.
    source
        File that it came from.
    """

    factors: Mapping[str, str] | None = None
    outcomes: Mapping[str, str] = field(default_factory=dict[str, str])
    source: str = ""

    def factor(self, name: str) -> str:
        """Return what a feature is called.

        Raises
        ------
        DataError
            If the file does not say.

        Examples
        --------
        >>> Wording({"income": "Income too low"}).factor("income")
        'Income too low'
        """
        if self.factors is None:
            return name
        if name not in self.factors:
            raise DataError(
                f"{self.source or 'the wording'} has no entry for the factor {name!r} under "
                f"[factors]{did_you_mean(name, list(self.factors))}; add one"
            )
        return self.factors[name]

    def outcome(self, label: object) -> str:
        """Return what an outcome is called."""
        text = shown(label)
        return self.outcomes.get(text, text)


def read_wording(path: str | os.PathLike[str]) -> Wording:
    """Read a wording file.

    Raises
    ------
    DataError
        If it cannot be read, or an entry is no text; the message names it.
    """
    path = Path(os.fspath(path))
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} is too large for a wording file")
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: {error}") from None
    unknown = set(content) - {"factors", "outcomes"}
    if unknown or not isinstance(content.get("factors"), dict):
        what = f"an unknown entry {min(unknown)!r}" if unknown else "no table [factors]"
        raise DataError(f"{path} has {what}; known are [factors] and [outcomes]")
    tables: list[dict[str, str]] = []
    for part in ("factors", "outcomes"):
        table = cast("Mapping[str, object]", content.get(part, {}))
        for name, words in table.items():
            if not isinstance(words, str) or not words.strip():
                raise DataError(f"{path}: the entry {name!r} under [{part}] is no text: {words!r}")
        tables.append({name: str(words).strip() for name, words in table.items()})
    return Wording(tables[0], tables[1], path.name)

"""Findings: what a check has to say about a rule, with its place and its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from whyproof.asp.rules import Position
from whyproof.asp.worlds.world import State

__all__ = ["Finding", "Severity"]


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """The rules cannot be used, or say nothing."""
    WARNING = "warning"
    """The rules can be used but probably do not say what is meant."""
    NOTE = "note"
    """Worth knowing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    Parameters
    ----------
    severity
        How bad it is.
    code
        What kind of finding it is, such as ``unknown-value``.
    message
        What was found and what to do next, without the place.
    position
        Where.
    witness
        A person, value by feature, who shows it.
    proof
        Why there is no such person, where the finding says "never".
    data
        More for programs.

    Examples
    --------
    >>> print(Finding(Severity.ERROR, "syntax", "expected '.'", Position("a.lp", 1, 7)))
    a.lp:1:7: error: expected '.' [syntax]
    """

    severity: Severity
    code: str
    message: str
    position: Position | None = None
    witness: State | None = None
    proof: str = ""
    data: Mapping[str, object] = field(default_factory=dict[str, object])

    def as_json(self) -> dict[str, object]:
        """Return the finding as JSON."""
        place = self.position
        found: dict[str, object] = {
            "severity": str(self.severity),
            "code": self.code,
            "message": self.message,
            "file": None if place is None else place.file,
            "line": None if place is None else place.line,
            "column": None if place is None else place.column,
        }
        if self.witness is not None:
            found["witness"] = dict(self.witness)
        if self.proof:
            found["proof"] = self.proof
        return {**found, **self.data}

    def __str__(self) -> str:
        where = "" if self.position is None else f"{self.position}: "
        text = f"{where}{self.severity}: {self.message} [{self.code}]"
        if self.proof:
            text += f"; proof: {self.proof}"
        if self.witness is not None:
            values = ", ".join(f"{name}={value}" for name, value in self.witness.items())
            text += f"; witness: {values}"
        return text

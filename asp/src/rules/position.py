"""Places in rule text, and the error that names one."""

from __future__ import annotations

from dataclasses import dataclass

from whyproof.engine.errors import InputError

__all__ = ["Position", "RuleError"]


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file of rules; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class RuleError(InputError):
    """Rule text cannot be used; the message starts with file, line and column.

    Parameters
    ----------
    message
        What was found and what to do next.
    position
        Where; `None` when a rule was not read from text.

    Examples
    --------
    >>> str(RuleError("found ')'; expected a value", Position("loan.lp", 3, 7)))
    "loan.lp:3:7: found ')'; expected a value"
    """

    def __init__(self, message: str, position: Position | None = None) -> None:
        self.position = position
        super().__init__(message if position is None else f"{position}: {message}")

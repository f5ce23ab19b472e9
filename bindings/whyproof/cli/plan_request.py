"""What `plan` was asked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from whyproof.engine.errors import InputError

from . import options
from .world_request import PersonRequest

if TYPE_CHECKING:
    from whyproof.asp.planning import PlanOptions

__all__ = ["PlanRequest"]

_SEARCHED = 200
"""Paths that are looked for when only the best is shown."""


@dataclass(frozen=True)
class PlanRequest(PersonRequest):
    """The options of `plan`; see its help."""

    rows: Annotated[
        str | None,
        typer.Option("--rows", help="Audit rows A to B-1 of the table.", metavar="A:B"),
    ] = None
    model: Annotated[
        Path | None,
        typer.Option("--model", help="Real model that must confirm goals.", metavar="MODEL"),
    ] = None
    space: options.Space = None
    every: Annotated[bool, typer.Option("--all", help="Show every shortest path.")] = False
    horizon: Annotated[int, typer.Option("--horizon", help="Most actions.", metavar="N")] = 10
    extra: Annotated[
        int, typer.Option("--extra", help="Also paths this much longer.", metavar="N")
    ] = 0
    objective: Annotated[str, typer.Option("--objective", metavar="length|cost|changes")] = "length"
    effects: Annotated[
        str,
        typer.Option(
            "--effects", help="Causal choices: the best, or any.", metavar="angelic|conformant"
        ),
    ] = "angelic"
    goals: Annotated[bool, typer.Option("--goals", help="One path per goal state.")] = False
    diverse: Annotated[
        int, typer.Option("--diverse", help="This many paths that differ.", metavar="N")
    ] = 0
    store: Annotated[
        Path | None, typer.Option("--store", help="File for an audit's answers.", metavar="FILE")
    ] = None
    jobs: Annotated[int, typer.Option("--jobs", help="Processes of an audit.", metavar="N")] = 1
    seconds: options.TimeLimit = None
    memory: Annotated[
        float | None,
        typer.Option("--memory", help="GiB that a plan may use.", metavar="GIB"),
    ] = None

    @property
    def is_audit(self) -> bool:
        """Whether everybody in the table is asked about."""
        return self.data is not None and self.row is None

    def settings(self) -> PlanOptions:
        """Return the planner's settings."""
        from whyproof.asp.planning import PlanOptions
        from whyproof.asp.planning.options import Effects, Objective, StartPolicy

        start = self.start or ("ignore" if self.is_audit else "error")
        limit = None if self.every else (1 if self.is_audit else _SEARCHED)
        if self.diverse or self.objective == "changes":
            limit = _SEARCHED
        return PlanOptions(
            horizon=self.horizon,
            limit=limit,
            extra=self.extra,
            objective=_one_of("objective", self.objective, Objective),
            effects=_one_of("effects", self.effects, Effects),
            start=_one_of("start", start, StartPolicy),
            goals=self.goals,
            diverse=self.diverse,
        )


_Kind = TypeVar("_Kind", bound=StrEnum)


def _one_of(option: str, given: str, kind: type[_Kind]) -> _Kind:
    if given not in list(kind):
        raise InputError(f"--{option} is one of {', '.join(kind)}, found {given!r}")
    return kind(given)

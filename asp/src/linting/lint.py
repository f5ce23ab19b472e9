"""Linting of world and rule files: everything that can be found before planning."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from whyproof.asp.rules import RuleError, Table
from whyproof.asp.worlds.compile import compile_world
from whyproof.asp.worlds.toml import read_text, read_world_file
from whyproof.asp.worlds.world import World
from whyproof.engine.budget import Meter
from whyproof.engine.errors import InputError

from .check import decision_findings
from .finding import Finding, Severity
from .literals import literal_findings
from .space import StateSpace
from .structure import structure_findings
from .text import text_findings

__all__ = ["lint_files", "lint_world"]


def lint_files(
    world: str | os.PathLike[str],
    rules: Sequence[str | os.PathLike[str]] = (),
    *,
    data: Table | None = None,
    target: str | None = None,
    meter: Meter | None = None,
) -> list[Finding]:
    """Lint a world file and rule files.

    Parameters
    ----------
    world
        TOML file; rule files that it names are linted too.
    rules
        Further rule files.
    data
        Rows from which features without a type take their values.
    target
        What the decision rules decide.
    meter
        Budget.

    Returns
    -------
    list of Finding
        Errors of texts first; where there are any, nothing further is looked for.
    """
    path = Path(os.fspath(world))
    found: list[Finding] = []
    try:
        file_of_world = read_world_file(path, data=data)
    except InputError as error:
        return [_finding(error)]
    listed = [*file_of_world.rule_files, *rules]
    for file in listed:
        try:
            text = read_text(Path(os.fspath(file)))
        except InputError as error:
            found.append(_finding(error))
            continue
        found += text_findings(text, file_of_world.plain.names, os.fspath(file))
    if found:
        return found
    try:
        full = file_of_world.load(rules, target)
    except InputError as error:
        return [_finding(error)]
    return lint_world(full, meter=meter)


def lint_world(world: World, *, meter: Meter | None = None) -> list[Finding]:
    """Lint a world that can be read.

    Parameters
    ----------
    world
        Features and rules; decision rules are checked if there are any.
    meter
        Budget.

    Examples
    --------
    >>> from whyproof.asp.worlds import read_world_rules, world_from_toml
    >>> from dataclasses import replace
    >>> world = world_from_toml('''
    ... [features.debt]
    ... type = "integers"
    ... lower = 0
    ... [features.risk]
    ... values = ["low", "high"]
    ... ''')
    >>> told = read_world_rules("risk = hihg :- debt > 0.", world.names)
    >>> for finding in lint_world(replace(world, causal=told.causal)):
    ...     print(finding)
    <text>:1:1: error: 'risk' is never 'hihg': it is in {low, high}; did you mean 'high'? \
[unknown-value]
    """
    try:
        problem = compile_world(world)
    except InputError as error:
        return [_finding(error)]
    found = literal_findings(world, problem)
    if any(finding.severity is Severity.ERROR for finding in found):
        return found
    with StateSpace(problem, meter) as space:
        found += structure_findings(world, problem, space)
        empty = any(finding.code == "empty-world" for finding in found)
        if world.decisions is not None and not empty:
            found += decision_findings(world, problem, space)
    return found


def _finding(error: InputError) -> Finding:
    message = str(error)
    position = error.position if isinstance(error, RuleError) else None
    if position is not None:
        message = message.removeprefix(f"{position}: ")
    return Finding(Severity.ERROR, "unreadable", message, position)

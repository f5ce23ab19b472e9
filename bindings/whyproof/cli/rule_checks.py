"""``whyproof rules lint``, ``check`` and ``test``."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from whyproof.asp.linting import (
    Finding,
    Severity,
    check_rules,
    coverage_page,
    lint_files,
    read_cases,
    run_cases,
)
from whyproof.asp.worlds.toml import read_text
from whyproof.engine.errors import DataError

from .failures import ANSWERED, BAD_INPUT
from .learn import write_text
from .output import json_line, line

if TYPE_CHECKING:
    from whyproof.asp.rules import Table

__all__ = ["check_command", "lint_command", "test_command"]


def lint_command(
    rules: Path, world: Path, *, target: str | None, data: Path | None, as_json: bool
) -> int:
    """Print what is wrong with rules; exit 2 if there are errors."""
    found = lint_files(world, [rules], data=_rows(data), target=target)
    _print(found, as_json=as_json)
    errors = any(finding.severity is Severity.ERROR for finding in found)
    return BAD_INPUT if errors else ANSWERED


def check_command(
    rules: Path, world: Path, *, target: str | None, data: Path | None, as_json: bool
) -> int:
    """Print gaps, overlaps, conflicts and idle rules."""
    from whyproof.asp.worlds import load_world

    check = check_rules(load_world(world, [rules], data=_rows(data), target=target))
    if as_json:
        json_line(check.as_json())
        return ANSWERED
    _print(check.findings, as_json=False)
    gaps = "every person is decided" if check.gap_free else "some people are not decided"
    clash = "no rules conflict" if check.conflict_free else "some rules conflict, the first decides"
    line(f"{gaps}; {clash}.")
    return ANSWERED


def test_command(
    cases: Path,
    rules: Path,
    world: Path,
    *,
    target: str | None,
    data: Path | None,
    html: Path | None,
    as_json: bool,
) -> int:
    """Run test cases; exit 2 if one fails."""
    from whyproof.asp.worlds import load_world

    loaded = load_world(world, [rules], data=_rows(data), target=target)
    loaded.rules()
    report = run_cases(loaded, read_cases(_document(cases), str(cases)))
    if html is not None:
        write_text(html, coverage_page(report))
    if as_json:
        json_line(report.as_json())
    else:
        for result in report.failures:
            line(f"{cases}: {result.case.name}: {result.problem}")
        passed = len(report.results) - len(report.failures)
        line(
            f"{passed} of {len(report.results)} cases passed; they decide by "
            f"{report.rule_coverage:.0%} of the rules and see {report.literal_coverage:.0%} of "
            "the literals both true and false."
        )
    return BAD_INPUT if report.failures else ANSWERED


def _print(found: Sequence[Finding], *, as_json: bool) -> None:
    if as_json:
        json_line({"findings": [finding.as_json() for finding in found]})
        return
    for finding in found:
        line(str(finding))
    if not found:
        line("nothing to complain about.")


def _rows(path: Path | None) -> Table | None:
    from whyproof.rule_tables import rule_table
    from whyproof.tables import read_table

    return None if path is None else rule_table(read_table(path))


def _document(path: Path) -> object:
    text = read_text(path)
    try:
        if path.suffix.lower() == ".toml":
            return tomllib.loads(text)
        return json.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: {error}") from None

"""The commands about worlds and their options: ``plan``, ``justify`` and ``rules ...``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options
from .bundles import bundled
from .plan_request import PlanRequest
from .rule_commands import rules_app
from .world_options import People, RuleFile, Target, WorldFile
from .world_request import JustifyRequest

__all__ = ["justify", "plan"]


@bundled()
def plan(request: PlanRequest, json: options.Json = False) -> int:
    """Plan a person's way to another decision, or everybody's (--data without --row)."""
    from .plan import plan_command

    return plan_command(request, as_json=json)


@bundled()
def justify(request: JustifyRequest, json: options.Json = False) -> int:
    """Say why the rules decide as they do, with every comparison."""
    from .justify import justify_command

    return justify_command(request, as_json=json)


@rules_app.command("lint")
def rules_lint(
    rules: RuleFile,
    world: WorldFile,
    target: Target = None,
    data: People = None,
    json: options.Json = False,
) -> int:
    """Find what cannot be meant: typing errors, contradictions, dead and doubled rules."""
    from .rule_checks import lint_command

    return lint_command(rules, world, target=target, data=data, as_json=json)


@rules_app.command("check")
def rules_check(
    rules: RuleFile,
    world: WorldFile,
    target: Target = None,
    data: People = None,
    json: options.Json = False,
) -> int:
    """Find gaps, overlaps, conflicts and idle rules, each with a witness or a proof."""
    from .rule_checks import check_command

    return check_command(rules, world, target=target, data=data, as_json=json)


@rules_app.command("test")
def rules_test(
    cases: Annotated[Path, typer.Argument(help="Cases: TOML or JSON.", metavar="CASES")],
    rules: RuleFile,
    world: WorldFile,
    target: Target = None,
    data: People = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Coverage report to write.", metavar="FILE")
    ] = None,
    json: options.Json = False,
) -> int:
    """Run test cases; say which rules and literals they cover. Exit 2 if one fails."""
    from .rule_checks import test_command

    return test_command(cases, rules, world, target=target, data=data, html=html, as_json=json)

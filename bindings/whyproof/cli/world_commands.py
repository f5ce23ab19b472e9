"""The commands about worlds and their options: ``plan``, ``justify`` and ``rules ...``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options
from .rule_commands import rules_app

__all__ = ["justify", "plan"]

_World = Annotated[Path, typer.Argument(help="World, a TOML file.", metavar="WORLD.toml")]
_Rules = Annotated[
    list[Path] | None,
    typer.Option("--rules", help="File of rules; repeatable.", metavar="RULES.lp"),
]
_RuleFile = Annotated[Path, typer.Argument(help="File of rules.", metavar="RULES.lp")]
_State = Annotated[
    Path | None,
    typer.Option("--state", help="Person: JSON, value by feature.", metavar="STATE.json"),
]
_Data = Annotated[
    Path | None,
    typer.Option("--data", help="Table of people: CSV (.gz too) or Parquet.", metavar="DATA"),
]
_Row = Annotated[
    int | None, typer.Option("--row", help="Person of the table, from 0.", metavar="N")
]
_Target = Annotated[
    str | None, typer.Option("--target", help="What the rules decide.", metavar="NAME")
]
_Desired = Annotated[
    list[str] | None,
    typer.Option("--desired", help="Label to reach; repeatable.", metavar="LABEL"),
]
_Undesired = Annotated[
    list[str] | None,
    typer.Option("--undesired", help="Label to leave; repeatable.", metavar="LABEL"),
]
_Start = Annotated[
    str | None,
    typer.Option(
        "--start",
        help="If the state violates rules of the world (an audit ignores by default).",
        metavar="error|repair|ignore",
    ),
]
_Report = Annotated[
    Path | None, typer.Option("--report", help="HTML file to write.", metavar="FILE")
]


def plan(
    world: _World,
    rules: _Rules = None,
    state: _State = None,
    data: _Data = None,
    row: _Row = None,
    rows: Annotated[
        str | None,
        typer.Option("--rows", help="Audit rows A to B-1 of the table.", metavar="A:B"),
    ] = None,
    label: options.Label = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="Real model that must confirm goals.", metavar="MODEL"),
    ] = None,
    space: options.Space = None,
    desired: _Desired = None,
    undesired: _Undesired = None,
    target: _Target = None,
    every: Annotated[bool, typer.Option("--all", help="Show every shortest path.")] = False,
    horizon: Annotated[int, typer.Option("--horizon", help="Most actions.", metavar="N")] = 10,
    extra: Annotated[
        int, typer.Option("--extra", help="Also paths this much longer.", metavar="N")
    ] = 0,
    objective: Annotated[
        str, typer.Option("--objective", metavar="length|cost|changes")
    ] = "length",
    effects: Annotated[
        str,
        typer.Option(
            "--effects", help="Causal choices: the best, or any.", metavar="angelic|conformant"
        ),
    ] = "angelic",
    start: _Start = None,
    goals: Annotated[bool, typer.Option("--goals", help="One path per goal state.")] = False,
    diverse: Annotated[
        int, typer.Option("--diverse", help="This many paths that differ.", metavar="N")
    ] = 0,
    store: Annotated[
        Path | None, typer.Option("--store", help="File for an audit's answers.", metavar="FILE")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", help="Processes of an audit.", metavar="N")] = 1,
    report: _Report = None,
    time_limit: options.TimeLimit = None,
    memory: Annotated[
        float | None,
        typer.Option("--memory", help="GiB that a plan may use.", metavar="GIB"),
    ] = None,
    json: options.Json = False,
) -> int:
    """Plan a person's way to another decision, or everybody's (--data without --row)."""
    from .plan import PlanRequest, plan_command

    request = PlanRequest(
        world=world,
        rules=rules or (),
        state=state,
        data=data,
        row=row,
        rows=rows,
        label=label,
        model=model,
        space=space,
        desired=desired or (),
        undesired=undesired or (),
        target=target,
        every=every,
        horizon=horizon,
        extra=extra,
        objective=objective,
        effects=effects,
        start=start,
        goals=goals,
        diverse=diverse,
        store=store,
        jobs=jobs,
        report=report,
        seconds=time_limit,
        memory=memory,
    )
    return plan_command(request, as_json=json)


def justify(
    world: _World,
    rules: _Rules = None,
    state: _State = None,
    data: _Data = None,
    row: _Row = None,
    label: options.Label = None,
    desired: _Desired = None,
    undesired: _Undesired = None,
    target: _Target = None,
    with_plan: Annotated[
        bool, typer.Option("--plan", help="Also justify the best path, step by step.")
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="The state may be half filled: what still matters?")
    ] = False,
    every: Annotated[
        bool, typer.Option("--every", help="Name every failing literal, not one per rule.")
    ] = False,
    sentences: Annotated[
        bool, typer.Option("--sentences", help="Plain sentences instead of a tree.")
    ] = False,
    start: _Start = None,
    report: _Report = None,
    json: options.Json = False,
) -> int:
    """Say why the rules decide as they do, with every comparison."""
    from .justify import JustifyRequest, justify_command

    request = JustifyRequest(
        world=world,
        rules=rules or (),
        state=state,
        data=data,
        row=row,
        label=label,
        desired=desired or (),
        undesired=undesired or (),
        target=target,
        with_plan=with_plan,
        partial=partial,
        every=every,
        sentences=sentences,
        start=start,
        report=report,
    )
    return justify_command(request, as_json=json)


@rules_app.command("lint")
def rules_lint(
    rules: _RuleFile,
    world: _World,
    target: _Target = None,
    data: _Data = None,
    json: options.Json = False,
) -> int:
    """Find what cannot be meant: typing errors, contradictions, dead and doubled rules."""
    from .rule_checks import lint_command

    return lint_command(rules, world, target=target, data=data, as_json=json)


@rules_app.command("check")
def rules_check(
    rules: _RuleFile,
    world: _World,
    target: _Target = None,
    data: _Data = None,
    json: options.Json = False,
) -> int:
    """Find gaps, overlaps, conflicts and idle rules, each with a witness or a proof."""
    from .rule_checks import check_command

    return check_command(rules, world, target=target, data=data, as_json=json)


@rules_app.command("test")
def rules_test(
    cases: Annotated[Path, typer.Argument(help="Cases: TOML or JSON.", metavar="CASES")],
    rules: _RuleFile,
    world: _World,
    target: _Target = None,
    data: _Data = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Coverage report to write.", metavar="FILE")
    ] = None,
    json: options.Json = False,
) -> int:
    """Run test cases; say which rules and literals they cover. Exit 2 if one fails."""
    from .rule_checks import test_command

    return test_command(cases, rules, world, target=target, data=data, html=html, as_json=json)

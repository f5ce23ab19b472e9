"""The commands about rules and their options: ``learn`` and ``rules ...``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from . import options
from .bundles import bundled

__all__ = ["LearnRequest", "learn", "rules_app"]

rules_app = typer.Typer(help="Check, test and export rules.", rich_markup_mode=None)


@dataclass(frozen=True)
class LearnRequest:
    """The options of `learn`; see its help."""

    data: options.Data
    label: Annotated[
        str | None, typer.Option("--label", help="Column that rules decide.", metavar="COL")
    ] = None
    model: Annotated[
        Path | None,
        typer.Option("--model", help="Imitate this model instead.", metavar="MODEL"),
    ] = None
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File for the rules: .lp text or .json.", metavar="RULES"),
    ] = None
    heuristic: Annotated[
        str | None,
        typer.Option(
            "--heuristic",
            help="How literals are judged; power, or gini for --model.",
            metavar="entropy|gini|power|power(b)",
        ),
    ] = None
    ratio: Annotated[
        float, typer.Option("--ratio", help="Most wrong rows per right one.", metavar="R")
    ] = 0.5
    tail: Annotated[
        float, typer.Option("--tail", help="Least share of rows per rule.", metavar="T")
    ] = 0.005
    order: Annotated[str | None, typer.Option("--order", metavar="auto|one-class|ordered")] = None
    target: Annotated[
        str | None,
        typer.Option("--target", help="Class that rules are for, of two.", metavar="CLASS"),
    ] = None
    given: Annotated[
        Path | None, typer.Option("--given", help="Rules that come first.", metavar="FILE")
    ] = None
    revise: Annotated[
        Path | None,
        typer.Option("--revise", help="Rules to start from and improve.", metavar="FILE"),
    ] = None
    categories: Annotated[
        str | None,
        typer.Option("--categories", help="Columns of numbers without order.", metavar="A,B"),
    ] = None
    missing: Annotated[
        list[str] | None,
        typer.Option("--missing", help="Cell that means missing, such as ?", metavar="TEXT"),
    ] = None
    folds: Annotated[
        int, typer.Option("--folds", help="Held-out parts to measure on; 0: none.", metavar="N")
    ] = 5
    copies: Annotated[
        int | None,
        typer.Option("--copies", help="Made-up neighbours of a row to ask about.", metavar="N"),
    ] = None
    dialect: Annotated[
        str, typer.Option("--dialect", help="How text is written.", metavar="fold|names")
    ] = "fold"
    proposals: Annotated[
        Path | None,
        typer.Option("--proposals", help="File for causal rules to approve.", metavar="FILE"),
    ] = None


@bundled()
def learn(request: LearnRequest, json: options.Json = False) -> int:
    """Learn rules from a table, or rules that imitate a model."""
    from .learn import learn_command

    return learn_command(request, as_json=json)


@rules_app.command("export")
def rules_export(
    rules: Annotated[Path, typer.Argument(help="File of rules.", metavar="RULES")],
    world: Annotated[
        Path | None, typer.Argument(help="World that they are about.", metavar="WORLD")
    ] = None,
    to: Annotated[str, typer.Option("--to", metavar="asp|scasp|json|fold|names")] = "asp",
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write.", metavar="FILE")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Rows to add as facts.", metavar="DATA")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="What the rules decide.", metavar="NAME")
    ] = None,
    arguments: Annotated[
        list[str] | None,
        typer.Option("--arguments", help="Features of a positional predicate.", metavar="PRED=A,B"),
    ] = None,
) -> int:
    """Write rules for clingo, s(CASP), as JSON, or in another dialect."""
    from .rule_export import export_rules_command

    return export_rules_command(
        rules, world, to, out=out, data=data, target=target, arguments=arguments or ()
    )

"""Options of the commands about worlds, rules and persons."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Desired",
    "People",
    "Person",
    "Report",
    "RuleFile",
    "RuleFiles",
    "Start",
    "State",
    "Target",
    "Undesired",
    "WorldFile",
]

WorldFile = Annotated[Path, typer.Argument(help="World, a TOML file.", metavar="WORLD.toml")]
RuleFiles = Annotated[
    list[Path] | None,
    typer.Option("--rules", help="File of rules; repeatable.", metavar="RULES.lp"),
]
RuleFile = Annotated[Path, typer.Argument(help="File of rules.", metavar="RULES.lp")]
State = Annotated[
    Path | None,
    typer.Option("--state", help="Person: JSON, value by feature.", metavar="STATE.json"),
]
People = Annotated[
    Path | None,
    typer.Option("--data", help="Table of people: CSV (.gz too) or Parquet.", metavar="DATA"),
]
Person = Annotated[
    int | None, typer.Option("--row", help="Person of the table, from 0.", metavar="N")
]
Target = Annotated[
    str | None, typer.Option("--target", help="What the rules decide.", metavar="NAME")
]
Desired = Annotated[
    list[str] | None,
    typer.Option("--desired", help="Label to reach; repeatable.", metavar="LABEL"),
]
Undesired = Annotated[
    list[str] | None,
    typer.Option("--undesired", help="Label to leave; repeatable.", metavar="LABEL"),
]
Start = Annotated[
    str | None,
    typer.Option(
        "--start",
        help="If the state violates rules of the world (an audit ignores by default).",
        metavar="error|repair|ignore",
    ),
]
Report = Annotated[
    Path | None, typer.Option("--report", help="HTML file to write.", metavar="FILE")
]

"""The options of ``whyproof counterfactual``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from . import options
from .bundles import bundled

__all__ = ["CounterfactualRequest", "counterfactual"]

_Names = list[str] | None


@dataclass(frozen=True)
class CounterfactualRequest:
    """The options of `counterfactual`; see its help."""

    model: options.Model
    data: options.Data
    out: Annotated[
        Path, typer.Option("--out", help="File to write: .json, .csv or .html.", metavar="FILE")
    ]
    label: options.Label = None
    level: Annotated[
        str,
        typer.Option(
            "--level", help="A shift per row, per group, for all.", metavar="local|group|global"
        ),
    ] = "local"
    groups: Annotated[
        int | None,
        typer.Option("--groups", help="Number of groups; else as many as help.", metavar="N"),
    ] = None
    rows: Annotated[
        str | None,
        typer.Option("--rows", help="Rows to explain: 7, 0:10 or 1,4; else all.", metavar="ROWS"),
    ] = None
    world: Annotated[
        Path | None,
        typer.Option("--world", help="Causal rules that points obey.", metavar="WORLD.toml"),
    ] = None
    target: Annotated[
        str | None, typer.Option("--target", help="Class to reach.", metavar="CLASS")
    ] = None
    space: options.Space = None
    integers: Annotated[
        bool, typer.Option("--integers/--no-integers", help="Columns of whole numbers stay whole.")
    ] = True
    immutable: options.Immutable = None
    up: Annotated[
        _Names, typer.Option("--up", help="A feature that only rises; repeatable.", metavar="NAME")
    ] = None
    down: Annotated[
        _Names,
        typer.Option("--down", help="A feature that only falls; repeatable.", metavar="NAME"),
    ] = None
    classes: options.Classes = None
    density: Annotated[
        str,
        typer.Option(
            "--density",
            help="flow, mixture, kernel, zuko or none.",
            metavar="flow|mixture|kernel|zuko|none",
        ),
    ] = "flow"
    flow: Annotated[
        Path | None,
        typer.Option(
            "--flow", help="Read the flow, or train and keep it.", metavar="FILE.safetensors"
        ),
    ] = None
    aim: Annotated[
        float | None,
        typer.Option("--aim", help="Aim at this quantile of densities.", metavar="Q"),
    ] = None
    mend: Annotated[
        str | None,
        typer.Option(
            "--mend",
            help="What rows mend by steps of their own: plausibility, validity or none.",
            metavar="WHAT",
        ),
    ] = None
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Draw rows and points.", metavar="FILE.png")
    ] = None
    images: Annotated[
        str | None,
        typer.Option("--images", help="Rows are images; draw them.", metavar="HEIGHTxWIDTH"),
    ] = None
    repair_seconds: Annotated[
        float, typer.Option("--time-limit", help="Seconds for exact repair.", metavar="S")
    ] = 10.0
    seed: Annotated[int, typer.Option("--seed", help="Of all that is random.", metavar="N")] = 0
    device: Annotated[
        str, typer.Option("--device", help="Where torch computes.", metavar="cpu|cuda|auto")
    ] = "cpu"


@bundled()
def counterfactual(request: CounterfactualRequest, json: options.Json = False) -> int:
    """Find plausible points of another class for a row, for groups, or for all."""
    from .counterfactual import counterfactual_command

    return counterfactual_command(request, as_json=json)

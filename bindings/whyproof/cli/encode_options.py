"""The command that writes problems for other solvers, and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options

__all__ = ["encode"]


def encode(
    model: options.Model,
    data: options.Data,
    row: options.Row,
    to: Annotated[str, typer.Option("--to", help="Format.", metavar="cnf|wcnf|opb|lp|mps|asp")],
    out: Annotated[Path, typer.Option("--out", help="File to write.", metavar="FILE")],
    label: options.Label = None,
    target: options.Target = None,
    interval: options.Interval = None,
    floor: options.Floor = None,
    space: options.Space = None,
    ranges: options.Ranges = "any",
    integers: options.Integers = False,
    immutable: options.Immutable = None,
    vote: options.Vote = None,
    classes: options.Classes = None,
    epsilon: options.Epsilon = None,
    norm: options.Norm = None,
    json: options.Json = False,
) -> int:
    """Write "can the decision about a row change" for another solver, with a key."""
    from .encode import encode_command
    from .request import Request

    request = Request(
        model=model,
        data=data,
        label=label,
        space=space,
        ranges=ranges,
        integers=integers,
        immutable=immutable or (),
        vote=vote,
        classes=classes,
        target=target,
        interval=interval,
        floor=floor,
        epsilon=epsilon,
        norm=norm,
    )
    return encode_command(request, row, to, out, as_json=json)

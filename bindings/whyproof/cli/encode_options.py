"""The command that writes problems for other solvers, and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options
from .bundles import bundled
from .request import QUESTION, READING, REGION, Request

__all__ = ["encode"]


@bundled(request={*READING, *QUESTION, *REGION, "immutable"} - {"rules"})
def encode(
    row: options.Row,
    request: Request,
    to: Annotated[str, typer.Option("--to", help="Format.", metavar="cnf|wcnf|opb|lp|mps|asp")],
    out: Annotated[Path, typer.Option("--out", help="File to write.", metavar="FILE")],
    json: options.Json = False,
) -> int:
    """Write "can the decision about a row change" for another solver, with a key."""
    from .encode import encode_command

    return encode_command(request, row, to, out, as_json=json)

"""The commands about recourse and their options: ``nearest``, ``sensitive``, and others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options
from .bundles import bundled
from .recourse_options import RecourseRequest
from .request import READING, Request

__all__ = ["diff", "nearest", "recourse", "sensitive"]


@bundled(
    request=(*READING, "immutable", "target", "interval"),
)
def nearest(
    row: Annotated[
        int | None, typer.Option("--row", help="Row to help, counted from 0.", metavar="N")
    ] = None,
    rows: Annotated[
        str | None, typer.Option("--rows", help="Many rows, with --store.", metavar="ROWS")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option("--store", help="Store to record many rows in.", metavar="STORE"),
    ] = None,
    *,
    asked: RecourseRequest,
    k: Annotated[int, typer.Option("--k", "-k", help="How many.", metavar="K")] = 1,
    diverse: Annotated[
        bool, typer.Option("--diverse", help="Each next one is another way to get there.")
    ] = False,
    time_limit: options.TimeLimit = None,
    row_time_limit: Annotated[
        float | None,
        typer.Option("--row-time-limit", help="Seconds for each of many rows.", metavar="S"),
    ] = None,
    certify: options.Certify = None,
    json: options.Json = False,
) -> int:
    """Find the nearest change that flips the decision about a row, and prove it."""
    from whyproof.engine.errors import InputError

    from .nearest import nearest_command, nearest_rows_command

    if rows is not None or store is not None:
        if rows is None or store is None or row is not None:
            raise InputError("many rows need --rows and --store, one row needs --row alone")
        if k != 1 or certify is not None:
            raise InputError("--k and --certify are for one --row")
        return nearest_rows_command(
            asked, rows, store, seconds=time_limit, row_seconds=row_time_limit, as_json=json
        )
    if row is None:
        raise InputError("name a row with --row, or several with --rows and --store")
    return nearest_command(
        asked, row, k=k, diverse=diverse, seconds=time_limit, certify=certify, as_json=json
    )


@bundled(request=READING)
def sensitive(
    request: Request,
    features: Annotated[
        str, typer.Option("--features", help="Features to change, with commas.", metavar="A,B")
    ],
    rows: Annotated[str, typer.Option("--rows", help="Rows to ask about.", metavar="ROWS")] = ":",
    near: Annotated[
        float | None,
        typer.Option("--near", help="Also within this of each row (linf).", metavar="E"),
    ] = None,
    monotone: Annotated[
        str | None,
        typer.Option("--monotone", help="Ask for monotonicity instead.", metavar="up|down"),
    ] = None,
    count: Annotated[
        bool, typer.Option("--count", help="Also the share of the space, with proved bounds.")
    ] = False,
    time_limit: options.TimeLimit = None,
    json: options.Json = False,
) -> int:
    """Ask whether changing only these features can flip any decision: a pair, or a proof."""
    from .sensitive import sensitive_command

    return sensitive_command(
        request,
        features,
        rows=rows,
        near=near,
        monotone=monotone,
        count=count,
        seconds=time_limit,
        as_json=json,
    )


@bundled(
    request=(*READING, "immutable", "target"),
    asked=(
        *("norm", "weights", "scale", "up", "down", "step", "within", "seen", "support"),
        *("isolation", "solver"),
    ),
)
def recourse(
    asked: RecourseRequest,
    rows: Annotated[str, typer.Option("--rows", help="Rows to help.", metavar="ROWS")],
    actions: Annotated[int, typer.Option("--actions", help="Most actions.", metavar="K")],
    share: Annotated[
        float, typer.Option("--help-share", help="Share of the rows to help.", metavar="S")
    ] = 1.0,
    split: Annotated[
        str | None, typer.Option("--split", help="One answer per value of these.", metavar="A,B")
    ] = None,
    time_limit: options.TimeLimit = None,
    json: options.Json = False,
) -> int:
    """Find few actions that help many rows, with a proved gap."""
    from .recourse import recourse_command

    named = [name.strip() for name in (split or "").split(",") if name.strip()]
    return recourse_command(
        asked, rows, actions=actions, share=share, split=named, seconds=time_limit, as_json=json
    )


def diff(
    old: Annotated[Path, typer.Argument(help="Store of an audit, or a model.", metavar="OLD")],
    new: Annotated[Path, typer.Argument(help="Another one.", metavar="NEW")],
    data: Annotated[
        Path | None, typer.Option("--data", help="Rows to compare two models on.", metavar="DATA")
    ] = None,
    rows: Annotated[str, typer.Option("--rows", help="For models.", metavar="ROWS")] = ":",
    label: options.Label = None,
    space: options.Space = None,
    limit: Annotated[
        int, typer.Option("--limit", help="For models: explanations per row.", metavar="N", min=1)
    ] = 20,
    show: Annotated[
        int, typer.Option("--show", help="Most rows written out.", metavar="N", min=0)
    ] = 20,
    json: options.Json = False,
) -> int:
    """Say which decisions and explanations changed between two audits or two models."""
    from .diff import diff_command

    request = None if data is None else Request(model=old, data=data, label=label, space=space)
    return diff_command(old, new, request, rows=rows, limit=limit, show=show, as_json=json)

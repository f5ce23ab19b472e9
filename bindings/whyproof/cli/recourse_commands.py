"""The commands about recourse and their options: ``nearest``, ``sensitive``, and others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options

__all__ = ["diff", "nearest", "recourse", "sensitive"]

_Norm = Annotated[
    str, typer.Option("--norm", help="Distance that is minimised.", metavar="l0|l1|l2|linf")
]
_Weights = Annotated[
    Path | None,
    typer.Option("--weights", help="Weight by feature, TOML or JSON.", metavar="FILE"),
]
_Scale = Annotated[
    str,
    typer.Option(
        "--scale", help="Unit of steps: as they are, range, or MAD.", metavar="none|range|mad"
    ),
]
_Up = Annotated[
    list[str] | None,
    typer.Option("--up", help="A feature that only rises; repeatable.", metavar="NAME"),
]
_Down = Annotated[
    list[str] | None,
    typer.Option("--down", help="A feature that only falls; repeatable.", metavar="NAME"),
]
_Step = Annotated[
    list[str] | None,
    typer.Option("--step", help="A feature moves in steps; repeatable.", metavar="NAME=V"),
]
_Within = Annotated[
    list[str] | None,
    typer.Option("--within", help="Where a feature ends; repeatable.", metavar="NAME=LOW:HIGH"),
]
_Models = Annotated[
    list[Path] | None,
    typer.Option("--models", help="Another model to convince; repeatable.", metavar="MODEL"),
]
_Share = Annotated[
    float, typer.Option("--share", help="Share of the models to convince.", metavar="S")
]
_Seen = Annotated[
    list[str] | None,
    typer.Option(
        "--seen", help="Features whose combination occurs in DATA; repeatable.", metavar="A,B"
    ),
]
_Support = Annotated[
    float | None,
    typer.Option("--support", help="Least mean share of DATA in the point's leaves.", metavar="S"),
]


def nearest(
    model: options.Model,
    data: options.Data,
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
    label: options.Label = None,
    norm: _Norm = "l1",
    weights: _Weights = None,
    scale: _Scale = "none",
    k: Annotated[int, typer.Option("--k", "-k", help="How many.", metavar="K")] = 1,
    diverse: Annotated[
        bool, typer.Option("--diverse", help="Each next one is another way to get there.")
    ] = False,
    target: options.Target = None,
    interval: options.Interval = None,
    space: options.Space = None,
    ranges: options.Ranges = "any",
    integers: options.Integers = False,
    immutable: options.Immutable = None,
    up: _Up = None,
    down: _Down = None,
    step: _Step = None,
    within: _Within = None,
    rules: options.Rules = None,
    seen: _Seen = None,
    support: _Support = None,
    models: _Models = None,
    share: _Share = 1.0,
    vote: options.Vote = None,
    classes: options.Classes = None,
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
    from .recourse_options import RecourseRequest
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
        rules=rules or (),
    )
    asked = RecourseRequest(
        request,
        norm=norm,
        weights=weights,
        scale=scale,
        up=up or (),
        down=down or (),
        step=step or (),
        within=within or (),
        models=models or (),
        share=share,
        seen=seen or (),
        support=support,
    )
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


def sensitive(
    model: options.Model,
    data: options.Data,
    features: Annotated[
        str, typer.Option("--features", help="Features to change, with commas.", metavar="A,B")
    ],
    rows: Annotated[str, typer.Option("--rows", help="Rows to ask about.", metavar="ROWS")] = ":",
    label: options.Label = None,
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
    space: options.Space = None,
    ranges: options.Ranges = "any",
    integers: options.Integers = False,
    rules: options.Rules = None,
    vote: options.Vote = None,
    classes: options.Classes = None,
    time_limit: options.TimeLimit = None,
    json: options.Json = False,
) -> int:
    """Ask whether changing only these features can flip any decision: a pair, or a proof."""
    from .request import Request
    from .sensitive import sensitive_command

    request = Request(
        model=model,
        data=data,
        label=label,
        space=space,
        ranges=ranges,
        integers=integers,
        vote=vote,
        classes=classes,
        rules=rules or (),
    )
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


def recourse(
    model: options.Model,
    data: options.Data,
    rows: Annotated[str, typer.Option("--rows", help="Rows to help.", metavar="ROWS")],
    actions: Annotated[int, typer.Option("--actions", help="Most actions.", metavar="K")],
    label: options.Label = None,
    share: Annotated[
        float, typer.Option("--help-share", help="Share of the rows to help.", metavar="S")
    ] = 1.0,
    split: Annotated[
        str | None, typer.Option("--split", help="One answer per value of these.", metavar="A,B")
    ] = None,
    norm: _Norm = "l1",
    weights: _Weights = None,
    scale: _Scale = "none",
    target: options.Target = None,
    space: options.Space = None,
    ranges: options.Ranges = "any",
    integers: options.Integers = False,
    immutable: options.Immutable = None,
    up: _Up = None,
    down: _Down = None,
    step: _Step = None,
    within: _Within = None,
    rules: options.Rules = None,
    seen: _Seen = None,
    support: _Support = None,
    vote: options.Vote = None,
    classes: options.Classes = None,
    time_limit: options.TimeLimit = None,
    json: options.Json = False,
) -> int:
    """Find few actions that help many rows, with a proved gap."""
    from .recourse import recourse_command
    from .recourse_options import RecourseRequest
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
        rules=rules or (),
    )
    asked = RecourseRequest(
        request,
        norm=norm,
        weights=weights,
        scale=scale,
        up=up or (),
        down=down or (),
        step=step or (),
        within=within or (),
        seen=seen or (),
        support=support,
    )
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
    from .request import Request

    request = None if data is None else Request(model=old, data=data, label=label, space=space)
    return diff_command(old, new, request, rows=rows, limit=limit, show=show, as_json=json)

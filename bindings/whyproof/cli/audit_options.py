"""The command that explains many rows, and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options
from .bundles import bundled
from .request import Request

__all__ = ["audit"]


@bundled()
def audit(
    request: Request,
    rows: Annotated[
        str, typer.Option("--rows", help="Rows A to B-1, counted from 0.", metavar="A:B")
    ],
    store: Annotated[
        Path, typer.Option("--store", help="File to keep explanations in.", metavar="FILE")
    ],
    limit: Annotated[
        int | None, typer.Option("--limit", help="Most explanations per row.", metavar="N")
    ] = None,
    one_each: Annotated[
        bool, typer.Option("--one-each", help="One AXp and one CXp per row, no enumeration.")
    ] = False,
    jobs: options.Jobs = 1,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", help="Work on a Dask cluster.", metavar="ADDRESS|FILE|local"),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option("--ray", help="Work on a Ray cluster.", metavar="ADDRESS|auto|local"),
    ] = None,
    mpi: Annotated[
        bool, typer.Option("--mpi", help="Work on the processes of an MPI job.")
    ] = False,
    slurm: Annotated[
        Path | None,
        typer.Option(
            "--slurm", help="Work in --jobs Slurm jobs; a folder all see.", metavar="FOLDER"
        ),
    ] = None,
    bias: Annotated[
        str, typer.Option("--bias", help="Which kind comes first.", metavar="axp|cxp")
    ] = "cxp",
    time_limit: Annotated[
        float | None,
        typer.Option("--time-limit", "--max-seconds", help="Seconds for all of it.", metavar="S"),
    ] = None,
    row_time_limit: Annotated[
        float | None,
        typer.Option("--row-time-limit", help="Seconds for each row.", metavar="S"),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            "--max-memory", help="Most memory of one worker process: 2G, 500M.", metavar="SIZE"
        ),
    ] = None,
    nice: Annotated[
        int,
        typer.Option("--nice", help="How much workers yield to other programs.", min=0, max=19),
    ] = 5,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try rows again that failed before.")
    ] = False,
    separately: Annotated[
        bool,
        typer.Option("--separately", help="Search equal decisions again for each row."),
    ] = False,
    progress: Annotated[
        str,
        typer.Option(
            "--progress",
            help="On stderr: a live table, JSON lines, or nothing.",
            metavar="auto|table|lines|none",
        ),
    ] = "auto",
    log: Annotated[
        Path | None,
        typer.Option("--log", help="Append a structured log, JSON lines.", metavar="FILE"),
    ] = None,
    certify: options.Certify = None,
    json: options.Json = False,
) -> int:
    """Explain many rows into a store; run it again to go on."""
    from whyproof.explainer import kind_named

    from .audit import Scale, audit_command

    scale = Scale(
        jobs=jobs,
        scheduler=scheduler,
        ray=ray,
        mpi=mpi,
        slurm=slurm,
        max_memory=max_memory,
        nice=nice,
        progress=progress,
        log=log,
    )
    return audit_command(
        request,
        rows,
        store,
        limit=limit,
        one_each=one_each,
        scale=scale,
        seconds=time_limit,
        row_seconds=row_time_limit,
        bias=kind_named(bias),
        retry_failed=retry_failed,
        together=not separately,
        certify=certify,
        as_json=json,
    )

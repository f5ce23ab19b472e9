"""The commands of ``whyproof store`` and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options

__all__ = ["StoreFile", "store_app"]

store_app = typer.Typer(
    help="Look into a store, check it, join it, export it.", rich_markup_mode=None
)

StoreFile = Annotated[Path, typer.Argument(help="Store that an audit wrote.", metavar="STORE")]


@store_app.command("info")
def store_info(
    store: StoreFile,
    rows: Annotated[
        int | None, typer.Option("--rows", help="Most rows listed.", metavar="N", min=0)
    ] = None,
    json: options.Json = False,
) -> int:
    """Say what a store holds."""
    from .stores import info_command

    return info_command(store, rows=rows, as_json=json)


@store_app.command("verify")
def store_verify(
    store: StoreFile,
    head: Annotated[
        str | None, typer.Option("--head", help="Head hash noted elsewhere.", metavar="HASH")
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option("--sample", help="Explanations to ask the model about again.", min=1),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="The audited model, for --sample.")
    ] = None,
    json: options.Json = False,
) -> int:
    """Check that no record was edited, removed, inserted or moved; exit 2 if one was."""
    from .stores import verify_command

    return verify_command(store, head, sample=sample, model=model, as_json=json)


@store_app.command("merge")
def store_merge(
    sources: Annotated[list[Path], typer.Argument(help="Stores to read.", metavar="STORE...")],
    out: Annotated[
        Path, typer.Option("--out", help="Store to add to; made if absent.", metavar="FILE")
    ],
    json: options.Json = False,
) -> int:
    """Add what several stores hold to one; again is harmless."""
    from .stores import merge_command

    return merge_command(out, sources, as_json=json)


@store_app.command("vacuum")
def store_vacuum(store: StoreFile, json: options.Json = False) -> int:
    """Pack a store that nobody writes to; no record changes."""
    from .stores import vacuum_command

    return vacuum_command(store, as_json=json)


@store_app.command("export")
def store_export(
    store: StoreFile,
    out: Annotated[Path, typer.Option("--out", help="File to write.", metavar="FILE")],
    to: Annotated[str, typer.Option("--to", metavar="jsonl|csv|parquet|duckdb")] = "jsonl",
    json: options.Json = False,
) -> int:
    """Write a store's explanations, one a line."""
    from .stores import export_command

    return export_command(store, to, out, as_json=json)

"""The commands ``whyproof visual ...`` and their options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from . import options
from .bundles import bundled

__all__ = ["RegionsRequest", "visual_app"]

visual_app = typer.Typer(
    help="Train generators and judges of images; paint masks.", rich_markup_mode=None
)

_Data = Annotated[
    Path, typer.Argument(help="Arrays x_train (and y_train), 8-bit.", metavar="DATA.npz")
]
_Batch = Annotated[int, typer.Option("--batch", help="Images per iteration.", metavar="N", min=1)]
_Seed = Annotated[int, typer.Option("--seed", help="Of everything drawn.", metavar="N", min=0)]


@visual_app.command("train")
def train(
    data: _Data,
    out: Annotated[
        Path, typer.Option("--out", help="Weights to write.", metavar="BRIDGE.safetensors")
    ],
    iterations: Annotated[
        int, typer.Option("--iterations", help="Steps of the optimiser.", metavar="N", min=1)
    ] = 9000,
    batch: _Batch = 48,
    seed: _Seed = 0,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", help="At its highest.", metavar="R")
    ] = 2e-3,
    width: Annotated[
        int, typer.Option("--width", help="Channels, a multiple of 8.", metavar="N", min=8)
    ] = 32,
    noisy: Annotated[bool, typer.Option("--noisy", help="Train the bridge with noise.")] = False,
    cell: Annotated[
        int, typer.Option("--cell", help="Side of the cells in masks.", metavar="C", min=1)
    ] = 4,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="State to go on from.", metavar="FILE")
    ] = None,
    snapshots: Annotated[
        Path | None,
        typer.Option("--snapshots", help="Keep the weights of every report here.", metavar="DIR"),
    ] = None,
    every: Annotated[
        int, typer.Option("--every", help="Iterations between reports.", metavar="N", min=1)
    ] = 500,
    json: options.Json = False,
) -> int:
    """Train a small generator to inpaint; interrupted, it goes on from its checkpoint."""
    from .visual import train_command

    return train_command(
        data,
        out,
        iterations=iterations,
        batch=batch,
        seed=seed,
        learning_rate=learning_rate,
        width=width,
        noisy=noisy,
        cell=cell,
        checkpoint=checkpoint,
        snapshots=snapshots,
        every=every,
        as_json=json,
    )


@visual_app.command("judge")
def judge(
    data: _Data,
    out: Annotated[
        Path, typer.Option("--out", help="Weights to write.", metavar="JUDGE.safetensors")
    ],
    onnx: Annotated[
        Path | None, typer.Option("--onnx", help="Also write it as a network.", metavar="NET.onnx")
    ] = None,
    iterations: Annotated[
        int, typer.Option("--iterations", help="Steps of the optimiser.", metavar="N", min=1)
    ] = 1500,
    batch: _Batch = 96,
    seed: _Seed = 0,
    json: options.Json = False,
) -> int:
    """Train a small classifier: a judge of results, or a model to explain."""
    from .visual import judge_command

    return judge_command(
        data, out, onnx=onnx, iterations=iterations, batch=batch, seed=seed, as_json=json
    )


@visual_app.command("paint")
def paint(
    image: Annotated[Path, typer.Argument(help="Image to paint on.", metavar="IMAGE")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Mask to write; else STEM_mask.png beside it.", metavar="FILE"),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", help="Of the local page.", metavar="N", min=0, max=65535)
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page at once.")
    ] = True,
) -> int:
    """Paint a mask on a page in the browser, which only this computer can open."""
    from .visual import paint_command

    return paint_command(image, out, port=port, browser=browser)


@dataclass(frozen=True)
class RegionsRequest:
    """The options of `visual regions`; see its help."""

    image: Annotated[Path, typer.Argument(help="Image to ask about.", metavar="IMAGE")]
    classifier: Annotated[
        Path, typer.Option("--classifier", help="Network, an ONNX file.", metavar="NET.onnx")
    ]
    bridge: Annotated[
        Path | None,
        typer.Option("--bridge", help="Also compare with this generator.", metavar="WEIGHTS"),
    ] = None
    target: Annotated[
        str | None, typer.Option("--target", help="Class to reach; else any.", metavar="CLASS")
    ] = None
    cell: Annotated[
        int, typer.Option("--cell", "--cell-size", help="Side of a cell in pixels.", metavar="C")
    ] = 4
    connected: Annotated[bool, typer.Option("--connected", help="Cells hang together.")] = False
    rectangular: Annotated[bool, typer.Option("--rectangular", help="A rectangle of cells.")] = (
        False
    )
    must: Annotated[
        list[str] | None,
        typer.Option("--must", help="A cell that is in it.", metavar="ROW,COL"),
    ] = None
    must_not: Annotated[
        list[str] | None,
        typer.Option("--must-not", help="A cell that is not in it.", metavar="ROW,COL"),
    ] = None
    count: Annotated[
        int, typer.Option("--count", help="Regions, smallest first; 0 for all.", min=0)
    ] = 1
    seconds: Annotated[
        float, typer.Option("--time-limit", help="Seconds for each search.", metavar="S")
    ] = 60.0
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for masks of the regions.", metavar="DIR")
    ] = None
    classes: options.Classes = None


@visual_app.command("regions")
@bundled()
def regions(request: RegionsRequest, json: options.Json = False) -> int:
    """List the smallest regions that can change a decision, each with a proof."""
    from .visual_regions import regions_command

    return regions_command(request, as_json=json)

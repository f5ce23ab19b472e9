"""The options of ``whyproof repaint``; what it does is imported when it is called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from . import options
from .bundles import bundled

__all__ = ["RepaintRequest", "repaint"]


@dataclass(frozen=True)
class RepaintRequest:
    """The options of `repaint`; see its help."""

    images: Annotated[
        list[Path], typer.Argument(help="Images, or folders of images.", metavar="IMAGE...")
    ]
    classifier: Annotated[
        Path, typer.Option("--classifier", help="Network, an ONNX file.", metavar="NET.onnx")
    ]
    bridge: Annotated[
        Path,
        typer.Option(
            "--bridge",
            help="Generator: of 'whyproof visual train', published, or saved by diffusers.",
            metavar="WEIGHTS",
        ),
    ]
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.", metavar="DIR")]
    source: Annotated[
        str | None,
        typer.Option(
            "--source", "--target-id", help="Only images of this predicted class.", metavar="CLASS"
        ),
    ] = None
    target: Annotated[
        str | None,
        typer.Option(
            "--target", "--guide-id", help="Class to reach; else the runner-up.", metavar="CLASS"
        ),
    ] = None
    region: Annotated[
        str,
        typer.Option(
            "--region", help="Where to paint.", metavar="attribution|mask|random|symbolic|text"
        ),
    ] = "attribution"
    attribution: Annotated[
        str,
        typer.Option(
            "--attribution",
            help="integrated gradients, saliency, grad-cam or occlusion.",
            metavar="METHOD",
        ),
    ] = "integrated gradients"
    inverse: Annotated[bool, typer.Option("--inverse", help="Paint everything but the region.")] = (
        False
    )
    mask: Annotated[
        Path | None,
        typer.Option("--mask", help="Mask for all images; else STEM_mask.png beside each."),
    ] = None
    text: Annotated[
        str | None, typer.Option("--text", help="Words that name the region.", metavar="WORDS")
    ] = None
    text_weights: Annotated[
        Path | None,
        typer.Option("--text-weights", help="Folder with the segmenter's weights.", metavar="DIR"),
    ] = None
    connected: Annotated[
        bool, typer.Option("--connected", help="Symbolic: cells hang together.")
    ] = False
    rectangular: Annotated[
        bool, typer.Option("--rectangular", help="Symbolic: a rectangle of cells.")
    ] = False
    must: Annotated[
        list[str] | None,
        typer.Option("--must", help="Symbolic: a cell that is in it.", metavar="ROW,COL"),
    ] = None
    must_not: Annotated[
        list[str] | None,
        typer.Option("--must-not", help="Symbolic: a cell that is not in it.", metavar="ROW,COL"),
    ] = None
    by_generator: Annotated[
        bool, typer.Option("--by-generator", help="Symbolic: the generator decides, not a proof.")
    ] = False
    region_seconds: Annotated[
        float, typer.Option("--region-time-limit", help="Symbolic: seconds per image.", metavar="S")
    ] = 60.0
    cell: Annotated[
        int, typer.Option("--cell", "--cell-size", help="Side of a cell in pixels.", metavar="C")
    ] = 4
    area: Annotated[
        float, typer.Option("--area", help="Largest share of the image.", metavar="A")
    ] = 0.3
    scale: Annotated[
        float, typer.Option("--scale", help="Strength of the guidance at 25 steps.", metavar="S")
    ] = 1.5
    start_step: Annotated[
        int, typer.Option("--start-step", help="Start of the walk, of 1000.", metavar="T")
    ] = 600
    steps: Annotated[
        int, typer.Option("--steps", "--nfe", help="Network calls of a walk.", metavar="N")
    ] = 25
    noisy: Annotated[
        bool, typer.Option("--noisy/--ot-ode", help="Walk with noise, or straight.")
    ] = False
    views: Annotated[
        int, typer.Option("--views", help="Disturbed views shown to the classifier.", metavar="N")
    ] = 4
    published: Annotated[
        bool, typer.Option("--published", help="Guidance exactly as published.")
    ] = False
    narrow_to: Annotated[
        float | None,
        typer.Option("--narrow-to", help="Let the region shrink to this share.", metavar="A"),
    ] = None
    copies: Annotated[
        int, typer.Option("--copies", "--n-inpaints", help="Results per image.", metavar="N")
    ] = 1
    draws: Annotated[
        int, typer.Option("--draws", help="Draws of noise before giving up.", metavar="N")
    ] = 1
    seed: Annotated[int, typer.Option("--seed", help="Of the noise.", metavar="N", min=0)] = 42
    batch: Annotated[int, typer.Option("--batch", help="Most images at once.", metavar="N")] = 64
    classes: options.Classes = None
    prove: Annotated[
        float | None,
        typer.Option("--prove", help="Seconds to prove what a region can do.", metavar="S"),
    ] = None
    device: Annotated[str, typer.Option("--device", help="Where to compute.", metavar="D")] = "cpu"


@bundled()
def repaint(request: RepaintRequest, json: options.Json = False) -> int:
    """Repaint regions of images until a classifier changes its mind; run again to go on."""
    from .repaint import repaint_command

    return repaint_command(request, as_json=json)

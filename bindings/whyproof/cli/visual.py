"""``whyproof visual train``, ``judge`` and ``paint``."""

from __future__ import annotations

import time
import webbrowser
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from whyproof.engine.errors import DataError

from .failures import ANSWERED
from .output import json_line, line, paragraph
from .repaint import need_torch

__all__ = ["judge_command", "paint_command", "train_command"]

_MOST_BYTES = 4 << 30


def train_command(
    data: Path,
    out: Path,
    *,
    iterations: int,
    batch: int,
    seed: int,
    learning_rate: float,
    width: int,
    noisy: bool,
    cell: int,
    checkpoint: Path | None,
    snapshots: Path | None,
    every: int,
    as_json: bool,
) -> int:
    """Train a generator and write its weights."""
    need_torch()
    from whyproof.visual.networks.small import SmallUNetShape
    from whyproof.visual.training import Progress, TrainingOptions, as_tensor, train_bridge
    from whyproof.visual.weights import save_bridge

    images = _arrays(data, "x_train")["x_train"]
    channels = as_tensor(images[:1]).shape[1]
    options = TrainingOptions(
        iterations=iterations,
        batch=batch,
        learning_rate=learning_rate,
        seed=seed,
        noisy=noisy,
        cell=cell,
    )
    last = Progress(0, float("nan"), 0.0)

    def report(progress: Progress) -> None:
        nonlocal last
        last = progress
        if as_json:
            json_line(
                {
                    "iteration": progress.iteration,
                    "loss": progress.loss,
                    "cpu_seconds": round(progress.cpu_seconds, 3),
                }
            )
        else:
            share = f"{progress.iteration} of {iterations}"
            line(f"{share}: loss {progress.loss:.4f}, {progress.cpu_seconds:.0f} CPU s")

    bridge = train_bridge(
        images,
        options,
        network=SmallUNetShape(channels=channels, width=width),
        checkpoint=checkpoint,
        snapshots=snapshots,
        every=every,
        report=report,
    )
    told = {"iterations": iterations, "batch": batch, "seed": seed, "loss": last.loss}
    save_bridge(bridge, out, told)
    size = out.stat().st_size
    if as_json:
        json_line({"weights": str(out), "bytes": size, **told})
    else:
        paragraph(f"The weights are in {out} ({size / 1e6:.1f} MB).")
    return ANSWERED


def judge_command(
    data: Path,
    out: Path,
    *,
    onnx: Path | None,
    iterations: int,
    batch: int,
    seed: int,
    as_json: bool,
) -> int:
    """Train a judge, say how good it is, and write its weights."""
    need_torch()
    from whyproof.visual.classifiers import ImageClassifier
    from whyproof.visual.judges import export_judge, save_judge, train_judge
    from whyproof.visual.pixels import as_pixels

    arrays = _arrays(data, "x_train", "y_train")
    began = time.process_time()
    judge = train_judge(
        arrays["x_train"], arrays["y_train"], iterations=iterations, batch=batch, seed=seed
    )
    seconds = time.process_time() - began
    save_judge(judge, out)
    if onnx is not None:
        export_judge(judge, onnx)
    told: dict[str, object] = {"weights": str(out), "cpu_seconds": round(seconds, 3)}
    if {"x_test", "y_test"} <= arrays.keys():
        shape = (judge.shape.channels, judge.shape.height, judge.shape.width)
        found = ImageClassifier(judge, shape=shape).predict(as_pixels(arrays["x_test"], shape))
        told["accuracy"] = float((found == arrays["y_test"]).mean())
    if as_json:
        json_line(told)
    else:
        right = (
            f", right about {told['accuracy']:.2%} of the test images" if "accuracy" in told else ""
        )
        paragraph(f"The judge is in {out}{right}.")
    return ANSWERED


def paint_command(image: Path, out: Path | None, *, port: int, browser: bool) -> int:
    """Serve the painter until the mask is saved."""
    from whyproof.visual.painter import MaskPainter

    with MaskPainter(image, out, port) as painter:
        paragraph(f"Paint on {painter.url} and save; Ctrl-C to leave without a mask.")
        if browser:
            webbrowser.open(painter.url)
        painter.serve()
        paragraph(f"The mask is in {painter.out}.")
    return ANSWERED


def _arrays(place: Path, *wanted: str) -> dict[str, Any]:
    if not place.is_file():
        raise DataError(f"there is no file {place}")
    if place.stat().st_size > _MOST_BYTES:
        raise DataError(f"{place.name} is larger than {_MOST_BYTES >> 30} GiB")
    try:
        with np.load(place, allow_pickle=False) as found:
            names = list(found.keys()) if hasattr(found, "keys") else []
            missing = [name for name in wanted if name not in names]
            if missing:
                raise DataError(
                    f"{place.name} has no array {missing[0]!r}, only {', '.join(names)}"
                )
            return {name: found[name] for name in names}
    except (ValueError, OSError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{place.name} is no file of named arrays (.npz): {error}") from error

"""Visual counterfactuals on MNIST: conditions, judges, length of training, speed, exactness.

    python -m benchmarks.visual --bridge FILE --nets DIR --out FILE.json [--part NAME]...
                                [--snapshots DIR]

The bridge comes from ``whyproof visual train mnist.npz --out FILE``; DIR holds the networks
of `benchmarks.visual_nets`, which are trained there if they are missing.  Parts:

flips     the table of conditions: guidance, region, area, start, steps, scale
judges    whether other networks agree, against gradient attacks of equal change
curve     the same over the training's snapshots
copies    several counterfactuals per image: how different they are
speed     processor time and memory over batch sizes
exact     generator against an exact oracle and a mixed-integer program, regions of n cells
minimal   smallest regions under the exact oracle
beyond    minimal regions under the generator, and what of them the exact oracle needs

``--after 300 --short`` measures flips and judges on the next images, on which nothing was chosen.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import data_folder, describe_machine, merge_result
from benchmarks.visual_bench import (
    ATTACKS,
    GRID,
    PAIRS,
    SEED,
    Bench,
    agreement,
    mean_of,
    peak,
    versus,
)
from benchmarks.visual_exact import beyond, exact, minimal
from benchmarks.visual_nets import prepare
from whyproof.visual.baselines import change_within, gradient_attack
from whyproof.visual.classifiers import ImageClassifier
from whyproof.visual.metrics.cout import cout
from whyproof.visual.metrics.features import (
    frechet_distance,
    mean_similarity,
    split_frechet_distance,
    spread_of_copies,
)
from whyproof.visual.metrics.flips import summarise
from whyproof.visual.pixels import Pixels
from whyproof.visual.regions.choice import Regions, complements, random_cells
from whyproof.visual.repainting import Attempts
from whyproof.visual.sampler import SamplerOptions
from whyproof.visual.views import Views
from whyproof.visual.weights import load_bridge

SOME = 100
"""Images for the conditions without a target."""


def flips(bench: Bench) -> dict[str, object]:
    """Measure the table of conditions."""
    features, reference = bench.features, bench.reference
    own = features(bench.images)
    main = bench.regions()
    chance = random_cells(len(bench.images), GRID, 0.3, SEED)
    base = SamplerOptions()
    rows: list[dict[str, object]] = []

    def add(name: str, images: Pixels, regions: Regions, **more: object) -> None:
        after, some = features(images), slice(len(images))
        originals = bench.images[some]
        scores = cout(bench.classifier, originals, images, bench.labels[some], bench.targets[some])
        rows.append(
            {
                "condition": name,
                "images": len(images),
                **more,
                **agreement(bench, images),
                "cout": mean_of(scores),
                "frechet_matched": round(frechet_distance(after, reference), 3),
                "frechet_split": round(split_frechet_distance(own[some], after), 3),
                "similarity": round(mean_similarity(own[some], after), 4),
                "change": mean_of(change_within(images, originals, regions)),
                "region_share": mean_of(regions.mean(axis=(1, 2))),
            }
        )
        bench.keep(rows)
        print(rows[-1], flush=True)

    def go(
        name: str,
        regions: Regions,
        options: SamplerOptions | None = None,
        count: int | None = SOME,
        attempts: Attempts | None = None,
    ) -> None:
        found, cost = bench.painted(regions, options, count=count, attempts=attempts)
        told = summarise(found).as_json()
        kept = {k: told[k] for k in ("reached", "changed", "guided", "moved", "outside")}
        images = np.stack([r.image for r in found])
        add(name, images, np.stack([r.region for r in found]), cpu_ms=round(cost, 2), **kept)

    ladder = Attempts(seed=SEED)
    go("attribution (base)", main, count=None)
    go("no guidance", main, replace(base, scale=0.0), None)
    go("random cells", chance, count=None)
    go("attribution, ladder of scales", main, count=None, attempts=ladder)
    go("random cells, ladder of scales", chance, count=None, attempts=ladder)
    go("without views", main, replace(base, views=Views(0)), None)
    go("without views, random cells", chance, replace(base, views=Views(0)), None)
    go("as published", main, base.as_published(), None)
    go("as published, four draws", main, base.as_published(), None, Attempts((1.0,), 4, SEED))
    if bench.short:
        return {"images": len(bench.images), "rows": rows}
    for name, parts in (
        ("not anchored", {"anchored": False}),
        ("through the network", {"through_network": True}),
        ("mean square per pixel", {"pooled": False}),
        ("log-probability", {"fading": True}),
        ("no Adam", {"adam": False}),
        ("with noise", {"noisy": True}),
    ):
        go(name, main, replace(base, **parts))  # type: ignore[arg-type]
    go("no guidance, from the far end", main, replace(base, scale=0.0, start_step=1000))
    go("complement of attribution", complements(main))
    for method in ("saliency", "grad-cam", "occlusion"):
        go(f"region by {method}", bench.regions(method=method))
    for area in (0.1, 0.2, 0.4, 0.5):
        go(f"area {area}", bench.regions(area))
    for start in (200, 400, 800, 1000):
        go(f"start {start}", main, replace(base, start_step=start))
    for steps in (10, 50):
        go(f"{steps} steps", main, replace(base, steps=steps))
    for scale in (0.5, 1.0, 3.0):
        go(f"scale {scale}", main, replace(base, scale=scale))
    for area, end in ((0.3, 0.2), (0.5, 0.3), (0.5, 0.2)):
        name = f"area {area} narrowing to {end}"
        go(name, bench.regions(area), replace(base, narrow_to=end))
    for steps, size, norm in ((10, 0.1, "linf"), (40, 0.1, "linf"), (40, 0.5, "l2")):
        began = time.process_time()
        images = gradient_attack(
            bench.classifier,
            bench.images,
            main,
            bench.targets,
            steps=steps,
            size=size,
            norm=norm,  # type: ignore[arg-type]
        )
        cost = 1000 * (time.process_time() - began) / len(images)
        outcome = bench.classifier.predict(images)
        kind = "signs" if norm == "linf" else "unit length"
        add(
            f"gradients, {kind}, {steps} x {size}",
            images,
            main,
            cpu_ms=round(cost, 2),
            reached=mean_of(outcome == bench.targets),
            changed=mean_of(outcome != bench.labels),
            moved=mean_of((images != bench.images).any(axis=3).sum(axis=(1, 2))),
        )
    return {"images": len(bench.images), "rows": rows}


def judges(bench: Bench) -> dict[str, object]:
    """Compare agreement with gradient attacks of equal change, image by image."""
    regions, base = bench.regions(), SamplerOptions()
    settings = {
        "base": base,
        "without views": replace(base, views=Views(0)),
        "start 400": replace(base, start_step=400),
        "scale 3": replace(base, scale=3.0),
        "as published": base.as_published(),
    }
    rows: list[dict[str, object]] = []
    for name, options in settings.items():
        if bench.short and name not in ("base", "as published"):
            continue
        found, _ = bench.painted(regions, options)
        images = np.stack([r.image for r in found])
        for attack in ATTACKS:
            rows.append({"setting": name, **versus(bench, images, regions, attack)})
            bench.keep(rows)
            print(rows[-1], flush=True)
    return {"images": len(bench.images), "rows": rows}


def curve(bench: Bench) -> dict[str, object]:
    """Measure flips and agreement over the length of training."""
    if bench.snapshots is None:
        raise SystemExit("the curve needs --snapshots, a folder of 'bridge-NNNNNN.safetensors'")
    regions, base = bench.regions(), SamplerOptions()
    rows: list[dict[str, object]] = []
    count = 60 if bench.short else None
    for place in sorted(bench.snapshots.glob("bridge-*.safetensors")):
        iteration = int(place.stem.split("-")[1])
        if iteration % 1500 and iteration not in (500, 1000):
            continue
        bridge = load_bridge(place)
        row: dict[str, object] = {"iterations": iteration}
        for name, options in (
            ("base", base),
            ("as published", base.as_published()),
            ("no guidance", replace(base, scale=0.0)),
        ):
            found, _ = bench.painted(regions, options, count=count, bridge=bridge)
            images = np.stack([r.image for r in found])
            told: dict[str, object] = {
                "reached": mean_of([r.reached for r in found]),
                "changed": mean_of([r.changed for r in found]),
                "change": mean_of([r.change for r in found]),
                **agreement(bench, images),
            }
            if options.scale:
                told["against"] = versus(bench, images, regions, "signs of 0.1")
            row[name] = told
        rows.append(row)
        bench.keep(rows)
        print(row, flush=True)
    return {"images": count or len(bench.images), "rows": rows}


def copies(bench: Bench) -> dict[str, object]:
    """Measure how different several counterfactuals of one image are."""
    rows: list[dict[str, object]] = []
    for name, options in (
        ("base", SamplerOptions()),
        ("start 1000", SamplerOptions(start_step=1000)),
        ("as published", SamplerOptions().as_published()),
    ):
        found, cost = bench.painted(bench.regions(), options, count=SOME, copies=4)
        images = np.stack([r.image for r in found]).reshape(SOME, 4, *bench.images.shape[1:])
        apart = np.abs(images[:, :, None].astype(float) - images[:, None, :]).mean() / 255
        rows.append(
            {
                "setting": name,
                "images": SOME,
                "copies": 4,
                "reached": mean_of([r.reached for r in found]),
                "spread_of_features": round(
                    spread_of_copies([bench.features(images[:, i]) for i in range(4)]), 4
                ),
                "mean_pixel_difference": round(float(apart) * 4 / 3, 5),
                "cpu_ms": round(cost, 2),
            }
        )
        bench.keep(rows)
        print(rows[-1], flush=True)
    return {"rows": rows}


def speed(bench: Bench) -> dict[str, object]:
    """Measure processor time and peak memory over batch sizes, smallest first."""
    regions, rows = bench.regions(), []
    most = len(bench.images)
    for batch in (1, 4, 16, 32, 64, 128, 256):
        count = min(most, max(batch, 32))
        before = peak()
        _, cost = bench.painted(regions, count=count, attempts=Attempts.single(SEED, batch))
        rows.append(
            {
                "batch": batch,
                "images": count,
                "cpu_ms_per_image": round(cost, 2),
                "peak_grew_mb": round(peak() - before, 1),
            }
        )
        bench.keep(rows)
        print(rows[-1], flush=True)
    grew = sum(float(row["peak_grew_mb"]) for row in rows[-2:])
    return {"steps": 25, "rows": rows, "megabytes_per_image": round(grew / (256 - 64), 2)}


PARTS: dict[str, Callable[[Bench], dict[str, object]]] = {
    "speed": speed,
    "flips": flips,
    "judges": judges,
    "copies": copies,
    "curve": curve,
    "exact": exact,
    "minimal": minimal,
    "beyond": beyond,
}


def main() -> None:
    """Run parts and add each to the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bridge", type=Path, required=True)
    parser.add_argument("--nets", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--snapshots", type=Path)
    parser.add_argument("--part", action="append", choices=list(PARTS))
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--cells", type=int, action="append", help="for exact; all by default")
    parser.add_argument("--after", type=int, default=0, help="images to leave out first")
    parser.add_argument("--short", action="store_true", help="fewer conditions and images")
    told = parser.parse_args()
    torch.set_num_threads(1)
    with np.load(data_folder() / "images" / "mnist.npz") as arrays:
        data = {name: arrays[name] for name in arrays}
    prepare(told.nets, data)
    classifier = ImageClassifier(told.nets / "classifier.onnx")
    others = {name: ImageClassifier(told.nets / f"{name}.onnx") for name in ("judge", "robust")}
    images, labels = data["x_test"][..., None], data["y_test"].astype(np.int64)
    right = classifier.predict(images) == labels
    for judge in others.values():
        right &= judge.predict(images) == labels
    chosen = np.flatnonzero(right)[told.after :][: told.images]
    bench = Bench(
        load_bridge(told.bridge),
        classifier,
        others,
        images[chosen],
        labels[chosen],
        PAIRS[labels[chosen]],
        told.nets,
        data,
        told.snapshots,
        told.short,
        first=told.after,
    )
    if told.cells:
        bench.cells = tuple(told.cells)
    about = {
        "machine": describe_machine("torch", "onnxruntime"),
        "seed": SEED,
        "bridge": hashlib.sha256(told.bridge.read_bytes()).hexdigest()[:16],
        "accuracy": {
            name: mean_of(net.predict(images) == labels)
            for name, net in {"classifier": classifier, **others}.items()
        },
    }
    for name in told.part or [p for p in PARTS if p != "curve" or told.snapshots]:
        began = time.process_time()
        entry = f"{name} after {told.after}" if told.after else name
        if name == "exact" and told.cells:
            entry = f"exact {' '.join(str(n) for n in bench.cells)}"

        def keep(rows: list[dict[str, object]], entry: str = entry) -> None:
            merge_result(told.out, entry, {**about, "complete": False, "rows": rows})

        bench.keep = keep
        result = PARTS[name](bench)
        spent = round(time.process_time() - began, 1)
        merge_result(told.out, entry, {**about, "complete": True, "cpu_seconds": spent, **result})


if __name__ == "__main__":
    main()

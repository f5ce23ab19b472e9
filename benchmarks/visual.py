"""Visual counterfactuals on MNIST: conditions, judges, length of training, speed, exactness.

    python -m benchmarks.visual --bridge FILE --nets DIR --out FILE.json [--part NAME]...
                                [--snapshots DIR]

The bridge comes from ``whyproof visual train mnist.npz --out FILE``; DIR holds the networks
of `benchmarks.visual_nets`, which are trained there if they are missing.  Parts:

flips     the table of conditions: guidance, region, area, start, steps, scale
retries   more draws of noise, more steps, more strength
judges    whether other networks agree, against projected gradients of equal change
curve     the same over the training's snapshots
speed     processor time and memory over batch sizes
exact     generator against an exact oracle and a mixed-integer program, regions of n cells
minimal   smallest regions under the generator, under the exact oracle, and proved
"""

from __future__ import annotations

import argparse
import hashlib
import math
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from benchmarks.machine import data_folder, describe_machine, merge_result
from benchmarks.visual_nets import prepare
from whyproof.encodings.networks.milp import MilpOracle
from whyproof.encodings.networks.oracle import NetworkOracle
from whyproof.engine.answers import Counterexample, Entailed
from whyproof.engine.budget import Budget
from whyproof.engine.explanation import Status
from whyproof.visual.baselines import gradient_attack
from whyproof.visual.bridge import Bridge
from whyproof.visual.cells import Grid
from whyproof.visual.classifiers import ImageClassifier
from whyproof.visual.join import minimal_regions
from whyproof.visual.judges import load_judge
from whyproof.visual.metrics.cout import cout
from whyproof.visual.metrics.features import (
    frechet_distance,
    judge_features,
    matched_reference,
    mean_similarity,
    split_frechet_distance,
)
from whyproof.visual.metrics.flips import summarise
from whyproof.visual.oracle import GeneratorOracle, image_problem
from whyproof.visual.pixels import Pixels, as_signed, rounded
from whyproof.visual.regions.attribution import attribution
from whyproof.visual.regions.choice import best_cells, complements, random_cells
from whyproof.visual.regions.symbolic import RegionSearch
from whyproof.visual.repainting import Attempts, Repainting, repaint
from whyproof.visual.sampler import SamplerOptions
from whyproof.visual.views import Views
from whyproof.visual.weights import load_bridge

PAIRS = np.array([6, 7, 3, 8, 9, 6, 5, 9, 3, 4])
"""The class that each digit is turned into."""
GRID = Grid(28, 28, 4)
SEED = 0
EVERY, SOME = 300, 60
"""Images for the conditions with a target, and for the others."""
Regions = npt.NDArray[np.bool_]


@dataclass
class Bench:
    """What all parts share."""

    bridge: Bridge
    classifier: ImageClassifier
    judges: dict[str, ImageClassifier]
    images: Pixels
    labels: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    nets: Path
    data: dict[str, npt.NDArray[np.uint8]]
    snapshots: Path | None
    short: bool = False
    keep: Callable[[list[dict[str, object]]], None] = lambda rows: None
    """Told of the rows so far, so that a run that is cut short leaves what it measured."""
    maps: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    def regions(self, area: float = 0.3, method: str = "integrated gradients") -> Regions:
        """Return attribution regions of the predicted classes."""
        if method not in self.maps:
            kept = self.nets / f"{method.replace(' ', '-')}-{len(self.images)}.npy"
            if not kept.exists():
                found = attribution(
                    self.classifier, self.images, self.labels, method=method, seed=SEED
                )
                np.save(kept, found)
            self.maps[method] = np.load(kept)
        return best_cells(self.maps[method], GRID, area)

    def painted(
        self,
        regions: Regions,
        count: int | None = None,
        bridge: Bridge | None = None,
        attempts: Attempts | None = None,
        control: bool = False,
        **options: object,
    ) -> tuple[list[Repainting], float]:
        """Return repaintings, by default of one attempt, and CPU milliseconds per image."""
        some = slice(count)
        began = time.process_time()
        found = repaint(
            bridge or self.bridge,
            self.classifier,
            self.images[some],
            regions[some],
            self.targets[some],
            options=SamplerOptions(**options),  # type: ignore[arg-type]
            attempts=attempts or Attempts.single(SEED),
            control=control,
        )
        return found, 1000 * (time.process_time() - began) / len(found)


def flips(bench: Bench) -> dict[str, object]:
    """Measure the table of conditions."""
    features = judge_features(load_judge(bench.nets / "judge.safetensors"))
    real = features(bench.data["x_test"][..., None])
    reference = matched_reference(real, bench.data["y_test"], bench.targets)
    own = features(bench.images)
    main = bench.regions()
    chance = random_cells(len(bench.images), GRID, 0.3, SEED)
    rows: list[dict[str, object]] = []

    def add(name: str, images: Pixels, regions: Regions, **more: object) -> None:
        after, some = features(images), slice(len(images))
        rows.append(
            {
                "condition": name,
                "images": len(images),
                **more,
                **agreement(bench, images),
                "cout": mean_of(
                    cout(
                        bench.classifier,
                        bench.images[some],
                        images,
                        bench.labels[some],
                        bench.targets[some],
                    )
                ),
                "frechet_matched": round(frechet_distance(after, reference), 3),
                "frechet_split": round(split_frechet_distance(own[some], after), 3),
                "similarity": round(mean_similarity(own[some], after), 4),
                "change": mean_of(change_in(images, bench.images[some], regions)),
                "region_share": mean_of(regions.mean(axis=(1, 2))),
            }
        )
        bench.keep(rows)
        print(rows[-1], flush=True)

    def go(
        name: str,
        regions: Regions,
        count: int = SOME,
        attempts: Attempts | None = None,
        **options: object,
    ) -> None:
        found, cost = bench.painted(regions, count, attempts=attempts, **options)
        told = summarise(found).as_json()
        kept = {k: told[k] for k in ("reached", "changed", "guided", "moved", "outside")}
        images = np.stack([r.image for r in found])
        add(name, images, np.stack([r.region for r in found]), cpu_ms=round(cost, 2), **kept)

    go("attribution (base)", main, EVERY)
    go("no guidance", main, EVERY, scale=0.0)
    go("random cells", chance, EVERY)
    if bench.short:
        return {"images": len(bench.images), "rows": rows}
    go("no guidance, from the far end", main, scale=0.0, start_step=1000)
    go("complement of attribution", complements(main))
    for method in ("saliency", "grad-cam", "occlusion"):
        go(f"region by {method}", bench.regions(method=method))
    for area in (0.1, 0.2, 0.5):
        go(f"area {area}", bench.regions(area))
    for start in (200, 400, 800, 1000):
        go(f"start {start}", main, start_step=start)
    for steps in (10, 50):
        go(f"{steps} steps", main, steps=steps)
    for scale in (0.5, 3.0):
        go(f"scale {scale}", main, scale=scale)
    go("four views", main, views=Views(4))
    go("four views, scale 3", main, views=Views(4), scale=3.0)
    go("with noise", main, noisy=True)
    go("gradient at the estimate", main, through_network=False)
    go("narrowing to 0.15", main, narrow_to=0.15)
    for steps, size in ((10, 0.1), (40, 0.1)):
        began = time.process_time()
        images = gradient_attack(
            bench.classifier, bench.images, main, bench.targets, steps=steps, size=size
        )
        cost = 1000 * (time.process_time() - began) / len(images)
        outcome = bench.classifier.predict(images)
        add(
            f"projected gradients {steps} x {size}",
            images,
            main,
            cpu_ms=round(cost, 2),
            reached=mean_of(outcome == bench.targets),
            changed=mean_of(outcome != bench.labels),
        )
    return {"images": len(bench.images), "rows": rows}


def retries(bench: Bench) -> dict[str, object]:
    """Measure what more draws, more steps and more strength do to the conditions with a target."""
    main, chance = bench.regions(), random_cells(len(bench.images), GRID, 0.3, SEED)
    four = Attempts((1.0,), 4, SEED)
    rows: list[dict[str, object]] = []
    for name, regions, attempts, options in (
        ("attribution, four draws", main, four, {}),
        ("random cells, four draws", chance, four, {}),
        ("attribution, ladder of scales", main, Attempts(seed=SEED), {}),
        ("attribution, 50 steps", main, None, {"steps": 50}),
    ):
        found, cost = bench.painted(regions, attempts=attempts, **options)  # type: ignore[arg-type]
        told = summarise(found).as_json()
        images = np.stack([r.image for r in found])
        rows.append({"condition": name, "cpu_ms": round(cost, 2), **told})
        rows[-1] |= agreement(bench, images)
        bench.keep(rows)
        print(rows[-1], flush=True)
    return {"images": len(bench.images), "rows": rows}


def agreement(bench: Bench, images: Pixels) -> dict[str, object]:
    """Return how often each judge sees the target in images that reach it."""
    targets = bench.targets[: len(images)]
    reached = bench.classifier.predict(images) == targets
    found: dict[str, object] = {}
    for name, judge in bench.judges.items():
        agrees = judge.predict(images) == targets
        found[f"{name}_of_flips"] = mean_of(agrees[reached]) if reached.any() else None
    return found


def judges(bench: Bench) -> dict[str, object]:
    """Compare agreement with gradient attacks of equal change, image by image."""
    regions = bench.regions()
    settings: dict[str, dict[str, object]] = {
        "base": {},
        "scale 3": {"scale": 3.0},
        "four views, scale 3": {"views": Views(4), "scale": 3.0},
    }
    rows: list[dict[str, object]] = []
    for name, options in settings.items():
        found, _ = bench.painted(regions, **options)
        images = np.stack([r.image for r in found])
        wanted = change_in(images, bench.images, regions)
        for size in (0.02, 0.1):
            attacked = attack_of_change(bench, regions, wanted, size)
            row: dict[str, object] = {
                "setting": name,
                "attack_step": size,
                "change": mean_of(wanted),
                "attack_change": mean_of(change_in(attacked, bench.images, regions)),
            }
            both = (bench.classifier.predict(images) == bench.targets) & (
                bench.classifier.predict(attacked) == bench.targets
            )
            row["both_reach"] = int(both.sum())
            for judge_name, judge in bench.judges.items():
                ours = (judge.predict(images) == bench.targets)[both]
                theirs = (judge.predict(attacked) == bench.targets)[both]
                won, lost = int((ours & ~theirs).sum()), int((~ours & theirs).sum())
                row[judge_name] = {
                    "ours": mean_of(ours),
                    "attack": mean_of(theirs),
                    "won": won,
                    "lost": lost,
                    "p_two_sided": round(sign_test(won, lost), 5),
                }
            rows.append(row)
            bench.keep(rows)
        print(row, flush=True)
    return {"images": len(bench.images), "rows": rows}


def attack_of_change(
    bench: Bench, regions: Regions, wanted: npt.NDArray[np.float64], size: float
) -> Pixels:
    """Return attacks stopped, image by image, when they have changed as much as is wanted."""
    result, done = bench.images.copy(), np.zeros(len(bench.images), dtype=np.bool_)
    start = as_signed(bench.images)
    current, free = start, torch.from_numpy(regions)[:, None]
    targets = torch.from_numpy(bench.targets)[:, None]
    for _ in range(200):
        origin = current.detach().requires_grad_()
        likely = functional.log_softmax(bench.classifier.logits((origin + 1) / 2), dim=1)
        (gradient,) = torch.autograd.grad(likely.gather(1, targets).sum(), origin)
        current = (current + size * gradient.sign() * free).clamp(-1, 1)
        images = rounded(current, bench.images, regions)
        reached = (change_in(images, bench.images, regions) >= wanted) & ~done
        result[reached] = images[reached]
        done |= reached
        if done.all():
            break
    result[~done] = images[~done]
    return result


def curve(bench: Bench) -> dict[str, object]:
    """Measure flips and agreement over the length of training."""
    if bench.snapshots is None:
        raise SystemExit("the curve needs --snapshots, a folder of 'bridge-NNNNNN.safetensors'")
    regions, rows = bench.regions(), []
    count = 60 if bench.short else 100
    for place in sorted(bench.snapshots.glob("bridge-*.safetensors")):
        iteration = int(place.stem.split("-")[1])
        if iteration % 2000 and iteration not in (500, 1000):
            continue
        bridge = load_bridge(place)
        row: dict[str, object] = {"iterations": iteration}
        for name, options in (
            ("base", {}),
            ("scale 3", {"scale": 3.0}),
            ("four views, scale 3", {"views": Views(4), "scale": 3.0}),
            ("no guidance", {"scale": 0.0}),
        ):
            found, _ = bench.painted(regions, count, bridge, **options)  # type: ignore[arg-type]
            images = np.stack([r.image for r in found])
            reached = np.array([r.reached for r in found])
            told: dict[str, object] = {"reached": mean_of(reached)}
            told["changed"] = mean_of([r.changed for r in found])
            told["change"] = mean_of([r.change for r in found])
            for judge_name, judge in bench.judges.items():
                agrees = judge.predict(images) == bench.targets[:count]
                told[judge_name] = mean_of(agrees[reached]) if reached.any() else None
            row[name] = told
        rows.append(row)
        bench.keep(rows)
        print(row, flush=True)
    return {"images": count, "rows": rows}


def speed(bench: Bench) -> dict[str, object]:
    """Measure processor time and peak memory over batch sizes, smallest first."""
    regions, rows = bench.regions(), []
    for batch in (1, 4, 16, 64, 128, 256):
        count = min(len(bench.images), max(batch, 8))
        before = peak()
        _, cost = bench.painted(regions, count, attempts=Attempts.single(SEED, batch))
        rows.append(
            {"batch": batch, "cpu_ms_per_image": round(cost, 2), "peak_grew_mb": peak() - before}
        )
        bench.keep(rows)
        print(rows[-1], flush=True)
    grew = sum(row["peak_grew_mb"] for row in rows[-2:])
    return {"steps": 25, "rows": rows, "megabytes_per_image": round(grew / (256 - 64), 2)}


def exact(bench: Bench) -> dict[str, object]:
    """Ask the generator, gradients, the exact oracle and a program about regions of n cells."""
    small = ImageClassifier(bench.nets / "relu.onnx")
    images, targets = asked(bench, small, 100)
    maps = attribution(small, images, small.predict(images), seed=SEED)
    rows: list[dict[str, object]] = []
    for cells in (1, 2, 4, 8, 14):
        regions = best_cells(maps, GRID, (cells + 0.01) / GRID.count)
        began = time.process_time()
        found = repaint(
            bench.bridge,
            small,
            images,
            regions,
            targets,
            attempts=Attempts(seed=SEED),
            control=False,
        )
        cost = {"generator": time.process_time() - began}
        generator = np.array([r.reached for r in found])
        began = time.process_time()
        attacked = gradient_attack(small, images, regions, targets, steps=60)
        cost["gradients"] = time.process_time() - began
        gradients = small.predict(attacked) == targets
        answers: dict[str, list[object]] = {"exact": [], "program": []}
        for i, image in enumerate(images):
            problem = image_problem(small, image, 4, int(targets[i]))
            free = GRID.cells(regions[i])
            for name, oracle in (
                ("exact", NetworkOracle(problem)),
                ("program", MilpOracle(problem, seconds=10.0)),
            ):
                began = time.process_time()
                answers[name] += oracle.decide([free], Budget(seconds=30.0).start())
                cost[name] = cost.get(name, 0.0) + time.process_time() - began
        row: dict[str, object] = {"cells": cells, "images": len(images)}
        for name, told in answers.items():
            yes = np.array([isinstance(a, Counterexample) for a in told])
            no = np.array([isinstance(a, Entailed) for a in told])
            row[name] = {
                "yes": int(yes.sum()),
                "no": int(no.sum()),
                "unknown": int((~yes & ~no).sum()),
                "generator_yes_here_no": int((generator & no).sum()),
                "gradients_yes_here_no": int((gradients & no).sum()),
                "generator_recall": mean_of(generator[yes]) if yes.any() else None,
            }
        both = zip(answers["exact"], answers["program"], strict=True)
        row["contradictions"] = sum(
            {type(a), type(b)} == {Counterexample, Entailed} for a, b in both
        )
        row |= {"generator_yes": int(generator.sum()), "gradients_yes": int(gradients.sum())}
        row["outside"] = max(r.outside for r in found)
        row["cpu_seconds_per_image"] = {k: round(v / len(images), 4) for k, v in cost.items()}
        rows.append(row)
        bench.keep(rows)
        print(row, flush=True)
    return {"rows": rows}


def minimal(bench: Bench) -> dict[str, object]:
    """Look for smallest regions under the generator and under the exact oracle."""
    small = ImageClassifier(bench.nets / "relu.onnx")
    images, _ = asked(bench, small, 100)
    sizes: dict[str, list[int]] = {"generator": [], "inside": [], "smallest": []}
    cost = {"smallest": 0.0, "generator_and_inside": 0.0}
    proved = inside_proved = 0
    for i, image in enumerate(images):
        problem = image_problem(small, image, 4)
        exact_oracle = NetworkOracle(problem)
        began = time.process_time()
        region = RegionSearch(problem, exact_oracle, GRID, budget=Budget(seconds=60.0)).smallest()
        cost["smallest"] += time.process_time() - began
        if region is not None:
            proved += region.proved
            sizes["smallest"].append(len(region.cells))
        if i >= (10 if bench.short else 30):
            continue
        began = time.process_time()
        generator = GeneratorOracle(
            problem, bench.bridge, small, image, 4, attempts=Attempts((1.0, 8 / 3), batch=16)
        )
        found = minimal_regions(problem, generator, exact_oracle, budget=Budget(seconds=60.0))
        cost["generator_and_inside"] += time.process_time() - began
        if found.generator is not None and found.exact is not None:
            sizes["generator"].append(len(found.generator))
            sizes["inside"].append(len(found.exact))
            inside_proved += found.exact.status is Status.MINIMAL
    result: dict[str, object] = {
        "images": len(images),
        "smallest_found": len(sizes["smallest"]),
        "smallest_proved": proved,
        "smallest_mean_cells": mean_of(sizes["smallest"]),
        "compared": len(sizes["generator"]),
        "generator_mean_cells": mean_of(sizes["generator"]),
        "inside_mean_cells": mean_of(sizes["inside"]),
        "inside_proved_minimal": inside_proved,
        "cells_beyond_the_generator": mean_of(
            np.array(sizes["generator"]) - np.array(sizes["inside"])
        ),
        "cpu_seconds": {
            "smallest_per_image": round(cost["smallest"] / len(images), 3),
            "comparison_per_image": round(
                cost["generator_and_inside"] / max(1, len(sizes["generator"])), 3
            ),
        },
    }
    print(result, flush=True)
    return result


def asked(bench: Bench, small: ImageClassifier, count: int) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Return images that a network gets right, and their runner-up classes."""
    pool, labels = bench.data["x_test"][:400][..., None], bench.data["y_test"][:400]
    scores = small.scores(pool)
    right = np.flatnonzero(scores.argmax(axis=1) == labels)[:count]
    scores[np.arange(len(pool)), labels] = -np.inf
    return pool[right], scores.argmax(axis=1)[right]


def change_in(images: Pixels, originals: Pixels, regions: Regions) -> npt.NDArray[np.float64]:
    """Return the mean absolute change in each region, 0 to 1."""
    difference = np.abs(images.astype(float) - originals).mean(axis=3) / 255
    return (difference * regions).sum(axis=(1, 2)) / regions.sum(axis=(1, 2))


def sign_test(won: int, lost: int) -> float:
    """Return the two-sided p-value of a paired comparison without ties (McNemar, exact)."""
    total, least = won + lost, min(won, lost)
    tail = sum(math.comb(total, k) for k in range(least + 1)) / 2**total
    return min(1.0, 2 * tail)


def mean_of(values: object) -> float:
    """Return a rounded mean."""
    array = np.asarray(values, dtype=np.float64)
    return round(float(array.mean()), 4) if array.size else float("nan")


def peak() -> float:
    """Return the peak memory of this process in megabytes."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


PARTS: dict[str, Callable[[Bench], dict[str, object]]] = {
    "speed": speed,
    "flips": flips,
    "retries": retries,
    "judges": judges,
    "curve": curve,
    "exact": exact,
    "minimal": minimal,
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
    chosen = np.flatnonzero(right)[: told.images]
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
    )
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

        def keep(rows: list[dict[str, object]], name: str = name) -> None:
            merge_result(told.out, name, {**about, "complete": False, "rows": rows})

        bench.keep = keep
        result = PARTS[name](bench)
        spent = round(time.process_time() - began, 1)
        merge_result(told.out, name, {**about, "complete": True, "cpu_seconds": spent, **result})


if __name__ == "__main__":
    main()

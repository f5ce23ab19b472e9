"""Visual counterfactuals against proofs: what a generator finds, and what there is."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from benchmarks.visual_bench import GRID, SEED, Bench, mean_of
from whyproof.encodings.networks.milp import MilpOracle
from whyproof.encodings.networks.oracle import NetworkOracle
from whyproof.engine.answers import Counterexample, Entailed
from whyproof.engine.budget import Budget
from whyproof.engine.explanation import Status
from whyproof.visual.baselines import gradient_attack
from whyproof.visual.classifiers import ImageClassifier
from whyproof.visual.join import minimal_regions
from whyproof.visual.oracle import GeneratorOracle, image_problem
from whyproof.visual.pixels import Pixels
from whyproof.visual.regions.attribution import attribution
from whyproof.visual.regions.choice import best_cells
from whyproof.visual.regions.symbolic import RegionSearch
from whyproof.visual.repainting import Attempts, repaint
from whyproof.visual.sampler import SamplerOptions
from whyproof.visual.views import Views

__all__ = ["beyond", "exact", "minimal"]

FEW = 30
"""Images that the program is asked about where regions have more than four cells."""

COMPARED = 20
"""Images of which the minimal regions under the generator are looked for as well."""


def exact(bench: Bench) -> dict[str, object]:
    """Ask the generator, gradients, the exact oracle and a program about regions of n cells."""
    small = ImageClassifier(bench.nets / "relu.onnx")
    images, targets = asked(bench, small, 100)
    maps = attribution(small, images, small.predict(images), seed=SEED)
    rows: list[dict[str, object]] = []
    for cells in bench.cells:
        regions = best_cells(maps, GRID, (cells + 0.01) / GRID.count)
        cost: dict[str, float] = {}
        generators: dict[str, npt.NDArray[np.bool_]] = {}
        outside = 0
        for name, options in (
            ("generator", SamplerOptions()),
            ("without_views", SamplerOptions(views=Views(0))),
        ):
            began = time.process_time()
            found = repaint(
                bench.bridge,
                small,
                images,
                regions,
                targets,
                options=options,
                attempts=Attempts(seed=SEED),
                control=False,
            )
            cost[name] = time.process_time() - began
            generators[name] = np.array([r.reached for r in found])
            outside = max(outside, *(r.outside for r in found))
        generator, bold = generators["generator"], generators["without_views"]
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
                if name == "program" and cells > 4 and i >= FEW:
                    continue
                began = time.process_time()
                answers[name] += oracle.decide([free], Budget(seconds=30.0).start())
                cost[name] = cost.get(name, 0.0) + time.process_time() - began
        row: dict[str, object] = {"cells": cells, "images": len(images)}
        row |= {"generator_yes": int(generator.sum()), "gradients_yes": int(gradients.sum())}
        row |= {"without_views_yes": int(bold.sum()), "outside": outside}
        found_by = generator, bold, gradients
        for name, told in answers.items():
            yes = np.array([isinstance(a, Counterexample) for a in told])
            no = np.array([isinstance(a, Entailed) for a in told])
            generator, bold, gradients = (a[: len(told)] for a in found_by)
            row[name] = {
                "asked": len(told),
                "yes": int(yes.sum()),
                "no": int(no.sum()),
                "unknown": int((~yes & ~no).sum()),
                "generator_yes_here_no": int(((generator | bold) & no).sum()),
                "gradients_yes_here_no": int((gradients & no).sum()),
                "generator_recall": mean_of(generator[yes]) if yes.any() else None,
                "without_views_recall": mean_of(bold[yes]) if yes.any() else None,
            }
        both = zip(answers["exact"], answers["program"], strict=False)
        row["contradictions"] = sum(
            {type(a), type(b)} == {Counterexample, Entailed} for a, b in both
        )
        count = {name: len(told) for name, told in answers.items()}
        row["cpu_seconds_per_image"] = {
            name: round(spent / count.get(name, len(images)), 4) for name, spent in cost.items()
        }
        rows.append(row)
        bench.keep(rows)
        print(row, flush=True)
    return {"rows": rows}


def minimal(bench: Bench) -> dict[str, object]:
    """Look for smallest regions by proof."""
    small = ImageClassifier(bench.nets / "relu.onnx")
    images, _ = asked(bench, small, 10 if bench.short else 100)
    rows: list[dict[str, object]] = []
    for image in images:
        problem = image_problem(small, image, 4)
        search = RegionSearch(problem, NetworkOracle(problem), GRID, budget=Budget(seconds=60.0))
        began = time.process_time()
        region = search.smallest()
        rows.append(
            {
                "cells": None if region is None else len(region.cells),
                "proved": search.complete if region is None else region.proved,
                "cpu_seconds": round(time.process_time() - began, 3),
            }
        )
        bench.keep(rows)
    result = {
        "images": len(rows),
        "found": sum(row["cells"] is not None for row in rows),
        "proved_smallest": sum(bool(row["proved"]) for row in rows),
        "mean_cells": mean_of([row["cells"] for row in rows if row["cells"] is not None]),
        "cpu_seconds_mean": mean_of([row["cpu_seconds"] for row in rows]),
        "cpu_seconds_most": max(row["cpu_seconds"] for row in rows),  # type: ignore[type-var]
    }
    print(result, flush=True)
    return {**result, "rows": rows}


def beyond(bench: Bench) -> dict[str, object]:
    """Shrink regions as far as the generator can, and then as far as any change allows."""
    small = ImageClassifier(bench.nets / "relu.onnx")
    images, _ = asked(bench, small, 10 if bench.short else COMPARED)
    rows: list[dict[str, object]] = []
    for image in images:
        problem = image_problem(small, image, 4)
        began = time.process_time()
        generator = GeneratorOracle(
            problem, bench.bridge, small, image, 4, attempts=Attempts((1.0, 8 / 3), batch=16)
        )
        found = minimal_regions(
            problem, generator, NetworkOracle(problem), budget=Budget(seconds=60.0)
        )
        row: dict[str, object] = {"cpu_seconds": round(time.process_time() - began, 3)}
        if found.generator is not None and found.exact is not None:
            row |= {"generator": len(found.generator), "inside": len(found.exact)}
            row["inside_proved_minimal"] = found.exact.status is Status.MINIMAL
        rows.append(row)
        bench.keep(rows)
    compared = [row for row in rows if "inside" in row]
    result = {
        "images": len(rows),
        "compared": len(compared),
        "generator_mean_cells": mean_of([row["generator"] for row in compared]),
        "inside_mean_cells": mean_of([row["inside"] for row in compared]),
        "inside_proved_minimal": sum(bool(row["inside_proved_minimal"]) for row in compared),
        "images_with_cells_beyond": sum(row["generator"] != row["inside"] for row in compared),
        "cpu_seconds_mean": mean_of([row["cpu_seconds"] for row in rows]),
    }
    print(result, flush=True)
    return {**result, "rows": rows}


def asked(bench: Bench, small: ImageClassifier, count: int) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Return images that a network gets right, and their runner-up classes."""
    pool, labels = bench.data["x_test"][:400][..., None], bench.data["y_test"][:400]
    scores = small.scores(pool)
    right = np.flatnonzero(scores.argmax(axis=1) == labels)[:count]
    scores[np.arange(len(pool)), labels] = -np.inf
    return pool[right], scores.argmax(axis=1)[right]

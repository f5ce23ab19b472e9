"""``whyproof visual regions``: the cells of an image that can change a decision, proved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .failures import ANSWERED, PARTIAL
from .output import counted, json_line, line, paragraph
from .repaint import need_torch

if TYPE_CHECKING:
    from whyproof.engine.problem import ExplanationProblem
    from whyproof.visual.cells import Grid
    from whyproof.visual.classifiers import ImageClassifier
    from whyproof.visual.pixels import Pixels

    from .visual_options import RegionsRequest

__all__ = ["regions_command"]


def regions_command(request: RegionsRequest, *, as_json: bool) -> int:
    """List regions in the order of size; compare with what a generator reaches."""
    need_torch()
    from whyproof.encodings.networks.oracle import NetworkOracle
    from whyproof.engine.budget import Budget
    from whyproof.visual.cells import Grid
    from whyproof.visual.classifiers import ImageClassifier
    from whyproof.visual.oracle import image_problem
    from whyproof.visual.pixels import read_image
    from whyproof.visual.region_sources import cells_named
    from whyproof.visual.regions.painted import write_mask
    from whyproof.visual.regions.symbolic import RegionSearch, Shape

    names = None if request.classes is None else request.classes.split(",")
    classifier = ImageClassifier(request.classifier, classes=names)
    image = read_image(request.image, classifier.shape)
    target = None if request.target is None else classifier.class_index(request.target)
    problem = image_problem(classifier, image, request.cell, target)
    grid = Grid(image.shape[1], image.shape[2], request.cell)
    shape = Shape(
        connected=request.connected,
        rectangular=request.rectangular,
        must=cells_named(request.must or (), grid),
        must_not=cells_named(request.must_not or (), grid),
    )
    budget = Budget(seconds=request.seconds, count=request.count or None)
    search = RegionSearch(problem, NetworkOracle(problem), grid, shape, budget)
    if request.out is not None:
        request.out.mkdir(parents=True, exist_ok=True)
    found = 0
    for region in search:
        found += 1
        labels = [str(label) for label in classifier.classes]
        told: dict[str, object] = {
            "region": found,
            "cells": _places(region.cells, grid),
            "proved": region.proved,
            "becomes": labels[int(region.witness.outcome)],
        }
        if request.out is not None:
            place = request.out / f"{request.image.stem}-region-{found}.png"
            write_mask(place, grid.pixels(region.cells))
            told["mask"] = str(place)
        if as_json:
            json_line(told)
        else:
            sure = (
                "no smaller region of this shape can, proved" if found == 1 else "minimal, proved"
            )
            ending = sure if region.proved else "whether less would do is not known"
            paragraph(
                f"{counted(len(region.cells), 'cell')} {_words(region.cells, grid)} can make it "
                f"{told['becomes']} ({ending})."
            )
    stopped = bool(request.count) and found >= request.count
    done = search.complete or stopped
    if as_json:
        json_line({"regions": found, "complete": search.complete})
    else:
        line(_ending(found, complete=search.complete, stopped=stopped))
    if request.bridge is not None:
        _compare(request, problem, classifier, image, grid, as_json=as_json)
    return ANSWERED if done else PARTIAL


def _compare(
    request: RegionsRequest,
    problem: ExplanationProblem,
    classifier: ImageClassifier,
    image: Pixels,
    grid: Grid,
    *,
    as_json: bool,
) -> None:
    """Tell how far a generator can shrink a region, and how much further any change can."""
    from whyproof.encodings.networks.oracle import NetworkOracle
    from whyproof.engine.budget import Budget
    from whyproof.engine.explanation import Status
    from whyproof.visual.generators import load_generator
    from whyproof.visual.join import minimal_regions
    from whyproof.visual.oracle import GeneratorOracle

    if request.bridge is None:
        return
    generator = GeneratorOracle(
        problem, load_generator(request.bridge), classifier, image, request.cell
    )
    both = minimal_regions(
        problem, generator, NetworkOracle(problem), budget=Budget(seconds=request.seconds)
    )
    plausible = None if both.generator is None else both.generator.members
    inside = None if both.exact is None else both.exact.members
    proved = both.exact is not None and both.exact.status is Status.MINIMAL
    if as_json:
        json_line(
            {
                "generator": None if plausible is None else _places(plausible, grid),
                "inside": None if inside is None else _places(inside, grid),
                "inside_proved_minimal": proved,
                "beyond": _places(both.beyond, grid),
            }
        )
        return
    if plausible is None or inside is None:
        paragraph("The generator changes the decision nowhere, which proves nothing.")
        return
    paragraph(
        f"Shrunk with the generator: {counted(len(plausible), 'cell')} {_words(plausible, grid)}; "
        f"of these any change at all needs {len(inside)} {_words(inside, grid)} "
        f"({'minimal, proved' if proved else 'whether less would do is not known'})."
    )
    paragraph(
        f"So {len(both.beyond)} of {counted(len(plausible), 'cell')} only a plausible change needs."
    )


def _ending(found: int, *, complete: bool, stopped: bool) -> str:
    if complete:
        return "That is all, proved." if found else "No region of this shape can, proved."
    if stopped:
        return "There may be more: see --count."
    return "The time is over: allow more with --time-limit."


def _places(cells: Iterable[int], grid: Grid) -> list[list[int]]:
    return [list(divmod(cell, grid.columns)) for cell in sorted(cells)]


def _words(cells: Iterable[int], grid: Grid) -> str:
    places = [f"{row},{column}" for row, column in _places(cells, grid)]
    shown = " ".join(places[:12])
    return f"({shown}{' ...' if len(places) > 12 else ''})"

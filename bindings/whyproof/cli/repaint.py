"""``whyproof repaint``: images in, repainted images, records and contact sheets out."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from whyproof.engine.errors import MissingExtraError, WhyproofWarning

from .failures import ANSWERED, say
from .output import json_line, line, paragraph

if TYPE_CHECKING:
    from whyproof.visual.batch import BatchOptions, Outcome
    from whyproof.visual.classifiers import ImageClassifier
    from whyproof.visual.repainting import Repainting

    from .repaint_options import RepaintRequest

__all__ = ["repaint_command"]


def repaint_command(request: RepaintRequest, *, as_json: bool) -> int:
    """Repaint images and write a contact sheet."""
    need_torch()
    from whyproof.visual.batch import image_files, repaint_files
    from whyproof.visual.classifiers import ImageClassifier
    from whyproof.visual.generators import load_generator
    from whyproof.visual.sheet import write_sheet_page, write_sheet_picture

    places = image_files(request.images)
    names = None if request.classes is None else request.classes.split(",")
    classifier = ImageClassifier(request.classifier, classes=names, device=request.device)
    bridge = load_generator(request.bridge, device=request.device)
    options = _options(request, classifier)
    outcomes: list[Outcome] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", WhyproofWarning)
        for outcome in repaint_files(
            places,
            bridge,
            classifier,
            request.out,
            options,
            identity=_identity(request),
            statement=_statement(request, classifier),
        ):
            outcomes.append(outcome)
            while caught:
                warning = caught.pop(0)
                if issubclass(warning.category, WhyproofWarning):
                    say(str(warning.message))
            _tell(outcome, as_json=as_json)
    rows = [row for outcome in outcomes for row in outcome.rows]
    summary = _summary(outcomes)
    if rows:
        picture, page = request.out / "sheet.png", request.out / "sheet.html"
        write_sheet_picture(rows, picture, title=_title(summary))
        write_sheet_page(rows, page, facts=_facts(request))
        summary["sheet"] = [str(picture), str(page)]
    if as_json:
        json_line(summary)
    else:
        line()
        paragraph(_title(summary))
        if rows:
            paragraph(f"The contact sheet is {request.out / 'sheet.html'}.")
        else:
            paragraph("Nothing was painted.")
    return ANSWERED


def need_torch() -> None:
    """Refuse kindly where torch is not installed."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "visual", "repaint images") from error
    torch.set_num_threads(max(1, torch.get_num_threads()))


def _options(request: RepaintRequest, classifier: ImageClassifier) -> BatchOptions:
    from whyproof.visual.batch import BatchOptions
    from whyproof.visual.cells import Grid
    from whyproof.visual.region_sources import RegionSource, cells_named
    from whyproof.visual.regions.symbolic import Shape
    from whyproof.visual.repainting import Attempts
    from whyproof.visual.sampler import SamplerOptions
    from whyproof.visual.views import Views

    grid = Grid(classifier.shape[1], classifier.shape[2], request.cell)
    shape = Shape(
        connected=request.connected,
        rectangular=request.rectangular,
        must=cells_named(request.must or (), grid),
        must_not=cells_named(request.must_not or (), grid),
    )
    shape.check(grid)
    source = RegionSource(
        kind=request.region,
        cell=request.cell,
        area=request.area,
        method=request.attribution,
        inverse=request.inverse,
        mask=request.mask,
        words=request.text,
        weights=request.text_weights,
        shape=shape,
        by_generator=request.by_generator,
        seconds=request.region_seconds,
        seed=request.seed,
    )
    sampler = SamplerOptions(
        scale=request.scale,
        start_step=request.start_step,
        steps=request.steps,
        noisy=request.noisy,
        narrow_to=request.narrow_to,
        cell=request.cell,
        views=Views(request.views),
    )
    if request.published:
        sampler = sampler.as_published()
    attempts = Attempts(draws=request.draws, seed=request.seed, batch=request.batch)
    return BatchOptions(request.source, request.target, source, sampler, attempts, request.copies)


def _statement(
    request: RepaintRequest, classifier: ImageClassifier
) -> Callable[[Repainting], tuple[str, ...]] | None:
    if request.prove is None:
        return None
    from whyproof.encodings.networks.oracle import NetworkOracle
    from whyproof.engine.budget import Budget
    from whyproof.visual.cells import Grid
    from whyproof.visual.join import region_statement
    from whyproof.visual.oracle import image_problem

    seconds = request.prove

    def sentences(result: Repainting) -> tuple[str, ...]:
        height, width, _ = result.original.shape
        problem = image_problem(classifier, result.original, 1)
        cells = Grid(height, width, 1).cells(result.region)
        found = region_statement(
            problem, NetworkOracle(problem), cells, budget=Budget(seconds=seconds)
        )
        return found.sentences()

    return sentences


def _identity(request: RepaintRequest) -> str:
    from whyproof.visual.generators import generator_hash

    digest = hashlib.sha256(hashlib.sha256(request.classifier.read_bytes()).digest())
    digest.update(generator_hash(request.bridge))
    digest.update(repr((request.classes, request.prove)).encode())
    return digest.hexdigest()


def _tell(outcome: Outcome, *, as_json: bool) -> None:
    name = outcome.place.name
    if as_json:
        told: dict[str, object] = {"image": name, "skipped": outcome.skipped or None}
        json_line({**told, "resumed": outcome.resumed, **(outcome.record or {})})
        return
    if outcome.record is None:
        paragraph(f"{name}: skipped, {outcome.skipped}.")
        return
    for row in outcome.rows:
        again = ", from an earlier run" if outcome.resumed else ""
        sure = f"p({row.target}) {row.before[1]:.3f} -> {row.after[1]:.3f}"
        alone = f"; without guidance {row.control_outcome}" if row.control_outcome else ""
        paragraph(f"{row.name}: {row.verdict} ({sure}{alone}{again}).")
        for note in row.notes:
            paragraph(note, "  ")


def _summary(outcomes: list[Outcome]) -> dict[str, object]:
    entries = [e for o in outcomes if o.record for e in o.record["counterfactuals"]]
    controls = [e for e in entries if e["control_outcome"] is not None]
    return {
        "images": len(outcomes),
        "skipped": sum(o.record is None for o in outcomes),
        "resumed": sum(o.resumed for o in outcomes),
        "counterfactuals": len(entries),
        "reached": sum(bool(e["reached"]) for e in entries),
        "changed": sum(e["outcome"] != e["source"] for e in entries),
        "changed_without_guidance": sum(e["control_outcome"] != e["source"] for e in controls),
        "outside": max((int(e["outside"]) for e in entries), default=0),
    }


def _title(summary: dict[str, object]) -> str:
    return (
        f"{summary['reached']} of {summary['counterfactuals']} repaintings reach their target; "
        f"without guidance {summary['changed_without_guidance']} change; "
        f"{summary['skipped']} images skipped; largest difference outside {summary['outside']}."
    )


def _facts(request: RepaintRequest) -> list[tuple[str, str]]:
    region = request.region
    if region == "attribution":
        region += f" ({request.attribution}), area {request.area:g}, cells of {request.cell}"
    elif region in ("random", "symbolic"):
        region += f", cells of {request.cell}"
    return [
        ("classifier", request.classifier.name),
        ("generator", request.bridge.name),
        ("region", f"everything but: {region}" if request.inverse else region),
        ("guidance", _guidance(request)),
        ("seed", str(request.seed)),
    ]


def _guidance(request: RepaintRequest) -> str:
    told = f"scale {request.scale:g}, {request.steps} steps from {request.start_step}"
    return f"{told}, as published" if request.published else told

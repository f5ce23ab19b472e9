"""``whyproof counterfactual``: plausible ways to another decision, for rows of a table."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from whyproof.engine.errors import DataError, InputError

from .failures import ANSWERED, PARTIAL
from .output import counted, json_line, line, paragraph, table
from .request import row_numbers

if TYPE_CHECKING:
    from whyproof.engine.space import FeatureSpace
    from whyproof.models import Model
    from whyproof.plausible.backend import Array
    from whyproof.plausible.density import Density
    from whyproof.plausible.result import Counterfactuals
    from whyproof.plausible.search import PlausibleSearch
    from whyproof.tables import Table

    from .counterfactual_options import CounterfactualRequest

__all__ = ["counterfactual_command"]

_MENDED: dict[str, Literal["none", "validity", "plausibility"]] = {
    "plausibility": "plausibility",
    "validity": "validity",
    "none": "none",
}
_LEVELS = ("local", "group", "global")
_DENSITIES = ("flow", "mixture", "kernel", "zuko", "none")


def counterfactual_command(request: CounterfactualRequest, *, as_json: bool) -> int:
    """Search, write the result and say what was found."""
    _check(request)
    search, points, numbers = _open(request)
    found = _run(request, search, points, numbers)
    _write(request, search, found)
    if as_json:
        json_line({**found.summary(), "out": str(request.out)})
    else:
        _in_words(found, request)
    return ANSWERED if bool(found.valid.all()) or _settled(found) else PARTIAL


def _settled(found: Counterfactuals) -> bool:
    from whyproof.plausible.repair import Outcome

    return all(o is not Outcome.NOT_FOUND for o in found.outcomes)


def _check(request: CounterfactualRequest) -> None:
    if request.level not in _LEVELS:
        raise InputError(f"--level is local, group or global, found {request.level!r}")
    if request.density not in _DENSITIES:
        raise InputError(f"--density is {', '.join(_DENSITIES)}, found {request.density!r}")
    if request.mend is not None and request.mend not in _MENDED:
        raise InputError(f"--mend is {', '.join(_MENDED)}, found {request.mend!r}")
    if request.groups is not None and request.level != "group":
        raise InputError("--groups is for --level group")
    if request.groups is not None and request.groups < 1:
        raise InputError(f"--groups is a positive number, found {request.groups}")
    if request.out.suffix not in (".json", ".csv", ".html"):
        raise InputError(f"--out is a .json, .csv or .html file, found {request.out.name!r}")
    if not request.out.parent.is_dir():
        raise InputError(f"--out: there is no folder {request.out.parent}")
    if request.images is not None:
        if request.picture is None:
            raise InputError("--images says how --picture draws rows; give both")
        _image_shape(request.images)
    if request.flow is not None and request.density != "flow":
        raise InputError("--flow goes with --density flow")


def _open(request: CounterfactualRequest) -> tuple[PlausibleSearch, Array, list[int]]:
    """Read the files and prepare the search."""
    from whyproof.encodings.recourse.actions import Actions
    from whyproof.plausible.search import PlausibleSearch
    from whyproof.spaces import match_columns
    from whyproof.tables import read_table

    model = _model(request)
    rows = match_columns(read_table(request.data, request.label), model)
    space = _space(request, rows, model)
    data = rows.points(space)
    bad = ~np.isfinite(data)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        name = space.columns[column].name
        raise DataError(
            f"{rows.where(row, name)}: the cell is missing; fill or drop rows with missing "
            "values first"
        )
    actions = Actions.of(
        space, stay=request.immutable or (), up=request.up or (), down=request.down or ()
    )
    if request.world is not None:
        from whyproof.plausible.world_rules import under_world
        from whyproof.worlds import open_world

        space, actions = under_world(open_world(request.world, table=rows), space, actions)
    density: Density | str = request.density
    keep = request.flow is not None and not request.flow.exists()
    if request.flow is not None and not keep:
        from whyproof.plausible.flow_files import load_flow

        density = load_flow(request.flow)
    search = PlausibleSearch.fit(
        model,
        data,
        target=request.target,
        space=space,
        actions=actions,
        density=density,
        device=request.device,
        seed=request.seed,
    )
    if keep and request.flow is not None:
        from whyproof.plausible.flow import MaskedFlow
        from whyproof.plausible.flow_files import save_flow

        if isinstance(search.density, MaskedFlow):
            save_flow(search.density, request.flow)
    count = rows.n_rows
    chosen = list(range(count)) if request.rows is None else row_numbers(request.rows, count)
    return search, data[chosen], chosen


def _model(request: CounterfactualRequest) -> Model:
    from whyproof.models import load_model

    labels = None if request.classes is None else [c.strip() for c in request.classes.split(",")]
    return load_model(request.model, classes=labels)


def _space(request: CounterfactualRequest, rows: Table, model: Model) -> FeatureSpace:
    from whyproof.space_files import load_space
    from whyproof.spaces import infer_space

    if request.space is not None:
        return load_space(request.space, rows.names)
    return infer_space(rows, model, ranges="data", integers=request.integers)


def _run(
    request: CounterfactualRequest, search: PlausibleSearch, points: Array, numbers: list[int]
) -> Counterfactuals:
    from whyproof.plausible.settings import Settings

    preset = {"local": Settings.local, "group": Settings.group, "global": Settings.everyone}
    settings = replace(
        preset[request.level](),
        aim=request.aim,
        repair_seconds=request.repair_seconds,
        seed=request.seed,
    )
    if request.mend is not None:
        settings = replace(settings, repair=_MENDED[request.mend])
    if request.level == "local":
        return search.local(points, settings=settings, numbers=numbers)
    if request.level == "global":
        return search.everyone(points, settings=settings, numbers=numbers)
    return search.groups(points, request.groups, settings=settings, numbers=numbers)


def _write(request: CounterfactualRequest, search: PlausibleSearch, found: Counterfactuals) -> None:
    from whyproof.store.canonical import jsonable

    if request.out.suffix == ".html":
        from whyproof.plausible.cards import write_cards

        write_cards(found, request.out)
    else:
        try:
            if request.out.suffix == ".csv":
                found.to_frame().to_csv(request.out, index=False)
            else:
                text = json.dumps(jsonable(found.as_json()), ensure_ascii=False, indent=1)
                request.out.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise DataError(f"cannot write {request.out}: {error.strerror or error}") from error
    if request.picture is not None and len(found):
        from whyproof.plausible.pictures import picture_digits, picture_parallel, picture_plane

        if request.images is not None:
            picture_digits(found, request.picture, shape=_image_shape(request.images))
            return
        draw = picture_plane if found.origin.shape[1] == 2 else picture_parallel
        draw(search, found, request.picture)


def _image_shape(text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) for part in parts):
        raise InputError(f"--images is a height and a width such as 8x8, found {text!r}")
    return int(parts[0]), int(parts[1])


def _in_words(found: Counterfactuals, request: CounterfactualRequest) -> None:
    from whyproof.plausible.result import class_in_words

    target = class_in_words(found)
    if found.skipped:
        line(f"{counted(len(found.skipped), 'row')} already {target}: skipped.")
    if not len(found):
        line("There is nothing to change.")
        return
    said = {"local": "each by itself", "group": f"in {counted(found.n_groups, 'group')}"}.get(
        found.level, "all together"
    )
    line(f"{counted(len(found), 'row')} to {target}, {said}:")
    line(f"  {int(found.valid.sum())} have a point that the model confirms,")
    line(f"  {int(found.plausible.sum())} a plausible one.")
    impossible = found.summary()["outcomes"]
    if isinstance(impossible, dict):
        for outcome, what in (
            ("impossible", "proved to have none"),
            ("not found", "without an answer"),
        ):
            if outcome in impossible:
                line(f"  {impossible[outcome]} {what}.")
    for move in found.groups:
        order = np.argsort(-np.abs(move.mean) / np.maximum(np.ptp(found.origin, axis=0), 1e-9))
        moved = [i for i in order[:5].tolist() if move.mean[i] != 0]
        words = ", ".join(f"{found.names[i]} {move.mean[i]:+.3g}" for i in moved)
        paragraph(f"Group {move.number + 1} ({counted(len(move.members), 'row')}): {words}")
    if found.level == "local":
        table(
            [
                {
                    "row": int(found.rows[i]),
                    "outcome": str(found.outcomes[i]),
                    "changes": ", ".join(
                        f"{found.names[c]} {found.origin[i, c]:g} -> {found.points[i, c]:g}"
                        for c in np.flatnonzero(found.points[i] != found.origin[i])[:4]
                    ),
                }
                for i in range(min(len(found), 10))
            ]
        )
    for note in found.notes:
        paragraph(f"Note: {note}.")
    line(f"Written to {request.out}.")

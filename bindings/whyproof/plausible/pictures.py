"""Pictures of counterfactuals: the plane, parallel coordinates, a grid of digits.

All are matplotlib figures written to a file (PNG, SVG or PDF by its ending).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from whyproof.engine.errors import DataError, MissingExtraError

from .density import scores_of
from .result import Counterfactuals, class_in_words

if TYPE_CHECKING:
    from .search import PlausibleSearch

__all__ = ["picture_digits", "picture_parallel", "picture_plane"]

_MOST_ROWS = 400
_COLOURS = ("#14606b", "#a9491b", "#6a4c93", "#5b7f2b", "#b3892b", "#3f5fa8", "#9c2f5b", "#555555")


def picture_plane(search: PlausibleSearch, found: Counterfactuals, path: str | Path) -> Path:
    """Draw rows, moves, decision and density over two columns.

    Raises
    ------
    DataError
        If there are not exactly two columns.
    """
    if found.origin.shape[1] != 2:
        raise DataError(
            f"a picture of the plane needs two columns, found {found.origin.shape[1]}; "
            "draw parallel coordinates"
        )
    figure, axes = _figure(6.4, 5.2)
    low = np.minimum(search.reach.lower, found.origin.min(axis=0))
    high = np.maximum(search.reach.upper, found.origin.max(axis=0))
    room = 0.06 * (high - low)
    across, up = (np.linspace(low[i] - room[i], high[i] + room[i], 160) for i in (0, 1))
    grid = np.stack(np.meshgrid(across, up), axis=2).reshape(-1, 2)
    inside = (search.subject.says(grid) == search.target).reshape(160, 160)
    axes.contourf(across, up, inside, levels=[0.5, 1.5], colors=["#dcebe6"])
    if search.density is not None:
        scores = scores_of(search.density, search.scale.to_unit(grid), search.target)
        axes.contour(
            across,
            up,
            scores.reshape(160, 160),
            levels=[search.threshold.score],
            colors=["#14606b"],
            linewidths=1.0,
            linestyles="dashed",
        )
    for i in _sample(len(found)):
        colour = _colour(found, i)
        (x0, y0), (x1, y1) = found.origin[i], found.points[i]
        axes.annotate(
            "",
            (x1, y1),
            (x0, y0),
            arrowprops={"arrowstyle": "->", "color": colour, "lw": 0.6, "alpha": 0.7},
        )
        axes.plot([x0], [y0], "o", ms=2.5, color="#8a857c")
        axes.plot([x1], [y1], "o", ms=2.5, color=colour)
    axes.set_xlabel(found.names[0])
    axes.set_ylabel(found.names[1])
    axes.set_title(_title(found), loc="left", fontsize=10)
    return _write(figure, path)


def picture_parallel(search: PlausibleSearch, found: Counterfactuals, path: str | Path) -> Path:
    """Draw rows (grey) and their points (coloured by group) over all columns that move."""
    moving = np.flatnonzero((found.points != found.origin).any(axis=0))
    if not len(moving):
        raise DataError("no row moves; there is nothing to draw")
    start = search.scale.to_unit(found.origin)[:, moving]
    end = search.scale.to_unit(found.points)[:, moving]
    figure, axes = _figure(max(6.0, 0.55 * len(moving) + 1.5), 4.2)
    places = np.arange(len(moving))
    for i in _sample(len(found)):
        axes.plot(places, start[i], color="#8a857c", lw=0.4, alpha=0.25)
        axes.plot(places, end[i], color=_colour(found, i), lw=0.5, alpha=0.35)
    axes.plot(places, np.median(start, axis=0), color="#1f1d1a", lw=1.8, label="rows, median")
    moves = found.groups
    if moves:
        for move in moves:
            axes.plot(
                places,
                np.median(end[move.members], axis=0),
                color=_COLOURS[move.number % len(_COLOURS)],
                lw=1.8,
                label=f"group {move.number + 1} ({len(move.members)} rows), median",
            )
    else:
        axes.plot(places, np.median(end, axis=0), color=_COLOURS[1], lw=1.8, label="points, median")
    axes.set_xticks(places, [found.names[i] for i in moving], rotation=60, ha="right", fontsize=7)
    axes.set_ylabel("share of the data's range", fontsize=8)
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes.set_title(_title(found), loc="left", fontsize=10)
    return _write(figure, path)


def picture_digits(
    found: Counterfactuals,
    path: str | Path,
    *,
    shape: tuple[int, int] = (8, 8),
    most: int = 10,
    values: Any = None,  # noqa: ANN401
) -> Path:
    """Draw images: rows above, their points below, and what moved.

    Parameters
    ----------
    shape
        Height and width of an image.
    most
        Images drawn.
    values
        Turns columns into brightness, for columns that were transformed; identity by default.
    """
    if shape[0] * shape[1] != found.origin.shape[1]:
        raise DataError(
            f"images of shape {shape} have {shape[0] * shape[1]} pixels, "
            f"rows have {found.origin.shape[1]} columns"
        )
    bright = values or (lambda points: points)
    start, end = bright(found.origin[:most]), bright(found.points[:most])
    figure, grid = _figure(0.8 * max(len(start), 2), 2.7, rows=3, columns=max(len(start), 2))
    low, high = float(min(start.min(), end.min())), float(max(start.max(), end.max()))
    for i in range(len(start)):
        for k, (picture, name) in enumerate(((start[i], "gray"), (end[i], "gray"))):
            grid[k][i].imshow(picture.reshape(shape), cmap=name, vmin=low, vmax=high)
        far = end[i] - start[i]
        top = max(float(np.abs(far).max()), 1e-9)
        grid[2][i].imshow(far.reshape(shape), cmap="RdBu_r", vmin=-top, vmax=top)
    for row, name in zip(grid, ("row", "point", "change"), strict=True):
        for place in row:
            place.set_xticks([])
            place.set_yticks([])
        row[0].set_ylabel(name, fontsize=8)
    return _write(figure, path)


def _sample(count: int) -> list[int]:
    if count <= _MOST_ROWS:
        return list(range(count))
    return [int(i) for i in np.linspace(0, count - 1, _MOST_ROWS)]


def _colour(found: Counterfactuals, row: int) -> str:
    for move in found.groups if found.level == "group" else ():
        if row in move.members:
            return _COLOURS[move.number % len(_COLOURS)]
    return _COLOURS[1]


def _title(found: Counterfactuals) -> str:
    what = {"local": "one by one", "group": f"{found.n_groups} groups", "global": "all together"}
    return f"{len(found)} rows to {class_in_words(found)}, {what[found.level]}"


def _figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plots", "draw pictures") from error
    figure: Any = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(rows, columns)
    if rows == columns == 1:
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    return figure, axes


def _write(figure: Any, path: str | Path) -> Path:  # noqa: ANN401
    target = Path(path)
    try:
        figure.savefig(target)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot write {target}: {error}") from error
    return target

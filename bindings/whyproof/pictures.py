"""Pictures of image explanations: marked pixels, shares as heat maps, small multiples.

    from whyproof.pictures import draw_explanation
    draw_explanation(explanation, "why.png")

Pixels of the explanation are tinted over the grey image: members in one colour, those
that are not proved necessary in a paler one.  Needs matplotlib.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.encodings.networks.spaces import ImageLayout
from whyproof.engine.errors import DataError, MissingExtraError
from whyproof.engine.explanation import Explanation, Kind
from whyproof.engine.problem import ExplanationProblem

__all__ = ["draw_explanation", "draw_explanations", "draw_found", "draw_shares"]

_COLOURS = {Kind.AXP: (0.12, 0.47, 0.71), Kind.CXP: (0.84, 0.15, 0.16)}
_TINT, _PALE = 0.75, 0.35
_MOST = 400


def draw_explanation(explanation: Explanation, path: str | os.PathLike[str]) -> None:
    """Draw one explanation over its image.

    Parameters
    ----------
    explanation
        Of a model whose classifier has an image as its input.
    path
        PNG file to write.

    Raises
    ------
    DataError
        If the model's input is no image.
    MissingExtraError
        Without matplotlib.
    """
    draw_explanations([explanation], path)


def draw_explanations(
    explanations: Sequence[Explanation], path: str | os.PathLike[str], *, columns: int = 8
) -> None:
    """Draw several explanations as small multiples, at most 400.

    Parameters
    ----------
    explanations
        Not empty.
    path
        PNG file to write.
    columns
        Pictures per row.
    """
    if not explanations:
        raise DataError("there is no explanation to draw")
    shown = explanations[:_MOST]
    figure, axes = _grid(len(shown), columns)
    for axis, explanation in zip(axes, shown, strict=False):
        axis.imshow(tinted(explanation), interpolation="nearest")
        size, kind = len(explanation), str(explanation.kind).upper()
        axis.set_title(f"{kind}, {size} ({explanation.status})", fontsize=7)
    _save(figure, path)


def draw_found(
    explanations: Sequence[Explanation], path: str | os.PathLike[str], *, columns: int = 8
) -> None:
    """Draw an enumeration: a heat map of each kind, then small multiples.

    The heat maps show in which share of the explanations found a feature stands.

    Parameters
    ----------
    explanations
        Of one instance, not empty.
    path
        PNG file to write.
    columns
        Pictures per row.
    """
    if not explanations:
        raise DataError("there is no explanation to draw")
    problem = explanations[0].problem
    layout = _layout(problem)
    maps: list[tuple[str, npt.NDArray[np.float64]]] = []
    for kind in Kind:
        same = [e for e in explanations if e.kind is kind]
        values = np.zeros(problem.space.n_columns)
        for explanation in same:
            for feature in explanation.members:
                values[list(problem.space.features[feature].columns)] += 1 / len(same)
        if len(same) > 1:
            maps.append((f"share of {len(same)} {str(kind).upper()}s", values))
    shown = explanations[:_MOST]
    figure, axes = _grid(1 + len(maps) + len(shown), columns)
    axes[0].imshow(_picture(problem, layout), interpolation="nearest")
    axes[0].set_title(f"the model says {problem.label}", fontsize=7)
    for axis, (title, values) in zip(axes[1:], maps, strict=False):
        heat = values[layout.columns].max(axis=2)
        axis.imshow(heat, cmap="magma", vmin=0.0, vmax=1.0, interpolation="nearest")
        axis.set_title(title, fontsize=7)
    for axis, explanation in zip(axes[1 + len(maps) :], shown, strict=False):
        axis.imshow(tinted(explanation), interpolation="nearest")
        axis.set_title(f"{str(explanation.kind).upper()}, {len(explanation)}", fontsize=7)
    _save(figure, path)


def draw_shares(
    problem: ExplanationProblem,
    shares: Mapping[int, float],
    path: str | os.PathLike[str],
    *,
    title: str = "",
) -> None:
    """Draw one number per feature, such as its attribution, as a heat map beside the image.

    Parameters
    ----------
    problem
        Whose instance is the image.
    shares
        Value by feature index, 0 for those left out.
    path
        PNG file to write.
    title
        Above the map.
    """
    layout = _layout(problem)
    values = np.zeros(problem.space.n_columns)
    for feature, value in shares.items():
        values[list(problem.space.features[feature].columns)] = value
    figure, axes = _grid(2, 2)
    axes[0].imshow(_picture(problem, layout), interpolation="nearest")
    heat = values[layout.columns].max(axis=2)
    drawn = axes[1].imshow(heat, cmap="magma", vmin=0.0, interpolation="nearest")
    axes[1].set_title(title, fontsize=7)
    figure.colorbar(drawn, ax=axes[1], fraction=0.046)
    _save(figure, path)


def tinted(explanation: Explanation) -> npt.NDArray[np.float64]:
    """Return the image with the members tinted, shape ``(height, width, 3)``, 0 to 1."""
    problem = explanation.problem
    layout = _layout(problem)
    picture = _picture(problem, layout)
    strength = np.zeros(problem.space.n_columns)
    for feature in explanation.members:
        pale = feature in explanation.open
        strength[list(problem.space.features[feature].columns)] = _PALE if pale else _TINT
    tint = strength[layout.columns].max(axis=2)[..., None]
    return np.asarray((1 - tint) * picture + tint * np.array(_COLOURS[explanation.kind]))


def _layout(problem: ExplanationProblem) -> ImageLayout:
    shape = getattr(problem.classifier, "input_shape", None)
    if shape is None:
        raise DataError("pictures need a model with an image as its input")
    return ImageLayout.of(shape)


def _picture(problem: ExplanationProblem, layout: ImageLayout) -> npt.NDArray[np.float64]:
    image = problem.instance[layout.columns]
    low, high = float(image.min()), float(image.max())
    if low < 0 or high > 1:
        image = (image - low) / max(high - low, 1e-12)
    if layout.channels == 3:
        return np.asarray(image)
    return np.repeat(image.mean(axis=2)[..., None], 3, axis=2)


def _grid(count: int, columns: int) -> tuple[Any, list[Any]]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plots", "draw pictures") from error
    wide = max(1, min(columns, count))
    high = -(-count // wide)
    figure: Any = Figure(figsize=(1.6 * wide + 0.3, 1.75 * high + 0.3), layout="constrained")
    axes = list(np.ravel(figure.subplots(high, wide)))
    for axis in axes:
        axis.set_axis_off()
    return figure, axes


def _save(figure: Any, path: str | os.PathLike[str]) -> None:  # noqa: ANN401
    try:
        figure.savefig(os.fspath(path), format="png", dpi=120)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error

"""Contact sheets: each image, its region, what was painted, where it differs, how sure.

One PNG to paste somewhere and one HTML page that needs nothing else.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.engine.errors import InputError

from .pixels import Pixels, pillow

__all__ = ["SheetRow", "data_url", "write_sheet_page", "write_sheet_picture"]

_SIDE, _GAP, _LINE = 112, 8, 13
_MOST = 200
_INK, _FAINT, _GOOD, _BAD = (20, 24, 32), (105, 112, 124), (22, 120, 62), (176, 42, 30)
_TINT = np.array([227.0, 92.0, 20.0])
_PARTS = ("original", "region", "repainted", "difference", "no guidance")


@dataclass(frozen=True, eq=False)
class SheetRow:
    """One line of a sheet.

    Parameters
    ----------
    name
        What the image is called.
    original, image
        Pixels before and after, shape ``(height, width, channels)``.
    region
        Where it was painted, shape ``(height, width)``.
    source, target, outcome
        Class labels before, wanted, and after.
    before, after
        Probabilities of (source, target) before and after.
    control
        Repainted without guidance, and the label of that; `None` without a control.
    control_outcome
        Label of the control.
    notes
        Sentences below the pictures.
    """

    name: str
    original: Pixels
    image: Pixels
    region: npt.NDArray[np.bool_]
    source: str
    target: str
    outcome: str
    before: tuple[float, float]
    after: tuple[float, float]
    control: Pixels | None = None
    control_outcome: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def reached(self) -> bool:
        """Whether the target was reached."""
        return self.outcome == self.target

    @property
    def verdict(self) -> str:
        """What happened, in a few words."""
        if self.reached:
            return f"{self.source} became {self.target}"
        if self.outcome != self.source:
            return f"{self.source} became {self.outcome}, not {self.target}"
        return f"still {self.source}: not found, which proves nothing"

    def pictures(self) -> list[tuple[str, Pixels]]:
        """Return captions and colour pictures, shape ``(height, width, 3)``."""
        drawn = [
            _coloured(self.original),
            self._tinted(),
            _coloured(self.image),
            self._difference(),
        ]
        if self.control is not None:
            drawn.append(_coloured(self.control))
        return list(zip(_PARTS, drawn, strict=False))

    def _tinted(self) -> Pixels:
        base = _coloured(self.original).astype(np.float64)
        mixed = np.where(self.region[..., None], 0.5 * base + 0.5 * _TINT, base)
        return np.asarray(mixed.round(), dtype=np.uint8)

    def _difference(self) -> Pixels:
        change = (self.image.astype(np.float64) - self.original).mean(axis=2) / 255
        strength = np.abs(change)[..., None]
        colour = np.where(change[..., None] > 0, [178.0, 34.0, 24.0], [24.0, 78.0, 160.0])
        return np.asarray((255 * (1 - strength) + colour * strength).round(), dtype=np.uint8)


def write_sheet_picture(
    rows: Sequence[SheetRow], path: str | os.PathLike[str], *, title: str = ""
) -> None:
    """Write a contact sheet as one PNG, at most 200 rows.

    Raises
    ------
    InputError
        If there is nothing to show.
    """
    shown = _shown(rows)
    image_module = pillow()
    from PIL import ImageDraw

    parts = max(len(row.pictures()) for row in shown)
    text = 250
    high = _SIDE + _GAP + 4
    size = (_GAP + parts * (_SIDE + _GAP) + text, 44 + len(shown) * high + _GAP)
    canvas: Any = image_module.new("RGB", size, (255, 255, 255))
    pen: Any = ImageDraw.Draw(canvas)
    pen.text((_GAP, 6), title, fill=_INK)
    for i, caption in enumerate(_PARTS[:parts]):
        pen.text((_GAP + i * (_SIDE + _GAP), 26), caption, fill=_FAINT)
    for at, row in enumerate(shown):
        top = 44 + at * high
        for i, (_, pixels) in enumerate(row.pictures()):
            place = (_GAP + i * (_SIDE + _GAP), top)
            canvas.paste(_enlarged(pixels, _SIDE), place)
            corner = (place[0] + _SIDE, place[1] + _SIDE)
            pen.rectangle((*place, *corner), outline=(208, 212, 218))
        left = _GAP + parts * (_SIDE + _GAP) + 4
        lines = [
            (row.name[:38], _INK),
            (row.verdict[:44], _GOOD if row.reached else _BAD),
            (f"p({row.source}): {row.before[0]:.3f} -> {row.after[0]:.3f}", _INK),
            (f"p({row.target}): {row.before[1]:.3f} -> {row.after[1]:.3f}", _INK),
            (f"region {100 * row.region.mean():.1f} % of the image", _FAINT),
        ]
        if row.control_outcome is not None:
            lines.append((f"without guidance: {row.control_outcome}", _FAINT))
        for i, (line, colour) in enumerate(lines):
            pen.text((left, top + 2 + i * (_LINE + 4)), line, fill=colour)
    partial = Path(path).with_name(Path(path).name + ".partial")
    canvas.save(partial, format="PNG")
    partial.replace(path)


def write_sheet_page(
    rows: Sequence[SheetRow],
    path: str | os.PathLike[str],
    *,
    title: str = "Repainted images",
    facts: Sequence[tuple[str, str]] = (),
) -> None:
    """Write a contact sheet as one HTML page that needs nothing else, at most 200 rows.

    Parameters
    ----------
    rows
        What to show.
    path
        File to write.
    title
        Heading.
    facts
        Names and values for the top of the page.
    """
    shown = _shown(rows)
    entries = [
        {
            "row": row,
            "pictures": [(caption, data_url(pixels)) for caption, pixels in row.pictures()],
            "bars": [
                (label, round(100 * p, 1), round(100 * q, 1))
                for label, p, q in zip((row.source, row.target), row.before, row.after, strict=True)
            ],
            "share": round(100 * float(row.region.mean()), 1),
        }
        for row in shown
    ]
    reached = sum(row.reached for row in rows)
    text = _template().render(
        title=title, entries=entries, facts=facts, reached=reached, total=len(rows)
    )
    partial = Path(path).with_name(Path(path).name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _shown(rows: Sequence[SheetRow]) -> list[SheetRow]:
    if not rows:
        raise InputError("there is nothing to show on a contact sheet")
    return list(rows[:_MOST])


def _coloured(pixels: Pixels) -> Pixels:
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _enlarged(pixels: Pixels, side: int) -> Any:  # noqa: ANN401
    module = pillow()
    picture = module.fromarray(np.ascontiguousarray(pixels))
    factor = side / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    way = module.Resampling.NEAREST if factor > 1 else module.Resampling.LANCZOS
    return picture.resize(size, way)


def data_url(pixels: Pixels) -> str:
    """Return colour pixels as a PNG inside an address."""
    buffer = io.BytesIO()
    pillow().fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


@cache
def _template() -> Any:  # noqa: ANN401
    from jinja2 import Environment

    source = files("whyproof.visual").joinpath("sheet.html.j2").read_text(encoding="utf-8")
    return Environment(autoescape=True).from_string(source)

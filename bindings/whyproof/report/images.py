"""Explanations of images as pictures inside a page: PNG data, nothing fetched, no library.

A subject is about an image if its columns are called as `image_space` calls them, ``pixel
y,x`` with or without a channel.  Members of an explanation are tinted over the image, paler
where it is open whether they are needed; a CXp also shows its counterexample; attributions
are drawn as a heat map.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .view import ExplanationView, Subject

__all__ = ["explanation_image", "heat_image", "is_image"]

_NAME = re.compile(r"pixel (\d+),(\d+)(?: channel (\d+))?")
_COLOURS = {"axp": (0x14, 0x60, 0x6B), "cxp": (0xA9, 0x49, 0x1B)}
_TINT, _PALE = 0.8, 0.4
_HEAT = np.array([(0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191)])
_SIDE = 168
_MOST = 1 << 20

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Canvas:
    """Where each column of a subject lies in the picture."""

    height: int
    width: int
    place: Mapping[str, tuple[int, int]]
    channel: Mapping[str, int]
    lower: float
    upper: float

    def picture(self, values: Mapping[str, object]) -> Floats:
        """Return an image in colour, shape ``(height, width, 3)``, 0 to 1."""
        channels = 3 if max(self.channel.values()) == 2 else 1
        image = np.zeros((self.height, self.width, channels))
        for name, (y, x) in self.place.items():
            value = values.get(name)
            number = float(value) if isinstance(value, int | float) else 0.0
            image[y, x, min(self.channel[name], channels - 1)] = number
        low, high = self.lower, self.upper
        if not np.isfinite([low, high]).all() or high <= low:
            low, high = float(image.min()), max(float(image.max()), float(image.min()) + 1e-12)
        image = np.clip((image - low) / (high - low), 0, 1)
        return np.repeat(image, 3, axis=2) if channels == 1 else image

    def map(self, subject: Subject, by_feature: Mapping[int, float]) -> Floats:
        """Spread numbers of features over their pixels, shape ``(height, width)``."""
        image = np.zeros((self.height, self.width))
        for feature, number in by_feature.items():
            for name in subject.features[feature]["columns"]:
                place = self.place[name]
                image[place] = max(image[place], number)
        return image


def is_image(subject: Subject) -> bool:
    """Tell whether the features of a subject are parts of an image.

    Examples
    --------
    >>> space = {"columns": [{"name": "age"}], "features": []}
    >>> is_image(Subject({"space": space}))
    False
    """
    return _canvas(subject) is not None


def explanation_image(view: ExplanationView) -> str:
    """Return the picture of an explanation as HTML; empty if it is not about an image."""
    canvas = _canvas(view.subject)
    if canvas is None:
        return ""
    undecided = set(view.open)
    strength = {i: _PALE if view.subject.names[i] in undecided else _TINT for i in view.indices}
    tint = canvas.map(view.subject, strength)[..., None]
    image = canvas.picture(view.row)
    marked = (1 - tint) * image + tint * np.array(_COLOURS[view.kind]) / 255
    what = "reason" if view.kind == "axp" else "change set"
    shown = [_img(marked, f"the {what} over the image")]
    point = view.evidence.get("point")
    if isinstance(point, Mapping):
        shown.append(_img(canvas.picture(point), "the counterexample"))
    return "".join(shown)


def heat_image(subject: Subject, row: Mapping[str, object], shares: Mapping[int, float]) -> str:
    """Return the image and a heat map of one number per feature; empty if it is no image."""
    canvas = _canvas(subject)
    if canvas is None or not shares:
        return ""
    heat = canvas.map(subject, shares)
    return _img(canvas.picture(row), "the image") + _img(_coloured(heat), "the heat map")


def _canvas(subject: Subject) -> _Canvas | None:
    columns: Sequence[Mapping[str, object]] = subject.identity["space"]["columns"]
    if not 0 < len(columns) <= _MOST:
        return None
    place: dict[str, tuple[int, int]] = {}
    channel: dict[str, int] = {}
    for column in columns:
        name = str(column["name"])
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        y, x, c = match.groups()
        place[name], channel[name] = (int(y), int(x)), int(c or 0)
    height = 1 + max(y for y, _ in place.values())
    width = 1 + max(x for _, x in place.values())
    if height * width > _MOST:
        return None
    domain = columns[0]["domain"]
    low, high = _limits(domain if isinstance(domain, Mapping) else {})
    return _Canvas(height, width, place, channel, low, high)


def _limits(domain: Mapping[str, object]) -> tuple[float, float]:
    low, high = domain.get("lower"), domain.get("upper")
    return (
        float(low) if isinstance(low, int | float | str) else 0.0,
        float(high) if isinstance(high, int | float | str) else 1.0,
    )


def _coloured(heat: Floats) -> Floats:
    top = max(float(heat.max()), 1e-12)
    stops = np.linspace(0, 1, len(_HEAT))
    scaled = heat / top
    return np.stack([np.interp(scaled, stops, _HEAT[:, c]) for c in range(3)], axis=-1) / 255


def _img(image: Floats, words: str) -> str:
    data = base64.b64encode(_png(np.rint(image * 255).astype(np.uint8))).decode("ascii")
    height, width = image.shape[:2]
    scale = _SIDE / max(height, width)
    size = f'width="{round(width * scale)}" height="{round(height * scale)}"'
    style = "image-rendering:pixelated;margin:0.3rem 0.6rem 0.3rem 0"
    return f'<img src="data:image/png;base64,{data}" alt="{words}" {size} style="{style}">'


def _png(image: npt.NDArray[np.uint8]) -> bytes:
    """Write an image in colour as PNG, shape ``(height, width, 3)``."""
    height, width = image.shape[:2]
    lines = np.zeros((height, 1 + 3 * width), dtype=np.uint8)
    lines[:, 1:] = image.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )

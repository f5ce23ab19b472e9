"""A reader of UBJSON (draft 12), the binary form of XGBoost models.

Strongly typed arrays become numpy arrays without a loop.  Sizes are checked against the
bytes that are left before anything is allocated, and nesting is bounded, so that a
damaged file ends in an error, not in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from whyproof.engine.errors import ModelError

__all__ = ["read_ubjson"]

_SCALARS: dict[int, str] = {
    ord("i"): ">i1",
    ord("U"): ">u1",
    ord("I"): ">i2",
    ord("l"): ">i4",
    ord("L"): ">i8",
    ord("d"): ">f4",
    ord("D"): ">f8",
}
_CONSTANTS = frozenset(b"ZTF")
_MAX_DEPTH = 64


def read_ubjson(data: bytes) -> object:
    """Decode one UBJSON value.

    Returns
    -------
    Dictionaries, lists, strings and numbers; numpy arrays for typed arrays.

    Raises
    ------
    ModelError
        If the bytes end early or hold an unknown marker, with the offset.

    Examples
    --------
    >>> read_ubjson(b"{U" + bytes([1]) + b"aSU" + bytes([2]) + b"hi}")
    {'a': 'hi'}
    """
    return _Reader(data).value(0)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def fail(self, what: str) -> ModelError:
        return ModelError(f"UBJSON is damaged at byte {self.at}: {what}")

    def take(self, size: int) -> bytes:
        end = self.at + size
        if size < 0 or end > len(self.data):
            raise self.fail("it ends early")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def marker(self) -> int:
        return self.take(1)[0]

    def peek(self) -> int:
        if self.at >= len(self.data):
            raise self.fail("it ends early")
        return self.data[self.at]

    def number(self, marker: int) -> int | float:
        code = _SCALARS.get(marker)
        if code is None:
            raise self.fail(f"marker {chr(marker)!r} is not a number")
        kind = np.dtype(code)
        value: int | float = np.frombuffer(self.take(kind.itemsize), kind)[0].item()
        return value

    def length(self) -> int:
        size = self.number(self.marker())
        if not isinstance(size, int) or size < 0:
            raise self.fail("a length is not a whole number")
        return size

    def text(self) -> str:
        try:
            return self.take(self.length()).decode("utf-8")
        except UnicodeDecodeError:
            raise self.fail("a text is not UTF-8") from None

    def value(self, depth: int) -> object:
        return self.typed(self.marker(), depth)

    def typed(self, marker: int, depth: int) -> object:
        if depth > _MAX_DEPTH:
            raise self.fail("it is nested too deeply")
        simple = _SIMPLE.get(marker)
        if simple is not None:
            return simple(self)
        if marker == ord("["):
            return self.array(depth)
        if marker == ord("{"):
            return self.mapping(depth)
        return self.number(marker)

    def header(self) -> tuple[int | None, int | None]:
        kind = count = None
        if self.peek() == ord("$"):
            self.take(1)
            kind = self.marker()
        if self.peek() == ord("#"):
            self.take(1)
            count = self.length()
        if kind is not None and count is None:
            raise self.fail("a typed container has no length")
        # Every item takes a byte at least, but for constants, of which no model has a list.
        if count is not None and (count > len(self.data) - self.at or kind in _CONSTANTS):
            raise self.fail("a container is longer than the file")
        return kind, count

    def array(self, depth: int) -> object:
        kind, count = self.header()
        if kind is not None and count is not None and kind in _SCALARS:
            dtype = np.dtype(_SCALARS[kind])
            raw = np.frombuffer(self.take(count * dtype.itemsize), dtype)
            return raw.astype(dtype.newbyteorder("="))
        items: list[object] = []
        while count is None or len(items) < count:
            if count is None and self.peek() == ord("]"):
                self.take(1)
                break
            items.append(self.value(depth + 1) if kind is None else self.typed(kind, depth + 1))
        return items

    def mapping(self, depth: int) -> object:
        kind, count = self.header()
        items: dict[str, object] = {}
        seen = 0
        while count is None or seen < count:
            if count is None and self.peek() == ord("}"):
                self.take(1)
                break
            key = self.text()
            items[key] = self.value(depth + 1) if kind is None else self.typed(kind, depth + 1)
            seen += 1
        return items


_SIMPLE: dict[int, Callable[[_Reader], object]] = {
    ord("Z"): lambda reader: None,
    ord("T"): lambda reader: True,
    ord("F"): lambda reader: False,
    ord("S"): lambda reader: reader.text(),
    ord("H"): lambda reader: float(reader.text()),
    ord("C"): lambda reader: struct.unpack(">c", reader.take(1))[0].decode("latin-1"),
}

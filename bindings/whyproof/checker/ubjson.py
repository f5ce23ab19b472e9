"""Universal Binary JSON, draft 12, as far as XGBoost writes it, read by the checker."""

from __future__ import annotations

import struct
from collections.abc import Callable

from .refusal import Refused

__all__ = ["read_ubjson"]

_NUMBERS = {
    b"i": ">b",
    b"U": ">B",
    b"I": ">h",
    b"l": ">i",
    b"L": ">q",
    b"d": ">f",
    b"D": ">d",
}
_WHOLE = (b"i", b"U", b"I", b"l", b"L")
_FIXED: dict[bytes, object] = {b"Z": None, b"T": True, b"F": False}
_DEEPEST = 64


def read_ubjson(payload: bytes) -> object:
    """Return the value that a file holds.

    Raises
    ------
    Refused
        If it is damaged.

    Examples
    --------
    >>> read_ubjson(b"{i" + bytes([1]) + b"a[$U#i" + bytes([2, 7, 8]) + b"}")
    {'a': [7, 8]}
    """
    reader = _Reader(payload)
    try:
        value = reader.value(reader.marker(), 0)
    except (struct.error, UnicodeDecodeError) as error:
        raise Refused(f"the model file is damaged ({error})") from None
    if payload[reader.at :].strip(b"N"):
        raise Refused("the model file goes on after its end")
    return value


class _Reader:
    """A place in the bytes."""

    def __init__(self, payload: bytes) -> None:
        self._payload, self.at = payload, 0

    def marker(self) -> bytes:
        """Return the next marker that means something."""
        found = self._take(1)
        while found == b"N":
            found = self._take(1)
        return found

    def value(self, marker: bytes, depth: int) -> object:
        """Read the value behind a marker."""
        if depth > _DEEPEST:
            raise Refused("the model file is nested too deeply")
        if marker in _NUMBERS:
            return self._number(_NUMBERS[marker])
        if marker in _FIXED:
            return _FIXED[marker]
        if marker == b"C":
            return self._take(1).decode("ascii")
        if marker in (b"S", b"H"):
            text = self._text()
            try:
                return text if marker == b"S" else float(text)
            except ValueError:
                raise Refused(f"the model file has {text!r} for a number") from None
        if marker == b"[":
            return self._array(depth)
        if marker == b"{":
            return self._object(depth)
        raise Refused(f"the model file is damaged: marker {marker!r} at byte {self.at - 1}")

    def _array(self, depth: int) -> list[object]:
        kind, count = self._header(b"]")
        if kind is not None and kind in _NUMBERS and count is not None:
            form = _NUMBERS[kind]
            size = struct.calcsize(form)
            return list(struct.unpack(f">{count}{form[1]}", self._take(count * size)))
        found: list[object] = []
        self._each(kind, count, b"]", lambda given: found.append(self.value(given, depth + 1)))
        return found

    def _object(self, depth: int) -> dict[str, object]:
        kind, count = self._header(b"}")
        found: dict[str, object] = {}

        def entry() -> None:
            name = self._text()
            if name in found:
                raise Refused(f"the model file has {name!r} twice")
            found[name] = self.value(kind or self.marker(), depth + 1)

        if count is not None:
            for _ in range(count):
                entry()
            return found
        while self._peek() != b"}":
            entry()
        self._take(1)
        return found

    def _each(
        self, kind: bytes | None, count: int | None, end: bytes, read: Callable[[bytes], None]
    ) -> None:
        if count is not None:
            for _ in range(count):
                read(kind or self.marker())
            return
        while (marker := self.marker()) != end:
            read(marker)

    def _header(self, end: bytes) -> tuple[bytes | None, int | None]:
        """Read what a container says about the type and number of its values."""
        kind: bytes | None = None
        if self._peek() == b"$":
            self._take(1)
            kind = self._take(1)
        if self._peek() == b"#":
            self._take(1)
            count = self._length()
            if count > len(self._payload):
                raise Refused(f"the model file is damaged: {count} values before {end!r}")
            return kind, count
        if kind is not None:
            raise Refused("the model file is damaged: a type without a number")
        return None, None

    def _length(self) -> int:
        marker = self.marker()
        if marker not in _WHOLE:
            raise Refused(f"the model file is damaged: a length of type {marker!r}")
        count = int(self._number(_NUMBERS[marker]))
        if count < 0:
            raise Refused("the model file is damaged: a negative length")
        return count

    def _text(self) -> str:
        return self._take(self._length()).decode("utf-8")

    def _number(self, form: str) -> int | float:
        (value,) = struct.unpack(form, self._take(struct.calcsize(form)))
        return value if isinstance(value, int) else float(value)

    def _peek(self) -> bytes:
        while self._payload[self.at : self.at + 1] == b"N":
            self.at += 1
        return self._payload[self.at : self.at + 1]

    def _take(self, size: int) -> bytes:
        found = self._payload[self.at : self.at + size]
        if len(found) < size:
            raise Refused("the model file ends too early")
        self.at += size
        return found

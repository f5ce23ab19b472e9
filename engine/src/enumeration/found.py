"""What enumerations hand out, and the shape that they share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from ..explanation import Kind
from ..minimal.result import MinimalSet

__all__ = ["Enumerator", "Found"]


class Found(NamedTuple):
    """An explanation that was not known before."""

    kind: Kind
    result: MinimalSet


class Enumerator(Protocol):
    """Finds explanations one after the other, until none is left or the budget ends."""

    @property
    def complete(self) -> bool:
        """Whether it is proved that all explanations asked for are known."""
        ...

    def __iter__(self) -> Iterator[Found]:
        """Continue; explanations of either kind may come, each once."""
        ...

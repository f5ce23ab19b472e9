"""The answer-set programs of the planner, as text."""

from __future__ import annotations

from functools import cache
from importlib import resources

__all__ = ["program"]


@cache
def program(name: str) -> str:
    """Return the text of a program in ``programs/``.

    Parameters
    ----------
    name
        File name without its ending.

    Examples
    --------
    >>> "#program state(t)." in program("state")
    True
    """
    place = resources.files("whyproof.asp").joinpath("programs", f"{name}.lp")
    return place.read_text(encoding="utf-8")

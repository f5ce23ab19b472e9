"""Small helpers about names: duplicates and "did you mean"."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = ["did_you_mean", "first_duplicate"]


def first_duplicate(names: Iterable[str]) -> str | None:
    """Return the first name that occurs a second time, if any.

    Examples
    --------
    >>> first_duplicate(["a", "b", "a"])
    'a'
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return a hint to append to an error about an unknown name.

    Examples
    --------
    >>> did_you_mean("incme", ["age", "income"])
    "; did you mean 'income'?"
    """
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    if not known:
        return ""
    shown = ", ".join(repr(k) for k in known[:8]) + (", ..." if len(known) > 8 else "")
    return f"; known are {shown}"

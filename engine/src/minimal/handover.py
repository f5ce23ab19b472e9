"""Hand a search over to an oracle that knows a better one.

Some oracles can share work between all the questions of one search: a single proof tree for
the necessity of every element, for example.  Such an oracle has an attribute `search`, a
strategy (or `None` where it does not apply); the default strategy asks for it first.
"""

from __future__ import annotations

from typing import cast

from .result import Strategy

__all__ = ["own_search"]


def own_search(oracle: object) -> Strategy | None:
    """Return the strategy of the innermost oracle that has one; wrappers are looked through.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> own_search(SimpleNamespace(name="plain", inner=None)) is None
    True
    """
    seen: object = oracle
    while seen is not None:
        search = getattr(seen, "search", None)
        if search is not None:
            return cast(Strategy, search)
        seen = getattr(seen, "inner", None)
    return None

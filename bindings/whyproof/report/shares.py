"""How much each feature takes part in the abductive explanations of one row.

Formal feature attribution (FFA) of a feature is the share of all AXps that contain it
(Yu et al., "Anytime Approximate Formal Feature Attribution", SAT 2024).  While AXps may
still be missing, only what is proved is reported as a bound: a feature that can change
the decision alone stands in every AXp, an immutable one in none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Share", "shares"]


@dataclass(frozen=True, slots=True)
class Share:
    """The FFA of one feature in one row.

    Parameters
    ----------
    found
        Share of the AXps found so far that contain it.
    lower, upper
        Bounds on the share among all AXps; equal when the row is complete.
    """

    found: float
    lower: float
    upper: float


def shares(
    n_features: int,
    axps: Sequence[frozenset[int]],
    cxps: Sequence[frozenset[int]],
    mutable: frozenset[int],
    *,
    complete: bool,
) -> list[Share]:
    """Return the share of each feature.

    Parameters
    ----------
    n_features
        Number of features.
    axps, cxps
        Explanations found, proved minimal.
    mutable
        Features that may change.
    complete
        Whether these are all.

    Examples
    --------
    >>> [s.found for s in shares(2, [{0}, {0, 1}], [], frozenset({0, 1}), complete=True)]
    [1.0, 0.5]
    """
    alone = frozenset[int]().union(*(c for c in cxps if len(c) == 1))
    result: list[Share] = []
    for i in range(n_features):
        found = sum(i in axp for axp in axps) / len(axps) if axps else float(i in alone)
        if complete or i not in mutable:
            result.append(Share(found, found, found))
        else:
            result.append(Share(found, float(i in alone), 1.0))
    return result

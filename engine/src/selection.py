"""Features as callers pick them: checked against the space, and put in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .errors import DataError
from .problem import ExplanationProblem
from .space import FeatureSet

__all__ = ["arranged", "known_features"]


def known_features(problem: ExplanationProblem, features: Iterable[int]) -> FeatureSet:
    """Return feature indices as a set.

    Raises
    ------
    DataError
        If one of them does not exist.
    """
    given = frozenset(features)
    unknown = sorted(i for i in given if not 0 <= i < problem.space.n_features)
    if unknown:
        raise DataError(
            f"feature index {unknown[0]} does not exist; the space has "
            f"{problem.space.n_features} features, counted from 0"
        )
    return given


def arranged(members: FeatureSet, order: Sequence[int] | None) -> list[int]:
    """Put a set into an order: first what the order does not list, by index.

    Examples
    --------
    >>> arranged(frozenset({0, 1, 2, 3}), [3, 1])
    [0, 2, 3, 1]
    """
    if order is None:
        return sorted(members)
    listed = [i for i in dict.fromkeys(order) if i in members]
    return [*sorted(members.difference(listed)), *listed]

"""What a search for one minimal set returns, and the shape of a strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..answers import Answer
from ..space import FeatureSet
from .predicate import Verdict, WeakExplanation

__all__ = ["MinimalSet", "Strategy"]


@dataclass(frozen=True, slots=True)
class MinimalSet:
    """A weak explanation and what is known about its elements.

    Parameters
    ----------
    members
        The set.
    verdict
        Why it is a weak explanation (``holds`` is true), or the unknown answer.
    necessity
        Per element the answer that shows that the set without it is none.
    open
        Elements for which neither was shown.  The set is minimal when it is empty.
    at_least
        Proved lower bound on the size of every explanation inside the set; zero says
        nothing.
    """

    members: FeatureSet
    verdict: Verdict
    necessity: Mapping[int, Answer] = field(default_factory=dict[int, Answer])
    open: FeatureSet = frozenset()
    at_least: int = 0


class Strategy(Protocol):
    """A search for one minimal weak explanation inside a set that is one."""

    def __call__(
        self, predicate: WeakExplanation, start: Verdict, candidates: Sequence[int]
    ) -> MinimalSet:
        """Shrink `candidates` to a minimal weak explanation.

        Parameters
        ----------
        predicate
            What to decide.
        start
            The verdict that `candidates` are a weak explanation.
        candidates
            The set to shrink, in the order in which elements are tried: the earlier an
            element stands, the sooner the strategy tries to do without it.
        """
        ...

"""Progression: drop blocks that grow, and bisect in the block that cannot go.

Marques-Silva, Janota and Belov, "Minimal Sets over Monotone Predicates in Boolean
Formulae", CAV 2013.  Blocks of 1, 2, 4, ... candidates are dropped while what is left stays a weak
explanation.  In the first block that cannot go, bisection finds its first element that
cannot; the block size starts over.  Good when members are few and unevenly spread.

An unknown answer counts as no for the direction of the search, and the element that rests
on it is open.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..answers import Answer
from ..space import FeatureSet
from .predicate import Verdict, WeakExplanation
from .result import MinimalSet
from .settle import settle

__all__ = ["progression"]


def progression(
    predicate: WeakExplanation, start: Verdict, candidates: Sequence[int]
) -> MinimalSet:
    """Shrink `candidates` by blocks of doubling size.

    Parameters
    ----------
    predicate, start, candidates
        As in `Strategy`.

    Examples
    --------
    >>> from whyproof.engine.explanation import Kind
    >>> from whyproof.engine.minimise import minimise
    >>> from whyproof.engine.toy import toy
    >>> problem, oracle = toy(4, [{0, 1}, {2}])
    >>> minimise(problem, oracle, Kind.CXP, strategy=progression).features
    ('f0', 'f1')
    """
    row = list(candidates)
    found: FeatureSet = frozenset()
    verdict = start
    necessity: dict[int, Answer] = {}
    size = 1
    while row:
        block = row[:size]
        trial = predicate.test_one(found | frozenset(row[size:]))
        if trial.holds:
            verdict, row, size = trial, row[size:], 2 * size
            continue
        refusal = trial
        low, high = 0, len(block)  # dropping `low` elements is fine, dropping `high` is not
        while low + 1 < high:
            middle = (low + high) // 2
            trial = predicate.test_one(found | frozenset(row[middle:]))
            if trial.holds:
                low, verdict = middle, trial
            else:
                high, refusal = middle, trial
        member = row[high - 1]
        if refusal.holds is False:
            necessity[member] = refusal.answer
        found |= {member}
        row, size = row[high:], 1
    return settle(predicate, verdict, necessity)

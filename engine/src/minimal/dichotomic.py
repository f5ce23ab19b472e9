"""Dichotomic search: bisect for the next transition element.

Idea (Hemery et al., ECAI 2006; Algorithm 1 of the SwiftCXp paper): with the found
elements `S` and the candidates in a row `W`, bisect for the shortest prefix
of `W` that makes `S` a weak explanation.  Its last element is a member, what stands
behind it is dropped, and the search goes on before it.  O(k log m) questions for k members among
m candidates: good when explanations are small.

`W` is read from the back of the candidates, so that what is to be left out first stands
behind.  An unknown answer counts as no for the direction of the search; the element found
next to it is then open.  The empty prefix is tested as in the printed algorithm (the released
program leaves it out, and returns a set that is too large or never ends).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..answers import Answer
from ..space import FeatureSet
from .predicate import Verdict, WeakExplanation
from .result import MinimalSet
from .settle import settle

__all__ = ["dichotomic"]


def dichotomic(predicate: WeakExplanation, start: Verdict, candidates: Sequence[int]) -> MinimalSet:
    """Shrink `candidates` by bisection for one member after the other.

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
    >>> minimise(problem, oracle, Kind.CXP, strategy=dichotomic).features
    ('f0', 'f1')
    """
    row = list(reversed(candidates))
    found: FeatureSet = frozenset()
    verdict = start
    necessity: dict[int, Answer] = {}
    while row:
        low, high = 0, len(row)
        refusal: Verdict | None = None
        while low < high:
            middle = (low + high) // 2
            trial = predicate.test_one(found | frozenset(row[:middle]))
            if trial.holds:
                high, verdict = middle, trial
            else:
                low, refusal = middle + 1, trial
        if high == 0:
            break
        member = row[high - 1]
        if refusal is not None and refusal.holds is False:
            necessity[member] = refusal.answer
        found |= {member}
        row = row[: high - 1]
    return settle(predicate, verdict, necessity)

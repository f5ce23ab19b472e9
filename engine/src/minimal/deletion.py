"""Deletion: try to do without each element in turn.

The linear algorithm, folklore in the extraction of minimal unsatisfiable subsets
(Chinneck and Dravnieks, ORSA Journal on Computing 3(2), 1991) and the "linear CXp" of the
SwiftCXp paper.  One question for each element, each of them needed to know the next.  As
published it ignores evidence; an element whose question stays unknown is kept, and
listed as open unless other evidence shows that it is necessary.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..answers import Answer
from .predicate import Verdict, WeakExplanation
from .result import MinimalSet
from .settle import settle

__all__ = ["deletion"]


def deletion(predicate: WeakExplanation, start: Verdict, candidates: Sequence[int]) -> MinimalSet:
    """Shrink `candidates` by one question per element.

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
    >>> minimise(problem, oracle, Kind.AXP, strategy=deletion).features
    ('f0', 'f2')
    """
    members = frozenset(candidates)
    verdict = start
    necessity: dict[int, Answer] = {}
    for element in candidates:
        trial = predicate.test_one(members - {element})
        if trial.holds:
            members, verdict = members - {element}, trial
        elif trial.holds is False:
            necessity[element] = trial.answer
    return settle(predicate, verdict, necessity)

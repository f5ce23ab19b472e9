"""The last step of every strategy: read evidence once more before handing out a set."""

from __future__ import annotations

from collections.abc import Mapping

from ..answers import Answer
from .predicate import Verdict, WeakExplanation
from .result import MinimalSet

__all__ = ["settle"]


def settle(
    predicate: WeakExplanation, verdict: Verdict, necessity: Mapping[int, Answer]
) -> MinimalSet:
    """Return what is known about the set that `verdict` is about.

    The members are the support of the verdict: if the evidence needs less than the set
    that was asked, less is handed out.  Members without an answer in `necessity` are
    looked up in remembered evidence, and listed as open if that shows nothing.

    Parameters
    ----------
    predicate
        What was decided.
    verdict
        That the final set is a weak explanation, or why this is not known.
    necessity
        Element to the answer that shows that the final set without it is none.
    """
    members = verdict.support
    shown = {i: answer for i, answer in necessity.items() if i in members}
    shown |= predicate.necessity(members, members - shown.keys())
    return MinimalSet(members, verdict, shown, members - shown.keys())

"""Points that solvers show, run on the model: what encodings of trees have in common.

An encoding speaks of leaf boxes and of sums with a rounding slack.  Only the model that runs
says whether a point changes its decision; where it does not, the combination of leaves is
forbidden, in which all points have the same sums, and the solver is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .boxes import Cells, LeafBoxes

__all__ = ["Shown", "ask_until_sure", "replayed"]

_MOST_CLOSE_CALLS = 2_000

_Leaf = TypeVar("_Leaf")


@dataclass(frozen=True, slots=True, eq=False)
class Shown(Generic[_Leaf]):
    """A point that a solver shows.

    Parameters
    ----------
    cells
        Cell of each column, shape ``(columns,)``.
    leaves
        The leaf of each tree, as the solver names it.
    """

    cells: Cells
    leaves: Sequence[_Leaf]


def replayed(
    problem: ExplanationProblem, boxes: LeafBoxes, start: Cells, shown: Cells, free: FeatureSet
) -> Counterexample | None:
    """Enter the cells that a solver shows, and run the model there.

    Parameters
    ----------
    problem
        What is asked.
    boxes
        The ensemble in cells.
    start, shown
        Cells of the instance and of the point, each of shape ``(columns,)``.
    free
        Features that may move.

    Returns
    -------
    Counterexample or None
        `None` if the model keeps its decision.
    """
    columns = [c for feature in free for c in problem.space.features[feature].columns]
    point = boxes.enter(problem.instance, start, shown, columns, problem.limits)
    outcomes, changed = problem.question.evaluate(
        problem.classifier, point[None], problem.prediction
    )
    if not bool(changed[0]):
        return None
    return Counterexample(point, problem.space.moved(problem.instance, point), float(outcomes[0]))


def ask_until_sure(
    ask: Callable[[], Shown[_Leaf] | Answer],
    replay: Callable[[Cells], Counterexample | None],
    forbid: Callable[[Sequence[_Leaf]], None],
) -> Answer:
    """Ask a solver until the model confirms its point, or it shows none any more.

    Parameters
    ----------
    ask
        Shows a point of leaves that are not forbidden, or answers.
    replay
        Runs the model; see `replayed`.
    forbid
        Excludes a combination of leaves for good.
    """
    for _ in range(_MOST_CLOSE_CALLS):
        told = ask()
        if not isinstance(told, Shown):
            return told
        found = replay(told.cells)
        if found is not None:
            return found
        if not told.leaves:
            return Entailed(frozenset())  # no trees: the model answers the same everywhere
        forbid(told.leaves)
    return Unknown(
        UnknownReason.PRECISION,
        f"more than {_MOST_CLOSE_CALLS} leaf boxes lie within the rounding slack",
    )

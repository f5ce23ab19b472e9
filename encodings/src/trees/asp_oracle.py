"""A second opinion on tree ensembles by answer sets: the program of contrastive reasons, asked.

Features are fixed by assumptions; an answer set is a point of the region that changes the
decision.  As for clauses, points within the rounding slack are run on the model, and leaf
combinations in which it keeps its decision are forbidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import clingo

from whyproof.encodings.answer_sets import answer_set
from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .asp import arguments, asp_program, excluding_rule
from .boxes import LeafBoxes
from .constraints import tree_constraints
from .refined import Excluded

__all__ = ["TreeAspOracle"]

_MOST_CLOSE_CALLS = 2_000


class TreeAspOracle:
    """Decides free sets by clingo; slower than search, and independent of it.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `TreeEnsemble`.
    boxes
        The ensemble in cells, to share between instances; made here if not given.

    Raises
    ------
    UnsupportedError
        For regions that are not boxes.
    """

    def __init__(self, problem: ExplanationProblem, boxes: LeafBoxes | None = None) -> None:
        self.problem = problem
        self._made = tree_constraints(problem, boxes)
        self._limits = problem.limits
        self._control: Any = clingo.Control(["--warn=none"])
        self._parts = 0
        self._add(asp_program(problem, boxes=boxes))

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return "tree answer sets"

    @property
    def boxes(self) -> LeafBoxes:
        """The cells that it speaks of."""
        return self._made.boxes

    def exclude(self, excluded: Excluded) -> None:
        """Show no point of a box any more while these features are fixed."""
        self._add(excluding_rule(excluded))

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set."""
        return [self._decide(free & self.problem.universe, meter) for free in free_sets]

    def _decide(self, free: FeatureSet, meter: Meter) -> Answer:
        problem, made = self.problem, self._made
        fixed = [
            (clingo.Function("free", [clingo.Number(f)]), False) for f in problem.universe - free
        ]
        columns = [c for f in free for c in problem.space.features[f].columns]
        for _ in range(_MOST_CLOSE_CALLS):
            found = answer_set(self._control, fixed, meter)
            if isinstance(found, Unknown):
                return found
            if found is None:
                return Entailed(problem.universe - free)
            target = made.cells.copy()
            for column, cell in arguments(found, "cell"):
                target[column] = cell
            point = made.boxes.enter(problem.instance, made.cells, target, columns, self._limits)
            outcomes, changed = problem.question.evaluate(
                problem.classifier, point[None], problem.prediction
            )
            if bool(changed[0]):
                moved = problem.space.moved(problem.instance, point)
                return Counterexample(point, moved, float(outcomes[0]))
            leaves = [f"on({x})" for (x,) in arguments(found, "on")]
            if not leaves:
                return Entailed(frozenset())  # no trees: the model answers the same everywhere
            self._add(f":- {', '.join(leaves)}.")
        return Unknown(
            UnknownReason.PRECISION,
            f"more than {_MOST_CLOSE_CALLS} leaf boxes lie within the rounding slack",
        )

    def _add(self, text: str) -> None:
        name = f"part{self._parts}"
        self._parts += 1
        self._control.add(name, [], text)
        self._control.ground([(name, [])])

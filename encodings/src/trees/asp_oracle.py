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
from whyproof.engine.answers import Answer, Entailed, Unknown
from whyproof.engine.budget import Meter
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.space import FeatureSet

from .asp import arguments, asp_program, excluding_rule
from .boxes import LeafBoxes
from .constraints import tree_constraints
from .refined import Excluded
from .shown import Shown, ask_until_sure, replayed

__all__ = ["TreeAspOracle"]


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

        def ask() -> Shown[int] | Answer:
            found = answer_set(self._control, fixed, meter)
            if isinstance(found, Unknown):
                return found
            if found is None:
                return Entailed(problem.universe - free)
            target = made.cells.copy()
            for column, cell in arguments(found, "cell"):
                target[column] = cell
            return Shown(target, [x for (x,) in arguments(found, "on")])

        def forbid(leaves: Sequence[int]) -> None:
            self._add(f":- {', '.join(f'on({x})' for x in leaves)}.")

        return ask_until_sure(
            ask, lambda shown: replayed(problem, made.boxes, made.cells, shown, free), forbid
        )

    def _add(self, text: str) -> None:
        name = f"part{self._parts}"
        self._parts += 1
        self._control.add(name, [], text)
        self._control.ground([(name, [])])

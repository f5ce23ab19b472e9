"""Coverage: how much of a data set explanations explain, and a few that explain all of it.

An inflated AXp is a rule: every row in its sets gets the decision.  Rules of some rows cover
others; a smallest choice of rules that covers what can be covered is a hitting set of "the
rules that cover row i", found by the engine's solver with the greedy choice as start (its
bound says how far the answer is from the least).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whyproof.engine.budget import Meter
from whyproof.engine.hitting.sat import SatHittingSets
from whyproof.engine.hitting.solver import HittingSetProblem
from whyproof.engine.space import Points

from .inflated import Inflated

__all__ = ["Cover", "cover"]


@dataclass(frozen=True, eq=False)
class Cover:
    """Rules that cover rows together.

    Parameters
    ----------
    rules
        The chosen ones, those that cover most first.
    covered
        Which rows are covered, shape ``(rows,)``.
    lower_bound
        No choice of the given rules covers these rows with fewer.
    """

    rules: tuple[Inflated, ...]
    covered: npt.NDArray[np.bool_]
    lower_bound: int

    @property
    def share(self) -> float:
        """Share of rows that are covered."""
        return float(self.covered.mean()) if len(self.covered) else 0.0

    @property
    def is_smallest(self) -> bool:
        """Whether it is proved that fewer of the given rules do not do."""
        return len(self.rules) == self.lower_bound


def cover(rules: Sequence[Inflated], points: Points, meter: Meter | None = None) -> Cover:
    """Choose few rules that cover as many rows as all of them together.

    Parameters
    ----------
    rules
        Inflated abductive explanations.
    points
        Rows, shape ``(rows, columns)``.
    meter
        Budget of the search for the fewest; when it ends the greedy choice stays.
    """
    if not rules:
        return Cover((), np.zeros(len(points), dtype=np.bool_), 0)
    table = np.stack([rule.covers(points) for rule in rules])
    covered = np.asarray(table.any(axis=0), dtype=np.bool_)
    greedy = _greedy(table)
    chosen, bound = frozenset(greedy), 1 if greedy else 0
    with SatHittingSets(HittingSetProblem(frozenset(range(len(rules))))) as solver:
        for options in {frozenset(np.flatnonzero(row).tolist()) for row in table[:, covered].T}:
            solver.add(options)
        least = solver.smallest(meter or Meter())
        if least is not None:
            bound = max(bound, least.lower_bound)
            if least.members is not None and len(least.members) <= len(greedy):
                chosen = least.members
    ranked = sorted(chosen, key=lambda i: (-int(table[i].sum()), i))
    return Cover(tuple(rules[i] for i in ranked), covered, bound)


def _greedy(table: npt.NDArray[np.bool_]) -> list[int]:
    """Take the rule that covers most of what is left, until nothing more can be covered."""
    left, chosen = np.asarray(table.any(axis=0), dtype=np.bool_), list[int]()
    while left.any():
        best = int((table & left).sum(axis=1).argmax())
        chosen.append(best)
        left &= ~table[best]
    return chosen

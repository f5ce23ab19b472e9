"""Hitting-set dualisation: all explanations of one kind, smallest first.

Every explanation of a kind is a minimal hitting set of all explanations of the dual kind
(Reiter, Artificial Intelligence 32, 1987).  Take a smallest set that hits the dual ones
known so far.  If it is a weak explanation, it is an explanation, and no unknown one is
cheaper; otherwise the evidence against it contains a new dual one, which it did not hit.  The
scheme of MaxHS and of the SAT 2020 enumerators of formal explanations (Ignatiev et al., AI*IA
2020), on any of the hitting-set back ends.

The dual explanations found on the way are handed out too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..explanation import Kind
from ..hitting.solver import HittingSetSolver
from ..minimal.predicate import WeakExplanation
from ..minimal.result import Strategy
from ..space import FeatureSet
from .found import Found

__all__ = ["Dualisation"]


class Dualisation:
    """Enumeration in the order of cost; an `Enumerator`.

    Parameters
    ----------
    predicate
        Of the kind that is sought.
    strategy
        Shrinks weak explanations.
    arrange
        Puts a set into the order in which elements are tried.
    solver
        Finds smallest hitting sets over the universe of the predicate; it carries the
        weights and what must or must not be in.  Closed by the caller.
    known
        Explanations of either kind that are known already.
    """

    def __init__(
        self,
        predicate: WeakExplanation,
        strategy: Strategy,
        arrange: Callable[[FeatureSet], list[int]],
        solver: HittingSetSolver,
        known: Iterable[tuple[Kind, FeatureSet]] = (),
    ) -> None:
        self.complete = False
        self.lower_bound = 0
        """No explanation that is still to come costs less."""
        self._predicate = predicate
        self._strategy = strategy
        self._arrange = arrange
        self._solver = solver
        self._known = tuple(known)

    def __iter__(self) -> Iterator[Found]:
        """Continue until no hitting set is left or the budget ends."""
        predicate, solver = self._predicate, self._solver
        dual = predicate.dual
        for kind, members in self._known:
            (solver.forbid if kind is predicate.kind else solver.add)(members)
        skipped = False
        while predicate.meter.exhausted() is None:
            nearest = solver.smallest(predicate.meter)
            if nearest is None:
                self.complete = not skipped
                return
            if not skipped:
                self.lower_bound = nearest.lower_bound
            if nearest.members is None:
                return
            verdict = predicate.test_one(nearest.members)
            if verdict.holds is None:
                if predicate.meter.exhausted() is not None:
                    return
                # What contains the set is lost with it: complete it can no longer be.
                skipped = True
                solver.forbid(nearest.members)
                continue
            side = predicate if verdict.holds else dual
            start = side.verdict(verdict.answer)
            result = self._strategy(side, start, self._arrange(start.support))
            (solver.forbid if verdict.holds else solver.add)(result.members)
            yield Found(side.kind, result)

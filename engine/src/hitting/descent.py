"""Hitting sets below a bound that falls: the way down from the best explanation known.

Core-guided search (`SatHittingSets`) proves bounds from below, and pays for it at every step.
Where thousands of sets have to be hit, most steps need no optimum: *any* hitting set that is
cheaper than the best explanation known will do, since either it is an explanation and the
bound falls, or there is something new to hit.  One incremental solver with a native
cardinality constraint (Liffiton and Maglalang, MiniCARD, SAT 2012) finds them; when there is
none left, the best one known is a smallest one.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from pysat.solvers import Solver

from ..budget import Meter
from ..limited import solve_within
from ..space import FeatureSet
from .solver import HittingSetProblem

__all__ = ["SmallerHittingSets"]


class SmallerHittingSets:
    """Hitting sets of fewer elements than a bound; a context manager.

    Parameters
    ----------
    problem
        Elements and preferences; weights are not looked at.

    Examples
    --------
    >>> with SmallerHittingSets(HittingSetProblem(frozenset({0, 1, 2}))) as solver:
    ...     solver.add(frozenset({0, 1}))
    ...     solver.add(frozenset({1, 2}))
    ...     solver.below(2, Meter()), solver.below(1, Meter()), solver.none_left
    (frozenset({1}), None, True)
    """

    def __init__(self, problem: HittingSetProblem) -> None:
        self.problem = problem
        self._variable = {element: v for v, element in enumerate(sorted(problem.universe), 1)}
        self._element = {v: element for element, v in self._variable.items()}
        self._solver: Any = Solver(name="minicard")
        self._bound = len(self._variable) + 1
        self.none_left = False
        """Whether it is proved that there are no more below the last bound."""
        for element in problem.must:
            self._clause([self._variable[element]])
        for element in problem.must_not:
            self._clause([-self._variable[element]])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the solver."""
        self._solver.delete()

    def add(self, to_hit: FeatureSet) -> None:
        """Require that some element of `to_hit` is chosen."""
        self._clause([self._variable[i] for i in to_hit & self.problem.eligible])

    def forbid(self, members: FeatureSet) -> None:
        """Exclude hitting sets that contain all `members`."""
        self._clause([-self._variable[i] for i in members])

    def below(self, bound: int, meter: Meter) -> FeatureSet | None:
        """Return a hitting set of fewer elements; bounds must not rise.

        `None` if there is none (then `none_left` is set) or the budget ended.
        """
        if bound < self._bound and not self.none_left:
            self._bound = bound
            if bound < 1:
                self.none_left = True
            else:
                self._solver.add_atmost(list(self._element), bound - 1)
        if self.none_left:
            return None
        found = solve_within(self._solver, [], meter)
        if found:
            model = self._solver.get_model()
            return frozenset(self._element[v] for v in model if v in self._element)
        if found is False:
            self.none_left = True
        return None

    def _clause(self, literals: list[int]) -> None:
        if literals:
            self._solver.add_clause(literals)
        else:
            self.none_left = True

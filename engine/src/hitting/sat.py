"""Smallest hitting sets by core-guided MaxSAT.

RC2 (Ignatiev, Morgado and Marques-Silva, JSAT 11, 2019) from PySAT: each chosen element violates
a soft clause of its weight.  Cores and their totalizers stay between calls, so a call
costs only what the new sets add.  We drive RC2's loop ourselves, to look at the budget
between cores and inside long SAT calls; its cost so far is a proved lower bound.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from pysat.examples.rc2 import RC2
from pysat.formula import WCNF

from ..budget import Meter
from ..limited import solve_within
from ..space import FeatureSet
from .solver import HittingSet, HittingSetProblem

__all__ = ["SatHittingSets"]


class SatHittingSets:
    """A `HittingSetSolver` on top of RC2.

    Parameters
    ----------
    problem
        Elements, weights, preferences.

    Examples
    --------
    >>> with SatHittingSets(HittingSetProblem(frozenset({0, 1, 2}))) as solver:
    ...     solver.add(frozenset({0, 1}))
    ...     solver.add(frozenset({1, 2}))
    ...     solver.smallest(Meter())
    HittingSet(members=frozenset({1}), lower_bound=1)
    """

    def __init__(self, problem: HittingSetProblem) -> None:
        self.problem = problem
        elements = sorted(problem.universe)
        self._variable = {element: v for v, element in enumerate(elements, start=1)}
        formula = WCNF()
        for element, variable in self._variable.items():
            formula.append([-variable], weight=problem.weight(element))
            formula.append([variable, -variable])
        for element in problem.must:
            formula.append([self._variable[element]])
        for element in problem.must_not:
            formula.append([-self._variable[element]])
        self._rc2: Any = RC2(formula)
        self._rc2.oracle.solver.use_timer = False  # the process's clock costs more than a call
        self._none_left = False

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
        self._rc2.delete()

    def add(self, to_hit: FeatureSet) -> None:
        """Require that some element of `to_hit` is chosen."""
        self._clause([self._variable[i] for i in to_hit & self.problem.eligible])

    def forbid(self, members: FeatureSet) -> None:
        """Exclude hitting sets that contain all `members`."""
        self._clause([-self._variable[i] for i in members])

    def smallest(self, meter: Meter) -> HittingSet | None:
        """Return a hitting set of the least cost; `None` if none is left."""
        rc2 = self._rc2
        while not self._none_left:
            satisfiable = solve_within(rc2.oracle, rc2.sels + rc2.sums, meter)
            if satisfiable:
                chosen = {v for v in rc2.oracle.get_model() if v > 0}
                members = frozenset(i for i, v in self._variable.items() if v in chosen)
                return HittingSet(members, rc2.cost)
            if satisfiable is False:
                rc2.get_core()
                if rc2.core:
                    rc2.process_core()
                else:
                    self._none_left = True
            if not self._none_left and meter.exhausted() is not None:
                return HittingSet(None, rc2.cost)
        return None

    def _clause(self, literals: list[int]) -> None:
        if literals:
            self._rc2.add_clause(literals)
        else:
            self._none_left = True

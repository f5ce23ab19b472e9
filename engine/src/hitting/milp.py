"""Smallest hitting sets by integer programming.

One binary variable per element, one covering row per set, solved by HiGHS.  Rows are added
to the same model from call to call.  Costs are integers, so the dual bound may be rounded
up; every answer is checked against the sets in integers, never trusted to tolerances.
"""

from __future__ import annotations

import math
from types import TracebackType
from typing import Any, Self

import highspy
import numpy as np

from ..budget import Meter
from ..errors import WhyproofError
from ..space import FeatureSet
from .solver import HittingSet, HittingSetProblem

__all__ = ["MilpHittingSets"]

_TOLERANCE = 1e-6


class MilpHittingSets:
    """A `HittingSetSolver` on top of HiGHS.

    Parameters
    ----------
    problem
        Elements, weights, preferences.

    Examples
    --------
    >>> with MilpHittingSets(HittingSetProblem(frozenset({0, 1, 2}))) as solver:
    ...     solver.add(frozenset({0, 1}))
    ...     solver.add(frozenset({1, 2}))
    ...     solver.smallest(Meter())
    HittingSet(members=frozenset({1}), lower_bound=1)
    """

    def __init__(self, problem: HittingSetProblem) -> None:
        self.problem = problem
        self._elements = sorted(problem.universe)
        self._column = {element: c for c, element in enumerate(self._elements)}
        self._to_hit: list[FeatureSet] = []
        self._forbidden: list[FeatureSet] = []
        self._bound = problem.cost(problem.must)
        self._none_left = False
        highs: Any = highspy.Highs()
        highs.HandleKeyboardInterrupt = True
        for option, value in {
            "output_flag": False,
            "threads": 1,
            "mip_rel_gap": 0.0,
            "mip_abs_gap": 0.999,
        }.items():
            highs.setOptionValue(option, value)
        for element in self._elements:
            low, high = float(element in problem.must), float(element not in problem.must_not)
            highs.addCol(float(problem.weight(element)), low, high, 0, [], [])
            highs.changeColIntegrality(self._column[element], highspy.HighsVarType.kInteger)
        self._highs = highs

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
        self._highs.clear()

    def add(self, to_hit: FeatureSet) -> None:
        """Require that some element of `to_hit` is chosen."""
        self._to_hit.append(to_hit)
        self._row(1.0, self._highs.inf, to_hit)

    def forbid(self, members: FeatureSet) -> None:
        """Exclude hitting sets that contain all `members`."""
        self._forbidden.append(members)
        self._row(-self._highs.inf, len(members) - 1.0, members)

    def smallest(self, meter: Meter) -> HittingSet | None:
        """Return a hitting set of the least cost; `None` if none is left."""
        if self._none_left:
            return None
        if meter.exhausted() is not None:
            return HittingSet(None, self._bound)
        if not self._elements:
            return HittingSet(frozenset(), 0)
        highs = self._highs
        if math.isfinite(meter.remaining):
            highs.setOptionValue("time_limit", highs.getRunTime() + meter.remaining)
        highs.run()
        status = highs.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            self._none_left = True
            return None
        if status == highspy.HighsModelStatus.kOptimal:
            values = highs.getSolution().col_value
            members = frozenset(i for i, x in zip(self._elements, values, strict=True) if x > 0.5)
            self._bound = self._checked(members)
            return HittingSet(members, self._bound)
        dual_bound = float(highs.getInfo().mip_dual_bound)
        if math.isfinite(dual_bound):
            self._bound = max(self._bound, math.ceil(dual_bound - _TOLERANCE))
        return HittingSet(None, self._bound)

    def _checked(self, members: FeatureSet) -> int:
        hits = all(members & to_hit for to_hit in self._to_hit)
        if not hits or any(forbidden <= members for forbidden in self._forbidden):
            raise WhyproofError(
                "HiGHS returned a set that breaks a constraint; use the hitting-set back end 'sat'"
            )
        return self.problem.cost(members)

    def _row(self, lower: float, upper: float, members: FeatureSet) -> None:
        if not members:
            self._none_left = True
            return
        columns = np.array(sorted(self._column[i] for i in members), dtype=np.int32)
        self._highs.addRow(lower, upper, len(columns), columns, np.ones(len(columns)))

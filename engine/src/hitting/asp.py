"""Smallest hitting sets by answer-set programming.

A choice rule per element, an integrity constraint per set, and a minimize statement over
the weights, in one clingo control that grows from call to call.  Core-guided optimisation
(``usc``) is used, which keeps lower bounds.
"""

from __future__ import annotations

import math
from types import TracebackType
from typing import Any, Self

import clingo

from ..budget import Meter
from ..space import FeatureSet
from .solver import HittingSet, HittingSetProblem

__all__ = ["AspHittingSets"]

_STEP = 0.05
"""Seconds between two looks at the budget."""


class AspHittingSets:
    """A `HittingSetSolver` on top of clingo.

    Parameters
    ----------
    problem
        Elements, weights, preferences.

    Examples
    --------
    >>> with AspHittingSets(HittingSetProblem(frozenset({0, 1, 2}))) as solver:
    ...     solver.add(frozenset({0, 1}))
    ...     solver.add(frozenset({1, 2}))
    ...     solver.smallest(Meter())
    HittingSet(members=frozenset({1}), lower_bound=1)
    """

    def __init__(self, problem: HittingSetProblem) -> None:
        self.problem = problem
        self._bound = problem.cost(problem.must)
        self._none_left = False
        self._control: Any = clingo.Control(["--opt-strategy=usc"], logger=lambda *_: None)
        self._atom: dict[int, int] = {}
        with self._control.backend() as backend:
            for element in sorted(problem.eligible):
                atom = backend.add_atom(clingo.Function("pick", [clingo.Number(element)]))
                backend.add_rule([atom], choice=element not in problem.must)
                self._atom[element] = atom
            weighted = [(atom, problem.weight(i)) for i, atom in self._atom.items()]
            backend.add_minimize(0, weighted)

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
        self._control = None

    def add(self, to_hit: FeatureSet) -> None:
        """Require that some element of `to_hit` is chosen."""
        self._constraint([-self._atom[i] for i in to_hit & self.problem.eligible])

    def forbid(self, members: FeatureSet) -> None:
        """Exclude hitting sets that contain all `members`."""
        if members <= self.problem.eligible:
            self._constraint([self._atom[i] for i in members])

    def smallest(self, meter: Meter) -> HittingSet | None:
        """Return a hitting set of the least cost; `None` if none is left."""
        if self._none_left:
            return None
        best: list[FeatureSet] = []

        def keep(model: clingo.Model) -> None:
            best[:] = [frozenset(s.arguments[0].number for s in model.symbols(atoms=True))]

        with self._control.solve(on_model=keep, async_=True) as handle:
            while not handle.wait(min(_STEP, meter.remaining)):
                if meter.exhausted() is not None:
                    handle.cancel()
                    break
            result = handle.get()
        if result.unsatisfiable:
            self._none_left = True
            return None
        if result.exhausted and best:
            self._bound = self.problem.cost(best[0])
            return HittingSet(best[0], self._bound)
        lower = self._control.statistics["summary"].get("lower", [])
        if lower and math.isfinite(lower[0]):
            self._bound = max(self._bound, math.ceil(lower[0]))
        return HittingSet(None, self._bound)

    def _constraint(self, body: list[int]) -> None:
        if not body:
            self._none_left = True
            return
        with self._control.backend() as backend:
            backend.add_rule([], body)

"""The map of free sets that are still unexplored, as a SAT formula.

One variable per feature says whether it is free.  What is explored is cut away by clauses
(Liffiton et al., "Fast, flexible MUS enumeration", Constraints 21, 2016):

* an AXp `A` explores every free set that avoids it: some feature of `A` must be free;
* a CXp `C` explores every free set that contains it: some feature of `C` must be fixed.

Phases bias the models.  All decisions of the solver follow the phase, and what
propagation adds follows from them, so a model is not just large but maximal (bias to
AXps: no further feature can be freed without leaving the unexplored part) or minimal (bias to
CXps).  A seed that comes out on the side of the bias is therefore an explanation
as it stands: explored neighbours prove each of its elements necessary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any

from pysat.solvers import Solver

from ..explanation import Kind
from ..linear_rule import LinearRule
from ..space import FeatureSet

__all__ = ["MapSolver"]

_CUTS = 20
"""Seeds cut away by rules before one is handed out nevertheless."""


class MapSolver:
    """Unexplored free sets over a universe; a context manager.

    Parameters
    ----------
    universe
        Features that may be freed.
    bias
        `AXP` for maximal free sets as seeds, `CXP` for minimal ones.
    free, fixed
        Features that every seed frees, or fixes.
    solver
        Name of a PySAT solver that supports phases.
    order
        The universe in the order in which the solver gets to know it, which decides
        which of several seeds comes; ascending by default.
    rules
        Bounds that seeds should not keep to, since what they decide is known.

    Examples
    --------
    >>> with MapSolver(frozenset({0, 1}), Kind.AXP) as unexplored:
    ...     first = unexplored.seed()
    ...     unexplored.block(Kind.CXP, frozenset({0, 1}))
    ...     second = unexplored.seed()
    >>> sorted(first), len(second)
    ([0, 1], 1)
    """

    def __init__(
        self,
        universe: FeatureSet,
        bias: Kind,
        *,
        free: Iterable[int] = (),
        fixed: Iterable[int] = (),
        solver: str = "cadical195",
        order: Sequence[int] | None = None,
        rules: Sequence[LinearRule] = (),
    ) -> None:
        self._features = sorted(universe) if order is None else list(order)
        self._variable = {feature: v for v, feature in enumerate(self._features, start=1)}
        variables = list(self._variable.values())
        sign = 1 if bias is Kind.AXP else -1
        self._assumed = [self._variable[i] for i in free] + [-self._variable[i] for i in fixed]
        self._solver: Any = Solver(name=solver)
        # A tautology makes each variable known to the solver.
        for variable in variables:
            self._solver.add_clause([variable, -variable])
        self._solver.set_phases([sign * variable for variable in variables])
        self._empty = False
        # A maximal seed that keeps to a rule is the largest set that it decides: an answer.
        self._rules = tuple(rules) if bias is Kind.CXP else ()
        self._grows = bias is Kind.AXP
        self._top = len(variables)

    def __enter__(self) -> MapSolver:
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

    def seed(self) -> FeatureSet | None:
        """Return an unexplored free set, or `None` if every one is explored."""
        return self._solve(self._assumed)

    def seeds(self, count: int) -> list[FeatureSet]:
        """Return up to `count` unexplored free sets, none inside another on the bias' side.

        Empty if every free set is explored.
        """
        found: list[FeatureSet] = []
        assumed = self._assumed
        while len(found) < count:
            seed = self._solve(assumed)
            if seed is None:
                break
            found.append(seed)
            if len(found) < count:
                # The next seed has to go beyond this one; for this batch only.
                self._top += 1
                beyond = [v for i, v in self._variable.items() if (i in seed) != self._grows]
                self._add([-self._top, *(v if self._grows else -v for v in beyond)])
                assumed = [*assumed, self._top]
        for switch in assumed[len(self._assumed) :]:
            self._add([-switch])
        return found

    def _solve(self, assumptions: list[int]) -> FeatureSet | None:
        seed = self._model(assumptions)
        for _ in range(_CUTS if self._rules else 0):
            if seed is None:
                return None
            rule = next((rule for rule in self._rules if rule.entails(seed)), None)
            if rule is None:
                return seed
            lifted = self._lifted(rule, seed, assumptions)
            if lifted is not None:
                return lifted
            if not self._cut(rule, seed):
                return seed
            seed = self._model(assumptions)
        return seed

    def _model(self, assumptions: list[int]) -> FeatureSet | None:
        if self._empty or not self._solver.solve(assumptions=assumptions):
            return None
        model = self._solver.get_model()
        return frozenset([i for i, value in zip(self._features, model, strict=False) if value > 0])

    def _lifted(
        self, rule: LinearRule, seed: FeatureSet, assumptions: list[int]
    ) -> FeatureSet | None:
        """Return an unexplored free set that a rule does not decide, near a seed."""
        for case in range(len(rule.constants)):
            wanted = rule.lifted(seed, case)
            if wanted is None or not wanted <= self._variable.keys():
                continue
            found = self._model([*assumptions, *(self._variable[i] for i in wanted)])
            if found is not None:
                return found
        return None

    def _cut(self, rule: LinearRule, seed: FeatureSet) -> bool:
        """Cut away what a rule decides around a seed; false if it decides nothing more.

        One feature is left out of what it decides, so that no maximal decided set, the
        complement of an AXp, is ever cut away.
        """
        more = rule.widened(seed) & self._variable.keys() - seed
        if not more:
            return False
        kept = seed | more - {min(more)}
        self._add([v for i, v in self._variable.items() if i not in kept])
        return True

    def block(self, kind: Kind, members: Iterable[int]) -> None:
        """Cut away what a (weak) explanation explores."""
        sign = 1 if kind is Kind.AXP else -1
        self._add([sign * self._variable[i] for i in members])

    def skip(self, free: FeatureSet) -> None:
        """Cut away one free set and nothing else, without having explored it."""
        self._add([-v if i in free else v for i, v in self._variable.items()])

    def skip_cone(self, free: FeatureSet) -> None:
        """Cut away all subsets and all supersets of a free set, without exploring them."""
        self._add([v for i, v in self._variable.items() if i not in free])
        self._add([-v for i, v in self._variable.items() if i in free])

    def _add(self, clause: list[int]) -> None:
        if clause:
            self._solver.add_clause(clause)
        else:
            self._empty = True

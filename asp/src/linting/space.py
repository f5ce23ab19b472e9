"""Questions about all consistent states of a world, answered by witness or proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from whyproof.asp.planning.facts import facts_of
from whyproof.asp.planning.solver import PathSolver
from whyproof.asp.rules import Value
from whyproof.asp.worlds.causal import CausalRule, Denial
from whyproof.asp.worlds.problem import Problem
from whyproof.engine.budget import Budget, Meter

__all__ = ["StateSpace"]

_Assumption = tuple[str, Sequence[int], bool]


@dataclass
class StateSpace:
    """All consistent states of a world; a context manager.

    Parameters
    ----------
    problem
        The world over cells.
    meter
        Budget.
    """

    problem: Problem
    meter: Meter | None = None

    def __enter__(self) -> Self:
        numbers = range(len(self.problem.origins))
        self._atoms: dict[int, CausalRule | Denial] = dict(enumerate(self.problem.origins))
        text = "\n".join(f"#external off({number})." for number in numbers)
        self._solver = PathSolver(
            facts_of(self.problem),
            ["state", "states", "fired"],
            self.meter or Budget().start(),
            parts=(),
            extra=text,
        )
        for number in numbers:
            self._solver.assign("off", (number,), None)
        self._solver.ground_states(1, ("fired",))
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._solver.__exit__(exception_type, exception, traceback)

    def witness(self, *wanted: _Assumption) -> dict[str, Value] | None:
        """Return a person for whom some atoms are as wanted, `None` if there is none."""
        in_force: list[_Assumption] = [("off", (n,), False) for n in self._atoms]
        for model in self._solver.models(1, [*in_force, *wanted]):
            cells = self._solver.path(model).states[0]
            return {
                v.feature.name: v.cells[cell].nearest(0)
                for v, cell in zip(self.problem.variables, cells, strict=True)
            }
        return None

    def conflict(self, *wanted: _Assumption) -> list[CausalRule | Denial]:
        """Return a smallest set of rules of the world that rule out what is wanted.

        Empty if it is impossible even without any of them.
        """
        kept = self._core(list(dict.fromkeys(self._atoms.values())), wanted)
        if kept is None:
            return []
        for rule in list(kept):
            if rule not in kept:
                continue
            smaller = self._core([other for other in kept if other is not rule], wanted)
            kept = kept if smaller is None else smaller
        return kept

    def _core(
        self, rules: Sequence[CausalRule | Denial], wanted: Sequence[_Assumption]
    ) -> list[CausalRule | Denial] | None:
        chosen = [n for n, rule in self._atoms.items() if any(rule is r for r in rules)]
        others = [n for n in self._atoms if n not in chosen]
        assumed: list[_Assumption] = [("off", (n,), False) for n in chosen]
        assumed += [("off", (n,), True) for n in others]
        core = self._solver.core([*assumed, *wanted])
        if core is None:
            return None
        used = {numbers[0] for name, numbers in core if name == "off"}
        return [rule for rule in rules if any(self._atoms[n] is rule for n in used)]

"""One clingo control over the planner's programs, grown time point by time point.

The step and the state of one time point are grounded in one call, because forcing and
state are mutually recursive.  Solving runs in the background and is watched, so that a
budget or another thread can stop it at any moment; a stopped search is never an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import clingo

from whyproof.asp.worlds.problem import CellState
from whyproof.engine.answers import UnknownReason
from whyproof.engine.budget import Meter

from .facts import Facts
from .programs import program

__all__ = ["CellPath", "PathSolver", "Stopped"]

_LOOK = 0.05
"""Seconds between two looks at the budget."""


class Stopped(Exception):
    """The budget ran out inside a search; caught by the planner, never seen by users."""

    def __init__(self, reason: UnknownReason) -> None:
        self.reason = reason
        super().__init__(str(reason))


@dataclass(frozen=True, slots=True)
class CellPath:
    """A path over cells.

    Parameters
    ----------
    states
        The start and the state after each step.
    actions
        Variable and cell of the direct action of each step; `None` where nothing was done.
    """

    states: tuple[CellState, ...]
    actions: tuple[tuple[int, int] | None, ...]


class PathSolver:
    """Grounds and solves programs about paths; a context manager.

    Parameters
    ----------
    facts
        The problem.
    programs
        Names of the programs.
    meter
        Budget, watched while solving.
    parts
        Program parts of each time point after the start, beside ``step`` and ``state``.
    options
        Further options of clingo.
    """

    def __init__(
        self,
        facts: Facts,
        programs: Sequence[str],
        meter: Meter,
        *,
        parts: Sequence[str] = ("act", "ask"),
        options: Sequence[str] = (),
        extra: str = "",
    ) -> None:
        self.facts = facts
        self.problem = facts.problem
        self.meter = meter
        self.length = -1
        self._parts = parts
        self._excluded = 0
        self._control: Any = clingo.Control(["--warn=none", *options], logger=lambda *_: None)
        text = "\n".join([*(program(name) for name in programs), "#program base.", extra])
        self._load(f"{text}\n{facts.text}")
        self._ground([("base", [])])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._control = None

    def _load(self, text: str) -> None:
        """Add the whole program."""
        self._control.add("base", [], text)

    def _ground(self, parts: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """Ground program parts."""
        self._control.ground(parts)

    def extend(self, length: int) -> None:
        """Ground all time points up to a length and ask for the goal at the last one."""
        while self.length < length:
            self._check()
            if self.length >= 0:
                self._control.release_external(_at("query", self.length))
            self.length += 1
            time = clingo.Number(self.length)
            parts = ["state"]
            if "ask" in self._parts:
                parts.append("ask")
            if self.length:
                parts += ["step", *(part for part in self._parts if part != "ask")]
            self._ground([(part, [time]) for part in parts])
        if "ask" in self._parts:
            self._control.assign_external(_at("query", length), True)

    def ground_states(self, number: int, parts: Sequence[str] = ()) -> None:
        """Ground several time points that are no steps of each other."""
        for time in range(number):
            at = clingo.Number(time)
            self._ground([(part, [at]) for part in ("state", *parts)])
        self.length = number - 1

    def ground_part(self, part: str) -> None:
        """Ground a program part without parameters."""
        self._ground([(part, [])])

    def assign(self, name: str, arguments: Sequence[int], value: bool | None) -> None:
        """Set an external atom; `None` leaves it to assumptions."""
        self._control.assign_external(_function(name, arguments), value)

    def exclude_end(self, state: CellState) -> None:
        """Forbid a state at the present end."""
        self.exclude([("h", (f, v, self.length)) for f, v in enumerate(state)])

    def exclude(self, atoms: Sequence[tuple[str, Sequence[int]]]) -> None:
        """Forbid that all of some atoms hold, from now on."""
        # as text: a rule added through the backend alone was seen to have no effect
        self._excluded += 1
        part = f"exclude{self._excluded}"
        body = ", ".join(str(_function(name, arguments)) for name, arguments in atoms)
        self._control.add(part, [], f":- {body}.")
        self._ground([(part, [])])

    def configure(self, **settings: str | int) -> None:
        """Change settings of the solver, such as ``models`` or ``opt_mode``."""
        for key, value in settings.items():
            setattr(self._control.configuration.solve, key, str(value))

    def models(
        self, limit: int = 0, assumptions: Sequence[tuple[str, Sequence[int], bool]] = ()
    ) -> Iterator[Any]:
        """Yield models; a model is valid until the next one is asked for.

        Parameters
        ----------
        limit
            Most models, 0 for all.
        assumptions
            Name, arguments and truth value of atoms.

        Raises
        ------
        Stopped
            If the budget runs out first.
        """
        self.configure(models=limit)
        assumed = [(_function(name, arguments), value) for name, arguments, value in assumptions]
        with self._control.solve(assumptions=assumed, yield_=True, async_=True) as handle:
            while True:
                handle.resume()
                while not handle.wait(min(_LOOK, self.meter.remaining)):
                    self._check(handle)
                model = handle.model()
                if model is None:
                    return
                yield model
                self._check(handle)

    def satisfiable(self, assumptions: Sequence[tuple[str, Sequence[int], bool]] = ()) -> bool:
        """Tell whether there is a model under assumptions."""
        return next(iter(self.models(1, assumptions)), None) is not None

    def core(
        self, assumptions: Sequence[tuple[str, Sequence[int], bool]]
    ) -> list[tuple[str, tuple[int, ...]]] | None:
        """Return assumptions that cannot hold together; `None` if all can."""
        self.configure(models=1)
        functions = {_function(n, a): (n, tuple(a)) for n, a, _ in assumptions}
        literals: dict[int, tuple[str, tuple[int, ...]]] = {}
        assumed: list[tuple[Any, bool]] = []
        for (name, arguments, value), function in zip(assumptions, functions, strict=True):
            atom = self._control.symbolic_atoms[function]
            if atom is None:
                continue
            literals[atom.literal if value else -atom.literal] = (name, tuple(arguments))
            assumed.append((function, value))
        with self._control.solve(assumptions=assumed, yield_=True, async_=True) as handle:
            handle.resume()
            while not handle.wait(min(_LOOK, self.meter.remaining)):
                self._check(handle)
            if handle.model() is not None:
                return None
            found = handle.core()
        return [literals[literal] for literal in found if literal in literals]

    def path(self, model: Any) -> CellPath:  # noqa: ANN401
        """Read a path from a model."""
        n = len(self.problem.variables)
        states = [[0] * n for _ in range(self.length + 1)]
        actions: list[tuple[int, int] | None] = [None] * self.length
        for symbol in model.symbols(shown=True):
            if symbol.name not in ("h", "do"):
                continue
            feature, value, time = (argument.number for argument in symbol.arguments)
            if symbol.name == "h":
                states[time][feature] = value
            else:
                actions[time - 1] = (feature, value)
        return CellPath(tuple(map(tuple, states)), tuple(actions))

    def statistics(self) -> dict[str, int]:
        """Return the number of atoms and rules of the ground program, and of conflicts."""
        found = self._control.statistics
        program_size = found["problem"]["lp"]
        return {
            "atoms": int(program_size["atoms"]),
            "rules": int(program_size["rules"]),
            "conflicts": int(found["solving"]["solvers"]["conflicts"]),
        }

    def _check(self, handle: Any = None) -> None:  # noqa: ANN401
        reason = self.meter.exhausted()
        if reason is not None:
            if handle is not None:
                handle.cancel()
            raise Stopped(reason)


def _at(name: str, number: int) -> Any:  # noqa: ANN401
    return _function(name, [number])


def _function(name: str, arguments: Sequence[int]) -> Any:  # noqa: ANN401
    return clingo.Function(name, [clingo.Number(n) for n in arguments])

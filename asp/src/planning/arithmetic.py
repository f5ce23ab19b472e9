"""Planning with arithmetic side effects: ``savings' = savings - 200``.

A direct action may add to numeric features.  Cells no longer tell everything about such a
feature, so its amount is a whole number that clingcon (constraint answer-set programming;
Banbara et al. 2017) computes with; all other features and all causal effects are planned
as ever.  An action whose side effects would leave a domain is not admissible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from whyproof.asp.rules import Value
from whyproof.asp.worlds.cells import Cell
from whyproof.asp.worlds.compile import compile_world
from whyproof.asp.worlds.problem import CellState, Problem
from whyproof.asp.worlds.world import World
from whyproof.engine.budget import Meter
from whyproof.engine.errors import MissingExtraError, ReplayError, UnsupportedError

from .amounts import Amounts, Link
from .facts import Facts, facts_of
from .options import Effects, Objective
from .path import Move, Path, Step, cost_of
from .plan import Plan, PlanStatus, Rejected
from .planner import Planner
from .replay import Verdicts
from .shortest import best_first
from .solver import CellPath, PathSolver, Stopped
from .transition import foundations

__all__ = ["ArithmeticPlanner"]

_PROGRAMS = ("state", "step", "arithmetic", "search")


class ArithmeticPlanner(Planner):
    """A planner for worlds with arithmetic effects; shortest paths, angelic effects.

    Parameters
    ----------
    world, options, judge, budget
        As for `Planner`.

    Raises
    ------
    MissingExtraError
        If clingcon is not installed.
    UnsupportedError
        For other objectives, and effects on continuous features.
    """

    def plan(self, state: Mapping[str, object]) -> Plan:
        """Find shortest paths for one person; see `Planner.plan`.

        Nothing is proved about paths longer than the horizon.
        """
        options = self.options
        if options.objective is not Objective.LENGTH or options.effects is not Effects.ANGELIC:
            raise UnsupportedError(
                "worlds with arithmetic effects are planned by length with angelic effects only"
            )
        if options.extra or options.goals or options.diverse:
            raise UnsupportedError(
                "worlds with arithmetic effects have no next-best, distinct or diverse paths yet"
            )
        meter = self.budget.start()
        values = self.world.state(state)
        problem, values, repair = self._start(values)
        amounts = Amounts(problem)
        verdicts = Verdicts(problem, self.judge)
        label: Value = None if self.judge is None else self.judge.decide([values])[0]
        paths: list[Path] = []
        status, note, complete = PlanStatus.NONE_WITHIN, "", True
        try:
            paths, complete = self._search(problem, amounts, verdicts, meter)
        except Stopped as stop:
            status, complete = PlanStatus.STOPPED, False
            note = f"the budget ran out: {stop.reason}"
        if paths:
            status = PlanStatus.MINIMAL
        return Plan(
            status,
            tuple(best_first(paths)),
            values,
            f"{self.world.rules().target}: {problem.world.goal.describe()}",
            paths[0].length if paths else None,
            complete,
            repair,
            rejected=tuple(Rejected(denied, found) for denied, found in verdicts.denied),
            model_start=label,
            proof=note,
            statistics={"seconds": meter.elapsed},
        )

    def _compile(
        self, world: World, values: Mapping[str, Value], *, tolerate: bool = False
    ) -> Problem:
        uncut = {effect.feature for effect in world.effects}
        return compile_world(world, values, tolerate=tolerate, uncut=uncut)

    def _search(
        self, problem: Problem, amounts: Amounts, verdicts: Verdicts, meter: Meter
    ) -> tuple[list[Path], bool]:
        limit = self.options.limit
        length, blocked = 0, list[CellState]()
        solver = _solver(problem, amounts, blocked, meter)
        while length <= self.options.horizon:
            solver.extend(length)
            found: dict[tuple[object, ...], Path] = {}
            complete = True
            for model in solver.models():
                if limit is not None and len(found) == limit:
                    complete = False
                    break
                path = _path(problem, amounts, solver.path(model), _forced(model))
                found.setdefault((path.cells, path.actions), path)
            for path in found.values():
                _confirm(problem, amounts, path)
            kept = verdicts.confirmed(list(found.values()))
            if kept:
                return kept, complete
            if verdicts.blocked != blocked:
                blocked = verdicts.blocked
                solver = _solver(problem, amounts, blocked, meter)
                if not complete:
                    continue
            length += 1
        return [], True


class _ArithmeticSolver(PathSolver):
    """A path solver whose program has linear constraints."""

    def _load(self, text: str) -> None:
        from clingo.ast import ProgramBuilder, parse_string

        self._theory: Any = _clingcon().ClingconTheory()
        self._theory.register(self._control)
        with ProgramBuilder(self._control) as builder:
            parse_string(text, lambda part: self._theory.rewrite_ast(part, builder.add))

    def _ground(self, parts: Sequence[tuple[str, Sequence[Any]]]) -> None:
        super()._ground(parts)
        self._theory.prepare(self._control)


def _clingcon() -> Any:  # noqa: ANN401
    try:
        import clingcon
    except ImportError:
        raise MissingExtraError("clingcon", "arithmetic", "plan with arithmetic effects") from None
    return clingcon


def _solver(
    problem: Problem, amounts: Amounts, blocked: Sequence[CellState], meter: Meter
) -> PathSolver:
    facts: Facts = facts_of(problem, blocked)
    return _ArithmeticSolver(
        facts, _PROGRAMS, meter, options=["--project=show"], extra=amounts.facts()
    )


_Forced = dict[tuple[int, int], int]


def _forced(model: Any) -> _Forced:  # noqa: ANN401
    """Return the cell of each forced amount by inertia, by variable and time."""
    found: _Forced = {}
    for symbol in model.symbols(shown=True):
        if symbol.name == "base":
            feature, cell, time = (argument.number for argument in symbol.arguments)
            found[feature, time] = cell
    return found


def _path(problem: Problem, amounts: Amounts, found: CellPath, forced: _Forced) -> Path:
    """Turn a path over cells into concrete steps, amounts included."""
    actions = [action for action in found.actions if action is not None]
    states = problem.concrete(found.states, problem.values or {})
    for number in amounts.numbers:
        name = problem.names[number]
        links = _links(problem, amounts, found.states, actions, number, forced)
        for time, units in enumerate(amounts.nearest(number, links), start=1):
            states[time] = {**states[time], name: amounts.value(name, units)}
    steps: list[Step] = []
    for time, action in enumerate(actions, start=1):
        before, after = states[time - 1], states[time]
        # another value of an amount's cell may not suffice for what comes later
        moves = [
            Move(
                n,
                before[n],
                after[n],
                Cell.of(after[n]) if i in amounts.numbers else v.cells[found.states[time][i]],
                v.feature.unit,
            )
            for i, (n, v) in enumerate(zip(problem.names, problem.variables, strict=True))
            if before[n] != after[n] or i == action[0]
        ]
        direct = next(move for move in moves if move.feature == problem.names[action[0]])
        rest = tuple(move for move in moves if move is not direct)
        cost = cost_of(problem.world.features[action[0]], direct.old, direct.new)
        steps.append(Step(direct, rest, after, cost))
    return Path(states[0], tuple(steps), found.states, tuple(actions))


def _links(
    problem: Problem,
    amounts: Amounts,
    cells: Sequence[CellState],
    actions: Sequence[tuple[int, int]],
    number: int,
    forced: _Forced,
) -> list[Link]:
    """Return how one amount goes along a path."""
    links: list[Link] = []
    variable = problem.variables[number]
    for time, action in enumerate(actions, start=1):
        lower, upper = amounts.bounds(variable, cells[time][number])
        if action[0] == number:
            links.append(Link(lower, upper, "direct"))
            continue
        shift = amounts.shift(number, action)
        base = forced.get((number, time))
        if base is None:
            links.append(Link(lower, upper, "keep", shift))
        else:
            links.append(Link(lower, upper, "forced", shift, amounts.bounds(variable, base)))
    return links


def _confirm(problem: Problem, amounts: Amounts, path: Path) -> None:
    """Check a path by value: rules, goals, domains, side effects, well-founded moves."""
    fault = ""
    world = problem.world
    states = [path.start, *(step.state for step in path.steps)]
    for time, (state, cells) in enumerate(zip(states, path.cells, strict=True)):
        if problem.encode(world.state(state)) != cells:
            fault = f"state {time} lies in other cells"
        broken = world.violated(state)
        if broken and not problem.tolerated:
            fault = f"state {time} violates: {broken[0]}"
    for time, action in enumerate(path.actions, start=1):
        before, after = states[time - 1], states[time]
        base = dict(before)
        acted = problem.names[action[0]]
        base[acted] = after[acted]
        for number in amounts.numbers:
            name = problem.names[number]
            if number != action[0]:
                units = amounts.units(name, float(str(before[name]))) or 0
                base[name] = amounts.value(name, units + amounts.shift(number, action))
        origin = problem.encode(world.state(base))
        moved = {v for v in range(len(origin)) if origin[v] != path.cells[time][v]}
        if action[0] in moved or moved - set(foundations(problem, origin, path.cells[time])):
            fault = f"step {time} is no transition"
    if not world.goal.is_reached(world.decide(states[-1])):
        fault = "the last state is no goal"
    if fault:
        raise ReplayError(
            f"a path failed its replay: {fault}",
            {"start": dict(path.start), "steps": path.as_json(), "fault": fault},
        )

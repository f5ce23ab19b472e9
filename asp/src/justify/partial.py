"""What still matters when a state is only half known.

The possible decisions are those of the consistent ways to fill in the rest, each shown by a
witness.  An unknown feature still matters when two such ways differ in it alone (and in
unknown features that causal rules tie to it) and are decided differently; if the solver
refutes that, its value cannot change the decision any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from whyproof.asp.planning.facts import facts_of
from whyproof.asp.planning.solver import PathSolver
from whyproof.asp.rules import Literal, Operator, Value
from whyproof.asp.rules.values import text_of
from whyproof.asp.worlds.compile import compile_world
from whyproof.asp.worlds.problem import CellState, Problem
from whyproof.asp.worlds.world import State, World
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.errors import DataError

__all__ = ["Matters", "what_matters"]


@dataclass(frozen=True, slots=True)
class Matters:
    """What a half-filled state leaves open.

    Parameters
    ----------
    known
        The values that were given.
    decisions
        Every decision that is still possible, with a complete state that has it.
    matter
        Unknown features whose value can still change the decision, each with two states
        that differ in it and are decided differently.
    settled
        Unknown features that cannot: proved.
    """

    known: State
    decisions: tuple[tuple[Value, State], ...]
    matter: Mapping[str, tuple[State, State]]
    settled: tuple[str, ...]

    @property
    def is_decided(self) -> bool:
        """Whether only one decision is left."""
        return len(self.decisions) == 1

    def as_json(self) -> dict[str, object]:
        """Return everything as JSON."""
        return {
            "known": dict(self.known),
            "decisions": [{"label": label, "state": dict(s)} for label, s in self.decisions],
            "matter": {name: [dict(a), dict(b)] for name, (a, b) in self.matter.items()},
            "settled": list(self.settled),
        }

    def describe(self) -> str:
        """Say it in a few sentences."""
        labels = [text_of(label) or "undecided" for label, _ in self.decisions]
        if self.is_decided:
            text = f"The decision is {labels[0]}, whatever the rest."
        else:
            text = f"The decision can still be {', '.join(labels[:-1])} or {labels[-1]}."
        if self.matter:
            text += f" Still needed: {', '.join(self.matter)}."
        if self.settled:
            text += f" No longer needed: {', '.join(self.settled)}."
        return text


def what_matters(
    world: World, values: Mapping[str, object], *, meter: Meter | None = None
) -> Matters:
    """Tell which unknown features can still change the decision.

    Parameters
    ----------
    world
        With decision rules.
    values
        The known part of a state.
    meter
        Budget.

    Raises
    ------
    DataError
        If no consistent state has these values.

    Examples
    --------
    >>> from whyproof.asp.rules import read_rules
    >>> from whyproof.asp.worlds import world_from_toml
    >>> world = world_from_toml('''
    ... [features.age]
    ... type = "integers"
    ... [features.income]
    ... type = "integers"
    ... ''').with_decisions(read_rules("label = no :- age < 18. label = no :- income < 100."))
    >>> print(what_matters(world, {"age": 15}).describe())
    The decision is no, whatever the rest. No longer needed: income.
    >>> print(what_matters(world, {"age": 30}).describe())
    The decision can still be no or undecided. Still needed: income.
    """
    meter = meter or Budget().start()
    known = world.state(values, partial=True)
    own = [Literal(name, Operator.EQ, value) for name, value in known.items() if value is not None]
    problem = compile_world(world, literals=own)
    box = tuple(
        1 << v.cell_of(known[v.feature.name]) if v.feature.name in known else v.everything
        for v in problem.variables
    )
    labels: list[Value] = [rule.head.values[0] for rule in world.rules().rules]
    labels.append(world.rules().default)
    numbers: dict[str, int] = {}
    for label in labels:
        numbers.setdefault(text_of(label), len(numbers))
    names = {numbers[text_of(label)]: label for label in reversed(labels)}
    told = [f"labelled({k},{numbers[text_of(lab)]})." for k, lab in enumerate(labels[:-1])]
    told.append(f"default_label({numbers[text_of(labels[-1])]}).")
    facts = facts_of(problem, box=box)
    facts.lines += told
    decisions: list[tuple[Value, State]] = []
    matter: dict[str, tuple[State, State]] = {}
    settled: list[str] = []
    with PathSolver(facts, ["state", "matters"], meter, parts=("outcome",)) as solver:
        solver.ground_states(2, ("outcome",))
        everything = [("varies", (f,), True) for f in range(len(problem.variables))]
        if not solver.satisfiable():
            raise DataError("no consistent state has these values; one of them must change")
        for number, label in sorted(names.items()):
            for model in solver.models(1, [*everything, ("outcome", (number, 0), True)]):
                decisions.append((label, _state(problem, solver.path(model).states[0], known)))
        solver.ground_part("differ")
        for number, name in enumerate(problem.names):
            if name in known:
                continue
            tied = _tied(problem, number)
            assumptions = [("varies", (f,), f in tied) for f in range(len(problem.variables))]
            assumptions.append(("moves", (number,), True))
            pair: tuple[State, State] | None = None
            for model in solver.models(1, assumptions):
                states = solver.path(model).states
                pair = _state(problem, states[0], known), _state(problem, states[1], known)
            if pair is None:
                settled.append(name)
            else:
                matter[name] = pair
    return Matters(known, tuple(decisions), matter, tuple(settled))


def _tied(problem: Problem, number: int) -> set[int]:
    """Return a feature and those that rules of the world connect with it."""
    found = {number}
    while True:
        more = {v for scope in problem.scope if found & set(scope) for v in scope} - found
        if not more:
            return found
        found |= more


def _state(problem: Problem, cells: CellState, known: State) -> dict[str, Value]:
    return {
        v.feature.name: known.get(v.feature.name, v.cells[cell].nearest(0))
        for v, cell in zip(problem.variables, cells, strict=True)
    }

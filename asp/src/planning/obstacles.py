"""Why nothing shorter works: a smallest conflict of rules and restrictions.

The question "is there a path of at most n actions" is asked under assumptions: each causal
rule, denial and unwanted decision rule is in force, each feature keeps its restrictions.
When the answer is no, the solver names assumptions that suffice for it; deletion leaves a
set of which none can be spared (a minimal unsatisfiable subset).  Each element says: were
it not for this one, n actions could do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from whyproof.asp.worlds.causal import CausalRule, Denial
from whyproof.asp.worlds.feature import Change
from whyproof.asp.worlds.problem import CellState, Problem
from whyproof.engine.budget import Budget, Meter

from .facts import facts_of
from .solver import PathSolver, Stopped

__all__ = ["Obstacle", "ObstacleKind", "Obstacles", "obstacles"]


class ObstacleKind(StrEnum):
    """What stands in the way."""

    FEATURE = "feature"
    """A feature that actions may not change freely."""
    CAUSAL = "causal"
    """A causal rule or denial."""
    DECISION = "decision"
    """A decision rule for an unwanted label."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One element of the conflict.

    Parameters
    ----------
    kind
        What it is.
    name
        The feature, or the rule's text.
    text
        The element as a clause of a sentence.
    """

    kind: ObstacleKind
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Obstacles:
    """Why no path of at most `length` actions exists.

    Parameters
    ----------
    length
        Number of actions that do not suffice.
    elements
        Together they exclude every such path, one action per step being given; without
        any one of them there would be one.  Empty if nothing but the number of actions
        stands in the way.
    minimal
        Whether that was proved for each element.
    """

    length: int
    elements: tuple[Obstacle, ...]
    minimal: bool = True

    def describe(self) -> str:
        """Say it in one sentence."""
        many = "1 action" if self.length == 1 else f"{self.length} actions"
        many = "no action" if self.length == 0 else f"at most {many}"
        if not self.elements:
            return f"With {many} the goal is out of reach, whatever the rules."
        return f"With {many} the goal is out of reach because {_listed(self.elements)}."

    def as_json(self) -> dict[str, object]:
        """Return the conflict as JSON."""
        return {
            "length": self.length,
            "minimal": self.minimal,
            "elements": [
                {"kind": str(e.kind), "name": e.name, "text": e.text} for e in self.elements
            ],
        }


def obstacles(
    problem: Problem,
    length: int,
    blocked: Sequence[CellState] = (),
    meter: Meter | None = None,
) -> Obstacles | None:
    """Explain why a number of actions does not suffice.

    Parameters
    ----------
    problem
        With a start.
    length
        Number of actions; `None` is returned if that many do suffice.
    blocked
        States that do not count as goals.
    meter
        Budget; when it runs out, the conflict is not fully shrunk.

    Examples
    --------
    >>> from whyproof.asp.rules import read_rules
    >>> from whyproof.asp.worlds import compile_world, world_from_toml
    >>> world = world_from_toml('''
    ... [features.age]
    ... type = "integers"
    ... lower = 0
    ... upper = 120
    ... change = "frozen"
    ... ''').with_decisions(read_rules("label = no :- age < 18."))
    >>> print(obstacles(compile_world(world, {"age": 15}), 3).describe())
    With at most 3 actions the goal is out of reach because age can never change; and label = \
no if age < 18.
    """
    meter = meter or Budget().start()
    elements = _elements(problem)
    atoms = [atom for _, atoms in elements for atom in atoms]
    text = "\n".join(f"#external {name}({number})." for name, number in atoms)
    facts = facts_of(problem, blocked, relaxed=True)
    programs = ["state", "step", "inertia", "bounded", "relaxed"]
    with PathSolver(facts, programs, meter, extra=text) as solver:
        for name, number in atoms:
            solver.assign(name, (number,), None)
        solver.extend(length)
        kept = _core(solver, elements)
        if kept is None:
            return None
        minimal = True
        for element in list(kept):
            if element not in kept:
                continue
            try:
                smaller = _core(solver, [e for e in kept if e is not element])
            except Stopped:
                minimal = False
                break
            kept = kept if smaller is None else smaller
    return Obstacles(length, tuple(obstacle for obstacle, _ in kept), minimal)


_Element = tuple[Obstacle, tuple[tuple[str, int], ...]]


def _core(solver: PathSolver, elements: Sequence[_Element]) -> list[_Element] | None:
    """Return the elements of a conflict; `None` if there is a path."""
    core = solver.core([(name, (k,), False) for _, atoms in elements for name, k in atoms])
    if core is None:
        return None
    found = {(name, numbers[0]) for name, numbers in core}
    return [element for element in elements if found & set(element[1])]


def _elements(problem: Problem) -> list[_Element]:
    """Return what can be relaxed, each with the atoms that relax it."""
    found: list[_Element] = []
    for number, variable in enumerate(problem.variables):
        text = _restriction(problem, number)
        if text:
            obstacle = Obstacle(ObstacleKind.FEATURE, variable.feature.name, text)
            found.append((obstacle, (("loose", number),)))
    parts: dict[int, list[tuple[str, int]]] = {}
    origins: dict[int, CausalRule | Denial] = {}
    for number, origin in enumerate(problem.origins):
        parts.setdefault(id(origin), []).append(("off", number))
        origins[id(origin)] = origin
    for key, atoms in parts.items():
        text = str(origins[key])
        found.append((Obstacle(ObstacleKind.CAUSAL, text, text), tuple(atoms)))
    for number, decision in enumerate(problem.decisions):
        if not decision.reached:
            text = str(decision.origin)
            obstacle = Obstacle(ObstacleKind.DECISION, text, text)
            found.append((obstacle, (("skipped", number),)))
    return found


def _restriction(problem: Problem, number: int) -> str:
    """Say how actions on a feature are restricted, empty if they are not."""
    variable = problem.variables[number]
    feature = variable.feature
    words = {
        Change.UP: f"{feature.name} can only go up",
        Change.DOWN: f"{feature.name} can only go down",
        Change.IMMUTABLE: f"no action can change {feature.name}",
        Change.FROZEN: f"{feature.name} can never change",
        Change.ANY: "",
    }
    parts = [words[feature.change]] if words[feature.change] else []
    if feature.transitions is not None:
        parts.append(f"{feature.name} changes only as its transitions allow")
    if feature.max_change is not None:
        parts.append(f"{feature.name} changes by at most {feature.max_change:g} at a time")
    parts += [str(p.origin) for p in problem.preconditions if p.variable == number]
    if not parts and variable.targets != variable.everything:
        parts.append(f"{feature.name} cannot become missing")
    return " and ".join(parts)


def _listed(elements: Sequence[Obstacle]) -> str:
    texts = [element.text for element in elements]
    return texts[0] if len(texts) == 1 else f"{'; '.join(texts[:-1])}; and {texts[-1]}"

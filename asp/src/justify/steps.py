"""Why each step moved what it moved, and why nothing shorter works.

A step's tree has the direct action, under it every causal move with the rule that forced
it and the comparisons that made the rule's body true; a comparison that became true by
another causal move has that move below it (well-founded order gives the depth).  Features
that kept their values do so by inertia.
"""

from __future__ import annotations

from collections.abc import Sequence

from whyproof.asp.planning.obstacles import Obstacles, obstacles
from whyproof.asp.planning.path import Move, Path, Step
from whyproof.asp.planning.transition import foundations
from whyproof.asp.rules import Body, Literal
from whyproof.asp.worlds.causal import CausalRule
from whyproof.asp.worlds.problem import CellCausal, CellState, Problem
from whyproof.asp.worlds.world import State
from whyproof.engine.budget import Meter

from .decision import sentence, why_decision
from .reason import Reason, ReasonKind, literal_reason
from .words import and_list, body_words, value_words

__all__ = ["path_sentences", "why_path", "why_step"]


def why_path(
    problem: Problem,
    path: Path,
    *,
    blocked: Sequence[CellState] = (),
    shorter: bool = True,
    meter: Meter | None = None,
) -> Reason:
    """Justify a path: the decision before, each step, the decision after, the length.

    Parameters
    ----------
    problem
        The problem that the path solves (`Planner.problem`).
    path
        One of its paths.
    blocked
        Goals that the real model did not confirm.
    shorter
        Whether to explain why fewer actions do not suffice.
    meter
        Budget of that.
    """
    world = problem.world
    before = why_decision(world, path.start)
    children = [before]
    states = [path.start, *(step.state for step in path.steps)]
    for number, step in enumerate(path.steps):
        children.append(why_step(problem, path, number, states[number], step))
    if path.steps:
        children.append(why_decision(world, path.end))
        if shorter:
            conflict = obstacles(problem, path.length - 1, blocked, meter)
            if conflict is not None:
                children.append(_obstacle(conflict))
    many = "1 action" if path.length == 1 else f"{path.length} actions"
    return Reason(
        ReasonKind.PATH,
        f"{many} lead{'s' if path.length == 1 else ''} to {world.goal.describe()}"
        if path.length
        else f"the goal holds already: {world.goal.describe()}",
        True,
        tuple(children),
        {"length": path.length, "cost": path.cost},
    )


def why_step(problem: Problem, path: Path, number: int, before: State, step: Step) -> Reason:
    """Justify one step of a path; `number` counts from 0."""
    variable, cell = path.actions[number]
    old, after = path.cells[number], path.cells[number + 1]
    base = (*old[:variable], cell, *old[variable + 1 :])
    forced = foundations(problem, base, after)
    made: dict[str, Reason] = {}
    moves = {move.feature: move for move in step.causal}
    for head, rule in forced.items():
        name = problem.names[head]
        made[name] = _effect(problem, problem.causal[rule], moves[name], step.state, made)
    direct = step.direct
    text = f"step {number + 1}: {_moved(direct)} by direct action"
    kept = [n for n in problem.names if n != direct.feature and n not in moves]
    children = list(made.values())
    if kept:
        values = and_list([f"{name} {value_words(before[name])}" for name in kept])
        children.append(Reason(ReasonKind.KEPT, f"everything else keeps its value: {values}"))
    data: dict[str, object] = {"feature": direct.feature, "old": direct.old, "new": direct.new}
    return Reason(ReasonKind.ACTION, text, True, tuple(children), data)


def _effect(
    problem: Problem, rule: CellCausal, move: Move, after: State, made: dict[str, Reason]
) -> Reason:
    """Justify one causal move by the rule that forced it."""
    origin = rule.origin
    if rule.converse:
        children = _refutations(problem, rule, after, made)
    else:
        children = _holding(problem, origin, after, made)
    old = value_words(move.old, move.unit)
    text = f"{_moved(move)} as a consequence: the rule ({origin}) no longer allows {old}"
    data: dict[str, object] = {
        "feature": move.feature,
        "old": move.old,
        "new": move.new,
        "rule": str(origin),
    }
    if origin.position is not None:
        data["place"] = str(origin.position)
    return Reason(ReasonKind.EFFECT, text, True, children, data)


def _holding(
    problem: Problem, origin: CausalRule, after: State, made: dict[str, Reason]
) -> tuple[Reason, ...]:
    """Return the comparisons of the first body that holds."""
    for body in origin.bodies:
        if body.accepts(dict(after)):
            return tuple(_parts(problem, body, after, made, holds=True))
    return ()


def _refutations(
    problem: Problem, rule: CellCausal, after: State, made: dict[str, Reason]
) -> tuple[Reason, ...]:
    """Return for each body that must not hold what fails in it."""
    found: list[Reason] = []
    origin = rule.origin
    for other in problem.world.causal:
        if not other.iff or (other.heads, other.otherwise) != (origin.heads, origin.otherwise):
            continue
        for body in other.bodies:
            found += _parts(problem, body, after, made, holds=False)
    return tuple(found)


def _parts(
    problem: Problem, body: Body, after: State, made: dict[str, Reason], *, holds: bool
) -> list[Reason]:
    """Return all parts of a body that holds, or the first failing part of one that does not."""
    world = problem.world

    def leaf(literal: Literal) -> Reason:
        below = (made[literal.feature],) if literal.feature in made else ()
        return literal_reason(world, literal, after[literal.feature], below)

    exceptions = [(e, e.accepts(dict(after))) for e in body.exceptions]
    if holds:
        return [leaf(t) for t in body.literals] + [
            Reason(
                ReasonKind.EXCEPTION,
                f"the exception does not apply ({body_words(e)})",
                False,
                tuple(_parts(problem, e, after, made, holds=False)),
            )
            for e, _ in exceptions
        ]
    failing = [leaf(t) for t in body.literals if not t.accepts(after[t.feature])]
    failing += [
        Reason(
            ReasonKind.EXCEPTION,
            f"the exception applies ({body_words(e)})",
            True,
            tuple(_parts(problem, e, after, made, holds=True)),
        )
        for e, applies in exceptions
        if applies
    ]
    return failing[:1]


def _obstacle(conflict: Obstacles) -> Reason:
    children = tuple(
        Reason(ReasonKind.OBSTACLE, element.text, True, (), {"kind": str(element.kind)})
        for element in conflict.elements
    )
    many = "no action" if conflict.length == 0 else f"at most {conflict.length} action"
    many += "s" if conflict.length > 1 else ""
    text = f"nothing shorter works: with {many} the goal is out of reach, because of"
    return Reason(ReasonKind.OBSTACLE, text, True, children, conflict.as_json())


def path_sentences(problem: Problem, path: Path, conflict: Obstacles | None = None) -> list[str]:
    """Write a path as plain sentences, every comparison included.

    Parameters
    ----------
    problem, path
        As for `why_path`.
    conflict
        Why nothing shorter works, if that is known.
    """
    found = [sentence(why_decision(problem.world, path.start))]
    states = [path.start, *(step.state for step in path.steps)]
    for number, step in enumerate(path.steps):
        tree = why_step(problem, path, number, states[number], step)
        text = f"Step {number + 1}: change {_moved(step.direct)}{_range(step.direct)}."
        for effect in tree.children:
            if effect.kind is ReasonKind.EFFECT:
                move = next(m for m in step.causal if m.feature == effect.data["feature"])
                because = and_list([leaf.text for leaf in effect.literals()])
                text += f" Then {_moved(move)}{_range(move)}, because {because or 'it must'}."
        found.append(text)
    if path.steps:
        found.append(sentence(why_decision(problem.world, path.end)))
    if conflict is not None:
        found.append(conflict.describe())
    return found


def _moved(move: Move) -> str:
    old, new = value_words(move.old, move.unit), value_words(move.new, move.unit)
    return f"{move.feature} from {old} to {new}"


def _range(move: Move) -> str:
    return "" if move.cell.single else f" (any of {move.cell.describe()} does)"

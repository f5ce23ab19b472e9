"""Causal worlds in searches for nearest changes: only what a person does is paid for.

The world's causal rules and denials become constraints of the space, what may be done to a
feature becomes an action, and each causal rule a `Cause`: where its body holds in the state that is
reached and its heads do not admit the old value, the feature moves at no cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from whyproof.asp.worlds import World
from whyproof.asp.worlds.cells import Cell
from whyproof.asp.worlds.compile import compile_world
from whyproof.asp.worlds.feature import Change, WorldFeature
from whyproof.asp.worlds.problem import Conjunction, Problem, bits
from whyproof.encodings.constraints.constraint import Constraint
from whyproof.encodings.constraints.formula import Every, Formula, In, Some
from whyproof.encodings.constraints.values import Values
from whyproof.encodings.recourse.actions import Action, Actions
from whyproof.encodings.recourse.causes import Cause, Causes
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.names import did_you_mean
from whyproof.engine.space import FeatureSpace

__all__ = ["WorldRules", "world_rules"]


@dataclass(frozen=True)
class WorldRules:
    """What a world says about changes of a person, for `NearestSearch`.

    Parameters
    ----------
    space
        The space with the world's rules as constraints.
    actions
        What may be done to features that nothing causes.
    causes
        Effects, and what may be done to features that they move.
    """

    space: FeatureSpace
    actions: Actions
    causes: Causes

    def joined(self, actions: Actions) -> Actions:
        """Return the actions with those of a user, which may narrow but not contradict them.

        Raises
        ------
        DataError
            If a feature is to rise and to fall; the message names it.
        """
        made = dict(self.actions.by_feature)
        for index, action in actions.by_feature.items():
            own = made.get(index, Action())
            if own.direction in ("any", action.direction):
                made[index] = replace(action, step=action.step or own.step)
            elif "stay" in (own.direction, action.direction):
                made[index] = Action("stay")
            elif action.direction == "any":
                made[index] = replace(action, direction=own.direction, step=action.step or own.step)
            else:
                raise DataError(
                    f"the rules for {self.space.names[index]!r} contradict each other: the world "
                    f"says {own.direction}, the rule {action.direction}; keep one of them"
                )
        return Actions(made)


def world_rules(world: World, space: FeatureSpace) -> WorldRules:
    """Translate a world for a search over the columns of a model.

    Parameters
    ----------
    world
        Features, causal rules, denials; its decision rules are not used, since the model decides.
    space
        The model's inputs.

    Raises
    ------
    DataError
        If a rule speaks of a feature that is no column of the model.
    UnsupportedError
        For preconditions and arithmetic effects, which need an order of actions.

    Examples
    --------
    >>> from whyproof.asp.rules import read_heads
    >>> from whyproof.asp.worlds import CausalRule
    >>> from whyproof.engine.domain import Integers
    >>> [rule] = read_heads("score >= 620 :- debt = 0.")
    >>> world = World(
    ...     (WorldFeature("debt", Integers(lower=0, upper=9)),
    ...      WorldFeature("score", Integers(lower=300, upper=850), Change.IMMUTABLE)),
    ...     (CausalRule((rule.head,), (rule.body,)),))
    >>> space = FeatureSpace.of(["debt", "score"], {
    ...     "debt": Integers(lower=0, upper=9), "score": Integers(lower=300, upper=850)})
    >>> made = world_rules(world, space)
    >>> made.space.constraints[0].name, len(made.causes.causes)
    ('score >= 620 if debt = 0', 1)
    """
    if world.preconditions or world.effects:
        what = world.preconditions[0] if world.preconditions else world.effects[0]
        raise UnsupportedError(
            f"nearest changes reach one state at once and know no order of actions, so not this "
            f"rule: {what}; use whyproof plan"
        )
    problem = compile_world(replace(world, decisions=None))
    columns = _columns(problem, space)
    translate = _Translation(problem, space, columns)
    causes: list[Cause] = []
    constraints: list[Constraint] = []
    for rule in problem.causal:
        tests = translate.tests(rule.tests)
        head = In(columns[rule.head], translate.values(rule.head, rule.allowed))
        unless: list[Formula] = [In(t.column, ~t.values & _all(space, t.column)) for t in tests]
        text = f"otherwise of: {rule.origin}" if rule.converse else str(rule.origin)
        constraints.append(Constraint(text, Some((*unless, head)), str(rule.origin.position or "")))
        causes.append(Cause(head.column, head.values, tuple(tests)))
    for denial in problem.denials:
        tests = translate.tests(denial.tests)
        unless = [In(t.column, ~t.values & _all(space, t.column)) for t in tests]
        constraints.append(Constraint(str(denial.origin), Some(tuple(unless))))
    caused = {cause.column for cause in causes}
    actions: dict[int, Action] = {}
    direct: dict[int, Callable[[float], Values]] = {}
    texts: dict[int, str] = {}
    for number, feature in enumerate(world.features):
        column = columns.get(number)
        if column is None:
            continue
        index = int(space.owner[column])
        if column in caused and feature.change is not Change.FROZEN:
            if feature.change is not Change.ANY or feature.transitions is not None:
                direct[column] = translate.reach(number)
                texts[column] = _limit_in_words(feature)
        else:
            actions[index] = _action(feature)
            if feature.transitions is not None:
                constraints += translate.transitions(number)
    kept = Every(())
    joined = (*space.constraints, *(c for c in constraints if c.formula != kept))
    return WorldRules(
        replace(space, constraints=joined),
        Actions(actions),
        Causes(tuple(causes), direct, texts),
    )


def _columns(problem: Problem, space: FeatureSpace) -> dict[int, int]:
    """Return the column of each feature; refuse rules about anything else."""
    names = [column.name for column in space.columns]
    spoken = {v for rule in problem.causal for v in (rule.head, *(t for t, _ in rule.tests))}
    spoken |= {v for denial in problem.denials for v, _ in denial.tests}
    found: dict[int, int] = {}
    for number, name in enumerate(problem.names):
        if name in names:
            found[number] = names.index(name)
        elif number in spoken:
            raise DataError(
                f"a rule of the world speaks of {name!r}, which is no column of the model"
                f"{did_you_mean(name, names)}; nearest changes need it there (a plan does not)"
            )
    return found


def _all(space: FeatureSpace, column: int) -> Values:
    return Values.admissible(space.columns[column].domain)


def _action(feature: WorldFeature) -> Action:
    step = feature.step if feature.is_numeric else None
    match feature.change:
        case Change.UP:
            return Action("up", step=step)
        case Change.DOWN:
            return Action("down", step=step)
        case Change.ANY:
            return Action(step=step)
        case _:
            return Action("stay")


def _limit_in_words(feature: WorldFeature) -> str:
    way = {
        Change.UP: "only rises",
        Change.DOWN: "only falls",
        Change.IMMUTABLE: "does not move",
    }.get(feature.change, "moves as its transitions say")
    return f"{feature.name} {way}, except by an effect"


class _Translation:
    """Cells of a world as values of columns."""

    def __init__(self, problem: Problem, space: FeatureSpace, columns: Mapping[int, int]) -> None:
        self.problem, self.space, self.columns = problem, space, columns

    def tests(self, conjunction: Conjunction) -> list[In]:
        """Return a conjunction as memberships."""
        return [In(self.columns[v], self.values(v, mask)) for v, mask in conjunction]

    def values(self, variable: int, mask: int) -> Values:
        """Return the values of some cells."""
        cells = self.problem.variables[variable].cells
        found = Values.nothing()
        for number in bits(mask):
            found |= self._cell(variable, cells[number])
        return found

    def _cell(self, variable: int, cell: Cell) -> Values:
        domain = self.space.columns[self.columns[variable]].domain
        if cell.is_missing:
            return Values.only_missing()
        if cell.single:
            try:
                return Values.of([domain.encode(cell.value)])
            except DataError:
                # The world knows a value that the model's column does not.
                return Values.nothing()
        low = Values.above(cell.lower) if cell.lower_open else Values.at_least(cell.lower)
        high = Values.below(cell.upper) if cell.upper_open else Values.at_most(cell.upper)
        return low & high

    def reach(self, variable: int) -> Callable[[float], Values]:
        """Return where direct moves lead, as a function of the value before."""
        feature = self.problem.variables[variable].feature
        column = self.columns[variable]
        closure = self._closure(variable)

        def reached(before: float) -> Values:
            if feature.change is Change.IMMUTABLE:
                return _only(before)
            values = _all(self.space, column)
            if feature.change is Change.UP:
                values &= Values.at_least(before)
            elif feature.change is Change.DOWN:
                values &= Values.at_most(before)
            if closure is not None:
                values &= closure.get(before, Values.nothing()) | _only(before)
            return values

        return reached

    def _closure(self, variable: int) -> dict[float, Values] | None:
        """Return by value all values that chains of transitions lead to."""
        feature = self.problem.variables[variable].feature
        if feature.transitions is None:
            return None
        domain = self.space.columns[self.columns[variable]].domain
        after: dict[float, set[float]] = {}
        for old, new in feature.transitions:
            after.setdefault(domain.encode(old), set()).add(domain.encode(new))
        found: dict[float, Values] = {}
        for start in after:
            seen, waiting = set[float](), [start]
            while waiting:
                for value in after.get(waiting.pop(), ()):
                    if value not in seen:
                        seen.add(value)
                        waiting.append(value)
            found[start] = Values.of(sorted(seen))
        return found

    def transitions(self, variable: int) -> Sequence[Constraint]:
        """Return what transitions allow as constraints about changes."""
        from whyproof.encodings.constraints.formula import Was

        name = self.problem.names[variable]
        column = self.columns[variable]
        everything = _all(self.space, column)
        closure = self._closure(variable) or {}
        made: list[Constraint] = []
        listed = {code for values in everything.intervals for code in _whole(values)}
        for before in sorted(listed):
            reached = closure.get(before, Values.nothing()) | Values.of([before])
            others = everything & ~Values.of([before])
            parts: tuple[Formula, ...] = (Was(column, others), In(column, reached))
            label = self.space.columns[column].domain.decode(before)
            made.append(Constraint(f"transitions of {name} from {label}", Some(parts)))
        return made


def _whole(interval: tuple[float, float]) -> list[float]:
    return [float(code) for code in range(math.ceil(interval[0]), math.floor(interval[1]) + 1)]


def _only(value: float) -> Values:
    return Values.only_missing() if math.isnan(value) else Values.of([value])

"""Compiling a world into cells: cuts, masks, and bodies as disjunctions of conjunctions."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import product

from whyproof.asp.rules import Body, Literal, Position, RuleError, Value
from whyproof.asp.rules.values import number_of, text_of
from whyproof.engine.domain import Boolean
from whyproof.engine.errors import DataError

from .causal import CausalRule, Denial
from .cells import Cell, cells_of
from .feature import Change, WorldFeature
from .problem import (
    CellBody,
    CellCausal,
    CellDecision,
    CellDenial,
    CellPrecondition,
    Conjunction,
    Problem,
    Test,
    Variable,
)
from .world import World

__all__ = ["MAX_CONJUNCTIONS", "compile_world"]

MAX_CONJUNCTIONS = 4096
"""Most conjunctions that the bodies of one rule may expand to."""

_MOVE_CELLS = 5_000
"""Most cells of a feature whose moves are listed cell by cell."""


def compile_world(
    world: World,
    state: Mapping[str, Value] | None = None,
    *,
    literals: Sequence[Literal] = (),
    ends: bool = False,
    tolerate: bool = False,
    uncut: Collection[str] = (),
) -> Problem:
    """Cut a world into cells.

    Parameters
    ----------
    world
        Features and rules.
    state
        A person's complete state: every value becomes a cell of its own, and a goal that
        is open becomes "any other decision".
    literals
        Further tests that cells must respect.
    ends
        Whether to replace an interval of a feature with a cost per unit by its ends, the
        only values that a cheapest path needs (on the number line some cheapest path
        stops at ends of cells alone).
    tolerate
        Whether rules that the start violates count only once touched.
    uncut
        Features whose own value gets no cell.

    Raises
    ------
    RuleError
        If a rule expands to more than `MAX_CONJUNCTIONS` conjunctions.
    DataError
        If a feature has too many cells.

    Examples
    --------
    >>> from whyproof.asp.rules import read_rules
    >>> from whyproof.engine.domain import Integers
    >>> rules = read_rules("label = reject :- balance < 60000.")
    >>> world = World((WorldFeature("balance", Integers(lower=0, upper=10**9)),), decisions=rules)
    >>> problem = compile_world(world, {"balance": 40000})
    >>> [cell.describe() for cell in problem.variables[0].cells], problem.start
    (['0 .. 39999', '40000', '40001 .. 59999', '60000 .. 1000000000'], (1,))
    """
    return _Compiler(world, state, literals, ends, uncut).problem(tolerate)


class _Compiler:
    def __init__(
        self,
        world: World,
        state: Mapping[str, Value] | None,
        literals: Sequence[Literal],
        ends: bool,
        uncut: Collection[str],
    ) -> None:
        self.world = world
        self.state = state
        self.masks: dict[Literal, int] = {}
        by_feature: dict[str, list[Literal]] = {name: [] for name in world.names}
        for literal in (*world.literals(), *literals):
            by_feature[literal.feature].append(literal)
        own = {} if state is None else {n: v for n, v in state.items() if n not in uncut}
        self.variables = tuple(
            _variable(f, by_feature[f.name], own.get(f.name), ends) for f in world.features
        )

    def problem(self, tolerate: bool) -> Problem:
        world = self.world
        goal = world.goal
        if self.state is not None and world.decisions is not None:
            goal = goal.for_decision(world.decide(self.state))
            world = replace(world, goal=goal)
        rules = () if world.decisions is None else world.decisions.rules
        problem = Problem(
            world,
            self.variables,
            tuple(self.causal()),
            tuple(
                CellDenial(conjunction, denial, self.scope([denial]))
                for denial in world.denials
                for conjunction in self.any_of(denial.bodies, denial.position)
            ),
            tuple(
                CellPrecondition(
                    world.index[p.feature],
                    self.all_of(p.source, p.feature),
                    self.all_of(p.target, p.feature),
                    tuple(self.any_of(p.requires, p.position)),
                    p,
                )
                for p in world.preconditions
            ),
            tuple(
                CellDecision(self.body(r.body), goal.is_reached(r.head.values[0]), r) for r in rules
            ),
            world.decisions is not None and goal.is_reached(world.decisions.default),
        )
        if self.state is None:
            return problem
        problem = replace(problem, start=problem.encode(self.state), values=dict(self.state))
        if tolerate and problem.start is not None:
            broken = frozenset(problem.violations(problem.start))
            problem = replace(problem, tolerated=broken)
        return problem

    def causal(self) -> list[CellCausal]:
        found: list[CellCausal] = []
        groups: dict[object, list[CausalRule]] = {}
        for rule in self.world.causal:
            head = self.world.index[rule.feature]
            allowed = self.all_of(rule.heads, rule.feature)
            found += [
                CellCausal(conjunction, head, allowed, rule, self.scope([rule]))
                for conjunction in self.any_of(rule.bodies, rule.position)
            ]
            if rule.iff:
                groups.setdefault((rule.heads, rule.otherwise), []).append(rule)
        for rules in groups.values():
            name = rules[0].feature
            instead = self.all_of(rules[0].otherwise, name)
            if not rules[0].otherwise:
                instead &= ~self.all_of(rules[0].heads, name)
            bodies = [body for rule in rules for body in rule.bodies]
            found += [
                CellCausal(
                    conjunction, self.world.index[name], instead, rules[0], self.scope(rules), True
                )
                for conjunction in self.none_of(bodies, rules[0].position)
            ]
        return found

    def scope(self, statements: Sequence[CausalRule | Denial]) -> tuple[int, ...]:
        names = [literal.feature for statement in statements for literal in statement.literals]
        return tuple(sorted({self.world.index[name] for name in names}))

    def mask(self, literal: Literal) -> int:
        """Return the mask of the cells that satisfy a literal."""
        known = self.masks.get(literal)
        if known is None:
            variable = self.variables[self.world.index[literal.feature]]
            tested = _tested(variable.feature, literal)
            known = sum(1 << i for i, c in enumerate(variable.cells) if tested.accepts(_inner(c)))
            self.masks[literal] = known
        return known

    def test(self, literal: Literal) -> Test:
        return self.world.index[literal.feature], self.mask(literal)

    def all_of(self, literals: Sequence[Literal], feature: str) -> int:
        mask = self.variables[self.world.index[feature]].everything
        for literal in literals:
            mask &= self.mask(literal)
        return mask

    def body(self, body: Body) -> CellBody:
        merged = self.merged([self.test(literal) for literal in body.literals])
        tests = ((0, 0),) if merged is None else merged
        return CellBody(tests, tuple(self.body(exception) for exception in body.exceptions))

    def merged(self, tests: Sequence[Test]) -> Conjunction | None:
        """Join the tests of each variable; `None` if nothing satisfies them."""
        masks: dict[int, int] = {}
        for variable, mask in tests:
            masks[variable] = masks.get(variable, self.variables[variable].everything) & mask
        if 0 in masks.values():
            return None
        return tuple((v, m) for v, m in masks.items() if m != self.variables[v].everything)

    def any_of(self, bodies: Sequence[Body], position: Position | None) -> list[Conjunction]:
        """Return conjunctions whose disjunction is that of the bodies."""
        found: dict[frozenset[Test], Conjunction] = {}
        for body in bodies:
            factors = [[self.merged([self.test(literal)])] for literal in body.literals]
            factors += [self.none_of_body(exception, position) for exception in body.exceptions]
            self.join(factors, found, position)
        return list(found.values())

    def none_of(self, bodies: Sequence[Body], position: Position | None) -> list[Conjunction]:
        """Return conjunctions whose disjunction says that none of the bodies holds."""
        found: dict[frozenset[Test], Conjunction] = {}
        self.join([self.none_of_body(body, position) for body in bodies], found, position)
        return list(found.values())

    def none_of_body(self, body: Body, position: Position | None) -> list[Conjunction | None]:
        ways: list[Conjunction | None] = [
            self.merged([self.test(literal.complement)]) for literal in body.literals
        ]
        for exception in body.exceptions:
            ways += self.any_of([exception], position)
        return ways

    def join(
        self,
        factors: Sequence[Sequence[Conjunction | None]],
        found: dict[frozenset[Test], Conjunction],
        position: Position | None,
    ) -> None:
        """Add the satisfiable choices of one conjunction from each factor."""
        if math.prod(len(factor) for factor in factors) > MAX_CONJUNCTIONS * 16:
            raise _too_many(position)
        for choice in product(*factors):
            if any(part is None for part in choice):
                continue
            joined = self.merged([test for part in choice if part for test in part])
            if joined is not None:
                found.setdefault(frozenset(joined), joined)
        if len(found) > MAX_CONJUNCTIONS:
            raise _too_many(position)


def _too_many(position: Position | None) -> RuleError:
    return RuleError(
        f"the rule expands to more than {MAX_CONJUNCTIONS} conjunctions; use membership in a "
        "set, or fewer and simpler exceptions",
        position,
    )


def _variable(
    feature: WorldFeature, literals: Sequence[Literal], own: Value | None, ends: bool
) -> Variable:
    cells = cells_of(feature, literals, own)
    group = tuple(range(len(cells)))
    if ends and feature.cost_per_unit and feature.is_numeric:
        cells, group = _ends(cells)
    everything = (1 << len(cells)) - 1
    reachable = everything
    if cells[-1].is_missing and not feature.may_become_missing:
        reachable = everything >> 1
    fixed = feature.change in (Change.FROZEN, Change.IMMUTABLE)
    return Variable(
        feature,
        cells,
        0 if fixed else reachable,
        None if fixed else _moves(feature, cells),
        0 if feature.change is Change.FROZEN else reachable,
        group,
    )


def _ends(cells: Sequence[Cell]) -> tuple[tuple[Cell, ...], tuple[int, ...]]:
    """Replace intervals by their ends."""
    found: list[Cell] = []
    group: list[int] = []
    for number, cell in enumerate(cells):
        values = [cell.value] if cell.single else list(dict.fromkeys([cell.first, cell.last]))
        found += [Cell.of(value) for value in values]
        group += [number] * len(values)
    return tuple(found), tuple(group)


def _moves(feature: WorldFeature, cells: Sequence[Cell]) -> tuple[int, ...] | None:
    """Return per cell the mask that transitions and the largest change leave."""
    if feature.transitions is None and feature.max_change is None:
        return None
    if len(cells) > _MOVE_CELLS:
        raise DataError(
            f"feature {feature.name!r}: max_change makes {len(cells)} single values, more than "
            f"{_MOVE_CELLS}; give it narrower bounds or a larger step"
        )
    moves = [(1 << len(cells)) - 1] * len(cells)
    if feature.transitions is not None:
        place = {text_of(cell.value): i for i, cell in enumerate(cells)}
        moves = [0] * len(cells)
        for old, new in feature.transitions:
            moves[place[text_of(feature.value(old))]] |= 1 << place[text_of(feature.value(new))]
    if feature.max_change is not None:
        marks = [
            number_of(cell.value) if feature.is_numeric else float(i)
            for i, cell in enumerate(cells)
            if not cell.is_missing
        ]
        # the missing value, which is last, has no distance to any other
        missing = (1 << len(cells)) - (1 << len(marks))
        reach = feature.max_change * (1 + 1e-12)
        for i, mark in enumerate(marks):
            first = bisect_left(marks, mark - reach)
            last = bisect_right(marks, mark + reach)
            moves[i] &= (1 << last) - (1 << first) | missing
    return tuple(moves)


def _inner(cell: Cell) -> Value:
    """Return a value in the cell, for tests that cannot tell its values apart."""
    return cell.value if cell.single else cell.first


def _tested(feature: WorldFeature, literal: Literal) -> Literal:
    """Return the literal with truth values spelled as the domain has them."""
    if not isinstance(feature.domain, Boolean) or literal.operator.is_order:
        return literal
    try:
        values = tuple(feature.value(value) for value in literal.values)
    except DataError:
        return literal
    return replace(literal, value=values if isinstance(literal.value, tuple) else values[0])

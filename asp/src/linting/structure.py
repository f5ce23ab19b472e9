"""Rules of a world against each other: empty spaces, contradictions, cycles, subsumption."""

from __future__ import annotations

from collections.abc import Iterable

from whyproof.asp.rules import Body, Literal
from whyproof.asp.worlds.causal import CausalRule
from whyproof.asp.worlds.problem import CellCausal, Conjunction, Problem
from whyproof.asp.worlds.world import World

from .finding import Finding, Severity
from .space import StateSpace

__all__ = ["contradictory_literals", "structure_findings"]


def structure_findings(world: World, problem: Problem, space: StateSpace) -> list[Finding]:
    """Return what is wrong with the rules of a world taken together."""
    found = list(_empty(space))
    if found:
        return found
    found += _unreachable_bodies(world, problem, space)
    found += _contradictions(problem)
    found += _cycles(world)
    found += _subsumed(problem)
    found += _own_heads(world)
    found += _untested(world)
    return found


def _empty(space: StateSpace) -> Iterable[Finding]:
    if space.witness() is not None:
        return
    rules = space.conflict()
    yield Finding(
        Severity.ERROR,
        "empty-world",
        f"no state satisfies all rules of the world; {len(rules)} of them suffice for that, "
        "change one",
        rules[0].position if rules else None,
        proof="; ".join(map(str, rules)),
        data={"rules": [str(rule) for rule in rules]},
    )


def _unreachable_bodies(world: World, problem: Problem, space: StateSpace) -> Iterable[Finding]:
    for rule in world.statements:
        for body in rule.bodies:
            clash = contradictory_literals(problem, body)
            if clash:
                shown = " and ".join(map(str, clash))
                yield Finding(
                    Severity.WARNING,
                    "unreachable-body",
                    f"the condition of ({rule}) never holds",
                    clash[0].position or rule.position,
                    proof=f"{shown} exclude each other",
                )
    for number, causal in enumerate(problem.causal):
        if causal.converse or not causal.tests:
            continue
        if space.witness(("active", (number, 0), True)) is None:
            rules = space.conflict(("active", (number, 0), True))
            if rules:
                yield Finding(
                    Severity.WARNING,
                    "unreachable-body",
                    f"the condition of ({causal.origin}) never holds in a consistent state",
                    causal.origin.position,
                    proof=f"excluded by {'; '.join(map(str, rules))}",
                )


def contradictory_literals(problem: Problem, body: Body) -> list[Literal]:
    r"""Return a smallest set of literals of one feature that exclude each other, if any.

    Examples
    --------
    >>> from whyproof.asp.worlds import compile_world, world_from_toml
    >>> from whyproof.asp.rules import read_rules
    >>> rules = read_rules("label = no :- age < 18, age > 30, age > 5.")
    >>> world = world_from_toml('[features.age]\ntype = "integers"').with_decisions(rules)
    >>> body = rules.rules[0].body
    >>> [str(t) for t in contradictory_literals(compile_world(world), body)]
    ['age < 18', 'age > 30']
    """
    by_feature: dict[str, list[Literal]] = {}
    for literal in body.literals:
        by_feature.setdefault(literal.feature, []).append(literal)
    for name, literals in by_feature.items():
        cells = problem.variables[problem.world.index[name]].cells
        values = [cell.value if cell.single else cell.first for cell in cells]

        def possible(tests: list[Literal], values: list[object] = list(values)) -> bool:  # noqa: B006
            return any(all(test.accepts(value) for test in tests) for value in values)

        if possible(literals):
            continue
        kept = list(literals)
        for literal in literals:
            rest = [other for other in kept if other is not literal]
            if not possible(rest):
                kept = rest
        return kept
    return []


def _contradictions(problem: Problem) -> Iterable[Finding]:
    """Yield pairs of rules that demand different values of one feature at the same time."""
    told: set[tuple[int, int]] = set()
    for i, one in enumerate(problem.causal):
        for other in problem.causal[i + 1 :]:
            pair = (id(one.origin), id(other.origin))
            if one.head != other.head or one.allowed & other.allowed or pair in told:
                continue
            if one.origin is other.origin or not _compatible(one.tests, other.tests):
                continue
            told.add(pair)
            yield Finding(
                Severity.WARNING,
                "contradictory-rules",
                f"({one.origin}) and ({other.origin}) demand different values; where both "
                "conditions hold no state exists, and no action can lead there",
                other.origin.position,
                data={"rules": [str(one.origin), str(other.origin)]},
            )


def _compatible(one: Conjunction, other: Conjunction) -> bool:
    masks = dict(one)
    return all(masks.get(variable, mask) & mask for variable, mask in other)


def _cycles(world: World) -> Iterable[Finding]:
    """Yield cycles of features that move each other."""
    moved_by: dict[str, dict[str, CausalRule]] = {}
    for rule in world.causal:
        for body in rule.bodies:
            for literal in body.all_literals():
                if literal.feature != rule.feature:
                    moved_by.setdefault(literal.feature, {}).setdefault(rule.feature, rule)
    told: set[frozenset[str]] = set()
    for start in moved_by:
        path = _way_back(start, moved_by)
        if path and frozenset(path) not in told:
            told.add(frozenset(path))
            yield Finding(
                Severity.NOTE,
                "cyclic-heads",
                f"features move each other in a cycle: {' -> '.join([*path, path[0]])}; effects "
                "are still well-founded",
                moved_by[path[0]][path[1 % len(path)]].position,
            )


def _way_back(start: str, moved_by: dict[str, dict[str, CausalRule]]) -> list[str]:
    """Return the shortest cycle through a feature, empty if there is none."""
    waiting, seen = [[start]], {start}
    while waiting:
        path = waiting.pop(0)
        for target in moved_by.get(path[-1], {}):
            if target == start:
                return path
            if target not in seen:
                seen.add(target)
                waiting.append([*path, target])
    return []


def _subsumed(problem: Problem) -> Iterable[Finding]:
    """Yield causal rules that say no more than another one."""
    told: set[int] = set()
    by_origin: dict[int, list[CellCausal]] = {}
    for rule in problem.causal:
        by_origin.setdefault(id(rule.origin), []).append(rule)
    for key, parts in by_origin.items():
        for other_key, others in by_origin.items():
            if key == other_key or key in told or other_key in told:
                continue
            if all(any(_implies(part, other) for other in others) for part in parts):
                told.add(key)
                yield Finding(
                    Severity.WARNING,
                    "subsumed-rule",
                    f"({parts[0].origin}) says no more than ({others[0].origin}); leave it out",
                    parts[0].origin.position,
                )


def _implies(part: CellCausal, other: CellCausal) -> bool:
    """Tell whether `other` demands at least as much wherever `part` does."""
    if part.head != other.head or other.allowed & ~part.allowed:
        return False
    masks = dict(part.tests)
    return all(v in masks and not masks[v] & ~mask for v, mask in other.tests)


def _own_heads(world: World) -> Iterable[Finding]:
    for rule in world.causal:
        tests = [literal for body in rule.bodies for literal in body.all_literals()]
        if any(literal.feature == rule.feature for literal in tests):
            yield Finding(
                Severity.WARNING,
                "own-head",
                f"({rule}) tests the feature that it moves; it can forbid states but force nothing",
                rule.position,
            )


def _untested(world: World) -> Iterable[Finding]:
    tested = {literal.feature for literal in world.literals()}
    tested |= {name for effect in world.effects for name in (effect.action, effect.feature)}
    for feature in world.features:
        if feature.name not in tested:
            yield Finding(
                Severity.NOTE,
                "untested-feature",
                f"no rule tests {feature.name!r}, so that changing it never helps",
                feature.position,
            )

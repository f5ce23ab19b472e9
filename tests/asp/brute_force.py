"""Random worlds, and planning in them by plain enumeration over values.

Nothing here uses cells, masks or a solver: states are values, rules are asked through
`Literal.accepts`, and a transition is looked for among all combinations of values.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterator

from whyproof.asp.rules import Body, Literal, Operator, Rule, RuleSet
from whyproof.asp.worlds import (
    CausalRule,
    Change,
    Denial,
    Goal,
    Precondition,
    World,
    WorldFeature,
)
from whyproof.engine.domain import Categories, Integers

State = tuple
Listed = dict[str, tuple[object, ...]]


def random_world(
    seed: int, *, most_features: int = 5, repairs: bool = False
) -> tuple[World, dict[str, object]]:
    """Make a small world, cyclic rules and mixed mutability included, and a start in it."""
    r = random.Random(seed)
    features = []
    stairs = r.random() < 0.4
    for i in range(r.randint(2, most_features)):
        name = f"f{i}"
        change = r.choice(
            [Change.ANY] * 5 + [Change.UP, Change.DOWN, Change.IMMUTABLE, Change.FROZEN]
        )
        if stairs:
            change = r.choice([Change.ANY] * 6 + [Change.UP] * 2 + [Change.IMMUTABLE])
        if r.random() < (0.8 if stairs else 0.4):
            upper = r.randint(2, 4) if stairs else r.randint(1, 5)
            limit = (
                r.choice([1] if stairs else [None, None, 1, 2])
                if change in (Change.ANY, Change.UP)
                else None
            )
            features.append(
                WorldFeature(name, Integers(lower=0, upper=upper), change, max_change=limit)
            )
        else:
            names = tuple("abcd"[: r.randint(2, 4)])
            pairs = None
            if r.random() < 0.15:
                every = list(itertools.permutations(names, 2))
                pairs = tuple(r.sample(every, r.randint(1, len(every))))
            features.append(WorldFeature(name, Categories(values=names), change, transitions=pairs))

    def literal(f: WorldFeature) -> Literal:
        if f.is_numeric:
            upper = int(f.domain.bounds[1])
            operator = r.choice([Operator.LE, Operator.GT, Operator.LT, Operator.GE, Operator.EQ])
            return Literal(f.name, operator, r.randint(0, upper), negated=r.random() < 0.2)
        names = f.names
        return Literal(f.name, Operator.IN, tuple(r.sample(names, r.randint(1, len(names) - 1))))

    def body(pool: list[WorldFeature], most: int, depth: int = 0) -> Body:
        tests = tuple(literal(f) for f in r.sample(pool, min(len(pool), r.randint(1, most))))
        exceptions: tuple[Body, ...] = ()
        if depth < 2 and r.random() < 0.25:
            exceptions = (body(pool, 2, depth + 1),)
        return Body(tests, exceptions)

    causal = []
    for _ in range(r.randint(0, 4)):
        head = r.choice(features)
        pool = [f for f in features if f is not head]
        bodies = tuple(body(pool, 2) for _ in range(1 if r.random() < 0.8 else 2))
        causal.append(CausalRule((literal(head),), bodies, iff=r.random() < 0.25))
    denials = [Denial((body(features, 2),)) for _ in range(r.random() < 0.2)]
    pres = []
    for _ in range(r.random() < 0.25):
        f = r.choice(features)
        pres.append(
            Precondition(
                f.name,
                (body(features, 1),),
                target=(literal(f),) if r.random() < 0.5 else (),
                source=(literal(f),) if r.random() < 0.3 else (),
            )
        )
    labels = ["x", "y", "z"][: r.randint(1, 3)]
    rules = tuple(
        Rule(Literal("label", Operator.EQ, r.choice(labels)), body(features, 3))
        for _ in range(r.randint(1, 4))
    )
    if stairs:
        # a goal far away: several features at the other end
        ends = r.sample(features, min(len(features), r.randint(2, 3)))
        far_off = Body(
            tuple(
                Literal(f.name, Operator.GE, int(f.domain.bounds[1]) - r.randint(0, 1))
                if f.is_numeric
                else Literal(f.name, Operator.EQ, f.names[-1])
                for f in ends
            )
        )
        rules = (Rule(Literal("label", Operator.EQ, "x"), far_off), *rules[:1])
    decisions = RuleSet("label", rules, default=r.choice([None, "x", "w"]))
    world = World(tuple(features), tuple(causal), tuple(denials), tuple(pres), decisions=decisions)
    states = [dict(zip(world.names, s, strict=True)) for s in all_states(world)]
    consistent = [s for s in states if not world.violated(s)]
    start = r.choice(states if repairs or not consistent else consistent)
    far = [s for s in consistent if decisions.labels and world.decide(s) != decisions.labels[0]]
    if far and not repairs and r.random() < 0.8:
        # mostly a start that is not there yet
        return world.with_decisions(decisions, Goal(desired=decisions.labels[:1])), r.choice(far)
    if r.random() < 0.5:
        known = decisions.labels
        goal = Goal(desired=(r.choice(known),)) if known else Goal()
        world = world.with_decisions(decisions, goal)
    return world, start


def values_of(feature: WorldFeature) -> list[object]:
    """Return every value of a small feature."""
    if feature.is_numeric:
        lower, upper = feature.domain.bounds
        return list(range(int(lower), int(upper) + 1))
    return list(feature.names)


def all_states(world: World) -> Iterator[State]:
    """Yield every state."""
    return itertools.product(*(values_of(f) for f in world.features))


class BruteForce:
    """Plans by enumeration.

    Parameters
    ----------
    world, start
        The problem.
    tolerate
        Whether rules that the start violates count only once touched.
    """

    def __init__(self, world: World, start: dict[str, object], tolerate: bool = False) -> None:
        self.world = world
        self.names = world.names
        self.listed: Listed = {f.name: tuple(values_of(f)) for f in world.features}
        self.start = tuple(start[n] for n in self.names)
        self.goal = world.goal.for_decision(world.decide(start))
        self.heads = sorted({rule.feature for rule in world.causal})
        self.rules = self._statements()
        self.tolerated = self._broken(self.start, ()) if tolerate else ()
        self._next: dict[State, dict[tuple[str, object], set[State]]] = {}

    def _statements(self) -> list[tuple]:
        """(sat test, allowed test, head, features) of each rule and converse; then denials."""
        found = []
        groups: dict[object, list[CausalRule]] = {}
        for rule in self.world.causal:
            found.append((rule.bodies, True, rule.heads, True, rule))
            if rule.iff:
                groups.setdefault(rule.heads, []).append(rule)
        for heads, rules in groups.items():
            bodies = tuple(b for rule in rules for b in rule.bodies)
            found.append((bodies, False, heads, False, rules[0]))
        for denial in self.world.denials:
            found.append((denial.bodies, True, (), True, denial))
        return found

    def _scope(self, number: int) -> set[str]:
        bodies, _, heads, _, _ = self.rules[number]
        tests = [t for b in bodies for t in b.all_literals()]
        return {t.feature for t in (*tests, *heads)}

    def _holds(self, number: int, state: State, known: set[str]) -> bool:
        """Whether the condition holds in a state, resting on known features only."""
        bodies, positive, _, _, _ = self.rules[number]
        values = dict(zip(self.names, state, strict=True))
        if positive:
            return any(_sat(b, values, known, self.listed) for b in bodies)
        return all(_refuted(b, values, known, self.listed) for b in bodies)

    def _allows(self, number: int, value: object) -> bool:
        _, _, heads, positive, _ = self.rules[number]
        return bool(heads) and all(t.accepts(value) for t in heads) is positive

    def _broken(self, state: State, tolerated: tuple[int, ...] | None = None) -> tuple[int, ...]:
        tolerated = self.tolerated if tolerated is None else tolerated
        found = []
        for number, (_, _, heads, _, _) in enumerate(self.rules):
            if not self._holds(number, state, set(self.names)):
                continue
            if heads and self._allows(number, state[self.names.index(heads[0].feature)]):
                continue
            if number in tolerated and all(
                state[self.names.index(n)] == self.start[self.names.index(n)]
                for n in self._scope(number)
            ):
                continue
            found.append(number)
        return tuple(found)

    def reached(self, state: State) -> bool:
        return self.goal.is_reached(self.world.decide(dict(zip(self.names, state, strict=True))))

    def actions(self, state: State) -> Iterator[tuple[str, object]]:
        values = dict(zip(self.names, state, strict=True))
        for feature in self.world.features:
            listed = values_of(feature)
            old = values[feature.name]
            for new in listed:
                i, j = listed.index(old), listed.index(new)
                if i == j or feature.change in (Change.IMMUTABLE, Change.FROZEN):
                    continue
                if feature.change is (Change.UP if j < i else Change.DOWN):
                    continue
                if feature.max_change is not None and abs(i - j) > feature.max_change:
                    continue
                if feature.transitions is not None and (old, new) not in feature.transitions:
                    continue
                if all(
                    not all(t.accepts(old) for t in p.source)
                    or not all(t.accepts(new) for t in p.target)
                    or any(b.accepts(values) for b in p.requires)
                    for p in self.world.preconditions
                    if p.feature == feature.name
                ):
                    yield feature.name, new

    def after(self, state: State, action: tuple[str, object]) -> set[State]:
        """Return every next state, from all combinations of values of causal heads."""
        name, value = action
        at = self.names.index(name)
        base = (*state[:at], value, *state[at + 1 :])
        for effect in self.world.effects:
            if effect.action == name and all(t.accepts(value) for t in effect.target):
                k = self.names.index(effect.feature)
                base = (*base[:k], base[k] + int(effect.add), *base[k + 1 :])
        for feature, held in zip(self.world.features, base, strict=True):
            if held not in values_of(feature):
                return set()
        heads = [
            n for n in self.heads if n != name and self.world.feature(n).change is not Change.FROZEN
        ]
        found = set()
        for chosen in itertools.product(*(values_of(self.world.feature(n)) for n in heads)):
            h = list(base)
            for n, v in zip(heads, chosen, strict=True):
                h[self.names.index(n)] = v
            after = tuple(h)
            if not self._broken(after) and self._founded(base, after):
                found.add(after)
        return found

    def _founded(self, base: State, after: State) -> bool:
        unknown = {n for n, a, b in zip(self.names, base, after, strict=True) if a != b}
        while unknown:
            known = set(self.names) - unknown
            for number, (_, _, heads, _, _) in enumerate(self.rules):
                if not heads or heads[0].feature not in unknown:
                    continue
                head = heads[0].feature
                if self._allows(number, base[self.names.index(head)]):
                    continue
                if not self._holds(number, after, known):
                    continue
                if number in self.tolerated and not any(
                    n in known and after[self.names.index(n)] != self.start[self.names.index(n)]
                    for n in self._scope(number)
                ):
                    continue
                unknown.discard(head)
                break
            else:
                return False
        return True

    def next(self, state: State) -> set[State]:
        if state not in self._next:
            self._next[state] = {a: self.after(state, a) for a in self.actions(state)}
        return set().union(*self._next[state].values()) if self._next[state] else set()

    def most_paths(self) -> int:
        """Return how many paths `shortest` holds at most, without listing them."""
        layer, seen = {self.start: 1}, {self.start}
        most = 1
        while layer and not any(self.reached(s) for s in layer):
            following: dict[State, int] = {}
            for state, number in layer.items():
                for after in self.next(state):
                    if after not in seen:
                        following[after] = following.get(after, 0) + number
            seen |= set(following)
            layer = following
            most = max(most, sum(layer.values()))
        return most

    def shortest(self) -> tuple[int | None, set[tuple[State, ...]]]:
        """Return the least length and all paths of it; `None` when the goal is unreachable."""
        layer = {self.start: {(self.start,)}}
        seen = {self.start}
        length = 0
        while layer:
            goals = [s for s in layer if self.reached(s)]
            if goals:
                return length, set().union(*(layer[s] for s in goals))
            following: dict[State, set[tuple[State, ...]]] = {}
            for state, paths in layer.items():
                for after in self.next(state):
                    if after not in seen:
                        following.setdefault(after, set()).update((*p, after) for p in paths)
            seen |= set(following)
            layer = following
            length += 1
        return None, set()


ALWAYS, NEVER, SOMETIMES = range(3)


@functools.cache
def passed(literal: Literal, values: tuple[object, ...]) -> int:
    found = {literal.accepts(v) for v in values}
    return SOMETIMES if len(found) > 1 else ALWAYS if found == {True} else NEVER


def _sat(body: Body, values: dict[str, object], known: set[str], all_of: Listed) -> bool:
    """Whether a body holds by known features; a test that every value passes needs none."""
    return all(
        passed(t, all_of[t.feature]) == ALWAYS
        or (t.feature in known and t.accepts(values[t.feature]))
        for t in body.literals
    ) and all(_refuted(e, values, known, all_of) for e in body.exceptions)


def _refuted(body: Body, values: dict[str, object], known: set[str], all_of: Listed) -> bool:
    """Whether a body fails by known features; a test that no value passes needs none."""
    return any(
        passed(t, all_of[t.feature]) == NEVER
        or (t.feature in known and not t.accepts(values[t.feature]))
        for t in body.literals
    ) or any(_sat(e, values, known, all_of) for e in body.exceptions)

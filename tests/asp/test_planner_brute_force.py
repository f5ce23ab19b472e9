"""The planner against plain enumeration, on random worlds."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable
from dataclasses import replace

import pytest
from brute_force import BruteForce, all_states, random_world

from whyproof.asp.planning import (
    Effects,
    Objective,
    Planner,
    PlanOptions,
    PlanStatus,
    StartPolicy,
)
from whyproof.asp.planning.irreducible import is_irreducible
from whyproof.asp.planning.transition import actions, successors
from whyproof.asp.planning.unreachable import closure, exhaust
from whyproof.asp.worlds import (
    Change,
    Problem,
    World,
    WorldFeature,
    compile_world,
    read_world_rules,
    world_from_toml,
)
from whyproof.engine.budget import Budget
from whyproof.engine.domain import Categories
from whyproof.engine.errors import DataError

EVERYTHING = PlanOptions(horizon=12, limit=None)
MOST_LISTED = 20_000
"""Worlds with more paths in between are left out: listing them takes all memory."""


def cells_of(problem: Problem, world: World, states: Iterable[tuple]) -> tuple:
    return tuple(problem.encode(dict(zip(world.names, state, strict=True))) for state in states)


def check_world(seed: int, most_features: int = 5) -> None:
    world, start = random_world(seed, most_features=most_features)
    if world.violated(start):
        with pytest.raises(DataError, match="violates"):
            Planner(world).plan(start)
        return
    brute = BruteForce(world, start)
    if brute.most_paths() > MOST_LISTED:
        return
    length, paths = brute.shortest()
    plan = Planner(world, replace(EVERYTHING, horizon=12 if length is None else length)).plan(start)
    problem = compile_world(world, start)
    found = [path.cells for path in plan.paths]
    assert plan.length == length
    assert (plan.status is PlanStatus.UNREACHABLE) == (length is None)
    assert len(found) == len(set(found)), "a path came twice"
    assert set(found) == {cells_of(problem, world, path) for path in paths}
    for path in plan.paths:
        states = [tuple(path.start.values()), *(tuple(s.state.values()) for s in path.steps)]
        for before, after in itertools.pairwise(states):
            assert after in brute.next(before), "concrete values make no transition"


@pytest.mark.parametrize("block", range(3))
def test_random_worlds_equal_enumeration(block: int) -> None:
    for seed in range(50 * block, 50 * block + 50):
        check_world(seed, most_features=4)


def test_a_test_that_every_value_passes_rests_on_nothing() -> None:
    """Two features that force each other by such a test alone do move."""
    check_world(10918)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(12))
def test_a_thousand_random_worlds_equal_enumeration(block: int) -> None:
    for seed in range(1000 + 100 * block, 1100 + 100 * block):
        check_world(seed)


def test_transitions_equal_enumeration() -> None:
    for seed in range(40):
        world, start = random_world(seed, most_features=4)
        problem = compile_world(world)
        brute = BruteForce(world, start)
        for state in itertools.islice(all_states(world), 0, 60):
            cells = cells_of(problem, world, [state])[0]
            if not problem.is_consistent(cells):
                continue
            wanted = {
                cells_of(problem, world, [after])[0]
                for action in brute.actions(state)
                for after in brute.after(state, action)
            } - {cells}
            found = {
                after
                for action in actions(problem, cells)
                for after in successors(problem, cells, action)
            }
            assert found == wanted


@pytest.mark.slow
def test_cheapest_paths_equal_enumeration() -> None:
    tried = 0
    for seed in range(90):
        world, start = random_world(seed, most_features=4)
        if world.violated(start):
            continue
        world = replace(
            world,
            features=tuple(
                replace(
                    f,
                    cost=1.5 + i,
                    cost_per_unit=0.25 * (1 + i % 3) if f.is_numeric else 0.0,
                )
                for i, f in enumerate(world.features)
            ),
        )
        best = cheapest(world, start)
        plan = Planner(world, PlanOptions(horizon=12, objective=Objective.COST)).plan(start)
        if best is None:
            assert not plan.paths
        else:
            tried += 1
            # without a proof only where cheap actions could make a longer path cheaper
            assert plan.status in (PlanStatus.MINIMAL, PlanStatus.FOUND)
            assert plan.cost == pytest.approx(best)
            assert all(path.cost == pytest.approx(best) for path in plan.paths)
    assert tried > 30


def cheapest(world: World, start: dict) -> float | None:
    """Least cost of a path, by Dijkstra over values."""
    brute = BruteForce(world, start)
    queue = [(0.0, brute.start)]
    settled = set()
    while queue:
        cost, state = heapq.heappop(queue)
        if state in settled:
            continue
        settled.add(state)
        if brute.reached(state):
            return cost
        for name, value in brute.actions(state):
            feature = world.feature(name)
            price = feature.cost
            if feature.cost_per_unit:
                price += feature.cost_per_unit * abs(value - state[world.names.index(name)])
            for after in brute.after(state, (name, value)):
                heapq.heappush(queue, (cost + price, after))
    return None


@pytest.mark.slow
def test_fewest_changes_equal_enumeration() -> None:
    tried = 0
    for seed in range(70):
        world, start = random_world(seed, most_features=4)
        if world.violated(start):
            continue
        movable = [
            f.name for f in world.features if f.change not in (Change.FROZEN, Change.IMMUTABLE)
        ]
        minimal: list[frozenset[str]] = []
        for size in range(len(movable) + 1):
            for chosen in itertools.combinations(movable, size):
                if any(known <= set(chosen) for known in minimal):
                    continue
                goal = world.goal.for_decision(world.decide(start))
                features = tuple(f if f.name in chosen else _still(f) for f in world.features)
                if (
                    BruteForce(replace(world, features=features, goal=goal), start).shortest()[0]
                    is not None
                ):
                    minimal.append(frozenset(chosen))
        plan = Planner(world, PlanOptions(horizon=8, objective=Objective.CHANGES)).plan(start)
        found = [path.changed for path in plan.paths]
        assert sorted(map(sorted, found)) == sorted(map(sorted, minimal)), seed
        tried += len(minimal) > 1
    assert tried > 5


def _still(feature: WorldFeature) -> WorldFeature:
    if feature.change is Change.FROZEN:
        return feature
    return replace(feature, change=Change.IMMUTABLE)


@pytest.mark.slow
def test_conformant_plans_equal_enumeration() -> None:
    tried = 0
    for seed in range(400):
        world, start = random_world(seed, most_features=3)
        if world.violated(start) or not all(
            isinstance(f.domain, Categories) for f in world.features
        ):
            continue
        options = PlanOptions(horizon=3, effects=Effects.CONFORMANT, limit=None)
        plan = Planner(world, options).plan(start)
        length, wanted = conformant(world, start, 3)
        problem = compile_world(world, start)
        found = {path.actions for path in plan.paths}
        assert plan.length == length, seed
        assert found == {
            tuple(
                (world.index[n], problem.variables[world.index[n]].cell_of(v)) for n, v in actions
            )
            for actions in wanted
        }
        tried += length is not None and length > 0
    assert tried > 15


def conformant(world: World, start: dict, depth: int) -> tuple[int | None, list]:
    """Shortest sequences of actions that work for every outcome, by trying all."""
    brute = BruteForce(world, start)
    layer = {(): frozenset({brute.start})}
    every = [
        (f.name, value)
        for f in world.features
        if f.change not in (Change.FROZEN, Change.IMMUTABLE)
        for value in f.names
    ]
    for length in range(depth + 1):
        done = [plan for plan, states in layer.items() if all(map(brute.reached, states))]
        if done:
            return length, done
        following = {}
        for plan, states in layer.items():
            for name, value in every:
                after = set()
                for state in states:
                    if state[world.names.index(name)] == value:
                        after.add(state)
                    elif (name, value) in set(brute.actions(state)):
                        more = brute.after(state, (name, value))
                        if not more:
                            break
                        after |= more
                    else:
                        break
                else:
                    following[*plan, (name, value)] = frozenset(after)
        layer = following
    return None, []


def test_starts_that_break_rules_are_tolerated_until_touched() -> None:
    tried = 0
    for seed in range(110):
        world, start = random_world(seed, most_features=4, repairs=True)
        if not world.violated(start):
            continue
        tried += 1
        brute = BruteForce(world, start, tolerate=True)
        length, paths = brute.shortest()
        options = replace(EVERYTHING, start=StartPolicy.IGNORE)
        plan = Planner(world, options).plan(start)
        problem = compile_world(world, start, tolerate=True)
        assert plan.length == length, seed
        assert {p.cells for p in plan.paths} == {cells_of(problem, world, p) for p in paths}
        assert plan.tolerated
    assert tried > 10


def test_repairs_change_as_few_features_as_possible() -> None:
    tried = 0
    for seed in range(110):
        world, start = random_world(seed, most_features=4, repairs=True)
        if not world.violated(start):
            continue
        given = tuple(start.values())
        frozen = [i for i, f in enumerate(world.features) if f.change is Change.FROZEN]
        sizes = [
            sum(a != b for a, b in zip(state, given, strict=True))
            for state in all_states(world)
            if all(state[i] == given[i] for i in frozen)
            and not world.violated(dict(zip(world.names, state, strict=True)))
        ]
        planner = Planner(world, PlanOptions(horizon=0, start=StartPolicy.REPAIR))
        if not sizes:
            with pytest.raises(DataError, match="no repair"):
                planner.plan(start)
            continue
        tried += 1
        plan = planner.plan(start)
        assert plan.repair is not None
        assert len(plan.repair.changes) == min(sizes)
        assert not world.violated(plan.start)
    assert tried > 10


def test_next_best_paths_have_no_padding_and_miss_nothing() -> None:
    tried = 0
    for seed in range(90):
        world, start = random_world(seed, most_features=3)
        if world.violated(start):
            continue
        plan = Planner(world, replace(EVERYTHING, extra=1)).plan(start)
        if not plan.paths or plan.length == 0:
            continue
        problem = compile_world(world, start)
        brute = BruteForce(world, start)
        wanted = set()
        for cells in _paths_of(brute, plan.length + 1):
            wanted.add(cells_of(problem, world, cells))
        longer = {p.cells for p in plan.paths if p.length == plan.length + 1}
        assert longer <= wanted
        for path in plan.paths:
            assert is_irreducible(problem, path)
        tried += bool(longer)
    assert tried > 2


def _paths_of(brute: BruteForce, length: int) -> list[tuple]:
    layer = [(brute.start,)]
    for _ in range(length):
        layer = [
            (*path, after)
            for path in layer
            if not brute.reached(path[-1])
            for after in brute.next(path[-1])
        ]
    return [path for path in layer if brute.reached(path[-1])]


def test_closure_never_misses_a_reachable_cell_and_walks_are_exact() -> None:
    for seed in range(40):
        world, start = random_world(seed, most_features=4)
        if world.violated(start):
            continue
        problem = compile_world(world, start)
        brute = BruteForce(world, start)
        seen, waiting = {brute.start}, [brute.start]
        while waiting:
            for after in brute.next(waiting.pop()):
                if after not in seen:
                    seen.add(after)
                    waiting.append(after)
        box = closure(problem)
        for state in seen:
            for mask, cell in zip(box, cells_of(problem, world, [state])[0], strict=True):
                assert mask >> cell & 1
        walk = exhaust(problem, Budget().start())
        assert walk.complete
        assert walk.distance == brute.shortest()[0]


def test_converses_are_joined_by_the_heads_as_written() -> None:
    """Cells and values must agree where two heads mean the same but are spelt differently."""
    world = world_from_toml(
        '[features.a]\ntype = "integers"\nlower = 0\nupper = 2\n'
        '[features.b]\ntype = "integers"\nlower = 0\nupper = 3\n'
    )
    told = read_world_rules("b > 1 <-> a = 0.\nb >= 2 <-> a = 1.", world.names)
    world = replace(world, causal=told.causal)
    problem = compile_world(world)
    for a, b in itertools.product(range(3), range(4)):
        state = {"a": a, "b": b}
        assert problem.is_consistent(problem.encode(state)) == (not world.violated(state))

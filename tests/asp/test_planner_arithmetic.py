"""Planning with arithmetic effects, against plain enumeration over values."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from brute_force import BruteForce, random_world

pytest.importorskip("clingcon", reason="arithmetic effects need the extra 'arithmetic'")

from whyproof.asp.planning import FunctionJudge, Objective, PlanOptions, PlanStatus
from whyproof.asp.planning.arithmetic import ArithmeticPlanner
from whyproof.asp.rules import read_rules
from whyproof.asp.worlds import Effect, World, compile_world, world_from_toml
from whyproof.engine.errors import DataError, UnsupportedError

SAVINGS = """
[features.savings]
type = "integers"
lower = 0
upper = 100000
[features.education]
values = ["none", "course", "degree"]
change = "up"
[[effects]]
action = "education"
to = "course"
feature = "savings"
add = -500
[[effects]]
action = "education"
to = "degree"
feature = "savings"
add = -2000
"""


def study() -> World:
    rules = "label = no :- education = none. label = no :- savings < 100."
    return world_from_toml(SAVINGS).with_decisions(read_rules(rules))


def test_what_cannot_be_paid_must_be_saved_first() -> None:
    rich = ArithmeticPlanner(study()).plan({"savings": 700, "education": "none"})
    assert [str(path) for path in rich.paths] == [
        "1. education: none -> course\n   and so savings: 700 -> 200"
    ]
    poor = ArithmeticPlanner(study()).plan({"savings": 400, "education": "none"})
    assert (poor.status, poor.length) == (PlanStatus.MINIMAL, 2)
    assert [[step.state["savings"] for step in path.steps] for path in poor.paths] == [
        [600, 100],
        [2100, 100],
    ]


def test_the_model_blocks_goals_here_too() -> None:
    judge = FunctionJudge(
        lambda states: ["no" if s["education"] != "degree" else "yes" for s in states]
    )
    plan = ArithmeticPlanner(study(), judge=judge).plan({"savings": 700, "education": "none"})
    assert plan.paths
    assert all(path.end["education"] == "degree" for path in plan.paths)


def with_effects(seed: int) -> tuple[World, dict[str, object]] | None:
    world, start = random_world(seed, most_features=3)
    r = random.Random(seed + 10_000)
    numeric = [f for f in world.features if f.is_numeric]
    if not numeric or len(world.features) < 2 or world.violated(start):
        return None
    effects = []
    for _ in range(r.randint(1, 3)):
        feature = r.choice(numeric)
        action = r.choice([f for f in world.features if f is not feature])
        effects.append(Effect(action.name, feature.name, r.choice([-2, -1, 1, 2])))
    return replace(world, effects=tuple(effects)), start


@pytest.mark.parametrize("block", range(3))
def test_random_worlds_with_effects_equal_enumeration(block: int) -> None:
    tried = 0
    for seed in range(40 * block, 40 * block + 40):
        made = with_effects(seed)
        if made is None:
            continue
        world, start = made
        brute = BruteForce(world, start)
        length, paths = brute.shortest()
        options = PlanOptions(horizon=5 if length is None else length, limit=None)
        plan = ArithmeticPlanner(world, options).plan(start)
        assert plan.length == length, seed
        if length is None:
            assert plan.status is PlanStatus.NONE_WITHIN
            continue
        tried += length > 0
        problem = compile_world(world, start, uncut={e.feature for e in world.effects})
        wanted = {
            tuple(problem.encode(dict(zip(world.names, s, strict=True))) for s in path)
            for path in paths
        }
        assert {path.cells for path in plan.paths} == wanted, seed
        for path in plan.paths:
            states = [tuple(path.start.values()), *(tuple(s.state.values()) for s in path.steps)]
            assert tuple(states) in paths, seed
    assert tried > 2


def test_amounts_move_no_further_than_needed() -> None:
    rules = "label = no :- level < 3. label = no :- fuel < 1."
    world = world_from_toml(
        '[features.fuel]\ntype = "integers"\nlower = 0\nupper = 50\n'
        '[features.level]\ntype = "integers"\nlower = 0\nupper = 3\nmax_change = 1\n'
        '[[effects]]\naction = "level"\nfeature = "fuel"\nadd = -4\n'
    ).with_decisions(read_rules(rules))
    plan = ArithmeticPlanner(world).plan({"fuel": 5, "level": 0})
    assert plan.length == 4
    fuels = {tuple(step.state["fuel"] for step in path.steps) for path in plan.paths}
    assert fuels <= {(13, 9, 5, 1), (1, 9, 5, 1)}


def test_what_cannot_be_computed_is_refused() -> None:
    world = study()
    cheap = PlanOptions(objective=Objective.COST)
    with pytest.raises(UnsupportedError, match="by length"):
        ArithmeticPlanner(world, cheap).plan({"savings": 1, "education": "none"})
    real = world_from_toml(SAVINGS.replace('type = "integers"', 'type = "real"', 1))
    with pytest.raises(UnsupportedError, match="continuous"):
        ArithmeticPlanner(real.with_decisions(world.rules())).plan(
            {"savings": 1, "education": "none"}
        )
    odd = replace(world, effects=(replace(world.effects[0], add=-0.5),))
    with pytest.raises(DataError, match="no multiple"):
        ArithmeticPlanner(odd).plan({"savings": 1, "education": "none"})

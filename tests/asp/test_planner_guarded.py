"""Planning in a child that is killed: what is wrong is said, and nothing is claimed."""

from __future__ import annotations

import itertools

import pytest

from whyproof.asp.planning import Planner, PlanOptions, PlanStatus
from whyproof.asp.planning.guarded import plan_guarded
from whyproof.asp.rules import Body, Literal, Operator, read_rules
from whyproof.asp.worlds import CausalRule, World, WorldFeature
from whyproof.engine.domain import Categories

VALUES = tuple(f"v{j}" for j in range(60))


def _heavy() -> tuple[World, dict[str, object]]:
    """A world whose program takes seconds and hundreds of megabytes to ground."""
    features = tuple(WorldFeature(f"f{i}", Categories(values=VALUES)) for i in range(60))
    causal = tuple(
        CausalRule(
            (Literal(head.name, Operator.IN, VALUES[: 20 + k % 30]),),
            (Body((Literal(first.name, Operator.EQ, VALUES[k % 59]),)),),
        )
        for k, (first, head) in enumerate(itertools.permutations(features, 2))
    )
    decisions = read_rules("label = no :- f0 in {v59}.\nlabel = no :- f1 in {v59}.")
    world = World(features, causal, decisions=decisions)
    return world, dict.fromkeys(world.names, "v59")


def _light() -> tuple[World, dict[str, object]]:
    features = (WorldFeature("a", Categories(values=("x", "y"))),)
    return World(features, decisions=read_rules("label = no :- a = x.")), {"a": "x"}


def test_an_ordinary_answer_is_the_same() -> None:
    world, start = _light()
    options = PlanOptions(limit=None)
    inside = plan_guarded(Planner(world, options), start, seconds=60)
    assert inside.status is PlanStatus.MINIMAL
    outside = Planner(world, options).plan(start)
    assert [path.cells for path in inside.paths] == [path.cells for path in outside.paths]


def test_time_ends_grounding_and_the_heaviest_part_is_named() -> None:
    world, start = _heavy()
    plan = plan_guarded(Planner(world), start, seconds=0.05)
    assert plan.status is PlanStatus.STOPPED
    assert not plan.paths
    assert "0.05 s" in plan.proof
    assert "largest part" in plan.proof


@pytest.mark.slow
def test_memory_ends_grounding() -> None:
    world, start = _heavy()
    # What the parent has used before must not count: a child takes over its highest mark.
    assert len(bytearray(300 * 2**20)) > 0
    plan = plan_guarded(Planner(world), start, memory=20 * 2**20)
    assert plan.status is PlanStatus.STOPPED
    assert "memory" in plan.proof

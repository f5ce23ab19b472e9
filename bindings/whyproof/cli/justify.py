"""``whyproof justify``: why a decision holds, and what a half-filled state leaves open."""

from __future__ import annotations

from whyproof.asp.justify import (
    path_sentences,
    reason_page,
    sentence,
    what_matters,
    why_decision,
    why_path,
)
from whyproof.asp.justify.reason import Reason
from whyproof.asp.planning import Planner, PlanOptions, StartPolicy
from whyproof.asp.planning.obstacles import obstacles
from whyproof.asp.worlds import World
from whyproof.engine.errors import InputError

from .failures import ANSWERED
from .output import json_line, line, paragraph
from .world_request import JustifyRequest

__all__ = ["justify_command"]


def justify_command(request: JustifyRequest, *, as_json: bool) -> int:
    """Justify the decision about one person."""
    request.check()
    if request.partial and request.with_plan:
        raise InputError("a plan needs a complete state: leave --plan or --partial out")
    table = request.table()
    world = request.open(table)
    state = request.person(world, table)
    if request.partial:
        return _partial(world, state, as_json=as_json)
    tree = why_decision(world, state, every_failure=request.every)
    told = [sentence(tree)]
    document: dict[str, object] = {"decision": tree.as_json()}
    trees = [tree]
    if request.with_plan:
        plan_tree, told, found = _with_plan(request, world, state)
        document |= found
        trees = [tree] if plan_tree is None else [plan_tree]
        told = told or [sentence(tree), "There is no path to justify."]
    if request.report is not None:
        from .learn import write_text

        write_text(request.report, reason_page(f"Why {tree.text}", trees))
    if as_json:
        json_line({**document, "sentences": told})
    elif request.sentences:
        for text in told:
            paragraph(text)
    else:
        for reason in trees:
            line(str(reason))
    return ANSWERED


def _with_plan(
    request: JustifyRequest, world: World, state: dict[str, object]
) -> tuple[Reason | None, list[str], dict[str, object]]:
    """Justify the best path; nothing where there is none."""
    start = request.start or "error"
    if start not in list(StartPolicy):
        raise InputError(f"--start is one of {', '.join(StartPolicy)}, found {start!r}")
    planner = Planner(world, PlanOptions(start=StartPolicy(start)))
    plan = planner.plan(state)
    if not plan.paths:
        return None, [], {"plan": plan.as_json()}
    problem, best = planner.problem(state), plan.paths[0]
    conflict = obstacles(problem, best.length - 1) if best.length else None
    tree = why_path(problem, best)
    found: dict[str, object] = {"plan": plan.as_json(), "path": tree.as_json()}
    if conflict is not None:
        found["nothing_shorter"] = conflict.as_json()
    return tree, path_sentences(problem, best, conflict), found


def _partial(world: World, state: dict[str, object], *, as_json: bool) -> int:
    found = what_matters(world, state)
    if as_json:
        json_line(found.as_json())
    else:
        paragraph(found.describe())
    return ANSWERED

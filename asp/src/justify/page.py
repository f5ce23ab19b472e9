"""Justified plans as one self-contained HTML page, without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources

import jinja2

from whyproof.asp.planning.obstacles import Obstacles, obstacles
from whyproof.asp.planning.plan import Plan
from whyproof.asp.worlds.problem import Problem

from .decision import why_decision
from .diagram import path_diagram
from .reason import Reason
from .steps import path_sentences, why_path

__all__ = ["plan_page", "reason_page"]


def plan_page(problem: Problem, plan: Plan, *, most: int = 20) -> str:
    """Write a plan with diagrams, sentences and justification trees as HTML.

    Parameters
    ----------
    problem
        The problem that the plan solves (`Planner.problem`).
    plan
        Its answer.
    most
        Most paths to show.
    """
    conflict = _conflict(problem, plan)
    shown = [
        {
            "title": f"Path {number}",
            "facts": _facts(path.length, path.cost),
            "diagram": path_diagram(problem.world, path, f"path {number}"),
            "sentences": path_sentences(problem, path),
            "tree": why_path(problem, path, shorter=False),
        }
        for number, path in enumerate(plan.paths[:most], start=1)
    ]
    name = problem.world.name or "a world"
    return _template().render(
        title=f"Plan in {name}",
        lead=_lead(plan, len(shown)),
        notes=_notes(plan, conflict),
        sections=shown
        or [{"title": "Present decision", "tree": why_decision(problem.world, plan.start)}],
    )


def reason_page(title: str, reasons: Sequence[Reason], lead: str = "") -> str:
    """Write justification trees as HTML.

    Examples
    --------
    >>> from .reason import ReasonKind
    >>> page = reason_page("Why", [Reason(ReasonKind.DECISION, "label is <no>")])
    >>> "label is &lt;no&gt;" in page
    True
    """
    sections = [{"title": "", "tree": reason} for reason in reasons]
    return _template().render(title=title, lead=lead, notes=[], sections=sections)


def _conflict(problem: Problem, plan: Plan) -> Obstacles | None:
    if not plan.paths or not plan.length:
        return None
    return obstacles(problem, plan.length - 1)


def _lead(plan: Plan, shown: int) -> str:
    if not plan.paths:
        return f"{plan.goal}: {plan.status}. {plan.proof}".strip()
    many = f"{len(plan.paths)} path{'s' if len(plan.paths) > 1 else ''}"
    more = "" if shown == len(plan.paths) else f", {shown} of them here"
    return f"{plan.goal}: {many} ({plan.status}){more}."


def _notes(plan: Plan, conflict: Obstacles | None) -> list[str]:
    notes: list[str] = []
    if plan.repair is not None:
        changes = ", ".join(f"{n}: {a} → {b}" for n, (a, b) in plan.repair.changes.items())
        notes.append(f"The state violated rules of the world and was repaired first: {changes}.")
    notes += [f"Tolerated until touched: {rule}." for rule in plan.tolerated]
    if plan.rejected:
        notes.append(
            f"{len(plan.rejected)} goal(s) of the rules were left out because the real model "
            "does not confirm them."
        )
    if conflict is not None:
        notes.append(conflict.describe())
    return notes


def _facts(length: int, cost: float) -> str:
    return f"{length} direct action{'' if length == 1 else 's'}, cost {cost:g}"


@cache
def _template() -> jinja2.Template:
    text = resources.files("whyproof.asp.justify").joinpath("page.html.j2").read_text("utf-8")
    return jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    ).from_string(text)

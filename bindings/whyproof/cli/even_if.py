"""``whyproof query --even-if``: the decision stays although these features change, or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .failures import ANSWERED, PARTIAL

if TYPE_CHECKING:
    from .request import Subject

__all__ = ["even_if"]


def even_if(
    subject: Subject, row: int, names: Sequence[str], seconds: float | None, *, as_json: bool
) -> int:
    """Decide one free set: a proof with what it rests on, a point, or not decided."""
    from whyproof.engine.answers import Counterexample, Entailed
    from whyproof.engine.budget import Budget
    from whyproof.engine.explanation import evidence_as_json
    from whyproof.report.values import few

    from .output import json_line, line, paragraph

    problem = subject.explainer.problem(subject.instance(row))
    free = subject.features(names)
    oracle = subject.explainer.oracle(problem)
    (answer,) = oracle.decide([free & problem.universe], Budget(seconds=seconds).start())
    if isinstance(answer, Counterexample):
        problem.replay(answer.point, free)
    stays = True if isinstance(answer, Entailed) else None
    if isinstance(answer, Counterexample):
        stays = False
    if as_json:
        evidence = evidence_as_json(problem, answer)
        json_line({"row": row, "even_if": list(names), "stays": stays, "evidence": evidence})
        return PARTIAL if stays is None else ANSWERED
    spaces = problem.space.names
    line(f"Row {row}: the model says {problem.label}.")
    changed = few([str(name) for name in names])
    if isinstance(answer, Entailed):
        rests = few([spaces[i] for i in sorted(answer.core & problem.universe)])
        while_ = f", as long as {rests} stay as they are" if rests else ""
        paragraph(f"Even if {changed} change, it does not change its mind{while_}: proved.")
    elif isinstance(answer, Counterexample):
        point, before = (problem.space.decode(p) for p in (answer.point, problem.instance))
        moved = [f"{k} {v} instead of {before[k]}" for k, v in point.items() if v != before[k]]
        classes = problem.classifier.classes
        outcome = classes[int(answer.outcome)] if classes else answer.outcome
        paragraph(f"If {changed} change, it can: with {few(moved)} it says {outcome}.")
    else:
        paragraph(f"Whether it stays if {changed} change was not decided ({answer.reason}).")
    return PARTIAL if stays is None else ANSWERED

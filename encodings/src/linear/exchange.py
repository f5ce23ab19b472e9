"""Additive models in the formats of other solvers: linear models and naive Bayes.

Over columns of few values they are trees with one leaf per value, and every format says that.
Straight lines over any numbers are a mixed-integer program: one variable per column, one row
per rival with a switch; features are fixed by the bounds of their columns.
"""

from __future__ import annotations

import math

from whyproof.encodings.program_text import LinearProgram, program_text, refuse_constraints
from whyproof.encodings.trees.exchange import exchange_text
from whyproof.encodings.trees.objective import Objective, objectives
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.problem import ExplanationProblem

from .additive import AdditiveModel, ColumnTerm
from .as_trees import as_tree_problem

__all__ = ["additive_text"]


def additive_text(problem: ExplanationProblem, to: str) -> str:
    """Write a problem about an additive model in a format.

    Parameters
    ----------
    problem
        Its classifier's `structure` is an `AdditiveModel`.
    to
        A key of `whyproof.encodings.trees.exchange.FORMATS`.

    Raises
    ------
    UnsupportedError
        If the format cannot say it; the message says what can.
    """
    refuse_constraints(problem.constraints)
    model = problem.classifier.structure
    if not isinstance(model, AdditiveModel):
        raise UnsupportedError("this encoding needs a linear model or naive Bayes")
    try:
        return exchange_text(as_tree_problem(problem), to)
    except UnsupportedError:
        if to not in ("lp", "mps"):
            raise
    return _program(problem, model, to)


def _program(problem: ExplanationProblem, model: AdditiveModel, ending: str) -> str:
    if not problem.region.is_box:
        raise UnsupportedError(f"this encoding knows no {problem.region.norm} balls")
    goals = objectives(model, problem.question, problem.prediction)
    if any(goal.against for goal in goals):
        raise UnsupportedError("a program of a linear model is about one rival at a time")
    program = LinearProgram()
    low, high = problem.limits
    place: dict[int, int] = {}
    for term in model.terms:
        column = problem.space.columns[term.column]
        if not _is_line(term):
            raise UnsupportedError(
                f"column {column.name!r} adds no straight line, which rows cannot say; give it a "
                "domain of few whole numbers, or explain without a file"
            )
        if math.isnan(low[term.column]) or column.domain.nullable:
            raise UnsupportedError(f"column {column.name!r} may be missing, which rows cannot say")
        place[term.column] = program.add(
            f"x{term.column}",
            float(low[term.column]),
            float(high[term.column]),
            whole=column.domain.is_discrete,
        )
    lead = program.add("lead", -math.inf, math.inf)
    program.costs[lead] = 1.0
    notes = _notes(problem, model, goals)
    if len(goals) == 1:
        terms, constant = _score(model, goals[0], place)
        program.rows.append(({lead: 1.0, **{v: -f for v, f in terms.items()}}, -math.inf, constant))
        return program_text(program, ending, notes)
    switches: dict[int, float] = {}
    for k, goal in enumerate(goals):
        terms, constant = _score(model, goal, place)
        ends = [(f * program.lower[v], f * program.upper[v]) for v, f in terms.items()]
        size = sum(max(abs(a), abs(b)) for a, b in ends) + abs(constant)
        if not math.isfinite(size):
            raise UnsupportedError(
                "several rivals need bounded columns: give ranges (--ranges data, a space) or "
                "--epsilon"
            )
        switch = program.add(f"rival_{k}", 0.0, 1.0, whole=True)
        switches[switch] = 1.0
        # lead <= score + 2 size (1 - switch)
        row = {lead: 1.0, switch: 2 * size, **{v: -f for v, f in terms.items()}}
        program.rows.append((row, -math.inf, constant + 2 * size))
        program.lower[lead] = min(program.lower[lead], -size)
        program.upper[lead] = size if k == 0 else max(program.upper[lead], size)
    program.rows.append((switches, 1.0, 1.0))
    return program_text(program, ending, notes)


def _is_line(term: ColumnTerm) -> bool:
    return len(term.lower) == 1 and term.missing is None and not term.coefficients[..., 2].any()


def _score(
    model: AdditiveModel, goal: Objective, place: dict[int, int]
) -> tuple[dict[int, float], float]:
    """Return the factors of a score by variable, and its constant."""
    constant = goal.constant + sum(
        w * float(b) for w, b in zip(goal.weights, model.base, strict=True)
    )
    terms: dict[int, float] = {}
    for term in model.terms:
        start, slope = (
            sum(w * float(c) for w, c in zip(goal.weights, column, strict=True))
            for column in (term.coefficients[0, :, 0], term.coefficients[0, :, 1])
        )
        constant += start - slope * term.center
        if slope:
            terms[place[term.column]] = slope
    return terms, constant


def _notes(
    problem: ExplanationProblem, model: AdditiveModel, goals: tuple[Objective, ...]
) -> list[str]:
    question = problem.question.describe(problem.classifier, problem.prediction)
    notes = [
        f"Model {problem.classifier.fingerprint}",
        f"The model says {problem.label}; the lead is above zero where some point has {question}.",
        "To fix a feature, set both bounds of its columns' variables to the instance's values.",
    ]
    notes += [
        f"rival_{k}: adds {goal.weights} of the scores"
        for k, goal in enumerate(goals)
        if k or goals[1:]
    ]
    notes += [
        f"x{t.column}: {problem.space.columns[t.column].name}; "
        f"instance: {float(problem.instance[t.column])!r}"
        for t in model.terms
    ]
    return notes

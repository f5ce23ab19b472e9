"""Nearest neighbours as a mixed-integer program for other solvers (LP, MPS)."""

from __future__ import annotations

import numpy as np

from whyproof.encodings.program_text import program_text, refuse_constraints
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.problem import ExplanationProblem

from .columns import FreeColumn
from .oracle import NeighbourOracle

__all__ = ["neighbour_text"]


def neighbour_text(problem: ExplanationProblem, to: str) -> str:
    """Write a problem about nearest neighbours, every mutable feature free.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `NeighbourModel`.
    to
        ``"lp"`` or ``"mps"``.

    Raises
    ------
    UnsupportedError
        For other formats, which cannot say distances.
    """
    refuse_constraints(problem.constraints)
    if to not in ("lp", "mps"):
        raise UnsupportedError(f"{to} cannot say which training rows are nearest; lp and mps can")
    program, columns = NeighbourOracle(problem).program_of(problem.universe)
    question = problem.question.describe(problem.classifier, problem.prediction)
    notes = [
        f"Model {problem.classifier.fingerprint}",
        f"The model says {problem.label}; the gap is above zero where some point has {question} "
        "and no tie of distances decides.  Infeasible: nothing changes the decision.",
        "rowN_votes: training row N is among the nearest; to fix a feature, set:",
    ]
    for column in columns:
        notes += _fixing(problem, column)
    return program_text(program.program, to, notes)


def _fixing(problem: ExplanationProblem, column: FreeColumn) -> list[str]:
    """Say which values of variables keep a column at the instance's value."""
    here, name = float(problem.instance[column.column]), f"x{column.column}"
    about = f"{problem.space.columns[column.column].name}; instance: {here!r}"
    if len(column.values):
        listed = ", ".join(f"{name}_value{k} = {float(v)!r}" for k, v in enumerate(column.values))
        at = int(np.abs(column.values - here).argmin())
        return [f"{name}: {about}; {listed}; fixed by {name}_value{at} = 1"]
    starts, sizes = column.edges[:-1], np.diff(column.edges)
    parts = np.clip((here - starts) / np.where(sizes > 0, sizes, 1.0), 0.0, 1.0)
    settings = ", ".join(f"{name}_part{k} = {float(v)!r}" for k, v in enumerate(parts))
    return [f"{name}: {about}; parts from {column.edges.tolist()}; fixed by {settings}"]

"""Circuits in the formats of other solvers, each with a key to its variables.

Satisfiable means that some point of the region changes the decision; with the selectors of
some features set and the rest unsatisfiable, these features force it.
"""

from __future__ import annotations

from collections.abc import Callable

from whyproof.encodings.drat import dimacs
from whyproof.encodings.program_text import refuse_constraints
from whyproof.engine.errors import InputError
from whyproof.engine.problem import ExplanationProblem

from .asp import circuit_program
from .constraints import CircuitConstraints, circuit_constraints, clauses_of
from .milp import linear_rows

__all__ = ["CIRCUIT_FORMATS", "circuit_text"]


def circuit_text(problem: ExplanationProblem, to: str) -> str:
    """Write a problem about a circuit in a format.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `Circuit`.
    to
        A key of `CIRCUIT_FORMATS`.

    Raises
    ------
    InputError
        If there is no such format.
    """
    refuse_constraints(problem.constraints)
    if to not in CIRCUIT_FORMATS:
        known = ", ".join(CIRCUIT_FORMATS)
        raise InputError(f"{to} does not write rules or gates; known are {known}")
    return CIRCUIT_FORMATS[to](problem)


def _cnf(problem: ExplanationProblem) -> str:
    made = circuit_constraints(problem)
    named = made.n_variables
    clauses = clauses_of(made)
    return dimacs(clauses, [*_head(made), *_key(made)[:named]])


def _opb(problem: ExplanationProblem) -> str:
    made = circuit_constraints(problem)
    rows = [
        " ".join(f"{factor:+d} x{v}" for v, factor in zip(variables, factors, strict=True))
        + f" >= {bound} ;"
        for variables, factors, bound in linear_rows(made)
    ]
    head = f"* #variable= {made.n_variables} #constraint= {len(rows)}"
    notes = [f"* {line}" for line in (*_head(made), *_key(made))]
    return "\n".join([head, *notes, *rows]) + "\n"


def _lp(problem: ExplanationProblem) -> str:
    made = circuit_constraints(problem)
    rows = [
        f" r{i}: "
        + " ".join(f"{factor:+d} x{v}" for v, factor in zip(variables, factors, strict=True))
        + f" >= {bound}"
        for i, (variables, factors, bound) in enumerate(linear_rows(made))
        if variables
    ]
    notes = [f"\\ {line}" for line in (*_head(made), *_key(made))]
    names = " ".join(f"x{i}" for i in range(1, made.n_variables + 1))
    return (
        "\n".join([*notes, "Minimize", " obj: 0 x1", "Subject To", *rows, "Binary", names, "End"])
        + "\n"
    )


def _asp(problem: ExplanationProblem) -> str:
    made = circuit_constraints(problem)
    return "\n".join([*(f"% {line}" for line in _head(made)), circuit_program(made)])


def _head(made: CircuitConstraints) -> list[str]:
    problem = made.problem
    question = problem.question.describe(problem.classifier, problem.prediction)
    return [
        f"Model {problem.classifier.fingerprint}",
        f"The model says {problem.label}; satisfiable where some point has {question}.",
    ]


def _key(made: CircuitConstraints) -> list[str]:
    return [f"{i} = {name}" for i, name in enumerate(made.names, start=1)]


CIRCUIT_FORMATS: dict[str, Callable[[ExplanationProblem], str]] = {
    "cnf": _cnf,
    "opb": _opb,
    "lp": _lp,
    "asp": _asp,
}
"""Formats by their usual endings."""

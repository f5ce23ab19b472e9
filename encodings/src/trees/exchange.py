"""An explanation problem in the formats of other solvers, each with a key to its variables.

All but ASP say the same: *some point of the region changes the decision*, with one selector
per feature that fixes it to the instance.  Setting the selectors of a set of features and
finding the rest unsatisfiable means that these features force the decision.

=======  ===========================================================================
cnf      DIMACS; sums as totalizers and adders
wcnf     MaxSAT (2022 form): leaves as soft clauses; one score only
opb      pseudo-Boolean: clauses and sums as inequalities, weights exact
lp, mps  mixed-integer program: maximise one score over the region
=======  ===========================================================================
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from whyproof.encodings.drat import dimacs
from whyproof.encodings.program_text import refuse_constraints
from whyproof.engine.errors import InputError, UnsupportedError
from whyproof.engine.problem import ExplanationProblem

from .boxes import LeafBoxes
from .constraints import AtLeast, TreeConstraints, tree_constraints
from .ensemble import TreeEnsemble
from .milp import TreeMilp
from .objective import objectives
from .reach import within_region
from .sat import clauses_of

__all__ = ["FORMATS", "exchange_text"]


def exchange_text(problem: ExplanationProblem, to: str) -> str:
    """Write a problem in a format.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `TreeEnsemble`.
    to
        A key of `FORMATS`.

    Raises
    ------
    InputError
        If there is no such format.
    UnsupportedError
        If the format cannot say it; the message says what can.
    """
    refuse_constraints(problem.constraints)
    if to not in FORMATS:
        raise InputError(f"no format {to!r}; known are {', '.join(FORMATS)}")
    return FORMATS[to](problem)


def _cnf(problem: ExplanationProblem) -> str:
    made = tree_constraints(problem)
    named = made.n_variables
    clauses = clauses_of(made)
    return dimacs(clauses, [*_head(made), *_key(made, named)])


def _wcnf(problem: ExplanationProblem) -> str:
    made = tree_constraints(problem)
    inequality = _single(made, "wcnf")
    soft = [
        (weight, variable) for group in inequality.groups for variable, weight in group if weight
    ]
    total = sum(weight for weight, _ in soft)
    lines = [
        *_head(made),
        "Hard clauses hold, soft ones weigh leaves of the score that has to rise.",
        f"The decision changes exactly if some solution costs at most {total - inequality.bound}.",
        *_key(made, made.n_variables),
    ]
    text = [f"c {line}" for line in lines]
    text += ["h " + " ".join(map(str, (*clause, 0))) for clause in made.clauses]
    text += [f"h {inequality.when} 0"]
    text += [f"{weight} {variable} 0" for weight, variable in soft]
    return "\n".join(text) + "\n"


def _opb(problem: ExplanationProblem) -> str:
    made = tree_constraints(problem)
    rows: list[str] = []
    for clause in made.clauses:
        negated = sum(literal < 0 for literal in clause)
        terms = " ".join(f"{'+1' if v > 0 else '-1'} x{abs(v)}" for v in clause)
        rows.append(f"{terms} >= {1 - negated} ;")
    for leaves in made.trees:
        # Implied by the boxes; solvers gain from reading it.
        rows.append(" ".join(f"+1 x{v}" for v in leaves) + " = 1 ;")
    for inequality in made.inequalities:
        weighed = [(v, w) for group in inequality.groups for v, w in group if w]
        terms = " ".join(f"+{w} x{v}" for v, w in weighed)
        # Switched off, the bound is zero, which every sum reaches.
        relaxed = f"{terms} {-max(inequality.bound, 0):+d} x{inequality.when}".strip()
        rows.append(f"{relaxed} >= 0 ;")
    head = f"* #variable= {made.n_variables} #constraint= {len(rows)}"
    notes = [f"* {line}" for line in (*_head(made), *_key(made, made.n_variables))]
    return "\n".join([head, *notes, *rows]) + "\n"


def _program(problem: ExplanationProblem, ending: str) -> str:
    ensemble = problem.classifier.structure
    if not isinstance(ensemble, TreeEnsemble):
        raise UnsupportedError("this encoding needs a model that is a tree ensemble")
    goals = objectives(ensemble, problem.question, problem.prediction)
    if len(goals) != 1 or goals[0].against:
        raise UnsupportedError(
            f"{ending} has one objective, and this question has "
            f"{max(len(goals), len(goals[0].against))} rivals; use opb or cnf, or two classes"
        )
    boxes = LeafBoxes.of(ensemble, problem.space)
    reach = within_region(boxes, problem)
    boxes = reach.boxes
    milp = TreeMilp(boxes)
    weights = np.array(goals[0].weights)
    constant = ensemble.divisor * (float(weights @ ensemble.base) + goals[0].constant)
    made = tree_constraints(problem, boxes)
    names = [name for column, k in _order_names(boxes) for name in [f"x{column}_ge_{k}"]]
    names += [f"leaf_{made.boxes.tree[row]}_{row}" for row in range(boxes.n_leaves)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"problem.{ending}"
        milp.write(file, boxes.values @ weights, reach.lower, reach.upper, names)
        text = file.read_text()
    comment = "\\" if ending == "lp" else "*"
    notes = [
        *_head(made),
        f"The decision changes exactly where the maximum is above {-constant!r}"
        + (", or equal to it." if goals[0].at_zero else "."),
        "To fix a feature, set the bounds of its columns' variables as the instance has them.",
    ]
    for column, k in _order_names(boxes):
        at = int(reach.cells[column]) >= k
        meaning = made.names[made.orders[column][k - 1] - 1]
        notes.append(f"x{column}_ge_{k}: {meaning}; instance: {int(at)}")
    return "\n".join([*(f"{comment} {line}" for line in notes), text])


def _order_names(boxes: LeafBoxes) -> list[tuple[int, int]]:
    return [(i, k) for i, column in enumerate(boxes.columns) for k in range(1, len(column))]


def _asp(problem: ExplanationProblem) -> str:
    from .asp import asp_program

    return asp_program(problem)


def _head(made: TreeConstraints) -> list[str]:
    problem = made.problem
    question = problem.question.describe(problem.classifier, problem.prediction)
    return [
        f"Model {problem.classifier.fingerprint}",
        f"The model says {problem.label}; satisfiable where some point has {question}.",
        f"Slack allowed for floating-point sums: {_slack(problem)!r}",
    ]


def _slack(problem: ExplanationProblem) -> float:
    ensemble = problem.classifier.structure
    return ensemble.slack if isinstance(ensemble, TreeEnsemble) else 0.0


def _key(made: TreeConstraints, named: int) -> list[str]:
    return [f"{i} = {name}" for i, name in enumerate(made.names[:named], start=1)]


def _single(made: TreeConstraints, what: str) -> AtLeast:
    if len(made.inequalities) != 1:
        raise UnsupportedError(
            f"{what} has one objective, and this question has {len(made.inequalities)} scores; "
            "use opb or cnf, or a model of two classes"
        )
    return made.inequalities[0]


FORMATS: dict[str, Callable[[ExplanationProblem], str]] = {
    "cnf": _cnf,
    "wcnf": _wcnf,
    "opb": _opb,
    "lp": lambda problem: _program(problem, "lp"),
    "mps": lambda problem: _program(problem, "mps"),
    "asp": _asp,
}
"""Formats by their usual endings."""

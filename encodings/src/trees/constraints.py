"""An ensemble's decision as clauses and linear inequalities over 0/1 variables.

One neutral form, from which every exchange format and every solver is fed:

* order encoding of cells (Ansotegui, Manya, SAT 2004): for each column and boundary one
  variable "the cell is at or beyond it", descending along the column;
* one variable per leaf, which implies the edges of its box; one leaf per tree, as in the
  path variables of Ignatiev, Izza, Stuckey, Marques-Silva, Using MaxSAT for Efficient
  Explanations of Tree Ensembles, AAAI 2022;
* one selector per feature, which fixes it to the instance;
* "the decision changes": one variable per rival, at least one of them, each of which
  implies linear inequalities over leaves.

Ours differs in its weights: leaf values are binary fractions, and scaled by a power of
two they are integers.  Nothing is rounded, and a slack only moves the bound.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from whyproof.engine.errors import UnsupportedError
from whyproof.engine.problem import ExplanationProblem

from .boxes import Cells, LeafBoxes
from .ensemble import TreeEnsemble
from .objective import Objective, objectives
from .reach import within_region

__all__ = ["AtLeast", "TreeConstraints", "tree_constraints"]


@dataclass(frozen=True, slots=True)
class AtLeast:
    """``when`` implies that chosen weights add up to at least a bound.

    Parameters
    ----------
    when
        Variable that switches the inequality on.
    groups
        Variables with their weights; exactly one variable of each group is true.  Weights
        are not negative, and the least of each group is zero.
    bound
        Integer.
    """

    when: int
    groups: tuple[tuple[tuple[int, int], ...], ...]
    bound: int

    @property
    def reachable(self) -> int:
        """Largest sum."""
        return sum(max(weight for _, weight in group) for group in self.groups)


@dataclass(frozen=True, eq=False)
class TreeConstraints:
    """Variables, clauses and inequalities of one explanation problem.

    Variables count from 1; a negative literal is a negation.

    Parameters
    ----------
    problem
        What is asked.
    boxes, cells
        The ensemble in cells, and the instance among them.
    lower, upper
        Cells that the region leaves to free columns, upper excluded.
    names
        What each variable means, first variable first.
    clauses
        Disjunctions of literals.
    inequalities
        One per score that a rival has to raise.
    selectors
        Variable that fixes each feature; immutable features are fixed by clauses.
    orders
        Variables of each column's boundaries, ascending.
    leaves
        Variable of each leaf.
    trees
        Variables of each tree's leaves.
    """

    problem: ExplanationProblem
    boxes: LeafBoxes
    cells: Cells
    lower: Cells
    upper: Cells
    names: list[str] = field(default_factory=list[str])
    clauses: list[tuple[int, ...]] = field(default_factory=list[tuple[int, ...]])
    inequalities: list[AtLeast] = field(default_factory=list[AtLeast])
    selectors: dict[int, int] = field(default_factory=dict[int, int])
    orders: list[list[int]] = field(default_factory=list[list[int]])
    leaves: list[int] = field(default_factory=list[int])
    trees: list[list[int]] = field(default_factory=list[list[int]])

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        return len(self.names)

    def variable(self, name: str) -> int:
        """Add a variable."""
        self.names.append(name)
        return len(self.names)

    def located(self, true: set[int]) -> Cells:
        """Return the cells that an assignment stands for, shape ``(columns,)``."""
        counts = [sum(variable in true for variable in column) for column in self.orders]
        return np.array(counts, dtype=np.int32)


def tree_constraints(
    problem: ExplanationProblem, boxes: LeafBoxes | None = None
) -> TreeConstraints:
    """Encode "some point of the region changes the decision".

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `TreeEnsemble`.
    boxes
        The ensemble in cells, to share between instances; made here if not given.

    Raises
    ------
    UnsupportedError
        For regions that are not boxes.
    """
    ensemble = problem.classifier.structure
    if not isinstance(ensemble, TreeEnsemble):
        raise UnsupportedError("this encoding needs a model that is a tree ensemble")
    if not problem.region.is_box:
        raise UnsupportedError(f"this encoding knows no {problem.region.norm} balls")
    reach = within_region(boxes or LeafBoxes.of(ensemble, problem.space), problem)
    made = TreeConstraints(problem, reach.boxes, reach.cells, reach.lower, reach.upper)
    _add_columns(made)
    _add_features(made)
    _add_leaves(made)
    rivals: list[int] = []
    for objective in objectives(ensemble, problem.question, problem.prediction):
        when = made.variable(f"rival {_describe(problem, objective)}")
        rivals.append(when)
        for weights, at_zero in _rows(objective):
            made.inequalities.append(_at_least(made, ensemble, objective, weights, at_zero, when))
    made.clauses.append(tuple(rivals))
    return made


def _add_columns(made: TreeConstraints) -> None:
    for i, column in enumerate(made.boxes.columns):
        name = " ".join(made.problem.space.columns[i].name.split())
        variables = [
            made.variable(f"column {name} | {_boundary(made.boxes, i, k)}")
            for k in range(1, len(column))
        ]
        made.orders.append(variables)
        made.clauses.extend([(-b, a) for a, b in itertools.pairwise(variables)])
        # Cells that the region leaves out.
        made.clauses.extend([(variable,) for variable in variables[: int(made.lower[i])]])
        made.clauses.extend([(-variable,) for variable in variables[int(made.upper[i]) - 1 :]])


def _add_features(made: TreeConstraints) -> None:
    space = made.problem.space
    for f, feature in enumerate(space.features):
        literals: list[int] = []
        for column in feature.columns:
            at, variables = int(made.cells[column]), made.orders[column]
            literals += variables[:at][-1:] + [-v for v in variables[at : at + 1]]
        if feature.immutable:
            made.clauses.extend([(literal,) for literal in literals])
            continue
        selector = made.variable(f"fixed {' '.join(feature.name.split())}")
        made.selectors[f] = selector
        made.clauses.extend([(-selector, literal) for literal in literals])


def _add_leaves(made: TreeConstraints) -> None:
    boxes = made.boxes
    made.trees.extend([] for _ in boxes.trees)
    for row in range(boxes.n_leaves):
        tree = int(boxes.tree[row])
        variable = made.variable(f"leaf {len(made.trees[tree])} of tree {tree}")
        made.leaves.append(variable)
        made.trees[tree].append(variable)
        for column in np.flatnonzero(boxes.lower[row] > 0).tolist():
            made.clauses.append((-variable, made.orders[column][int(boxes.lower[row, column]) - 1]))
        for column in np.flatnonzero(boxes.upper[row] < boxes.n_cells).tolist():
            made.clauses.append(
                (-variable, -made.orders[column][int(boxes.upper[row, column]) - 1])
            )
    # At most one follows: boxes of a tree do not overlap.
    made.clauses.extend([tuple(leaves) for leaves in made.trees])


def _at_least(
    made: TreeConstraints,
    ensemble: TreeEnsemble,
    objective: Objective,
    weights: Sequence[float],
    at_zero: bool,
    when: int,
) -> AtLeast:
    """Write one score beyond zero, with integers."""
    factors = [(k, int(w)) for k, w in enumerate(weights) if w]
    constant = Fraction(objective.constant)
    constant += sum((w * Fraction(float(ensemble.base[k])) for k, w in factors), Fraction(0))
    slack = (Fraction(ensemble.slack) + Fraction(objective.slack)) * ensemble.divisor
    values = made.boxes.values
    gains = [sum((w * Fraction(float(row[k])) for k, w in factors), Fraction(0)) for row in values]
    constant *= ensemble.divisor
    scale = math.lcm(constant.denominator, *(g.denominator for g in gains))
    bound = -constant * scale
    groups: list[tuple[tuple[int, int], ...]] = []
    row = 0
    for leaves in made.trees:
        whole = [int(gain * scale) for gain in gains[row : row + len(leaves)]]
        row += len(leaves)
        least = min(whole)
        bound -= least
        if max(whole) > least:
            group = zip(leaves, (weight - least for weight in whole), strict=True)
            groups.append(tuple(group))
    lowest = math.ceil(bound - slack * scale) if slack else int(bound) + (not at_zero)
    return AtLeast(when, tuple(groups), lowest)


def _rows(objective: Objective) -> list[tuple[tuple[float, ...], bool]]:
    """Return the scores that an objective compares, and whether zero changes the decision."""
    if not objective.against:
        return [(objective.weights, objective.at_zero is not False)]
    target = objective.weights.index(1.0)
    return [
        (tuple(w - float(k == rival) for k, w in enumerate(objective.weights)), target < rival)
        for rival in objective.against
    ]


def _describe(problem: ExplanationProblem, objective: Objective) -> str:
    """Name a way to change the decision by the class that gains."""
    classes = problem.classifier.classes
    if len(objective.weights) == len(classes) and len(classes) > 1:
        return f"class {classes[objective.weights.index(1.0)]}"
    if classes:
        return f"class {classes[int(objective.weights[0] > 0)]}"
    return "above" if objective.weights[0] > 0 else "below"


def _boundary(boxes: LeafBoxes, column: int, cell: int) -> str:
    """Say what "at or beyond this cell" means in values."""
    cells = boxes.columns[column]
    held = cells.cells[cell:]
    if cells.is_ascending and not held[0].codes:
        return f">= {held[0].lower!r}"
    parts = [
        "missing"
        if c.is_missing
        else "{" + " ".join(str(code) for code in c.codes) + "}"
        if c.codes
        else f"[{c.lower!r} .. {c.upper!r}]"
        for c in held
    ]
    return "in " + " or ".join(parts)

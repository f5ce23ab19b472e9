"""A circuit's question as clauses and threshold rows over 0/1 variables.

One neutral form for all solvers: order variables of the cells of each column (see
`trees.constraints`, whose order encoding this is), one variable per test and gate, one
selector per feature that fixes it to the instance, and the clause that some class which
changes the decision wins.  Gates stay threshold rows here; `clauses` turns them into CNF by
cardinality encodings (PySAT) or, with weights, by totalizers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pysat.card import CardEnc, EncType

from whyproof.encodings.pseudo_boolean import at_most
from whyproof.encodings.trees.boxes import Cells, LeafBoxes
from whyproof.encodings.trees.cells import ColumnCells
from whyproof.encodings.trees.reach import within_region
from whyproof.engine.errors import UnsupportedError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, ReachClass
from whyproof.engine.space import FeatureSet, FeatureSpace, Point

from .circuit import Circuit, Gate

__all__ = ["CircuitConstraints", "circuit_cells", "circuit_constraints", "clauses_of"]


@dataclass(frozen=True, slots=True)
class GateRow:
    """Variable `output` is true exactly where the gate, over variables, is."""

    output: int
    gate: Gate


@dataclass(frozen=True, eq=False)
class CircuitConstraints:
    """Variables, clauses and gates of one explanation problem; variables count from 1.

    Parameters
    ----------
    problem
        What is asked.
    boxes, cells
        The tests in cells, and the instance among them.
    lower, upper
        Cells that the region leaves to free columns, upper excluded.
    names
        What each variable means.
    clauses
        Disjunctions of literals.
    rows
        Gates over variables.
    selectors
        Variable that fixes each mutable feature.
    orders
        Variables of each column's boundaries, ascending.
    """

    problem: ExplanationProblem
    boxes: LeafBoxes
    cells: Cells
    lower: Cells
    upper: Cells
    names: list[str] = field(default_factory=list[str])
    clauses: list[tuple[int, ...]] = field(default_factory=list[tuple[int, ...]])
    rows: list[GateRow] = field(default_factory=list[GateRow])
    selectors: dict[int, int] = field(default_factory=dict[int, int])
    orders: list[list[int]] = field(default_factory=list[list[int]])

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        return len(self.names)

    def variable(self, name: str) -> int:
        """Add a variable."""
        self.names.append(name)
        return len(self.names)

    def point(self, true: set[int], free: FeatureSet) -> Point:
        """Return the instance moved into the cells of an assignment.

        Parameters
        ----------
        true
            Variables that are true.
        free
            Features that may have moved.
        """
        counts = [sum(variable in true for variable in column) for column in self.orders]
        columns = [c for f in free for c in self.problem.space.features[f].columns]
        return self.boxes.enter(
            self.problem.instance,
            self.cells,
            np.array(counts, dtype=np.int32),
            columns,
            self.problem.limits,
        )


def circuit_cells(circuit: Circuit, space: FeatureSpace) -> LeafBoxes:
    """Cut the columns of a space into the cells that a circuit can tell apart."""
    return LeafBoxes.of(circuit.board, space)


def circuit_constraints(
    problem: ExplanationProblem, boxes: LeafBoxes | None = None
) -> CircuitConstraints:
    """Encode "some point of the region changes the decision".

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `Circuit`.
    boxes
        From `circuit_cells`, to share between instances; made here if not given.

    Raises
    ------
    UnsupportedError
        For regions that are not boxes, and for questions about scores.
    """
    structure = problem.classifier.structure
    # Other structures (decision graphs) may know themselves as circuits.
    translate = getattr(structure, "as_circuit", None)
    circuit = translate() if callable(translate) else structure
    if not isinstance(circuit, Circuit):
        raise UnsupportedError("this encoding needs a model of rules or gates")
    if not problem.region.is_box:
        raise UnsupportedError(
            f"{circuit.family} are explained in boxes and linf balls, not {problem.region.norm} "
            "balls"
        )
    wanted = _changing(problem, circuit)
    reach = within_region(boxes or circuit_cells(circuit, problem.space), problem)
    made = CircuitConstraints(problem, reach.boxes, reach.cells, reach.lower, reach.upper)
    _add_columns(made)
    _add_features(made)
    literal_of = _add_circuit(made, circuit)
    made.clauses.append(tuple(literal_of(circuit.wins[k]) for k in wanted))
    return made


def clauses_of(made: CircuitConstraints) -> list[tuple[int, ...]]:
    """Return everything as clauses, which adds variables to `made`."""
    clauses = list(made.clauses)
    for row in made.rows:
        clauses += _gate_clauses(made, row)
    return clauses


def _changing(problem: ExplanationProblem, circuit: Circuit) -> list[int]:
    match problem.question:
        case AnyOther():
            return [k for k in range(circuit.n_outputs) if k != int(problem.prediction)]
        case ReachClass(target):
            return [target]
        case other:
            raise UnsupportedError(
                f"{circuit.family} decide a class without a score: ask for any other class or for "
                f"one class, not {type(other).__name__}"
            )


def _add_columns(made: CircuitConstraints) -> None:
    for i, column in enumerate(made.boxes.columns):
        name = " ".join(made.problem.space.columns[i].name.split())
        variables = [
            made.variable(f"column {name} | {_meaning(column, k)}") for k in range(1, len(column))
        ]
        made.orders.append(variables)
        made.clauses.extend([(-b, a) for a, b in itertools.pairwise(variables)])
        made.clauses.extend([(variable,) for variable in variables[: int(made.lower[i])]])
        made.clauses.extend([(-variable,) for variable in variables[int(made.upper[i]) - 1 :]])


def _meaning(column: ColumnCells, first: int) -> str:
    """Say in values what being in a cell or a later one means."""
    held = column.cells[first:]
    if column.is_ascending and not held[0].codes:
        return f">= {held[0].lower!r}"
    parts: list[str] = []
    for cell in held:
        if cell.is_missing:
            parts.append("missing")
        elif cell.codes:
            parts.append(" or ".join(str(column.domain.decode(code)) for code in cell.codes))
        else:
            parts.append(f"[{cell.lower!r} .. {cell.upper!r}]")
    return " ".join(f"in {' or '.join(parts)}".split())


def _add_features(made: CircuitConstraints) -> None:
    for f, feature in enumerate(made.problem.space.features):
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


class _Literals:
    """Variables of a circuit's literals."""

    def __init__(self, variables: list[int]) -> None:
        self._variables = variables

    def __call__(self, literal: int) -> int:
        variable = self._variables[abs(literal) - 1]
        return variable if literal > 0 else -variable


def _add_circuit(made: CircuitConstraints, circuit: Circuit) -> _Literals:
    variables: list[int] = []
    literal_of = _Literals(variables)
    for t, test in enumerate(circuit.tests):
        runs = made.boxes.columns[test.column].splits[t, 0]
        variables.append(_test_literal(made, test.column, runs, f"test {t}"))
    for k, gate in enumerate(circuit.gates):
        name = circuit.names[k] if k < len(circuit.names) and circuit.names[k] else f"gate {k}"
        output = made.variable(" ".join(name.split()))
        literals = tuple(literal_of(v) for v in gate.literals)
        made.rows.append(GateRow(output, Gate(literals, gate.bound, gate.weights)))
        variables.append(output)
    return literal_of


def _test_literal(
    made: CircuitConstraints, column: int, runs: Sequence[tuple[int, int]], name: str
) -> int:
    """Return a literal that is true in the given runs of cells."""
    orders, n = made.orders[column], len(made.boxes.columns[column])
    if len(runs) == 1 and runs[0][0] == 0 and runs[0][1] < n:
        return -orders[runs[0][1] - 1]
    if len(runs) == 1 and runs[0][1] == n and runs[0][0] > 0:
        return orders[runs[0][0] - 1]
    output = made.variable(f"{name} of column {made.problem.space.columns[column].name}")
    parts: list[int] = []
    for first, end in runs:
        edges = [orders[first - 1]] if first else []
        edges += [-orders[end - 1]] if end < n else []
        part = made.variable(f"{name}, cells {first} to {end - 1}")
        made.clauses.append((part, *(-edge for edge in edges)))
        made.clauses.extend([(-part, edge) for edge in edges])
        parts.append(part)
    made.clauses.append((-output, *parts))
    made.clauses.extend([(-part, output) for part in parts])
    return output


def _gate_clauses(made: CircuitConstraints, row: GateRow) -> list[tuple[int, ...]]:
    output, gate = row.output, row.gate
    literals, bound, total = gate.literals, gate.bound, gate.total
    if bound <= 0:
        return [(output,)]
    if bound > total:
        return [(-output,)]
    if bound == total:
        return [(output, *(-v for v in literals)), *((-output, v) for v in literals)]
    if bound == 1:
        return [(-output, *literals), *((output, -v) for v in literals)]
    if not gate.weights:
        return [
            *_cardinality(made, literals, bound, output),
            *_cardinality(made, tuple(-v for v in literals), len(literals) - bound + 1, -output),
        ]
    weighed = list(zip(literals, gate.weights, strict=True))

    def fresh() -> int:
        return made.variable("sum")

    low = [[(-v, w), (v, 0)] for v, w in weighed]
    high = [[(v, w), (-v, 0)] for v, w in weighed]
    return [
        *at_most(low, total - bound, output, fresh),
        *at_most(high, bound - 1, -output, fresh),
    ]


def _cardinality(
    made: CircuitConstraints, literals: Sequence[int], bound: int, when: int
) -> list[tuple[int, ...]]:
    """Encode that `when` implies at least `bound` true literals."""
    encoded = CardEnc.atleast(
        lits=list(literals), bound=bound, top_id=made.n_variables, encoding=EncType.seqcounter
    )
    for _ in range(encoded.nv - made.n_variables):
        made.variable("count")
    # Auxiliary clauses weakened by `when` still force the count where `when` is true.
    return [(-when, *clause) for clause in encoded.clauses]

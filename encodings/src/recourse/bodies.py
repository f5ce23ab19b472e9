"""Models that are no sums over leaves, as variables and rows of the same program.

Trees speak through their leaves.  Every other model adds a *body*: variables and rows that
compute its outputs from the cells and values of columns, so that score rows, rules, prices and
solvers are the same for all of them.  A linear model needs the values of its columns and no row;
rules (decision lists, default rules, binarised networks) are gates over cells, each
gate two rows; what a ReLU network needs stands in `whyproof.encodings.networks.nearness`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from whyproof.encodings.circuits.circuit import Circuit, ColumnTest, Gate
from whyproof.encodings.trees.cells import Cell

from .posed import Affine, Posed, Term

__all__ = ["Body", "GateBody", "LineBody", "added", "runs", "sample_of"]


class Body(Protocol):
    """What a model adds to a program."""

    @property
    def valued(self) -> frozenset[int]:
        """Columns whose value is needed, not only its cell."""
        ...

    @property
    def grid(self) -> float | None:
        """Distance at least between two values of an output; `None` if it is not known."""
        ...

    @property
    def scale(self) -> float:
        """Size of the largest factor in an output."""
        ...

    @property
    def lines(self) -> npt.NDArray[np.float64] | None:
        """Slopes, shape ``(columns, outputs)``, if outputs are linear in the values."""
        ...

    def pose(self, posed: Posed) -> Sequence[Affine]:
        """Add variables and rows; return the outputs."""
        ...


@dataclass(frozen=True, eq=False)
class LineBody:
    """The straight lines of an additive model.

    Parameters
    ----------
    slopes
        Shape ``(columns, outputs)``.
    widths
        Largest size of each column's values, shape ``(columns,)``.
    """

    slopes: npt.NDArray[np.float64]
    widths: npt.NDArray[np.float64]

    @property
    def valued(self) -> frozenset[int]:
        """Columns with a slope."""
        return frozenset(np.flatnonzero(self.slopes.any(axis=1)).tolist())

    @property
    def grid(self) -> None:
        """Outputs are real numbers."""
        return

    @property
    def scale(self) -> float:
        """Largest slope times the size of its column."""
        return float((np.abs(self.slopes) * self.widths[:, None]).max(initial=0.0)) or 1.0

    @property
    def lines(self) -> npt.NDArray[np.float64]:
        """The slopes."""
        return self.slopes

    def pose(self, posed: Posed) -> Sequence[Affine]:
        """Return the sums of slopes times values."""
        outputs: list[Affine] = []
        for slopes in self.slopes.T:
            terms: list[Term] = []
            for c in np.flatnonzero(slopes).tolist():
                variable, unit = posed.values[c]
                terms.append((variable, float(slopes[c]) * unit))
            outputs.append((terms, 0.0))
        return outputs


@dataclass(frozen=True, eq=False)
class GateBody:
    """A circuit: 1 for the class that wins, 0 for all others.

    Parameters
    ----------
    circuit
        Tests, gates, winners; the cells of its columns lie inside or outside of each test.
    """

    circuit: Circuit

    @property
    def valued(self) -> frozenset[int]:
        """Cells are enough."""
        return frozenset()

    @property
    def grid(self) -> float:
        """Outputs are 0 or 1."""
        return 1.0

    @property
    def scale(self) -> float:
        """Outputs are 0 or 1."""
        return 1.0

    @property
    def lines(self) -> None:
        """Outputs are not linear."""
        return

    def pose(self, posed: Posed) -> Sequence[Affine]:
        """Add a variable and two rows per gate."""
        truths = [_test(posed, test) for test in self.circuit.tests]
        for gate in self.circuit.gates:
            truths.append(_gate(posed, gate, [_literal(truths, v) for v in gate.literals]))
        return [_literal(truths, v) for v in self.circuit.wins]


def added(parts: Sequence[tuple[float, Affine]]) -> Affine:
    """Return a weighted sum of sums.

    Examples
    --------
    >>> added([(2.0, ([(0, 1.0)], 1.0)), (-1.0, ([(0, 0.5), (1, 1.0)], 0.0))])
    ([(0, 1.5), (1, -1.0)], 2.0)
    """
    total: dict[int, float] = {}
    constant = 0.0
    for factor, (terms, offset) in parts:
        constant += factor * offset
        for variable, weight in terms:
            total[variable] = total.get(variable, 0.0) + factor * weight
    return [(v, weight) for v, weight in total.items() if weight], constant


def _literal(truths: Sequence[Affine], literal: int) -> Affine:
    truth = truths[abs(literal) - 1]
    return truth if literal > 0 else added([(1.0, ([], 1.0)), (-1.0, truth)])


def sample_of(cell: Cell) -> float:
    """Return a value of a cell.

    Examples
    --------
    >>> sample_of(Cell(-math.inf, 2.0))
    2.0
    """
    if cell.is_missing:
        return math.nan
    if cell.codes:
        return float(cell.codes[0])
    return cell.upper if math.isinf(cell.lower) else cell.lower


def runs(posed: Posed, column: int, held: Sequence[bool]) -> Affine:
    """Return "the cell is among those that are held" as a sum over the ends of their runs."""
    parts: list[tuple[float, Affine]] = []
    before = False
    for k, now in enumerate([*held, False]):
        if now != before:
            parts.append((1.0 if now else -1.0, posed.beyond(column, k)))
        before = now
    return added(parts)


def _test(posed: Posed, test: ColumnTest) -> Affine:
    samples = [sample_of(cell) for cell in posed.boxes.columns[test.column].cells]
    return runs(posed, test.column, test.holds(np.array(samples)).tolist())


def _gate(posed: Posed, gate: Gate, inputs: Sequence[Affine]) -> Affine:
    """Add a gate: ``sum >= bound * output`` and ``sum <= bound - 1 + rest * output``."""
    weights: Sequence[float] = gate.weights or (1,) * len(inputs)
    bound, rest = gate.bound, gate.total - gate.bound + 1
    if bound <= 0 or rest <= 0:
        return [], float(bound <= 0)
    output = posed.variable(0.0, 0.0, 1.0, whole=True)
    terms, constant = added(list(zip(map(float, weights), inputs, strict=True)))
    posed.rows.add([*terms, (output, -float(bound))], -constant, math.inf)
    posed.rows.add([*terms, (output, -float(rest))], -math.inf, bound - 1 - constant)
    return [(output, 1.0)], 0.0

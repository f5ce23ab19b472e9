"""Rules as a threshold circuit: what encodings read to decide every question exactly.

Each literal becomes tests of one column: an ordering comparison a test at its threshold,
an equality a set of codes, or two tests of a number.  The missing value and words
satisfy what `Literal` says they do.  Rules themselves stay what runs: `rows_of` turns
points back into a table of rules, on which every counterexample is replayed.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from whyproof.encodings.circuits.builder import CircuitBuilder
from whyproof.encodings.circuits.circuit import Circuit
from whyproof.encodings.circuits.decide import Overlap, first_that_fires, vote_of_all

from .literal import Literal, Operator
from .position import RuleError
from .rule import Body, RuleSet
from .table import Column, Table
from .values import Value, number_of, text_of

__all__ = ["RuleColumn", "decide", "labels_of", "rows_of", "rules_circuit"]

UNDECIDED = "(undecided)"
"""Label where no rule fires and the rules have no default."""


@dataclass(frozen=True, slots=True)
class RuleColumn:
    """One input of rules.

    Parameters
    ----------
    name
        Feature that rules test.
    values
        The values that its codes 0, 1, ... stand for; empty for a column of numbers.
    """

    name: str
    values: tuple[Value, ...] = ()


def labels_of(rules: RuleSet) -> tuple[Hashable, ...]:
    """Return the class labels of rules by index."""
    found: tuple[Hashable, ...] = rules.labels
    return found if rules.default is not None else (*found, UNDECIDED)


def rules_circuit(
    rules: RuleSet,
    columns: Sequence[RuleColumn],
    overlap: Overlap = "first",
    weights: Sequence[float] | None = None,
) -> Circuit:
    """Translate rules.

    Parameters
    ----------
    rules
        What decides.
    columns
        The inputs, in the model's order; every feature of the rules is among them.
    overlap
        What decides where several rules fire, see `encodings.circuits.decide`.
    weights
        Votes of each rule for ``vote``, positive; 1 by default.

    Raises
    ------
    RuleError
        If a feature is not among the columns, or weights do not fit.

    Examples
    --------
    >>> from .read import read_rules
    >>> rules = read_rules("label = p :- odor = f.  label = e :- cap > 3.  label = p :- odor = n.")
    >>> columns = [RuleColumn("odor", ("f", "n")), RuleColumn("cap")]
    >>> circuit = rules_circuit(rules, columns)
    >>> [circuit.classes[k] for k in circuit.predict(np.array([[1.0, 4.0], [1.0, 3.0]]))]
    ['e', 'p']
    """
    positions = {column.name: i for i, column in enumerate(columns)}
    for name in rules.features:
        if name not in positions:
            raise RuleError(f"the rules test {name!r}, which is no input")
    builder = CircuitBuilder(len(columns))
    writer = _Writer(builder, positions, columns)
    fires = [writer.body(rule.body, f"rule {k}") for k, rule in enumerate(rules.rules)]
    labels = labels_of(rules)
    index = {text_of(label): k for k, label in enumerate(labels)}
    heads = [index[text_of(rule.head.values[0])] for rule in rules.rules]
    default = index[UNDECIDED if rules.default is None else text_of(rules.default)]
    if overlap == "first":
        wins = first_that_fires(builder, fires, heads, default, len(labels))
    else:
        votes = whole_weights(weights or [1.0] * len(fires))
        if len(votes) != len(fires):
            raise RuleError(f"{len(fires)} rules need as many weights, found {len(votes)}")
        wins = vote_of_all(builder, fires, heads, votes, default, len(labels))
    return builder.build(wins, labels, "rules")


def whole_weights(weights: Sequence[float]) -> list[int]:
    """Scale positive weights, exactly as written in decimals, to integers.

    Examples
    --------
    >>> whole_weights([0.5, 0.2, 1.0])
    [5, 2, 10]
    """
    exact = [Fraction(str(weight)) for weight in weights]
    if any(weight <= 0 for weight in exact):
        raise RuleError("every weight of a rule has to be positive")
    scale = math.lcm(*(weight.denominator for weight in exact)) if exact else 1
    return [int(weight * scale) for weight in exact]


def decide(
    rules: RuleSet,
    table: Table,
    overlap: Overlap = "first",
    weights: Sequence[float] | None = None,
) -> npt.NDArray[np.int64]:
    """Return the class index of each row, by running the rules, shape ``(rows,)``."""
    labels = labels_of(rules)
    index = {text_of(label): k for k, label in enumerate(labels)}
    heads = np.array([index[text_of(rule.head.values[0])] for rule in rules.rules], dtype=np.int64)
    default = index[UNDECIDED if rules.default is None else text_of(rules.default)]
    if overlap == "first":
        firing = rules.firing(table)
        return np.where(firing < 0, default, np.append(heads, default)[firing])
    votes = whole_weights(weights or [1.0] * len(rules.rules))
    total = np.zeros((table.n_rows, len(labels)), dtype=np.int64)
    fired = np.zeros(table.n_rows, dtype=np.bool_)
    for rule, head, vote in zip(rules.rules, heads.tolist(), votes, strict=True):
        fires = rule.fires(table)
        total[:, head] += vote * fires
        fired |= fires
    return np.where(fired, total.argmax(axis=1), default)


def rows_of(points: npt.NDArray[np.float64], columns: Sequence[RuleColumn]) -> Table:
    """Return points as rules see them."""
    found: Mapping[str, Column] = {
        column.name: _column(points[:, i], column) for i, column in enumerate(columns)
    }
    return Table(found, len(points))


def _column(codes: npt.NDArray[np.float64], column: RuleColumn) -> Column:
    if not column.values:
        return Column.numeric(codes)
    absent = np.isnan(codes)
    places = np.where(absent, len(column.values), np.nan_to_num(codes)).astype(np.int64)
    return Column.coded(places, [*column.values, None])


class _Writer:
    """Writes bodies and literals into a circuit."""

    def __init__(
        self, builder: CircuitBuilder, positions: Mapping[str, int], columns: Sequence[RuleColumn]
    ) -> None:
        self._builder, self._positions, self._columns = builder, positions, columns

    def body(self, body: Body, name: str = "") -> int:
        parts = [self.literal(literal) for literal in body.literals]
        parts += [-self.body(exception) for exception in body.exceptions]
        return self._builder.all_of(parts, name)

    def literal(self, literal: Literal) -> int:
        position = self._positions[literal.feature]
        values = self._columns[position].values
        if values:
            codes = [k for k, value in enumerate(values) if literal.accepts(value)]
            return self._builder.among(position, codes, missing=literal.accepts(None))
        if literal.operator.is_order:
            found = self._ordered(literal, position)
            return -found if literal.negated else found
        found = self._builder.any_of([self._equal(position, value) for value in literal.values])
        return found if literal.operator in (Operator.EQ, Operator.IN) else -found

    def _ordered(self, literal: Literal, column: int) -> int:
        threshold, build = number_of(literal.value), self._builder
        match literal.operator:
            case Operator.LT:
                return build.below(column, threshold)
            case Operator.LE:
                return build.up_to(column, threshold)
            case Operator.GT:
                # The missing value is neither above nor below.
                return -build.up_to(column, threshold, missing=True)
            case _:
                return -build.below(column, threshold, missing=True)

    def _equal(self, column: int, value: Value) -> int:
        text, build = text_of(value), self._builder
        if not text:
            return build.is_missing(column)
        try:
            number = float(text)
        except ValueError:
            return build.any_of([])
        if text_of(number) != text or math.isnan(number):
            return build.any_of([])
        return build.all_of(
            [build.up_to(column, number), -build.below(column, number, missing=True)]
        )

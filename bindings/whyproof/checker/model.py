"""Tree models as the checker reads them: tests, leaves, sums of integers, a decision rule.

All numbers of a model are binary fractions.  Scaled by one power of two they are integers,
and everything below is computed with Python's integers and fractions: exactly.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal, TypeAlias

from .refusal import Refused

__all__ = [
    "ZERO",
    "Branch",
    "Leaf",
    "Node",
    "Precision",
    "Rule",
    "Test",
    "TreeModel",
    "next_above",
    "round_to",
]

Precision = Literal["float32", "float64"]
Rule = Literal["argmax", "positive", "value"]
"""First largest sum; class 1 where the only sum is above zero; the sum itself."""

DIGITS: dict[Precision, int] = {"float32": 24, "float64": 53}
ZERO = struct.unpack("<f", struct.pack("<f", 1e-35))[0]
"""Largest size of what LightGBM reads as zero."""


def round_to(value: float, precision: Precision) -> float:
    """Round a number to a type's grid; what is too large becomes infinite.

    Examples
    --------
    >>> round_to(0.1, "float32") == 0.1, round_to(1e300, "float32")
    (False, inf)
    """
    if precision == "float64" or math.isnan(value) or math.isinf(value):
        return value
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def next_above(value: float, precision: Precision) -> float:
    """Return the smallest number of a type's grid that is greater than a number.

    Examples
    --------
    >>> next_above(1.0, "float32") == 1.0 + 2.0**-23, next_above(0.0, "float64")
    (True, 5e-324)
    """
    if precision == "float64" or math.isinf(value):
        return math.nextafter(value, math.inf)
    nearest = round_to(value, "float32")
    if nearest > value:
        return nearest
    if nearest == 0.0:
        return 2.0**-149
    (bits,) = struct.unpack("<i", struct.pack("<f", nearest))
    return float(struct.unpack("<f", struct.pack("<i", bits + (1 if nearest > 0 else -1)))[0])


@dataclass(frozen=True, slots=True)
class Test:
    """What a branch asks about a column's value, rounded to the model's input type.

    Parameters
    ----------
    column
        Which column.
    below
        Passes what is less than this.
    codes
        Passes these whole numbers instead; `None` for a numeric test.
    missing
        Whether the missing value passes.
    zero_missing
        Whether values up to `ZERO` in size count as missing.
    """

    column: int
    below: float = math.nan
    codes: frozenset[int] | None = None
    missing: bool = False
    zero_missing: bool = False

    def passes(self, value: float) -> bool:
        """Tell whether a rounded value passes."""
        if math.isnan(value) or (self.zero_missing and abs(value) <= ZERO):
            return self.missing
        return value in self.codes if self.codes is not None else value < self.below


@dataclass(frozen=True, slots=True)
class Branch:
    """A test and the numbers of the nodes behind it."""

    test: Test
    yes: int
    no: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a leaf adds to each output."""

    values: tuple[float, ...]


Node: TypeAlias = Branch | Leaf
_Step: TypeAlias = tuple[int, float | None, Test, int, int]


@dataclass(frozen=True)
class TreeModel:
    """Trees and what becomes of their sums.

    Parameters
    ----------
    kind
        What the file is, for people.
    n_columns
        Number of inputs.
    trees
        Nodes of each tree; node 0 is the root.
    base
        Start of each sum.
    shift
        What sums are compared with, taken off them.
    rule
        How sums decide.
    n_classes
        Number of classes; 0 for a regressor.
    labels
        Class labels if the file has them.
    divisor
        Number of trees that are averaged; 1 for sums.
    precision
        Type of inputs and sums.
    zone
        Differences that a link function behind the sums may round away.
    term_roundings, base_roundings
        Roundings of a term, of the base, before it is added.
    ordered
        Whether terms are added in the order of the trees, the base first.
    """

    kind: str
    n_columns: int
    trees: tuple[tuple[Node, ...], ...]
    base: tuple[float, ...]
    rule: Rule
    n_classes: int
    labels: tuple[str, ...] = ()
    shift: float = 0.0
    divisor: int = 1
    precision: Precision = "float32"
    zone: Fraction = Fraction(0)
    term_roundings: int = 0
    base_roundings: int = 0
    ordered: bool = True

    def __post_init__(self) -> None:
        for number, tree in enumerate(self.trees):
            _check_tree(number, tree, self.n_columns, len(self.base))

    @cached_property
    def scale(self) -> int:
        """Power of two that makes every number an integer."""
        numbers = [*self.base, self.shift, *(v for t in self.trees for n in t for v in _values(n))]
        return max((value.as_integer_ratio()[1] for value in numbers), default=1)

    def scaled(self, value: float) -> int:
        """Return a number of the model times `scale`."""
        top, bottom = value.as_integer_ratio()
        return top * (self.scale // bottom)

    @cached_property
    def start(self) -> tuple[int, ...]:
        """Sums before any tree, times `unit`."""
        shift = self.scaled(self.shift)
        return tuple((self.scaled(value) - shift) * self.divisor for value in self.base)

    @property
    def unit(self) -> int:
        """What one unit of the model's scores is in sums: scale times divisor."""
        return self.scale * self.divisor

    def sums(self, leaves: Sequence[int]) -> list[int]:
        """Return the exact sums where these leaves are reached, times `unit`."""
        total = list(self.start)
        for terms, at in zip(self._terms, leaves, strict=True):
            for k, value in terms[at]:
                total[k] += value
        return total

    def moved(
        self, point: list[float], columns: Iterable[int], leaves: list[int], sums: list[int]
    ) -> list[int]:
        """Return the sums at a point that differs in some columns from another.

        Trees that test none of these columns are in the same leaves at both.

        Parameters
        ----------
        point
            The point.
        columns
            Where it may differ.
        leaves, sums
            Of the other point.
        """
        rounded = [round_to(value, self.precision) for value in point]
        total = list(sums)
        for number in set().union(*(self._testing[column] for column in columns)):
            terms, before = self._terms[number], leaves[number]
            at = self._leaf(number, rounded)
            if at != before:
                for k, value in terms[before]:
                    total[k] -= value
                for k, value in terms[at]:
                    total[k] += value
        return total

    def leaves(self, point: list[float]) -> list[int]:
        """Return the number of the leaf that a point reaches in each tree."""
        rounded = [round_to(value, self.precision) for value in point]
        return [self._leaf(number, rounded) for number in range(len(self.trees))]

    def _leaf(self, number: int, rounded: list[float]) -> int:
        tree, at = self._walks[number], 0
        while (branch := tree[at]) is not None:
            column, below, test, yes, no = branch
            value = rounded[column]
            if below is not None and value == value:  # neither codes nor a missing value
                at = yes if value < below else no
            else:
                at = yes if test.passes(value) else no
        return at

    @cached_property
    def _walks(self) -> tuple[tuple[_Step | None, ...], ...]:
        """Trees as tuples, with the boundary of tests that are plain comparisons."""
        return tuple(
            tuple(
                (
                    node.test.column,
                    None
                    if node.test.codes is not None or node.test.zero_missing
                    else node.test.below,
                    node.test,
                    node.yes,
                    node.no,
                )
                if isinstance(node, Branch)
                else None
                for node in tree
            )
            for tree in self.trees
        )

    @cached_property
    def _testing(self) -> list[set[int]]:
        """Trees that test each column."""
        found: list[set[int]] = [set() for _ in range(self.n_columns)]
        for number, tree in enumerate(self.trees):
            for node in tree:
                if isinstance(node, Branch):
                    found[node.test.column].add(number)
        return found

    @cached_property
    def _terms(self) -> tuple[tuple[tuple[tuple[int, int], ...], ...], ...]:
        """Outputs and what each leaf adds to them, without zeros."""
        return tuple(
            tuple(tuple((k, v) for k, v in enumerate(node) if v) for node in tree)
            for tree in self.added
        )

    @cached_property
    def added(self) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """What each leaf adds to the sums, times `unit`; empty at branches."""
        return tuple(tuple(tuple(map(self.scaled, _values(n))) for n in t) for t in self.trees)

    @cached_property
    def rounding(self) -> Fraction:
        """How far differences of sums may be off in the model that runs, in scores.

        Each addition errs by half a unit in the last place of its result at most; partial
        sums are bounded tree by tree.  Zero if no partial sum needs rounding at all.
        """
        unit = Fraction(1, 2 ** DIGITS[self.precision])
        if self._exact():
            return self.zone
        errors = sorted(self._error(k, unit) for k in range(len(self.base)))
        return sum(errors[-2:], Fraction(0)) + self.zone

    @cached_property
    def _ranges(self) -> list[list[tuple[int, int]]]:
        """Least and largest value of each tree, by output."""
        found: list[list[tuple[int, int]]] = [[] for _ in self.base]
        for tree in self.added:
            leaves = [values for values in tree if values]
            for ranges, values in zip(found, zip(*leaves, strict=True), strict=True):
                ranges.append((min(values), max(values)))
        return found

    def _exact(self) -> bool:
        if self.term_roundings:
            return False
        single = len(self.trees) == 1 and not any(self.base)
        if single and self.ordered:
            return True
        largest = 0
        common = 0
        for k, base in enumerate(self.base):
            largest = max(
                largest,
                abs(self.scaled(base)) + sum(max(-a, b, 0) for a, b in self._ranges[k]),
            )
            common = math.gcd(common, self.scaled(base))
        for tree in self.added:
            for values in tree:
                common = math.gcd(common, *values)
        spare = 0 if self.ordered and self.divisor == 1 else 3
        return bool(largest <= common * 2 ** (DIGITS[self.precision] - spare))

    def _error(self, k: int, unit: Fraction) -> Fraction:
        low = high = self.scaled(self.base[k]) * (1 if self.ordered else self.divisor)
        size, terms = abs(low), int(low != 0)
        total = self.base_roundings * size
        for least, most in self._ranges[k]:
            low, high = low + least, high + most
            largest = max(abs(least), abs(most))
            if not largest:
                continue  # adding zero, as trees of other classes do, is exact
            terms += 1
            size += largest
            total += max(abs(low), abs(high)) + self.term_roundings * largest
        if not self.ordered:
            total = (terms + 1 + self.term_roundings + self.base_roundings) * size
        # Partial sums were bounded exactly; the factor covers that they are rounded themselves.
        error = unit * total * (1 + 4 * unit * (len(self.trees) + 2)) / self.scale
        if self.divisor > 1:
            error = (error + 2 * unit * Fraction(size, self.scale)) / self.divisor
        return error


def _values(node: Node) -> tuple[float, ...]:
    return node.values if isinstance(node, Leaf) else ()


def _check_tree(number: int, tree: tuple[Node, ...], n_columns: int, outputs: int) -> None:
    """Refuse what is no tree: every node but the root has exactly one parent."""
    if not tree:
        raise Refused(f"tree {number} of the model has no nodes")
    pending, seen = [0], {0}
    while pending:
        node = tree[pending.pop()]
        if isinstance(node, Leaf):
            if len(node.values) != outputs or not all(map(math.isfinite, node.values)):
                raise Refused(f"tree {number} of the model has a damaged leaf")
            continue
        if not 0 <= node.test.column < n_columns:
            raise Refused(f"tree {number} of the model tests a column that does not exist")
        if node.test.codes is None and math.isnan(node.test.below):
            raise Refused(f"tree {number} of the model compares with a number that is none")
        for child in (node.yes, node.no):
            if not 0 < child < len(tree) or child in seen:
                raise Refused(f"tree {number} of the model is no tree")
            seen.add(child)
            pending.append(child)

"""Claims that nothing nearer changes the decision: bounds by multipliers, in rationals.

A proof is a tree of splits per rival.  At each of its ends stand multipliers: of the rival's
differences, and of "leaves of a tree that lie wholly on one side of a boundary need the column
to be on that side".  Any multipliers that are not negative give a bound: the cheapest leaf of
each tree and the cheapest cell of each column, chosen independently.  Nothing about how
they were found has to be believed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Any

from .cells import Column
from .document import fields, number
from .landscape import Landscape
from .question import Rival
from .refusal import Refused

__all__ = ["NORMS", "NearnessChecker"]

NORMS = ("l0", "l1", "l2")


class NearnessChecker:
    """Checks bounds on the cost of every change of one decision.

    Parameters
    ----------
    columns
        The columns.
    landscape
        The model over the cells of the region.
    limits
        Least and greatest value that the region leaves to each column.
    rivals
        What counts as a change.
    slack
        In units of the sums.
    instance
        Where the decision was made.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        landscape: Landscape,
        limits: Sequence[tuple[float, float]],
        rivals: Sequence[Rival],
        slack: Fraction,
        instance: Sequence[float],
    ) -> None:
        self._columns, self._land, self._limits = columns, landscape, limits
        self._rivals, self._slack, self._instance = rivals, slack, instance
        self._gains: dict[tuple[Fraction, ...], list[list[Fraction]]] = {}

    def check(self, claim: Mapping[str, Any]) -> int:
        """Check the proofs of a claim; return the number of boxes.

        Raises
        ------
        Refused
            Saying which box fails.
        """
        norm, factors = claim["norm"], claim["factors"]
        if norm not in NORMS:
            raise Refused(f"no distance {norm!r} is known")
        if not isinstance(factors, list) or len(factors) != len(self._columns):
            raise Refused("the weights of a distance do not fit the columns")
        weights = [Fraction(_weight(value)) for value in factors]
        costs = [self._costs(c, weight, norm) for c, weight in enumerate(weights)]
        bound = self.cost_of(number(claim["bound"]), norm)
        proofs = claim["proofs"]
        if not isinstance(proofs, list) or len(proofs) != len(self._rivals):
            raise Refused("there is not one proof for each way to change the decision")
        return sum(
            self._proof(rival, proof, costs, bound)
            for rival, proof in zip(self._rivals, proofs, strict=True)
        )

    def cost_of(self, distance: float, norm: str) -> Fraction:
        """Return what costs add up to at a distance."""
        if not 0 <= distance < math.inf:
            raise Refused(f"a claim is about the distance {distance!r}")
        return Fraction(distance) ** (2 if norm == "l2" else 1)

    def distance(self, claim: Mapping[str, Any], point: Sequence[float]) -> Fraction:
        """Return the cost of a point."""
        total = Fraction(0)
        for c, (before, after) in enumerate(zip(self._instance, point, strict=True)):
            if before == after or (math.isnan(before) and math.isnan(after)):
                continue
            total += self._price(c, Fraction(claim["factors"][c]), claim["norm"], after, after)
        return total

    def _costs(self, column: int, weight: Fraction, norm: str) -> list[Fraction]:
        """Return the least cost of being in each cell of a column."""
        cells, here = self._land.cells[column], self._instance[column]
        if len(cells) == 1 and (cells[0] == here or math.isnan(cells[0])):
            return [Fraction(0)]
        if any(math.isnan(value) for value in (*cells, here)):
            raise Refused(f"column {self._columns[column].name!r} may be missing")
        low = max(self._columns[column].lower, self._limits[column][0])
        high = min(self._columns[column].upper, self._limits[column][1])
        whole = self._columns[column].kind != "real"
        made: list[Fraction] = []
        for i, first in enumerate(cells):
            start = first if i else low
            end = cells[i + 1] - whole if i + 1 < len(cells) else high
            made.append(self._price(column, weight, norm, start, end))
        return made

    def _price(
        self, column: int, weight: Fraction, norm: str, start: float, end: float
    ) -> Fraction:
        """Return the least cost of a value between two ends."""
        here = self._instance[column]
        if start <= here <= end:
            return Fraction(0)
        if norm == "l0":
            return weight
        nearest = start if start > here else end
        if self._columns[column].kind == "codes":
            step = weight
        else:
            step = weight * abs(Fraction(nearest) - Fraction(here))
        return step * step if norm == "l2" else step

    def _proof(
        self, rival: Rival, proof: object, costs: Sequence[Sequence[Fraction]], bound: Fraction
    ) -> int:
        given = fields(proof, "a proof", ("multipliers", "steps"))
        steps, tables = given["steps"], given["multipliers"]
        if not isinstance(steps, list) or not isinstance(tables, list):
            raise Refused("a proof of nearness has no steps")
        read: dict[int, _Prices] = {}
        stack = [list(self._land.whole)]
        ends = 0
        for place, step in enumerate(steps):
            if not stack:
                raise Refused("a proof goes on after its last box")
            box = stack.pop()
            if isinstance(step, list):
                column, beyond = self._side(step)
                for kept in (box[column] & beyond, box[column] & ~beyond):
                    half = box.copy()
                    half[column] = kept
                    stack.append(half)
                continue
            ends += 1
            if type(step) is not int or not 0 <= step < len(tables):
                raise Refused(f"step {place} of a proof is {step!r}")
            if not all(box):
                continue
            if step not in read:
                read[step] = self._multipliers(rival, tables[step], costs)
            if self._bound(box, read[step]) < bound * read[step].unit:
                raise Refused(f"box {ends} of a proof is not as far as claimed")
        if stack:
            raise Refused("a proof ends before all boxes are settled")
        return ends

    def _side(self, step: Sequence[Any]) -> tuple[int, int]:
        """Return a column and its cells from a value on."""
        if len(step) != 2 or type(step[0]) is not int or not 0 <= step[0] < len(self._columns):
            raise Refused(f"a split of a proof is {step!r}")
        column, value = step[0], number(step[1])
        beyond = 0
        for i, first in enumerate(self._land.cells[column]):
            if first >= value:
                beyond |= 1 << i
        return column, beyond

    def _multipliers(
        self, rival: Rival, entry: object, costs: Sequence[Sequence[Fraction]]
    ) -> _Prices:
        """Return what each leaf and each cell costs under some multipliers, and a constant."""
        given = fields(entry, "multipliers", ("scores", "ties"))
        scores = [_multiplier(value) for value in given["scores"]]
        if len(scores) != len(rival.differences):
            raise Refused("there is not one multiplier for each difference of sums")
        model = self._land.model
        leaves: list[list[Fraction]] = [[Fraction(0)] * len(t) for t in self._land.trees]
        constant = Fraction(0)
        for factor, difference in zip(scores, rival.differences, strict=True):
            factor = factor * model.divisor / model.unit
            start = sum(w * b for w, b in zip(difference.weights, model.start, strict=True))
            constant -= factor * (difference.constant + start + self._slack)
            if not factor:
                continue
            gains = self._gained(tuple(map(Fraction, difference.weights)))
            for prices, gained in zip(leaves, gains, strict=True):
                for i, gain in enumerate(gained):
                    if gain:
                        prices[i] -= factor * gain
        steps = [[Fraction(0)] * (len(prices) + 1) for prices in costs]
        for tie in given["ties"]:
            if not isinstance(tie, list) or len(tie) != 5 or type(tie[0]) is not int:
                raise Refused("a multiplier of a proof is not understood")
            at, value = tie[0], _multiplier(tie[4])
            if not 0 <= at < len(self._land.trees) or not isinstance(tie[3], bool):
                raise Refused("a multiplier of a proof is not understood")
            column, beyond = self._side(tie[1:3])
            side = beyond if tie[3] else self._land.whole[column] & ~beyond
            for i, leaf in enumerate(self._land.trees[at]):
                if not leaf.needs.get(column, self._land.whole[column]) & ~side:
                    leaves[at][i] += value
            # Prices fall from a cell on: kept as steps, summed up once.
            first = (beyond & -beyond).bit_length() - 1 if beyond else -1
            steps[column][first] -= value if tie[3] else -value
            steps[column][0] -= Fraction(0) if tie[3] else value
        cells = [
            [price + fallen for price, fallen in zip(prices, accumulate(step), strict=False)]
            for prices, step in zip(costs, steps, strict=True)
        ]
        return _Prices.of(leaves, cells, constant)

    def _gained(self, weights: tuple[Fraction, ...]) -> list[list[Fraction]]:
        """Return what each leaf adds to a difference of sums; kept, proofs use few of them."""
        if weights not in self._gains:
            self._gains[weights] = [
                [
                    sum(
                        (w * v for w, v in zip(weights, leaf.values, strict=True) if w), Fraction(0)
                    )
                    for leaf in tree
                ]
                for tree in self._land.trees
            ]
        return self._gains[weights]

    def _bound(self, box: Sequence[int], prices: _Prices) -> int | float:
        """Return the least sum of one leaf per tree and one cell per column in a box."""
        total = prices.constant
        for costs, tree in zip(prices.leaves, self._land.trees, strict=True):
            inside = [
                cost
                for cost, leaf in zip(costs, tree, strict=True)
                if all(kept & box[column] for column, kept in leaf.needs.items())
            ]
            if not inside:
                return math.inf
            total += min(inside)
        for costs, kept in zip(prices.cells, box, strict=True):
            total += min(cost for i, cost in enumerate(costs) if kept >> i & 1)
        return total


@dataclass(frozen=True)
class _Prices:
    """Prices as whole numbers of one unit, so that they are added and compared exactly, fast."""

    leaves: list[list[int]]
    cells: list[list[int]]
    constant: int
    unit: int

    @classmethod
    def of(
        cls, leaves: list[list[Fraction]], cells: list[list[Fraction]], constant: Fraction
    ) -> _Prices:
        rows = [*leaves, *cells, [constant]]
        unit = math.lcm(*{price.denominator for row in rows for price in row})
        whole = [[p.numerator * (unit // p.denominator) for p in row] for row in rows]
        return cls(whole[: len(leaves)], whole[len(leaves) : -1], whole[-1][0], unit)


def _weight(value: object) -> float:
    weight = number(value)
    if not 0 < weight < math.inf:
        raise Refused(f"the weight {value!r} of a distance is not positive")
    return weight


def _multiplier(value: object) -> Fraction:
    factor = number(value)
    if not 0 <= factor < math.inf:
        raise Refused(f"the multiplier {value!r} of a proof is negative")
    return Fraction(factor)

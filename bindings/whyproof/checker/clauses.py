"""Clauses that have a solution wherever the decision can change, written by the checker itself.

A DRAT proof shows that clauses have no solution.  That these clauses speak of the model must
not rest on whoever made the proof: the checker writes them again from the model file, and
takes nothing but the steps of the proof from the certificate.

* Columns: one variable per boundary between two cells, "the cell is at or beyond it".
* Trees: one variable per leaf within reach, which keeps out of the cells that the leaf does
  not hold; each tree is in one of its leaves.
* Sums: how far each leaf falls short of the best one of its tree, rounded *down* to a grid of
  ``levels`` steps, added up by a totalizer (Joshi, Martins and Manquinho, CP 2015).  Every
  change of the decision remains a solution, so that no solution means no change; rounding can
  only make a true claim unprovable.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from .landscape import Landscape
from .question import Difference, Rival
from .refusal import Refused

__all__ = ["MOST_LEVELS", "change_clauses"]

MOST_LEVELS = 1 << 12
_MOST_CLAUSES = 1_000_000

Clauses = list[tuple[int, ...]]


def change_clauses(
    land: Landscape,
    rivals: Sequence[Rival],
    slack: Fraction,
    box: Sequence[int],
    levels: Sequence[int],
    only: int | None = None,
) -> Clauses:
    """Write clauses that every change of the decision within a box satisfies.

    Parameters
    ----------
    land
        The model over cells.
    rivals
        What counts as a change.
    slack
        In units of the sums; what rounding leaves open counts as a change.
    box
        Cells of each column.
    levels
        Steps of the grid for the sums of each rival.
    only
        Leave out all other rivals, for whoever looks for levels.  What a checker refutes has
        all of them.
    """
    if len(levels) != len(rivals):
        raise Refused(f"a proof has {len(levels)} levels, and there are {len(rivals)} rivals")
    if not all(type(steps) is int and 1 <= steps <= MOST_LEVELS for steps in levels):
        raise Refused(f"the levels of a proof are whole numbers from 1 to {MOST_LEVELS}")
    writer = _Writer(land, box)
    chosen = range(len(rivals)) if only is None else [only]
    changes = [writer.fresh() for _ in chosen]
    for when, number in zip(changes, chosen, strict=True):
        for difference in rivals[number].differences:
            writer.beyond(difference, slack, levels[number], when)
    writer.add(*changes)
    return writer.clauses


class _Writer:
    """Clauses in the making."""

    def __init__(self, land: Landscape, box: Sequence[int]) -> None:
        self.clauses: Clauses = []
        self._count = 0
        self._land = land
        self._orders: list[list[int]] = []
        for whole, kept in zip(land.whole, box, strict=True):
            order = [self.fresh() for _ in range(whole.bit_length() - 1)]
            self._orders.append(order)
            for lower, upper in pairwise(order):
                self.add(-upper, lower)
            self._keep_out(order, whole & ~kept, whole)
        # Leaf variables with what their leaves add, tree by tree.
        self._trees: list[list[tuple[int, tuple[int, ...]]]] = []
        for leaves in land.trees:
            reached = [
                (self.fresh(), leaf)
                for leaf in leaves
                if all(box[column] & needed for column, needed in leaf.needs.items())
            ]
            self._trees.append([(variable, leaf.values) for variable, leaf in reached])
            self.add(*(variable for variable, _ in reached))
            for variable, leaf in reached:
                for column, needed in leaf.needs.items():
                    whole = land.whole[column]
                    self._keep_out(self._orders[column], whole & ~needed, whole, variable)

    def fresh(self) -> int:
        """Return a new variable."""
        self._count += 1
        return self._count

    def add(self, *literals: int) -> None:
        """Add a clause."""
        if len(self.clauses) >= _MOST_CLAUSES:
            raise Refused(f"a proof needs more than {_MOST_CLAUSES} clauses")
        self.clauses.append(literals)

    def beyond(self, difference: Difference, slack: Fraction, levels: int, when: int) -> None:
        """Let `when` imply that a difference may be beyond zero."""
        weights = difference.weights
        total = sum(w * b for w, b in zip(weights, self._land.model.start, strict=True))
        most = difference.constant + total + slack
        groups: list[list[tuple[int, int]]] = []
        for leaves in self._trees:
            gains = [
                sum(w * v for w, v in zip(weights, values, strict=True)) for _, values in leaves
            ]
            best = max(gains)
            most += best
            groups.append([(v, best - g) for (v, _), g in zip(leaves, gains, strict=True)])
        # Falling short by this much is too much: floor for integers, less one for a strict end.
        strict = not slack and not difference.ties
        room = -(-most.numerator // most.denominator) - 1 if strict else most.__floor__()
        if room < 0:
            self.add(-when)
            return
        step = max(1, room // levels)
        self._at_most([[(v, d // step) for v, d in g] for g in groups], room // step, when)

    def _keep_out(self, order: list[int], barred: int, whole: int, *when: int) -> None:
        """Bar runs of cells: a cell is in a run at or beyond its start and not its end."""
        cell, end = 0, whole.bit_length()
        while cell < end:
            if not barred >> cell & 1:
                cell += 1
                continue
            start = cell
            while cell < end and barred >> cell & 1:
                cell += 1
            literals = [-variable for variable in when]
            if start:
                literals.append(-order[start - 1])
            if cell < end:
                literals.append(order[cell - 1])
            self.add(*literals)

    def _at_most(self, groups: list[list[tuple[int, int]]], room: int, when: int) -> None:
        """Forbid larger sums: a tree of partial sums, each clipped just above `room`."""
        over = room + 1
        nodes: list[dict[int, int]] = []
        for group in groups:
            sums = {min(short, over): 0 for _, short in group if short}
            node = {short: self.fresh() for short in sorted(sums)}
            for variable, short in group:
                if short:
                    self.add(-variable, node[min(short, over)])
            if node:
                self._include_smaller(node)
                nodes.append(node)
        while len(nodes) > 1:
            nodes.sort(key=len, reverse=True)
            nodes.append(self._merged(nodes.pop(), nodes.pop(), over))
        if nodes and over in nodes[0]:
            self.add(-when, -nodes[0][over])

    def _merged(self, one: dict[int, int], other: dict[int, int], over: int) -> dict[int, int]:
        pairs = [(a, b) for a in (0, *one) for b in (0, *other) if a or b]
        node = {total: self.fresh() for total in sorted({min(a + b, over) for a, b in pairs})}
        for a, b in pairs:
            given = [-side[value] for side, value in ((one, a), (other, b)) if value]
            self.add(*given, node[min(a + b, over)])
        self._include_smaller(node)
        return node

    def _include_smaller(self, node: dict[int, int]) -> None:
        values = sorted(node)
        for low, high in pairwise(values):
            self.add(-node[high], node[low])

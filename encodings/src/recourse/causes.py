"""Causal effects: moves that follow from other moves, and cost nothing.

In a causal world a person pays for what they do, not for what follows from it (Galhotra,
Pradhan, Salimi, Explaining Black-Box Algorithms Using Probabilistic Contrastive Counterfactuals;
Dasgupta, Gupta et al., CoGS, 2025).  A column moves by an *effect* when a cause about it holds
in the state that is reached, the cause does not admit the old value, and what the cause rests on
did not move, was moved directly, or moved by an earlier effect: nothing holds itself up.  Every
other move is direct, has to be allowed, and is paid for.

Ours is about one state reached at once.  The order of the steps, and states in between, are the
business of `whyproof.asp.planning`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from whyproof.encodings.constraints.constraint import Constraint
from whyproof.encodings.constraints.formula import In, Some
from whyproof.encodings.constraints.values import Values
from whyproof.engine.space import Point

from .bodies import runs, sample_of
from .distance import Distance
from .posed import Affine, Posed

__all__ = ["Cause", "Causes"]

_MOST_CYCLIC = 12
"""Columns on cycles of causes whose direct part is found by trying all sets."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Where all tests hold, a column takes one of some values.

    Parameters
    ----------
    column
        The column that is moved.
    allowed
        Values that it may have then.
    tests
        What has to hold in the state that is reached.
    """

    column: int
    allowed: Values
    tests: tuple[In, ...]

    def forces(self, before: Point, after: Point) -> bool:
        """Tell whether it holds after a change and does not admit the value before."""
        if float(before[self.column]) in self.allowed:
            return False
        return all(float(after[test.column]) in test.values for test in self.tests)


@dataclass(frozen=True)
class Causes:
    """All causes of a world, and what may be done directly.

    Parameters
    ----------
    causes
        Each about one column.
    direct
        By column that a cause is about: values that a direct move may reach from a value.
    texts
        These limits in words.
    """

    causes: tuple[Cause, ...]
    direct: Mapping[int, Callable[[float], Values]] = field(
        default_factory=dict[int, Callable[[float], Values]]
    )
    texts: Mapping[int, str] = field(default_factory=dict[int, str])

    def only(self, columns: Iterable[int]) -> Causes:
        """Return the causes with limits of direct moves for some columns alone."""
        kept = set(columns)
        return replace(self, direct={c: r for c, r in self.direct.items() if c in kept})

    @property
    def columns(self) -> frozenset[int]:
        """Columns that effects can move."""
        return frozenset(cause.column for cause in self.causes)

    def cuts(self) -> tuple[Constraint, ...]:
        """Return formulas that make cells lie inside or outside of every test."""
        return tuple(
            Constraint("a cause", Some((*cause.tests, In(cause.column, cause.allowed))))
            for cause in self.causes
        )

    def direct_columns(
        self, before: Point, after: Point, distance: Distance
    ) -> frozenset[int] | None:
        """Return the cheapest columns that have to be moved directly.

        Parameters
        ----------
        before, after
            The person as they are and as they could be.
        distance
            What direct moves cost.

        Returns
        -------
        frozenset of int or None
            `None` if a move is neither allowed directly nor an effect.
        """
        moved = {
            c
            for c in range(len(before))
            if before[c] != after[c] and not (math.isnan(before[c]) and math.isnan(after[c]))
        }
        firing = [cause for cause in self.causes if cause.forces(before, after)]
        forced = {cause.column for cause in firing} & moved
        may = {c for c in moved if c not in self.columns or self._may(c, before, after)}
        if not moved <= may | forced:
            return None
        direct = moved - forced
        open_ones = sorted(forced - _founded(firing, moved, direct))
        best: tuple[Fraction, frozenset[int]] | None = None
        for chosen in _subsets(open_ones):
            if not set(chosen) <= may:
                continue
            tried = direct | set(chosen)
            if not forced - tried <= _founded(firing, moved, tried):
                continue
            cost = sum(
                (distance.exact_step(c, float(before[c]), float(after[c])) for c in tried),
                Fraction(0),
            )
            if best is None or cost < best[0]:
                best = (cost, frozenset(tried))
        return None if best is None else best[1]

    def _may(self, column: int, before: Point, after: Point) -> bool:
        reach = self.direct.get(column)
        return reach is None or float(after[column]) in reach(float(before[column]))

    def cost(self, before: Point, after: Point, distance: Distance) -> Fraction | None:
        """Return the cost of the direct moves, of ``l2`` squared; `None` if one is not allowed."""
        direct = self.direct_columns(before, after, distance)
        if direct is None:
            return None
        paid = before.copy()
        columns = sorted(direct)
        paid[columns] = after[columns]
        return distance.exact(before, paid)

    def pose(self, posed: Posed) -> None:
        """Add "moved by an effect" for each column, and let it relieve the column of its cost."""
        before = posed.places.instance
        firing: dict[int, list[tuple[int, Cause]]] = {}
        for cause in self.causes:
            if float(before[cause.column]) in cause.allowed:
                continue
            fires = posed.variable(0.0, 0.0, 1.0, whole=True)
            for test in cause.tests:
                terms, constant = inside(posed, test)
                posed.rows.add([(fires, 1.0), *((v, -f) for v, f in terms)], -math.inf, constant)
            firing.setdefault(cause.column, []).append((fires, cause))
        for column in sorted(self.columns):
            effect = posed.variable(0.0, 0.0, 1.0, whole=True)
            causes = firing.get(column, [])
            posed.rows.add([(effect, 1.0), *((v, -1.0) for v, _ in causes)], -math.inf, 0.0)
            posed.relief[column] = effect
            reach = self.direct.get(column)
            if reach is not None:
                # Where a direct move does not lead, an effect has to.
                values = reach(float(before[column]))
                entered = [float(value) in values for value in posed.places.values[column]]
                terms, constant = runs(posed, column, entered)
                posed.rows.add([*terms, (effect, 1.0)], 1.0 - constant, math.inf)
        self._order(posed, firing)

    def _order(self, posed: Posed, firing: Mapping[int, Sequence[tuple[int, Cause]]]) -> None:
        """Let effects come after the effects that they rest on."""
        cyclic = _cyclic(self.causes)
        n = len(cyclic)
        level = {c: posed.variable(0.0, 0.0, float(n)) for c in sorted(cyclic)}
        for column, causes in firing.items():
            for fires, cause in causes:
                for test in cause.tests:
                    if column not in level or test.column not in level:
                        continue
                    # If the cause fires and what it rests on is an effect, it is a level higher.
                    effect = posed.relief[test.column]
                    terms = [
                        (level[column], 1.0),
                        (level[test.column], -1.0),
                        (fires, -float(n + 1)),
                        (effect, -float(n + 1)),
                    ]
                    if test.column == column:
                        terms = [(fires, 1.0), (effect, 1.0)]
                        posed.rows.add(terms, -math.inf, 1.0)
                        continue
                    posed.rows.add(terms, 1.0 - 2.0 * (n + 1), math.inf)


def inside(posed: Posed, test: In) -> Affine:
    """Return "the column lies in the set" as a sum over the ends of its runs of cells."""
    cells = posed.boxes.columns[test.column].cells
    return runs(posed, test.column, [sample_of(cell) in test.values for cell in cells])


def _founded(firing: Sequence[Cause], moved: set[int], direct: set[int]) -> set[int]:
    """Return the columns whose move is explained: direct ones, and effects in order."""
    explained = set(direct)
    grew = True
    while grew:
        grew = False
        for cause in firing:
            if cause.column in explained or cause.column not in moved:
                continue
            rests = {test.column for test in cause.tests} & moved
            if rests <= explained:
                explained.add(cause.column)
                grew = True
    return explained


def _subsets(columns: Sequence[int]) -> Iterable[tuple[int, ...]]:
    """Yield sets of columns, small ones first; of very many, only all of them."""
    if len(columns) > _MOST_CYCLIC:
        yield tuple(columns)
        return
    for size in range(len(columns) + 1):
        yield from itertools.combinations(columns, size)


def _cyclic(causes: Sequence[Cause]) -> frozenset[int]:
    """Return the columns that stand on a cycle of causes."""
    rests: dict[int, set[int]] = {}
    for cause in causes:
        rests.setdefault(cause.column, set()).update(test.column for test in cause.tests)
    found: set[int] = set()
    for start in rests:
        seen: set[int] = set()
        waiting = list(rests[start])
        while waiting:
            column = waiting.pop()
            if column not in seen:
                seen.add(column)
                waiting += rests.get(column, ())
        if start in seen:
            found.add(start)
    return frozenset(found)

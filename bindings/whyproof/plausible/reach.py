"""Where rows may go: box, directions, whole numbers, blocks of categories, relations.

All limits are about the *resulting* value, never about the shift: a feature that may only
rise ends at or above the row's own value whatever the shift says.  Staying is always
allowed, also for a row that starts outside the box.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from whyproof.encodings.constraints.constraint import Constraint as Relation
from whyproof.encodings.constraints.formula import Every, Formula, In, Linear, Some
from whyproof.encodings.recourse.actions import Action, Actions
from whyproof.engine.domain import Categories
from whyproof.engine.errors import DataError
from whyproof.engine.space import Constraint, FeatureSpace

from .backend import Array

__all__ = ["HalfSpace", "Reach"]

_CLOSE = 1e-6


@dataclass(frozen=True, eq=False)
class HalfSpace:
    """A linear relation between columns: ``factors @ point <= bound``."""

    name: str
    factors: Array
    bound: float


@dataclass(frozen=True, eq=False)
class Reach:
    """Which points a row may become, in the units of the data.

    Parameters
    ----------
    space
        Columns, features, domains and relations.
    actions
        What may be done about each feature.
    lower, upper
        Box, shape ``(columns,)`` each, finite.

    Raises
    ------
    DataError
        For a box without room, naming the column, or relations that contradict it.

    Examples
    --------
    >>> from whyproof.engine.domain import Integers
    >>> space = FeatureSpace.of(["age", "debt"], {"age": Integers(lower=18, upper=99)})
    >>> data = np.array([[20.0, 0.0], [60.0, 9.0]])
    >>> reach = Reach.of(space, data, Actions.of(space, up=["age"], stay=["debt"]))
    >>> [side.tolist() for side in reach.limits(data[:1])]
    [[[20.0, 0.0]], [[60.0, 0.0]]]
    >>> reach.snap(data[:1], np.array([[33.4, 0.0]])).tolist()
    [[33.0, 0.0]]
    """

    space: FeatureSpace
    actions: Actions
    lower: Array
    upper: Array

    def __post_init__(self) -> None:
        for i, column in enumerate(self.space.columns):
            low, high = float(self.lower[i]), float(self.upper[i])
            if not (np.isfinite(low) and np.isfinite(high)):
                raise DataError(f"column {column.name!r} needs finite limits; give it a box")
            if low > high:
                raise DataError(
                    f"contradictory limits of column {column.name!r}: nothing lies between "
                    f"{low:g} and {high:g}"
                )

    @classmethod
    def of(
        cls,
        space: FeatureSpace,
        data: Array,
        actions: Actions | None = None,
        *,
        box: Mapping[str, tuple[float, float]] | None = None,
    ) -> Reach:
        """Take the box from data, domains and rules.

        Parameters
        ----------
        space
            Columns and relations.
        data
            Rows that show which values occur, shape ``(rows, columns)``.
        actions
            Rules by feature; all free by default.
        box
            Limits by column name in place of the data's range.
        """
        chosen = (actions or Actions({})).complete(space)
        chosen.check(space)
        lower, upper = data.min(axis=0), data.max(axis=0)
        names = [column.name for column in space.columns]
        for name, (low, high) in (box or {}).items():
            if name not in names:
                space.index(name)
                raise DataError(f"the box of {name!r}: give limits by column, not by feature")
            lower[names.index(name)], upper[names.index(name)] = low, high
        for i, column in enumerate(space.columns):
            low, high = column.domain.bounds
            lower[i], upper[i] = max(lower[i], low), min(upper[i], high)
            if lower[i] > upper[i]:
                raise DataError(
                    f"contradictory limits of column {column.name!r}: the box and the domain "
                    f"{column.domain.describe()} have no value in common"
                )
        for index, action in chosen.by_feature.items():
            feature = space.features[index]
            for i in feature.columns:
                lower[i], upper[i] = max(lower[i], action.lower), min(upper[i], action.upper)
                if lower[i] > upper[i]:
                    raise DataError(
                        f"contradictory rules for {feature.name!r}: it is to end within "
                        f"{action.lower:g} .. {action.upper:g}, which the box excludes"
                    )
        reach = cls(space, chosen, lower, upper)
        reach.refuse_contradictions()
        return reach

    @cached_property
    def by_column(self) -> tuple[Action, ...]:
        """The rule of each column."""
        return tuple(self.actions.of_feature(int(f)) for f in self.space.owner)

    @cached_property
    def movable(self) -> npt.NDArray[np.bool_]:
        """Columns that may move at all, shape ``(columns,)``."""
        return np.array([a.direction != "stay" for a in self.by_column]) & (self.lower < self.upper)

    @cached_property
    def steps(self) -> Array:
        """Width of each column's lattice, counted from the row's value; 0 for any amount."""
        discrete = [column.domain.is_discrete for column in self.space.columns]
        return np.array(
            [
                (a.step or 1.0) if whole else (a.step or 0.0)
                for a, whole in zip(self.by_column, discrete, strict=True)
            ]
        )

    @cached_property
    def has_lattice(self) -> bool:
        """Whether some movable column moves in steps only."""
        return bool((self.steps[self.movable] > 0).any()) or bool(self.blocks)

    @cached_property
    def nominal(self) -> npt.NDArray[np.bool_]:
        """Columns of category codes: their order means nothing."""
        return np.array([isinstance(c.domain, Categories) for c in self.space.columns])

    @cached_property
    def blocks(self) -> tuple[tuple[int, ...], ...]:
        """Blocks of indicator columns of which exactly one is 1."""
        found = []
        for feature in self.space.features:
            bounds = [self.space.columns[i].domain.bounds for i in feature.columns]
            discrete = all(self.space.columns[i].domain.is_discrete for i in feature.columns)
            if len(bounds) > 1 and discrete and all(b == (0.0, 1.0) for b in bounds):
                found.append(feature.columns)
        return tuple(found)

    @cached_property
    def half_spaces(self) -> tuple[HalfSpace, ...]:
        """Linear relations of the space that are about the result alone."""
        found: list[HalfSpace] = []
        for constraint in self.space.constraints:
            if not isinstance(constraint, Relation) or constraint.is_transition:
                continue
            for part in _linear_parts(constraint.formula):
                factors = np.zeros(self.space.n_columns)
                for column, factor in part.terms:
                    factors[column] = factor
                found.append(HalfSpace(constraint.name, factors, part.bound))
        return tuple(found)

    def limits(self, rows: Array) -> tuple[Array, Array]:
        """Return the box of each row, shape ``(rows, columns)`` each; it contains the row."""
        lower = np.repeat(self.lower[None], len(rows), axis=0)
        upper = np.repeat(self.upper[None], len(rows), axis=0)
        for i, action in enumerate(self.by_column):
            if action.direction in ("up", "stay"):
                lower[:, i] = rows[:, i]
            if action.direction in ("down", "stay"):
                upper[:, i] = rows[:, i]
        return np.minimum(lower, rows), np.maximum(upper, rows)

    def snap(self, rows: Array, points: Array) -> Array:
        """Return the nearest points that rows may become, relations left out of account.

        Parameters
        ----------
        rows, points
            Shape ``(rows, columns)`` each; the lattice of a row starts at the row.
        """
        lower, upper = self.limits(rows)
        points = np.clip(points, lower, upper)
        stepped = (self.steps > 0) & self.movable
        if stepped.any():
            width, start = self.steps[stepped], rows[:, stepped]
            most = np.floor((upper[:, stepped] - start) / width + _CLOSE)
            least = np.ceil((lower[:, stepped] - start) / width - _CLOSE)
            count = np.rint((points[:, stepped] - start) / width)
            points[:, stepped] = start + np.clip(count, least, most) * width
        for block in self.blocks:
            columns = list(block)
            if not self.movable[columns].any():
                continue
            # Ties go to the value that the row has.
            chosen = np.argmax(points[:, columns] + 1e-9 * rows[:, columns], axis=1)
            points[:, columns] = np.eye(len(columns))[chosen]
        return points

    def admissible(self, rows: Array, points: Array) -> npt.NDArray[np.bool_]:
        """Tell for each point whether its row may become it, shape ``(rows,)``."""
        lower, upper = self.limits(rows)
        near = _CLOSE * np.maximum(1.0, np.abs(self.upper - self.lower))
        good = ((points >= lower - near) & (points <= upper + near)).all(axis=1)
        stepped = (self.steps > 0) & self.movable
        if stepped.any():
            counts = (points - rows)[:, stepped] / self.steps[stepped]
            good &= (np.abs(counts - np.rint(counts)) <= 1e-6).all(axis=1)
        for block in self.blocks:
            good &= points[:, list(block)].sum(axis=1) == 1.0
        for constraint in self.space.constraints:
            good &= self.relation_holds(constraint, rows, points)
        return np.asarray(good, dtype=np.bool_)

    def relation_holds(
        self, constraint: Constraint, rows: Array, points: Array
    ) -> npt.NDArray[np.bool_]:
        """Tell for each point whether it satisfies one relation, given its row."""
        if isinstance(constraint, Relation) and constraint.is_transition:
            held = [
                bool(constraint.at(row).holds(point[None])[0])
                for row, point in zip(rows, points, strict=True)
            ]
            return np.array(held, dtype=np.bool_)
        return constraint.holds(points)

    def refuse_contradictions(self) -> None:
        """Refuse relations that no point of the box satisfies.

        Raises
        ------
        DataError
            Naming the relations and columns that contradict each other.
        """
        relations = [
            c for c in self.space.constraints if isinstance(c, Relation) and not c.is_transition
        ]
        if not relations:
            return
        from whyproof.encodings.constraints.background import Background, Clash
        from whyproof.encodings.constraints.values import Values
        from whyproof.engine.budget import Meter

        box = {i: Values.between(low, high) for i, (low, high) in enumerate(self._box())}
        known = Background([c.domain for c in self.space.columns], relations)
        answer = known.solve(box, 0.5 * (self.lower + self.upper), Meter())
        if isinstance(answer, Clash):
            names = [repr(relations[k].name) for k in sorted(answer.constraints)]
            columns = sorted({self.space.columns[c].name for _, c in answer.edges})
            limits = f" and the limits of {', '.join(columns)}" if columns else ""
            raise DataError(
                f"contradictory constraints: {' and '.join(names)}{limits} exclude every point"
            )

    def _box(self) -> list[tuple[float, float]]:
        return list(zip(self.lower.tolist(), self.upper.tolist(), strict=True))


def _linear_parts(formula: Formula) -> Iterator[Linear]:
    """Yield the linear relations that all hold, for points without missing values."""
    if isinstance(formula, Linear):
        yield formula
    elif isinstance(formula, Every):
        for part in formula.parts:
            yield from _linear_parts(part)
    elif isinstance(formula, Some):
        left = [p for p in formula.parts if not isinstance(p, In) or p.values.intervals]
        if len(left) == 1:
            yield from _linear_parts(left[0])

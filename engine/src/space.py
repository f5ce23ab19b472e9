"""Feature spaces: columns, their domains, and the groups that move as one.

A *column* is one number of the model's input.  A *feature* of an explanation is a
group of columns that are freed or fixed together: usually a single column, but a
one-hot block, the three channels of a pixel or a cell of an image as well.
Explanations, free sets and cores always speak of features, by index.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from .domain import Domain, Real
from .errors import DataError
from .names import did_you_mean, first_duplicate

__all__ = [
    "AboutChanges",
    "Column",
    "Constraint",
    "Feature",
    "FeatureSet",
    "FeatureSpace",
    "Point",
    "Points",
]

FeatureSet = frozenset[int]
"""Indices of features, never of columns."""

Point = npt.NDArray[np.float64]
"""One input of the model, shape ``(columns,)``, codes of the columns' domains."""

Points = npt.NDArray[np.float64]
"""Several inputs, shape ``(rows, columns)``."""


class Constraint(Protocol):
    """A statement that every admissible point satisfies (background knowledge)."""

    @property
    def name(self) -> str:
        """How reports refer to it."""
        ...

    def holds(self, points: Points) -> npt.NDArray[np.bool_]:
        """Tell for each row whether it satisfies the constraint, shape ``(rows,)``."""
        ...


@runtime_checkable
class AboutChanges(Protocol):
    """A constraint that may speak about the values that the instance has."""

    def at(self, instance: Point) -> Constraint:
        """Return what it demands of points that an instance changes into."""
        ...


@dataclass(frozen=True, slots=True)
class Column:
    """One number of the model's input.

    Parameters
    ----------
    name
        Name as the model or the table has it; unique in a space.
    domain
        The values that it may take.
    unit
        Shown behind values in reports.
    """

    name: str
    domain: Domain = field(default_factory=Real)
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Feature:
    """A group of columns that an explanation frees or fixes as one.

    Parameters
    ----------
    name
        What explanations call it; unique among features.
    columns
        Positions of its columns, ascending.
    immutable
        If true it never changes: no counterexample may move it, so it stands in no
        explanation.
    """

    name: str
    columns: tuple[int, ...]
    immutable: bool = False


@dataclass(frozen=True)
class FeatureSpace:
    """Ordered columns and the features that group them.

    Parameters
    ----------
    columns
        The model's inputs, in the model's order.
    features
        A partition of the column positions.  By default each column is one feature.
    constraints
        Background knowledge: statements that hold for every admissible point.

    Raises
    ------
    DataError
        For repeated names or features that do not partition the columns.

    Examples
    --------
    >>> space = FeatureSpace.of(["age", "income"])
    >>> space.n_features, space.names
    (2, ('age', 'income'))
    """

    columns: tuple[Column, ...]
    features: tuple[Feature, ...] = ()
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        if not self.columns:
            raise DataError("a feature space needs at least one column")
        if not self.features:
            single = tuple(Feature(c.name, (i,)) for i, c in enumerate(self.columns))
            object.__setattr__(self, "features", single)
        for what, names in (
            ("column", [column.name for column in self.columns]),
            ("feature", [feature.name for feature in self.features]),
        ):
            twice = first_duplicate(names)
            if twice is not None:
                raise DataError(f"two {what}s are named {twice!r}; names must be unique")
        positions = sorted(i for feature in self.features for i in feature.columns)
        if positions != list(range(len(self.columns))):
            raise DataError("every column must belong to exactly one feature")

    @classmethod
    def of(
        cls,
        names: Iterable[str],
        domains: Mapping[str, Domain] | None = None,
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
        immutable: Iterable[str] = (),
        constraints: Sequence[Constraint] = (),
    ) -> FeatureSpace:
        """Build a space from column names.

        Parameters
        ----------
        names
            Column names in the model's order.
        domains
            Domain per column name; any real number where none is given.
        groups
            Feature name to the names of its columns; other columns stand alone.
        immutable
            Names of features that never change.
        constraints
            Background knowledge.

        Examples
        --------
        >>> FeatureSpace.of(["r", "g", "b"], groups={"pixel": ["r", "g", "b"]}).names
        ('pixel',)
        """
        listed = list(names)
        given = dict(domains or {})
        _refuse_unknown("domain", given, listed)
        columns = tuple(Column(name, given.get(name, Real())) for name in listed)
        position = {name: i for i, name in enumerate(listed)}
        owner: dict[int, str] = {}
        for group, members in (groups or {}).items():
            _refuse_unknown(f"group {group!r}", members, listed)
            for member in members:
                if owner.setdefault(position[member], group) != group:
                    raise DataError(f"column {member!r} stands in two groups")
        blocks: dict[str, list[int]] = {}
        for i, name in enumerate(listed):
            blocks.setdefault(owner.get(i, name), []).append(i)
        frozen = set(immutable)
        _refuse_unknown("immutable", frozen, list(blocks))
        features = tuple(Feature(n, tuple(cols), n in frozen) for n, cols in blocks.items())
        return cls(columns, features, tuple(constraints))

    @property
    def n_columns(self) -> int:
        """Number of columns of a point."""
        return len(self.columns)

    @property
    def n_features(self) -> int:
        """Number of features, the universe of free sets."""
        return len(self.features)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Feature names in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def mutable(self) -> FeatureSet:
        """Features that a counterexample may move."""
        return frozenset(i for i, feature in enumerate(self.features) if not feature.immutable)

    @cached_property
    def pinned(self) -> npt.NDArray[np.bool_]:
        """Columns of immutable features, shape ``(columns,)``."""
        pinned = np.zeros(self.n_columns, dtype=np.bool_)
        for feature in self.features:
            pinned[list(feature.columns)] = feature.immutable
        return pinned

    @cached_property
    def owner(self) -> npt.NDArray[np.intp]:
        """Feature index of each column, shape ``(columns,)``."""
        owner = np.empty(self.n_columns, dtype=np.intp)
        for i, feature in enumerate(self.features):
            owner[list(feature.columns)] = i
        return owner

    def index(self, name: str) -> int:
        """Return the index of a feature.

        Raises
        ------
        DataError
            If there is no such feature; the message offers the nearest name.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise DataError(f"no feature {name!r}{did_you_mean(name, self.names)}") from None

    def indices(self, names: Iterable[str]) -> FeatureSet:
        """Return the indices of several features."""
        return frozenset(self.index(name) for name in names)

    def moved(self, instance: Point, point: Point) -> FeatureSet:
        """Return the features in which two points differ; NaN equals NaN.

        Examples
        --------
        >>> space = FeatureSpace.of("abc")
        >>> sorted(space.moved(np.array([1.0, 2, 3]), np.array([1.0, 0, 3])))
        [1]
        """
        differs = (instance != point) & ~(np.isnan(instance) & np.isnan(point))
        return frozenset(self.owner[differs].tolist())

    def encode(self, values: Sequence[object] | Mapping[str, object]) -> Point:
        """Turn a row of user's values into a point.

        Raises
        ------
        DataError
            For a wrong number of values, an unknown or absent column, or a value
            outside its domain; the message names the column.
        """
        if isinstance(values, Mapping):
            names = [column.name for column in self.columns]
            _refuse_unknown("row", values, names)
            absent = [name for name in names if name not in values]
            if absent:
                raise DataError(f"the row has no value for column {absent[0]!r}")
            values = [values[name] for name in names]
        if len(values) != self.n_columns:
            raise DataError(f"the row has {len(values)} values, the space {self.n_columns} columns")
        point = np.empty(self.n_columns)
        for i, (column, value) in enumerate(zip(self.columns, values, strict=True)):
            try:
                point[i] = column.domain.encode(value)
            except DataError as error:
                raise DataError(f"column {column.name!r}: {error}") from None
        return point

    def decode(self, point: Point) -> dict[str, object]:
        """Turn a point into user's values by column name."""
        return {c.name: c.domain.decode(float(v)) for c, v in zip(self.columns, point, strict=True)}

    def check(self, point: Point, what: str = "the instance") -> None:
        """Refuse a point that is not in the space.

        Raises
        ------
        DataError
            Naming the first column or constraint that is violated.
        """
        if point.shape != (self.n_columns,):
            raise DataError(
                f"{what} has shape {point.shape}, the space has {self.n_columns} columns"
            )
        for i in np.flatnonzero(~self.admissible(point)):
            column, code = self.columns[i], point[i]
            if not column.domain.contains(float(code)):
                shown = "a missing value" if np.isnan(code) else f"{float(code)!r}"
                raise DataError(
                    f"column {column.name!r} of {what} holds {shown}, "
                    f"which is not in {column.domain.describe()}"
                )
        self.check_constraints(self.constraints, point, what)

    def constraints_at(self, instance: Point) -> tuple[Constraint, ...]:
        """Return the constraints as they are for points that an instance changes into."""
        return tuple(
            constraint.at(instance) if isinstance(constraint, AboutChanges) else constraint
            for constraint in self.constraints
        )

    def check_constraints(
        self, constraints: Sequence[Constraint], point: Point, what: str = "the instance"
    ) -> None:
        """Refuse a point that violates a constraint.

        Raises
        ------
        DataError
            Naming the first such constraint, and where it was read.
        """
        for constraint in constraints:
            if not bool(constraint.holds(point[None])[0]):
                where = getattr(constraint, "position", "")
                read = f" ({where})" if where else ""
                raise DataError(f"{what} violates the constraint {constraint.name!r}{read}")

    @cached_property
    def bounds(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Smallest and largest code of each column, shape ``(columns,)`` each."""
        pairs = np.array([column.domain.bounds for column in self.columns], dtype=np.float64)
        return pairs[:, 0].copy(), pairs[:, 1].copy()

    @cached_property
    def _kinds(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        domains = [column.domain for column in self.columns]
        return np.array([d.is_discrete for d in domains]), np.array([d.nullable for d in domains])

    @cached_property
    def has_discrete(self) -> bool:
        """Whether some column holds whole-numbered codes only."""
        return any(column.domain.is_discrete for column in self.columns)

    def admissible(self, points: Points) -> npt.NDArray[np.bool_]:
        """Tell for each code whether its column's domain holds it, shape as `points`."""
        (lower, upper), (discrete, nullable) = self.bounds, self._kinds
        inside = (lower <= points) & (points <= upper) & (~discrete | (points == np.floor(points)))
        return np.where(np.isnan(points), nullable, inside)


def _refuse_unknown(where: str, given: Iterable[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise DataError(f"{where}: no column {name!r}{did_you_mean(name, known)}")

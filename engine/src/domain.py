"""Domains: the values that one column may take, and their numeric codes.

Models compute with numbers, people read values.  A `Domain` maps between the two:
`encode` turns a user's value into the float64 that stands in a point, `decode` turns
it back.  A missing value is NaN in a point and `None` outside.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass

from .errors import DataError

__all__ = ["Boolean", "Categories", "Domain", "Integers", "Real"]


@dataclass(frozen=True, slots=True)
class Domain(ABC):
    """What a column may hold; `nullable` admits the missing value as well.

    Numeric bounds are closed and `lower <= upper`.
    """

    nullable: bool = False

    @property
    @abstractmethod
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest code, both attainable unless infinite."""

    @property
    @abstractmethod
    def is_discrete(self) -> bool:
        """Whether only whole-numbered codes occur."""

    @abstractmethod
    def _encode(self, value: object) -> float: ...

    @abstractmethod
    def _decode(self, code: float) -> object: ...

    @abstractmethod
    def describe(self) -> str:
        """Write the domain as a person would: ``0 .. 120``, ``{a, b}``."""

    def encode(self, value: object) -> float:
        """Return the code of a user's value.

        Raises
        ------
        DataError
            If the value is not in the domain.

        Examples
        --------
        >>> Categories(values=("red", "blue")).encode("blue")
        1.0
        """
        if _is_missing(value):
            if self.nullable:
                return math.nan
            raise DataError(f"missing value where {self.describe()} is expected")
        code = self._encode(value)
        if not self.contains(code):
            raise DataError(f"{value!r} is not in {self.describe()}")
        return code

    def decode(self, code: float) -> object:
        """Return the user's value for a code; `None` for the missing value."""
        return None if math.isnan(code) else self._decode(code)

    def contains(self, code: float) -> bool:
        """Tell whether a code belongs to the domain."""
        if math.isnan(code):
            return self.nullable
        lower, upper = self.bounds
        return lower <= code <= upper and (not self.is_discrete or code == math.floor(code))


@dataclass(frozen=True, slots=True)
class Real(Domain):
    """A closed interval of real numbers.

    Examples
    --------
    >>> Real(lower=0.0, upper=1.0).contains(0.5)
    True
    """

    lower: float = -math.inf
    upper: float = math.inf

    def __post_init__(self) -> None:
        _check_bounds(self.lower, self.upper)

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return self.lower, self.upper

    @property
    def is_discrete(self) -> bool:
        """Real columns are continuous."""
        return False

    def _encode(self, value: object) -> float:
        return _number(value)

    def _decode(self, code: float) -> object:
        return code

    def describe(self) -> str:
        """Write the interval."""
        if math.isinf(self.lower) and math.isinf(self.upper):
            return "any number"
        return f"{self.lower:g} .. {self.upper:g}"


@dataclass(frozen=True, slots=True)
class Integers(Domain):
    """Whole numbers from `lower` to `upper`, both included."""

    lower: float = -math.inf
    upper: float = math.inf

    def __post_init__(self) -> None:
        _check_bounds(self.lower, self.upper)
        for bound in (self.lower, self.upper):
            if math.isfinite(bound) and bound != math.floor(bound):
                raise DataError(f"bound {bound!r} of an integer domain is not a whole number")

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return self.lower, self.upper

    @property
    def is_discrete(self) -> bool:
        """Integer columns are discrete."""
        return True

    def _encode(self, value: object) -> float:
        return _number(value)

    def _decode(self, code: float) -> object:
        return int(code)

    def describe(self) -> str:
        """Write the range."""
        if math.isinf(self.lower) and math.isinf(self.upper):
            return "any whole number"
        return f"whole numbers {self.lower:g} .. {self.upper:g}"


@dataclass(frozen=True, slots=True)
class Categories(Domain):
    """A finite list of named values, coded 0, 1, 2, ... in the order given.

    Examples
    --------
    >>> Categories(values=("low", "high")).decode(1.0)
    'high'
    """

    values: tuple[Hashable, ...] = ()

    def __post_init__(self) -> None:
        if not self.values:
            raise DataError("a categorical domain needs at least one value")
        if len(set(self.values)) != len(self.values):
            raise DataError(f"a value is listed twice in {self.describe()}")

    @property
    def bounds(self) -> tuple[float, float]:
        """First and last code."""
        return 0.0, float(len(self.values) - 1)

    @property
    def is_discrete(self) -> bool:
        """Category codes are whole numbers."""
        return True

    def _encode(self, value: object) -> float:
        for code, known in enumerate(self.values):
            if value == known:
                return float(code)
        text = str(value)
        for code, known in enumerate(self.values):
            if text == str(known):
                return float(code)
        raise DataError(f"{value!r} is not in {self.describe()}")

    def _decode(self, code: float) -> object:
        return self.values[int(code)]

    def describe(self) -> str:
        """Write the set, shortened when it is long."""
        shown = [str(value) for value in self.values[:6]]
        if len(self.values) > len(shown):
            shown.append(f"... {len(self.values) - len(shown)} more")
        return "{" + ", ".join(shown) + "}"


@dataclass(frozen=True, slots=True)
class Boolean(Domain):
    """False and true, coded 0 and 1."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Codes of false and true."""
        return 0.0, 1.0

    @property
    def is_discrete(self) -> bool:
        """Booleans are discrete."""
        return True

    def _encode(self, value: object) -> float:
        if isinstance(value, str):
            word = value.strip().lower()
            if word in ("true", "yes"):
                return 1.0
            if word in ("false", "no"):
                return 0.0
        return _number(value)

    def _decode(self, code: float) -> object:
        return bool(code)

    def describe(self) -> str:
        """Write the set."""
        return "{false, true}"


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or value == ""


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        raise DataError(f"{value!r} is not a number") from None


def _check_bounds(lower: float, upper: float) -> None:
    if math.isnan(lower) or math.isnan(upper) or lower > upper:
        raise DataError(f"lower bound {lower!r} is not at or below upper bound {upper!r}")

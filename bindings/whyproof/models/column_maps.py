"""Column maps: what preprocessing makes of one original column, step by step.

Each derived column depends on one original column.  A chain of steps repeats the
arithmetic of the library operation by operation, so that a value goes through with the
same rounding.  On numbers every chain is non-decreasing (rounding is monotone): a boundary
behind it has one exact preimage, which is found by bisection over the float64 numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Arithmetic", "Chain", "Fill", "Lookup", "Present", "Step", "preimages"]

Values = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


class Step(Protocol):
    """One elementwise operation."""

    def apply(self, values: Values) -> Values:
        """Return what becomes of values, shape ``(rows,)``."""
        ...


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Subtract, divide, multiply, add or clip by constants; keeps missing values.

    Parameters
    ----------
    operation
        What is done; ``above`` gives 1 where the value is greater, else 0.
    operand
        By how much; positive for products and quotients, the lower end of a clip.
    upper
        The upper end of a clip.
    """

    operation: Literal["subtract", "divide", "multiply", "add", "clip", "above"]
    operand: float
    upper: float = math.inf

    def apply(self, values: Values) -> Values:
        """Return what becomes of numbers, as float64."""
        numbers = np.asarray(values, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            match self.operation:
                case "subtract":
                    return numbers - self.operand
                case "divide":
                    return numbers / self.operand
                case "multiply":
                    return numbers * self.operand
                case "add":
                    return numbers + self.operand
                case "clip":
                    return np.clip(numbers, self.operand, self.upper)
                case "above":
                    return np.where(numbers > self.operand, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Fill:
    """Put a value in place of the missing one."""

    value: Hashable

    def apply(self, values: Values) -> Values:
        """Return the values with none missing."""
        absent = missing(values)
        if not bool(absent.any()):
            return values
        filled = values.astype(object)
        filled[absent] = self.value
        return filled if isinstance(self.value, str) else _numbers_if_possible(filled)


@dataclass(frozen=True, slots=True)
class Present:
    """Refuse the missing value, and change nothing."""

    def apply(self, values: Values) -> Values:
        """Return the values."""
        return values


@dataclass(frozen=True, slots=True)
class Lookup:
    """Translate categories to numbers.

    Parameters
    ----------
    categories
        What is known, without the missing value.
    images
        The number of each.
    missing
        The number of the missing value, `None` if it is not known.
    """

    categories: tuple[Hashable, ...]
    images: tuple[float, ...]
    missing: float | None = None

    def apply(self, values: Values) -> Values:
        """Return the numbers; what is not known becomes infinite."""
        table = dict(zip(self.categories, self.images, strict=True))
        absent = missing(values)
        nothing = math.inf if self.missing is None else self.missing
        return np.array(
            [
                nothing if gone else table.get(value, math.inf)
                for value, gone in zip(values.tolist(), absent.tolist(), strict=True)
            ]
        )


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps that lead from an original column to a derived one.

    Parameters
    ----------
    source
        Position of the original column.
    steps
        In order.
    """

    source: int
    steps: tuple[Step, ...] = ()

    def then(self, *steps: Step) -> Chain:
        """Return the chain with further steps."""
        return Chain(self.source, (*self.steps, *steps))

    def apply(self, values: Values) -> Floats:
        """Return what becomes of original values, as float64."""
        for step in self.steps:
            values = step.apply(values)
        return np.asarray(values, dtype=np.float64)

    @property
    def is_plain(self) -> bool:
        """Whether values come through as they are."""
        return all(isinstance(step, Present) for step in self.steps)

    @property
    def arithmetic(self) -> tuple[Arithmetic, ...]:
        """Steps that compute."""
        return tuple(step for step in self.steps if isinstance(step, Arithmetic))


def missing(values: Values) -> npt.NDArray[np.bool_]:
    """Tell which values are missing: NaN or None."""
    if values.dtype != object:
        return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), np.bool_)
    return np.array([v is None or v != v for v in values.tolist()], dtype=np.bool_)


def preimages(monotone: Callable[[Floats], Floats], boundaries: Sequence[float] | Floats) -> Floats:
    """Return for each boundary the smallest float64 whose image is at least it.

    Parameters
    ----------
    monotone
        A non-decreasing function of float64 arrays.
    boundaries
        Numbers; NaN stays.

    Returns
    -------
    numpy.ndarray
        Infinity where no finite number reaches a boundary, minus infinity where all do.

    Examples
    --------
    >>> preimages(lambda x: (x - 1.0) / 4.0, [0.5]).tolist()
    [3.0]
    """
    wanted = np.asarray(boundaries, dtype=np.float64)
    largest = np.finfo(np.float64).max
    low = np.full(len(wanted), _key(np.array([-largest]))[0])
    high = np.full(len(wanted), _key(np.array([largest]))[0])
    with np.errstate(invalid="ignore"):
        never = ~(monotone(np.full(len(wanted), largest)) >= wanted)
        always = monotone(np.full(len(wanted), -largest)) >= wanted
        for _ in range(65):
            middle = (low >> 1) + (high >> 1) + (low & high & 1)
            reached = monotone(_number(middle)) >= wanted
            high = np.where(reached, middle, high)
            low = np.where(reached, low, np.minimum(middle + 1, high))
    found = np.where(always, -np.inf, np.where(never, np.inf, _number(high)))
    return np.where(np.isnan(wanted), np.nan, found)


def _key(numbers: Floats) -> npt.NDArray[np.int64]:
    """Map float64 numbers to integers in the same order."""
    bits = numbers.view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def _number(keys: npt.NDArray[np.int64]) -> Floats:
    bits = np.where(keys < 0, np.int64(-(2**63)) - keys, keys)
    return np.ascontiguousarray(bits).view(np.float64)


def _numbers_if_possible(values: Values) -> Values:
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError):
        return values

"""Literals: one feature compared with a value, or with a set of values.

Every row has exactly one value per feature, and the missing value is one of them.  An
ordering comparison holds for numbers only; its negation as failure holds for whatever
does not satisfy it, names and the missing value included.  So ``not (age =< 29)`` is not
the same as ``age > 29``, and a literal and its complement share all values out between
them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from .position import Position, RuleError
from .table import Column
from .values import Value, is_missing, number_of, text_of

__all__ = ["Literal", "Mask", "Operator"]

Mask = npt.NDArray[np.bool_]
"""One truth value per row, shape ``(rows,)``."""


class Operator(StrEnum):
    """How a literal compares."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "in"
    NOT_IN = "not in"

    @property
    def is_order(self) -> bool:
        """Whether it compares numbers by size."""
        return self in (Operator.LT, Operator.LE, Operator.GT, Operator.GE)

    @property
    def is_set(self) -> bool:
        """Whether it takes a set of values."""
        return self in (Operator.IN, Operator.NOT_IN)


_OPPOSITE = {
    Operator.EQ: Operator.NE,
    Operator.NE: Operator.EQ,
    Operator.IN: Operator.NOT_IN,
    Operator.NOT_IN: Operator.IN,
}


@dataclass(frozen=True, slots=True, eq=False)
class Literal:
    """A test of one feature.

    Literals are equal when they say the same: ``= 3`` and ``= "3"`` are, ``= 1`` and
    ``= true`` are not.

    Parameters
    ----------
    feature
        Name of the feature.
    operator
        How it compares.
    value
        What it compares with: a number for an ordering comparison; for `IN` and
        `NOT_IN` a tuple of values.
    negated
        Negation as failure.  Only ordering comparisons keep it; for the others the
        opposite operator says the same and is used instead.
    position
        Where it stands in the text that it was read from; ignored by equality.

    Raises
    ------
    RuleError
        If the value does not fit the operator.

    Examples
    --------
    >>> literal = Literal("age", Operator.LE, 29)
    >>> literal.accepts(29), literal.accepts("unknown"), literal.complement.accepts("unknown")
    (True, False, True)
    >>> print(literal.complement)
    not age <= 29
    """

    feature: str
    operator: Operator
    value: Value | tuple[Value, ...]
    negated: bool = False
    position: Position | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.feature:
            raise RuleError("a literal needs the name of a feature", self.position)
        if self.operator.is_set:
            if not isinstance(self.value, tuple):
                raise RuleError(
                    f"{self.feature!r} is tested with {self.operator} but not with a set of "
                    "values; write {a, b}",
                    self.position,
                )
            canonical = {text_of(value): value for value in self.value}
            object.__setattr__(self, "value", tuple(canonical[k] for k in sorted(canonical)))
        elif isinstance(self.value, tuple):
            raise RuleError(
                f"{self.feature!r} is compared by {self.operator} with a set of values; write in",
                self.position,
            )
        elif self.operator.is_order and not np.isfinite(number_of(self.value)):
            raise RuleError(
                f"{self.feature!r} is compared by {self.operator} with {self.value!r}, which is "
                "not a finite number; names allow =, != and in only",
                self.position,
            )
        if self.negated and not self.operator.is_order:
            object.__setattr__(self, "operator", _OPPOSITE[self.operator])
            object.__setattr__(self, "negated", False)

    @property
    def _key(self) -> tuple[str, Operator, bool, tuple[str, ...]]:
        return self.feature, self.operator, self.negated, tuple(map(text_of, self.values))

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, Literal) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def values(self) -> tuple[Value, ...]:
        """The values it compares with: one, or the set."""
        return self.value if isinstance(self.value, tuple) else (self.value,)

    @property
    def complement(self) -> Literal:
        """The literal that holds exactly where this one does not."""
        return replace(self, negated=not self.negated)

    def accepts(self, value: object) -> bool:
        """Tell whether one value of the feature satisfies the literal."""
        if self.operator.is_order:
            number, threshold = number_of(value), number_of(self.value)
            match self.operator:
                case Operator.LT:
                    holds = number < threshold
                case Operator.LE:
                    holds = number <= threshold
                case Operator.GT:
                    holds = number > threshold
                case _:
                    holds = number >= threshold
            return holds is not self.negated
        found = text_of(value) in {text_of(known) for known in self.values}
        return found is (self.operator in (Operator.EQ, Operator.IN))

    def holds(self, column: Column) -> Mask:
        """Tell for each row whether it satisfies the literal, shape ``(rows,)``."""
        if self.operator.is_order:
            threshold = number_of(self.value)
            with np.errstate(invalid="ignore"):
                match self.operator:
                    case Operator.LT:
                        mask = column.numbers < threshold
                    case Operator.LE:
                        mask = column.numbers <= threshold
                    case Operator.GT:
                        mask = column.numbers > threshold
                    case _:
                        mask = column.numbers >= threshold
            return ~mask if self.negated else np.asarray(mask)
        mask = np.zeros(len(column), dtype=np.bool_)
        for value in self.values:
            mask |= column.equals(value)
        return mask if self.operator in (Operator.EQ, Operator.IN) else ~mask

    def __str__(self) -> str:
        if isinstance(self.value, tuple):
            shown = "{" + ", ".join(_shown(value) for value in self.value) + "}"
        else:
            shown = _shown(self.value)
        return f"{'not ' if self.negated else ''}{self.feature} {self.operator} {shown}"


def _shown(value: Value) -> str:
    return "missing" if is_missing(value) else text_of(value)

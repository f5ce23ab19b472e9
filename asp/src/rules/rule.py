"""Default rules: a head, literals, and exceptions that are bodies in turn.

A body holds when all its literals hold and none of its exceptions does.  A rule's head
is a literal too: ``label = 'p'`` for a decision, ``credit_score >= 620`` for a causal
effect.  A rule set is an ordered list for one target: the first rule that fires decides,
the default decides where none does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .literal import Literal, Mask, Operator
from .position import Position, RuleError
from .support import Support
from .table import Table
from .values import Value, text_of

__all__ = ["Body", "Rule", "RuleSet"]


@dataclass(frozen=True, slots=True)
class Body:
    """Literals that must hold and exceptions that must not.

    Examples
    --------
    >>> bird = Literal("kind", Operator.EQ, "bird")
    >>> penguin = Body((Literal("species", Operator.EQ, "penguin"),))
    >>> flies = Body((bird,), (penguin,))
    >>> flies.holds(Table.of({"kind": ["bird"] * 2, "species": ["finch", "penguin"]})).tolist()
    [True, False]
    """

    literals: tuple[Literal, ...] = ()
    exceptions: tuple[Body, ...] = ()

    def holds(self, table: Table) -> Mask:
        """Tell for each row of a table whether the body holds, shape ``(rows,)``."""
        mask = np.ones(table.n_rows, dtype=np.bool_)
        for literal in self.literals:
            mask &= literal.holds(table.column(literal.feature))
        for exception in self.exceptions:
            if not mask.any():
                break
            mask &= ~exception.holds(table)
        return mask

    def accepts(self, row: dict[str, Value]) -> bool:
        """Tell whether one row, values by feature name, satisfies the body."""
        return all(literal.accepts(row[literal.feature]) for literal in self.literals) and not any(
            exception.accepts(row) for exception in self.exceptions
        )

    def all_literals(self) -> Iterator[Literal]:
        """Yield the literals of the body and, in depth-first order, of its exceptions."""
        yield from self.literals
        for exception in self.exceptions:
            yield from exception.all_literals()

    def __str__(self) -> str:
        parts = [str(literal) for literal in self.literals]
        parts += [f"unless ({exception})" for exception in self.exceptions]
        return " and ".join(parts) or "always"


@dataclass(frozen=True, slots=True)
class Rule:
    """What follows when a body holds.

    Parameters
    ----------
    head
        What the rule concludes.
    body
        When it fires.
    support
        On how much data it was right; `None` when that is not known.
    name
        Shown in reports and justifications; may be empty.
    position
        Where it stands in the text that it was read from; ignored by equality.
    """

    head: Literal
    body: Body = Body()
    support: Support | None = None
    name: str = field(default="", compare=False)
    position: Position | None = field(default=None, compare=False, repr=False)

    def fires(self, table: Table) -> Mask:
        """Tell for each row whether the rule fires, shape ``(rows,)``."""
        return self.body.holds(table)

    @property
    def features(self) -> tuple[str, ...]:
        """Features that the body tests, in the order of their first occurrence."""
        return tuple(dict.fromkeys(literal.feature for literal in self.body.all_literals()))

    def __str__(self) -> str:
        return f"{self.head} if {self.body}"


@dataclass(frozen=True)
class RuleSet:
    """An ordered list of rules for one target; the first that fires decides.

    Parameters
    ----------
    target
        Name of what is decided, such as ``label``.
    rules
        Each with head ``target = value``.
    default
        Decision where no rule fires; `None` when the rules do not say.
    default_support
        On how much data the default was right.

    Raises
    ------
    RuleError
        If a rule's head is not ``target = value``.

    Examples
    --------
    >>> rule = Rule(Literal("label", Operator.EQ, "p"), Body((Literal("odor", Operator.NE, "n"),)))
    >>> rules = RuleSet("label", (rule,), default="e")
    >>> rules.predict(Table.of({"odor": ["n", "f"]})).tolist()
    ['e', 'p']
    """

    target: str
    rules: tuple[Rule, ...]
    default: Value = None
    default_support: Support | None = None

    def __post_init__(self) -> None:
        for rule in self.rules:
            if rule.head.feature != self.target or rule.head.operator is not Operator.EQ:
                raise RuleError(
                    f"the rule concludes {rule.head}, but these rules decide {self.target!r} "
                    f"by {self.target} = value",
                    rule.head.position or rule.position,
                )

    @cached_property
    def labels(self) -> tuple[Value, ...]:
        """The decisions that occur, in order of first occurrence, the default last."""
        found: dict[str, Value] = {}
        for rule in self.rules:
            found.setdefault(text_of(rule.head.values[0]), rule.head.values[0])
        if self.default is not None:
            found.setdefault(text_of(self.default), self.default)
        return tuple(found.values())

    @property
    def features(self) -> tuple[str, ...]:
        """Features that the rules test, in the order of their first occurrence."""
        return tuple(dict.fromkeys(name for rule in self.rules for name in rule.features))

    @property
    def n_literals(self) -> int:
        """Number of literals in all rules and their exceptions."""
        return sum(1 for rule in self.rules for _ in rule.body.all_literals())

    def firing(self, table: Table) -> npt.NDArray[np.int64]:
        """Return for each row the number of the rule that decides, -1 for the default."""
        decided = np.full(table.n_rows, -1, dtype=np.int64)
        open_rows = np.arange(table.n_rows)
        rest = table.select(self.features)
        for number, rule in enumerate(self.rules):
            if not len(open_rows):
                break
            fires = rule.fires(rest)
            if fires.any():
                decided[open_rows[fires]] = number
                open_rows = open_rows[~fires]
                rest = rest.take(~fires)
        return decided

    def predict(self, table: Table) -> npt.NDArray[np.object_]:
        """Return the decision of each row, shape ``(rows,)``."""
        known = np.empty(len(self.rules) + 1, dtype=object)
        known[:-1] = [rule.head.values[0] for rule in self.rules]
        known[-1] = self.default
        return known[self.firing(table)]

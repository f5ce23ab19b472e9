"""Numbering of exceptions: which become predicates ``ab1``, ``ab2``, ... of their own.

An exception of one literal is written as the literal's complement in the rule itself;
equal exceptions share one predicate.
"""

from __future__ import annotations

from collections.abc import Collection

from .literal import Literal
from .rule import Body

__all__ = ["ExceptionNames", "inlined"]


def inlined(body: Body) -> Body:
    """Return the body with one-literal exceptions written as complements, all levels.

    Examples
    --------
    >>> from .literal import Operator
    >>> p, q = Literal("a", Operator.EQ, "p"), Literal("b", Operator.LE, 3)
    >>> print(inlined(Body((p,), (Body((q,)),))))
    a = p and not b <= 3
    """
    literals = list(body.literals)
    exceptions = list[Body]()
    for exception in body.exceptions:
        inner = inlined(exception)
        if len(inner.literals) == 1 and not inner.exceptions:
            literals.append(inner.literals[0].complement)
        else:
            exceptions.append(inner)
    return Body(tuple(dict.fromkeys(literals)), tuple(dict.fromkeys(exceptions)))


class ExceptionNames:
    """Hands out one name per distinct exception and remembers what is to be written.

    Parameters
    ----------
    taken
        Names that may not be used.
    """

    def __init__(self, taken: Collection[str]) -> None:
        self._taken = set(taken)
        self._names: dict[Body, str] = {}
        self._number = 0
        self.pending: list[tuple[str, Body]] = []

    def name(self, body: Body) -> str:
        """Return the name of an exception, new or known."""
        if body not in self._names:
            self._number += 1
            while f"ab{self._number}" in self._taken:
                self._number += 1
            self._names[body] = f"ab{self._number}"
            self.pending.append((self._names[body], body))
        return self._names[body]

    def of_literal(self, literal: Literal) -> str:
        """Return the name of a predicate that holds where a literal does."""
        return self.name(Body((literal,)))

    def take(self) -> tuple[str, Body] | None:
        """Return the next exception that is not written yet."""
        return self.pending.pop(0) if self.pending else None

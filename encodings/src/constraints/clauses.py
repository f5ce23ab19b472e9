"""Formulas as clauses over comparisons of columns with cuts.

A column is described by one variable per cut, "the value is there and at least this", added
when a formula or a question needs it, in descending implication, and one for "missing".
Formulas are translated in one direction only, their literal implies them, which is enough
because they occur without negation.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pysat.card import CardEnc, EncType
from pysat.solvers import Solver

from whyproof.engine.errors import DataError

from .formula import AtMost, Every, Formula, In, Linear, Some, negated
from .values import Values

__all__ = ["Clauses", "ColumnCuts"]


@dataclass
class ColumnCuts:
    """What the solver knows about one column.

    Parameters
    ----------
    domain
        Admissible values.
    discrete
        Whether they are whole numbers.
    missing
        Variable of the missing value.
    starts, at_least
        Cuts, ascending, and the variable of each.
    """

    domain: Values
    discrete: bool
    missing: int
    starts: list[float] = field(default_factory=list[float])
    at_least: list[int] = field(default_factory=list[int])

    def cell(self, true: set[int]) -> tuple[float, float]:
        """Return the values between the cuts that an assignment stands for."""
        place = sum(variable in true for variable in self.at_least)
        low = self.starts[place - 1] if place else -math.inf
        if place == len(self.starts):
            return low, math.inf
        return low, self.before(self.starts[place])

    def before(self, cut: float) -> float:
        """Return the largest value below a cut."""
        return cut - 1.0 if self.discrete else math.nextafter(cut, -math.inf)

    def after(self, value: float) -> float:
        """Return the smallest value above another."""
        return value + 1.0 if self.discrete else math.nextafter(value, math.inf)


class Clauses:
    """A growing set of clauses in a SAT solver.

    Parameters
    ----------
    domains
        Admissible values of each column.
    discrete
        Whether they are whole numbers.
    """

    def __init__(self, domains: Sequence[Values], discrete: Sequence[bool]) -> None:
        self.solver: Any = Solver(name="minisat22")
        self.linear: dict[int, Linear] = {}
        self._known: dict[Linear, int] = {}
        self._domains, self._discrete = domains, discrete
        self._columns: dict[int, ColumnCuts] = {}
        self._top = 0
        self.true = self.variable()
        self.add(self.true)

    def variable(self) -> int:
        """Add a variable."""
        self._top += 1
        return self._top

    def add(self, *literals: int) -> None:
        """Add a clause."""
        self.solver.add_clause(list(literals))

    @property
    def columns(self) -> dict[int, ColumnCuts]:
        """The columns that something was said about."""
        return self._columns

    def column(self, number: int) -> ColumnCuts:
        """Return what is known about a column, which is prepared when first asked for."""
        if number not in self._columns:
            discrete = bool(self._discrete[number])
            domain = self._domains[number]
            domain = domain.whole() if discrete else domain
            known = ColumnCuts(domain, discrete, self.variable())
            self._columns[number] = known
            if not domain.missing:
                self.add(-known.missing)
            self.add(self.inside(number, domain))
        return self._columns[number]

    def at_least(self, number: int, cut: float) -> int:
        """Return the variable for "the value is there and at least `cut`"."""
        known = self.column(number)
        if cut == -math.inf:
            return -known.missing
        if known.discrete and math.isfinite(cut):
            cut = float(math.ceil(cut))
        place = bisect.bisect_left(known.starts, cut)
        if place < len(known.starts) and known.starts[place] == cut:
            return known.at_least[place]
        variable = self.variable()
        self.add(-variable, -known.missing)
        if place:
            self.add(-variable, known.at_least[place - 1])
        if place < len(known.starts):
            self.add(-known.at_least[place], variable)
        known.starts.insert(place, cut)
        known.at_least.insert(place, variable)
        return variable

    def ends(self, number: int, low: float, high: float) -> list[int]:
        """Return literals that together say that a value lies in an interval."""
        known = self.column(number)
        literals = [-known.missing] if low == -math.inf else [self.at_least(number, low)]
        if high < math.inf:
            literals.append(-self.at_least(number, known.after(high)))
        return literals

    def inside(self, number: int, values: Values) -> int:
        """Return a literal that implies that a value belongs to a set."""
        known = self.column(number)
        values = values & known.domain
        if known.discrete:
            values = values.whole()
        options: list[int] = [known.missing] if values.missing else []
        for low, high in values.intervals:
            literals = self.ends(number, low, high)
            options.append(literals[0] if len(literals) == 1 else self._all(literals))
        return self._one(options)

    def literal(self, formula: Formula) -> int:
        """Return a literal that implies a formula.

        Raises
        ------
        DataError
            For what was asked about the instance, which has to be put in before.
        """
        match formula:
            case In():
                return self.inside(formula.column, formula.values)
            case Linear() if not formula.before:
                return self._relation(formula)
            case Every():
                return self._all([self.literal(part) for part in formula.parts])
            case Some():
                return self._one([self.literal(part) for part in formula.parts])
            case AtMost():
                return self._at_most(formula)
            case _:
                raise DataError("a formula about changes needs the instance first")

    def _relation(self, formula: Linear) -> int:
        if formula not in self._known:
            variable = self.variable()
            self._known[formula] = variable
            self.linear[variable] = formula
            for column, _ in formula.terms:
                self.add(-variable, -self.column(column).missing)
            # What is not needed shall not bind the search for values.
            self.solver.set_phases([-variable])
        return self._known[formula]

    def _at_most(self, formula: AtMost) -> int:
        """Count parts that do not hold: at least so many of them."""
        least = len(formula.parts) - formula.count
        if least <= 0:
            return self.true
        if least > len(formula.parts):
            return -self.true
        variable = self.variable()
        opposites = [self.literal(negated(part)) for part in formula.parts]
        # The encoding wants variables of their own.
        fresh = [self.variable() for _ in opposites]
        for own, opposite in zip(fresh, opposites, strict=True):
            self.add(-own, opposite)
        counted: Any = CardEnc.atleast(
            lits=fresh, bound=least, top_id=self._top, encoding=EncType.seqcounter
        )
        self._top = max(self._top, int(counted.nv))
        for clause in counted.clauses:
            self.add(-variable, *clause)
        return variable

    def _all(self, literals: Sequence[int]) -> int:
        kept = list(dict.fromkeys(i for i in literals if i != self.true))
        if -self.true in kept:
            return -self.true
        if len(kept) < 2:
            return kept[0] if kept else self.true
        variable = self.variable()
        for i in kept:
            self.add(-variable, i)
        return variable

    def _one(self, literals: Sequence[int]) -> int:
        kept = list(dict.fromkeys(i for i in literals if i != -self.true))
        if self.true in kept:
            return self.true
        if len(kept) < 2:
            return kept[0] if kept else -self.true
        variable = self.variable()
        self.add(-variable, *kept)
        return variable

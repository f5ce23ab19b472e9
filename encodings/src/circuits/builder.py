"""Building circuits: literals for tests and gates, each said once."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from .circuit import Circuit, ColumnTest, Gate

__all__ = ["CircuitBuilder"]


class CircuitBuilder:
    """Collects tests and gates; what was said before gets the same literal again.

    Gates may be asked for before all tests are known: literals are settled by `build`.

    Parameters
    ----------
    n_columns
        Number of inputs.

    Examples
    --------
    >>> builder = CircuitBuilder(1)
    >>> low = builder.below(0, 3.0)
    >>> circuit = builder.build([-low, low], ("high", "low"))
    >>> circuit.wins
    (-1, 1)
    """

    def __init__(self, n_columns: int) -> None:
        self.n_columns = n_columns
        self._items: list[ColumnTest | Gate] = []
        self._names: list[str] = []
        self._known: dict[ColumnTest | Gate, int] = {}

    def below(self, column: int, boundary: float, *, missing: bool = False) -> int:
        """Return the literal of ``x < boundary``."""
        return self._literal(ColumnTest(column, boundary, None, missing), "")

    def up_to(self, column: int, threshold: float, *, missing: bool = False) -> int:
        """Return the literal of ``x <= threshold``."""
        return self.below(column, math.nextafter(threshold, math.inf), missing=missing)

    def among(self, column: int, codes: Sequence[int], *, missing: bool = False) -> int:
        """Return the literal of "has one of these codes"."""
        return self._literal(ColumnTest(column, math.nan, frozenset(codes), missing), "")

    def is_missing(self, column: int) -> int:
        """Return the literal of "is missing"."""
        return self.below(column, -math.inf, missing=True)

    def all_of(self, literals: Sequence[int], name: str = "") -> int:
        """Return the literal of a conjunction."""
        kept = list(dict.fromkeys(literals))
        return kept[0] if len(kept) == 1 else self._literal(Gate.all_of(kept), name)

    def any_of(self, literals: Sequence[int], name: str = "") -> int:
        """Return the literal of a disjunction."""
        kept = list(dict.fromkeys(literals))
        return kept[0] if len(kept) == 1 else self._literal(Gate.any_of(kept), name)

    def at_least(
        self, literals: Sequence[int], bound: int, weights: Sequence[int] = (), name: str = ""
    ) -> int:
        """Return the literal of "weights of true literals add up to at least a bound".

        Parameters
        ----------
        literals
            May repeat and contradict each other.
        bound
            Any integer.
        weights
            Any integers; all 1 if not given.
        name
            What it stands for.
        """
        total: dict[int, int] = {}
        for literal, weight in zip(literals, weights or [1] * len(literals), strict=True):
            total[literal] = total.get(literal, 0) + weight
        # A weight w of a negation is w minus a weight w of what is negated.
        joined: dict[int, int] = {}
        for literal, weight in total.items():
            if literal < 0:
                bound -= weight
                weight = -weight
            joined[abs(literal)] = joined.get(abs(literal), 0) + weight
        kept: list[tuple[int, int]] = []
        for variable, weight in joined.items():
            if weight < 0:
                bound -= weight
                kept.append((-variable, -weight))
            elif weight > 0:
                kept.append((variable, weight))
        divisor = math.gcd(*(w for _, w in kept)) or 1
        bound, kept = -(-bound // divisor), [(v, w // divisor) for v, w in kept]
        if bound <= 0 or bound > sum(w for _, w in kept):
            return self._literal(Gate((), min(max(bound, 0), 1)), name)
        plain = all(w == 1 for _, w in kept)
        gate = Gate(tuple(v for v, _ in kept), bound, () if plain else tuple(w for _, w in kept))
        return kept[0][0] if plain and len(kept) == 1 else self._literal(gate, name)

    def build(
        self, wins: Sequence[int], classes: Sequence[Hashable], family: str = "rules"
    ) -> Circuit:
        """Return the circuit."""
        tests = [i for i, item in enumerate(self._items) if isinstance(item, ColumnTest)]
        gates = [i for i, item in enumerate(self._items) if isinstance(item, Gate)]
        settled = {old + 1: new + 1 for new, old in enumerate([*tests, *gates])}

        def moved(literal: int) -> int:
            return settled[abs(literal)] * (1 if literal > 0 else -1)

        made: list[Gate] = []
        for i in gates:
            gate = self._items[i]
            if isinstance(gate, Gate):
                made.append(Gate(tuple(map(moved, gate.literals)), gate.bound, gate.weights))
        return Circuit(
            self.n_columns,
            tuple(item for item in self._items if isinstance(item, ColumnTest)),
            tuple(made),
            tuple(map(moved, wins)),
            tuple(classes),
            family,
            tuple(self._names[i] for i in gates),
        )

    def _literal(self, item: ColumnTest | Gate, name: str) -> int:
        if item not in self._known:
            self._items.append(item)
            self._names.append(name)
            self._known[item] = len(self._items)
        return self._known[item]

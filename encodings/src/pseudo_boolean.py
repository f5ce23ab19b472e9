"""Weighted sums as clauses: "at most D in total", where each group takes one of its weights.

Two encodings, chosen by size:

* the generalised totalizer (Joshi, Martins, Manquinho, Generalized Totalizer Encoding for
  Pseudo-Boolean Constraints, CP 2015): one variable per distinct partial sum, clipped just
  above the bound; it propagates fully, and grows with the number of distinct sums;
* binary adders (Een, Sorensson, Translating Pseudo-Boolean Constraints into SAT, JSAT
  2006): small whatever the weights, but they hardly propagate.

Ours joins the two where sums are too many: exact adders decide, and a totalizer over weights
rounded *down* to a coarse grid, which every solution satisfies as well, does the pruning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

__all__ = ["Groups", "at_most"]

Groups = Sequence[Sequence[tuple[int, int]]]
"""Per group literals with weights; exactly one literal of each group is true."""

_MOST_SUMS = 600
"""Distinct sums of one node up to which the totalizer is exact."""

_LEVELS = 256
"""Levels of the coarse totalizer."""


def at_most(
    groups: Groups, most: int, when: int, fresh: Callable[[], int]
) -> list[tuple[int, ...]]:
    """Encode that the chosen weights add up to at most a bound.

    Parameters
    ----------
    groups
        Weights, not negative.
    most
        The bound.
    when
        Literal that switches it on.
    fresh
        Returns a new variable.

    Examples
    --------
    >>> import itertools
    >>> at_most([[(1, 0), (2, 3)]], 2, 9, itertools.count(10).__next__)
    [(-2, 10), (-9, -10)]
    """
    if most < 0:
        return [(-when,)]
    if sum(max(weight for _, weight in group) for group in groups) <= most:
        return []
    clauses: list[tuple[int, ...]] = []
    exact = _totalizer(groups, most, when, fresh, clauses, _MOST_SUMS)
    if exact:
        return clauses
    clauses.clear()
    step = max(1, most // _LEVELS)
    coarse = [[(literal, weight // step) for literal, weight in group] for group in groups]
    _totalizer(coarse, most // step, when, fresh, clauses, 0)
    _adders(groups, most, when, fresh, clauses)
    return clauses


def _totalizer(
    groups: Groups,
    most: int,
    when: int,
    fresh: Callable[[], int],
    clauses: list[tuple[int, ...]],
    most_sums: int,
) -> bool:
    """Merge groups two by two; give up when a node has more sums than allowed (0: never)."""
    over = most + 1
    nodes: list[dict[int, int]] = []
    for group in groups:
        outputs: dict[int, int] = {}
        for literal, weight in group:
            if weight:
                clipped = min(weight, over)
                if clipped not in outputs:
                    outputs[clipped] = fresh()
                clauses.append((-literal, outputs[clipped]))
        if outputs:
            nodes.append(outputs)
            _descend(outputs, clauses)
    while len(nodes) > 1:
        nodes.sort(key=len, reverse=True)
        one, other = nodes.pop(), nodes.pop()
        sums = {min(a + b, over) for a in (0, *one) for b in (0, *other)} - {0}
        if most_sums and len(sums) > most_sums:
            return False
        outputs = {value: fresh() for value in sorted(sums)}
        for a in (0, *one):
            for b in (0, *other):
                if a or b:
                    given = [-node[value] for node, value in ((one, a), (other, b)) if value]
                    clauses.append((*given, outputs[min(a + b, over)]))
        _descend(outputs, clauses)
        nodes.append(outputs)
    if nodes and over in nodes[0]:
        clauses.append((-when, -nodes[0][over]))
    return True


def _descend(outputs: dict[int, int], clauses: list[tuple[int, ...]]) -> None:
    """Let a larger sum include the smaller ones: outputs mean "at least"."""
    order = sorted(outputs)
    clauses.extend((-outputs[high], outputs[low]) for low, high in pairwise(order))


def _adders(
    groups: Groups,
    most: int,
    when: int,
    fresh: Callable[[], int],
    clauses: list[tuple[int, ...]],
) -> None:
    numbers: list[list[int | None]] = []
    for group in groups:
        width = max(weight for _, weight in group).bit_length()
        bits: list[int | None] = []
        for place in range(width):
            ones = [literal for literal, weight in group if weight >> place & 1]
            if not ones:
                bits.append(None)
                continue
            bit = fresh()
            bits.append(bit)
            for literal, weight in group:
                clauses.append((-literal, bit if weight >> place & 1 else -bit))
        numbers.append(bits)
    while len(numbers) > 1:
        numbers.sort(key=len, reverse=True)
        numbers.append(_add(numbers.pop(), numbers.pop(), fresh, clauses))
    _compare(numbers[0] if numbers else [], most, when, clauses)


def _add(
    one: list[int | None],
    other: list[int | None],
    fresh: Callable[[], int],
    clauses: list[tuple[int, ...]],
) -> list[int | None]:
    """Add two binary numbers, lowest bit first; `None` is a zero."""
    total: list[int | None] = []
    carry: int | None = None
    for place in range(max(len(one), len(other))):
        bits = [number[place] if place < len(number) else None for number in (one, other)]
        present = [bit for bit in (*bits, carry) if bit is not None]
        if len(present) < 2:
            total.append(present[0] if present else None)
            carry = None
            continue
        total.append(_parity(present, fresh, clauses))
        carry = _majority(present, fresh, clauses)
    return [*total, carry] if carry is not None else total


def _parity(bits: list[int], fresh: Callable[[], int], clauses: list[tuple[int, ...]]) -> int:
    out = fresh()
    literals = [*bits, out]
    for signs in range(1 << len(literals)):
        # Forbid every assignment in which an odd number is true.
        if signs.bit_count() % 2:
            clauses.append(tuple(-v if signs >> i & 1 else v for i, v in enumerate(literals)))
    return out


def _majority(bits: list[int], fresh: Callable[[], int], clauses: list[tuple[int, ...]]) -> int:
    out = fresh()
    if len(bits) == 2:
        a, b = bits
        clauses += [(-a, -b, out), (a, -out), (b, -out)]
        return out
    for i, a in enumerate(bits):
        for b in bits[i + 1 :]:
            clauses += [(-a, -b, out), (a, b, -out)]
    return out


def _compare(bits: list[int | None], most: int, when: int, clauses: list[tuple[int, ...]]) -> None:
    """Forbid numbers above a bound: the first place that differs is one against zero."""
    if most.bit_length() > len(bits):
        return
    higher: list[int] = []
    for place in reversed(range(len(bits))):
        bit = bits[place]
        if most >> place & 1:
            if bit is None:
                return  # whatever follows, the number is below
            higher.append(-bit)
        elif bit is not None:
            clauses.append((-when, *higher, -bit))

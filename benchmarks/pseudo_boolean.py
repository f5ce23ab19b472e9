"""A small exact solver of pseudo-Boolean files, to read our files by other eyes.

Backtracking with propagation over Python's integers; meant for problems of a hundred
variables, on which floating-point solvers miss ties between sums of exact binary fractions.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["PseudoBoolean"]

Row = tuple[list[tuple[int, int]], int]
"""Weights with literals, and the least sum; a literal below zero is a negation."""


class PseudoBoolean:
    """Constraints of an OPB file.

    Parameters
    ----------
    text
        The file.
    """

    def __init__(self, text: str) -> None:
        self.rows: list[Row] = []
        for line in text.splitlines():
            if line.startswith("*"):
                continue
            equal = ">=" not in line
            left, _, right = line.removesuffix(";").rpartition("=" if equal else ">=")
            words = left.split()
            terms = [(int(w), int(v[1:])) for w, v in zip(words[::2], words[1::2], strict=True)]
            self._add(terms, int(right))
            if equal:
                self._add([(-w, v) for w, v in terms], -int(right))
        self._where: dict[int, list[int]] = {}
        for number, (terms, _) in enumerate(self.rows):
            for _, literal in terms:
                self._where.setdefault(-literal, []).append(number)
        self._variables = sorted({abs(v) for terms, _ in self.rows for _, v in terms})

    def satisfiable(self, assumptions: Iterable[int] = ()) -> bool:
        """Tell whether there is a solution in which some literals are true."""
        value: dict[int, bool] = {}
        room = [sum(w for w, _ in terms) - least for terms, least in self.rows]
        trail: list[int] = []

        def assign(literals: list[int]) -> bool:
            pending = list(literals)
            while pending:
                literal = pending.pop()
                known = value.get(abs(literal))
                if known is not None:
                    if known != (literal > 0):
                        return False
                    continue
                value[abs(literal)] = literal > 0
                trail.append(literal)
                touched = self._where.get(literal, ())
                for number in touched:
                    room[number] -= sum(w for w, v in self.rows[number][0] if v == -literal)
                for number in touched:
                    if room[number] < 0:
                        return False
                    pending += [
                        v
                        for w, v in self.rows[number][0]
                        if w > room[number] and abs(v) not in value
                    ]
            return True

        def undo(length: int) -> None:
            while len(trail) > length:
                literal = trail.pop()
                del value[abs(literal)]
                for number in self._where.get(literal, ()):
                    room[number] += sum(w for w, v in self.rows[number][0] if v == -literal)

        def search() -> bool:
            free = next((v for v in self._variables if v not in value), None)
            if free is None:
                return True
            for literal in (free, -free):
                length = len(trail)
                if assign([literal]) and search():
                    return True
                undo(length)
            return False

        start = [
            v for (terms, _), r in zip(self.rows, room, strict=True) for w, v in terms if w > r
        ]
        return all(r >= 0 for r in room) and assign([*assumptions, *start]) and search()

    def _add(self, terms: list[tuple[int, int]], least: int) -> None:
        """Add a row with positive weights only."""
        least -= sum(w for w, _ in terms if w < 0)
        self.rows.append(([(abs(w), v if w > 0 else -v) for w, v in terms if w], least))

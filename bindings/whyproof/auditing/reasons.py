"""Reasons are rules: an AXp of one row is an AXp of every row in its cells.

That a set of features forces the decision, and that no smaller one does, are statements
about the values of these features alone.  For a tree ensemble over a region that does not move
with the row they are statements about cells (see `same`).  So a reason found for one row
is one for all rows that lie in the same cells of its features: minimal, with the same
proof and the same margin, and without any search.

To find the same reasons whatever the number of workers, rows are done in stages, and a stage
takes over reasons of the rows of earlier stages only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from .row import Record

__all__ = ["FIRST_STAGE", "GROWTH", "Reasons", "stages_of"]

FIRST_STAGE, GROWTH = 1_000, 3
"""Decisions of the first stage, and how much longer each further one is."""


def stages_of(decisions: int) -> list[tuple[int, int]]:
    """Cut a number of decisions into stages, first and last + 1.

    Examples
    --------
    >>> stages_of(900), stages_of(6_000)
    ([(0, 900)], [(0, 1000), (1000, 4000), (4000, 6000)])
    """
    stages: list[tuple[int, int]] = []
    start, length = 0, FIRST_STAGE
    while start + length < decisions:
        stages.append((start, start + length))
        start, length = start + length, length * GROWTH
    return [*stages, (start, decisions)]


class Reasons:
    """Minimal AXps by the cells of their features.

    Parameters
    ----------
    cells
        Cells of every row, shape ``(rows, columns)``.
    columns
        Columns of each feature.
    """

    def __init__(self, cells: npt.NDArray[np.int32], columns: Sequence[Sequence[int]]) -> None:
        self._cells = cells
        self._columns = columns
        self._rules: dict[tuple[int, ...], dict[bytes, Record]] = {}

    def __len__(self) -> int:
        return sum(len(rules) for rules in self._rules.values())

    def add(self, position: int, record: Record) -> None:
        """Take in a reason of the row at a position; one that was itself taken over is none."""
        indices = record["indices"]
        if record["status"] != "minimal" or "same_reason_as" in record:
            return
        members = tuple(int(i) for i in indices) if isinstance(indices, list) else ()
        key = self._cells[position, self._of(members)].tobytes()
        self._rules.setdefault(members, {}).setdefault(key, record)

    def matching(self, positions: npt.NDArray[np.int64]) -> Mapping[int, Record]:
        """Return, by position, the smallest reason that rows share; the first of equal ones."""
        found: dict[int, Record] = {}
        left = positions
        for members in sorted(self._rules, key=lambda members: (len(members), members)):
            rules, columns = self._rules[members], self._of(members)
            if not columns:
                return {**found, **dict.fromkeys(left.tolist(), next(iter(rules.values())))}
            keys = np.ascontiguousarray(self._cells[left][:, columns])
            rows = keys.view(f"V{keys.shape[1] * keys.itemsize}")[:, 0]
            known = np.array([*rules], dtype=rows.dtype)
            hit = np.isin(rows, known)
            for position, key in zip(left[hit].tolist(), rows[hit].tolist(), strict=True):
                found[position] = rules[key]
            left = left[~hit]
        return found

    def _of(self, members: Iterable[int]) -> list[int]:
        return [column for member in members for column in self._columns[member]]

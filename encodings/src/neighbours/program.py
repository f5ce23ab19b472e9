"""The mixed-integer program: a point whose nearest rows vote for a change.

One 0/1 variable for each row that can be among the nearest, a radius between those that are
and those that are not, and a gap on both sides of it, which is made as large as is of use:
a gap above zero is a point at which no tie decides.  Rows that are always nearer than
others, whatever the free columns are, leave few rows to choose among.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import highspy
import numpy as np
import numpy.typing as npt

from whyproof.encodings.program_text import LinearProgram

from .columns import FreeColumn

__all__ = ["Nearest", "NeighbourProgram", "Sought", "nearest_rows", "solve"]

Floats = npt.NDArray[np.float64]

ENOUGH = 1e-3
"""A gap of this share of the largest distance is as good as a larger one."""

ROOM = 2e-5
"""How far beyond a tie is still looked, in the same unit: the solver's own tolerance."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """Rows that may be among the nearest.

    Parameters
    ----------
    maybe
        Positions of rows that are among the nearest at some points and not at others.
    surely
        Positions of rows that are so everywhere.
    """

    maybe: npt.NDArray[np.intp]
    surely: npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Sought:
    """What a solver found: values of the free columns and the gap, or a proof of none.

    Parameters
    ----------
    values
        By column, `None` if no point was found.
    gap
        Its gap, relative.
    finished
        Whether the solver finished: then without values there is no such point.
    """

    values: dict[int, float] | None
    gap: float
    finished: bool


def nearest_rows(start: Floats, columns: Sequence[FreeColumn], votes: int) -> Nearest:
    """Find rows that can, and that must, be among the nearest.

    Parameters
    ----------
    start
        Distances from the fixed columns, shape ``(rows,)``.
    columns
        The free ones.
    votes
        How many are the nearest.
    """
    n = len(start)
    # farthest[i, j]: the most by which i can be farther away than j.
    farthest = start[:, None] - start[None]
    for column in columns:
        options = column.gains
        if not len(column.values):
            # Differences of two rows rise or fall from end to end.
            options = np.stack([column.start, column.start + column.gains.sum(axis=0)])
        most = np.full((n, n), -np.inf)
        for row in options:
            np.maximum(most, row[:, None] - row[None], out=most)
        farthest = farthest + most
    size = np.abs(farthest).max(initial=0.0)
    nearer = farthest < -1e-9 * size  # i is nearer than j everywhere
    np.fill_diagonal(nearer, False)
    excluded = nearer.sum(axis=0) >= votes
    surely = nearer.sum(axis=1) >= n - votes
    return Nearest(np.flatnonzero(~excluded & ~surely), np.flatnonzero(surely & ~excluded))


def solve(
    start: Floats,
    columns: Sequence[FreeColumn],
    rows: Nearest,
    votes: int,
    labels: npt.NDArray[np.int64],
    leads: Sequence[Sequence[tuple[int, int, int]]],
    seconds: float,
) -> Sought:
    """Look for a point whose nearest rows give one of several sets of leads.

    Parameters
    ----------
    start, columns, rows, votes
        As for `nearest_rows`.
    labels
        Class of each row.
    leads
        Alternatives; each is a list of ``(class, rival, least difference of votes)``.
    seconds
        Time limit.
    """
    program = NeighbourProgram(start, columns, rows, votes, labels, leads)
    return program.run(seconds)


class NeighbourProgram:
    """The program of `solve`, to solve or to write; parameters as there."""

    def __init__(
        self,
        start: Floats,
        columns: Sequence[FreeColumn],
        rows: Nearest,
        votes: int,
        labels: npt.NDArray[np.int64],
        leads: Sequence[Sequence[tuple[int, int, int]]],
    ) -> None:
        self._columns = columns
        self.program = LinearProgram()
        kept = np.concatenate([rows.maybe, rows.surely])
        self._first = [self._free(column) for column in columns]
        add = self.program.add
        chosen = [add(f"row{i}_votes", 0.0, 1.0, whole=True) for i in rows.maybe.tolist()]
        chosen += [add(f"row{i}_votes", 1.0, 1.0) for i in rows.surely.tolist()]
        self._row(dict.fromkeys(chosen, 1.0), votes, votes)
        self._distances(start, kept, chosen)
        self._votes(labels[kept], chosen, votes, leads)

    def _free(self, column: FreeColumn) -> int:
        add, name = self.program.add, f"x{column.column}"
        first = len(self.program.names)
        if len(column.values):
            options = [
                add(f"{name}_value{k}", 0.0, 1.0, whole=True) for k in range(len(column.values))
            ]
            self._row(dict.fromkeys(options, 1.0), 1.0, 1.0)
            return first
        parts = [add(f"{name}_part{k}", 0.0, 1.0) for k in range(column.n_variables)]
        for k, (part, after) in enumerate(itertools.pairwise(parts)):
            full = add(f"{name}_full{k}", 0.0, 1.0, whole=True)
            self._row({part: 1.0, full: -1.0}, 0.0, math.inf)
            self._row({after: 1.0, full: -1.0}, -math.inf, 0.0)
        if column.whole:
            steps = np.diff(column.edges).tolist()
            value = add(name, float(column.edges[0]), float(column.edges[-1]), whole=True)
            terms = {**dict(zip(parts, steps, strict=True)), value: -1.0}
            self._row(terms, -float(column.edges[0]), -float(column.edges[0]))
        return first

    def _distances(self, start: Floats, kept: npt.NDArray[np.intp], chosen: list[int]) -> None:
        """Put the radius between the rows that are chosen and the others."""
        base = start[kept] + sum((c.start[kept] for c in self._columns), np.zeros(len(kept)))
        gains = [column.gains[:, kept] for column in self._columns]
        # What all rows share moves the radius and nothing else.
        base = base - base.mean()
        gains = [gain - gain.mean(axis=1, keepdims=True) for gain in gains]
        low, high = base.copy(), base.copy()
        for column, gain in zip(self._columns, gains, strict=True):
            path = (
                gain
                if len(column.values)
                else np.concatenate([np.zeros((1, len(kept))), gain.cumsum(axis=0)])
            )
            low, high = low + path.min(axis=0), high + path.max(axis=0)
        size = max(float(np.abs(low).max()), float(np.abs(high).max()), 1e-300)
        radius = self.program.add("radius", float(low.min()) / size, float(high.max()) / size)
        self._gap = self.program.add("gap", -ROOM, ENOUGH)
        self.program.costs[self._gap] = 1.0
        for i, pick in enumerate(chosen):
            terms = {radius: -1.0}
            for first, gain in zip(self._first, gains, strict=True):
                terms |= {first + v: float(g) / size for v, g in enumerate(gain[:, i]) if g}
            at = float(base[i]) / size
            inside = float(high[i] - low.min()) / size + ENOUGH
            outside = float(high.max() - low[i]) / size + ENOUGH
            # distance - radius + gap <= inside * (1 - chosen)
            self._row({**terms, self._gap: 1.0, pick: inside}, -math.inf, inside - at)
            # distance - radius - gap >= -outside * chosen
            self._row({**terms, self._gap: -1.0, pick: outside}, -at, math.inf)

    def _votes(
        self,
        labels: npt.NDArray[np.int64],
        chosen: list[int],
        votes: int,
        leads: Sequence[Sequence[tuple[int, int, int]]],
    ) -> None:
        switches = [self.program.add(f"change{k}", 0.0, 1.0, whole=True) for k in range(len(leads))]
        self._row(dict.fromkeys(switches, 1.0), 1.0, math.inf)
        for switch, needed in zip(switches, leads, strict=True):
            for ahead, rival, least in needed:
                terms = {
                    pick: 1.0 if label == ahead else -1.0
                    for pick, label in zip(chosen, labels.tolist(), strict=True)
                    if label in (ahead, rival)
                }
                room = float(votes + least)
                self._row({**terms, switch: -room}, least - room, math.inf)

    def _row(self, terms: dict[int, float], lower: float, upper: float) -> None:
        self.program.rows.append((terms, lower, upper))

    def run(self, seconds: float) -> Sought:
        """Solve it within a time limit."""
        highs = self.program.built()
        highs.setOptionValue("mip_rel_gap", 0.0)
        if math.isfinite(seconds):
            highs.setOptionValue("time_limit", max(seconds, 0.01))
        highs.run()
        status, info = highs.getModelStatus(), highs.getInfo()
        if status == highspy.HighsModelStatus.kInfeasible:
            return Sought(None, -math.inf, True)
        finished = status == highspy.HighsModelStatus.kOptimal
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return Sought(None, -math.inf, False)
        solution = np.array(highs.getSolution().col_value)
        values = {
            column.column: column.value(solution[first : first + column.n_variables])
            for first, column in zip(self._first, self._columns, strict=True)
        }
        return Sought(values, float(solution[self._gap]), finished)

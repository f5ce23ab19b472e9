"""Line search on the lattice: one column at a time over all its values, from several starts.

Single steps (`whyproof.plausible.lattice.mend`) stop where every neighbour is worse.  Where
few columns may move, what helps is often far away: the other end of a column, or a corner
of the box.  So rows that are still open try whole columns, again and again until nothing
improves: exact coordinate descent over values that exist, started from where the row is
and from the best of some random corners.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .backend import Array, numbers, tensor
from .lattice import Cost, Lattice

if TYPE_CHECKING:
    import torch

__all__ = ["corners", "search_lines"]

_VALUES = 24
_NEAR = (-3.0, -2.0, -1.0, 1.0, 2.0, 3.0)
_CONTINUOUS = 1 / 64


def search_lines(
    measure: Cost, lattice: Lattice, points: Array, device: torch.device, *, rounds: int = 4
) -> Array:
    """Move points along single columns as long as their cost falls.

    Parameters
    ----------
    measure
        Cost of points.
    lattice
        Of the rows.
    points
        On the lattice, in units of the data, shape ``(rows, columns)``; not changed.
    rounds
        Passes over all columns at most.

    Returns
    -------
    Points on the lattice, none of a higher cost than before.
    """
    points = points.copy()
    cost, _ = measure(lattice, points, device)
    going = np.arange(len(points))
    for _ in range(rounds):
        if not len(going):
            break
        before = cost[going].copy()
        for line in _lines(lattice.of(going)):
            own = lattice.of(going)
            tried = line(points[going])
            width = tried.shape[1]
            many = own.of(np.repeat(np.arange(len(going)), width))
            flat = many.reach.snap(many.rows, tried.reshape(-1, tried.shape[2]))
            found = measure(many, flat, device)[0].reshape(-1, width)
            at = np.arange(len(going))
            chosen = found.argmin(axis=1)
            better = found[at, chosen] < cost[going] - 1e-9
            moved = flat.reshape(len(going), width, -1)[at, chosen]
            points[going[better]] = moved[better]
            cost[going[better]] = found[at, chosen][better]
        going = going[cost[going] < before - 1e-9]
    return points


def corners(
    measure: Cost, lattice: Lattice, device: torch.device, *, count: int = 256, seed: int = 0
) -> Array:
    """Return for each row the random point of its box where the target class leads most.

    Parameters
    ----------
    count
        Points tried; each column is at an end of its range or anywhere in it.
    """
    reach = lattice.reach
    random = np.random.default_rng(seed)
    lower, upper = reach.limits(lattice.rows)
    best, lead = lattice.rows.copy(), np.full(len(lattice.rows), np.inf)
    for _ in range(count):
        share = random.random(lattice.rows.shape)
        ends = random.random(lattice.rows.shape) < 0.5
        share = np.where(ends, np.rint(share), share)
        tried = reach.snap(
            lattice.rows,
            np.where(reach.movable, lower + share * (upper - lower), lattice.rows),
        )
        scaled = tensor(lattice.scale.to_unit(tried), device)
        found = numbers(measure.landscape.lead.value(scaled)) + 1e3 * lattice.violations(tried)
        nearer = found < lead
        best[nearer], lead[nearer] = tried[nearer], found[nearer]
    return best


class _Line:
    """All values of one column, or of one block of indicators."""

    def __init__(self, lattice: Lattice, columns: tuple[int, ...]) -> None:
        self._columns, reach = columns, lattice.reach
        first = columns[0]
        lower, upper = (side[:, first] for side in reach.limits(lattice.rows))
        self._lower, self._upper = lower, upper
        if reach.nominal[first]:
            self._step = 1.0
        else:
            self._step = float(reach.steps[first]) or float(lattice.scale.span[first]) * _CONTINUOUS

    def __call__(self, here: Array) -> Array:
        """Return points, shape ``(rows, values, columns)``."""
        columns = list(self._columns)
        if len(columns) > 1:
            tried = np.repeat(here[:, None], len(columns), axis=1)
            tried[:, :, columns] = np.eye(len(columns))
            return tried
        share = np.linspace(0, 1, _VALUES)
        whole = self._lower[:, None] + (self._upper - self._lower)[:, None] * share
        near = here[:, columns] + self._step * np.array(_NEAR)
        near = np.clip(near, self._lower[:, None], self._upper[:, None])
        values = np.concatenate([whole, near], axis=1)
        tried = np.repeat(here[:, None], values.shape[1], axis=1)
        tried[:, :, columns[0]] = values
        return tried


def _lines(lattice: Lattice) -> list[_Line]:
    reach = lattice.reach
    blocks = [block for block in reach.blocks if reach.movable[list(block)].any()]
    inside = {i for block in reach.blocks for i in block}
    plain = [(int(i),) for i in np.flatnonzero(reach.movable) if int(i) not in inside]
    return [_Line(lattice, columns) for columns in (*plain, *blocks)]

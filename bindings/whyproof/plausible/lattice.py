"""The last mile: onto the lattice, and from there to a good point by single steps.

Rounding breaks what a search in real numbers found, most of all for shared shifts.  So
points are judged *on* the lattice: the nearest admissible point first, then greedy moves of
one column by one step (or one category), those first that the slopes favour, until the
row is valid (and plausible), last the opposite: columns go back to the row's own value one
by one as long as the point stays good.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .backend import Array, numbers, tensor
from .landscape import Landscape
from .reach import Reach
from .scale import Scale
from .settings import Settings

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Cost", "Lattice", "mend", "simplify"]

_SHORT_LIST = 8
_CODES = 12
_CONTINUOUS = 1 / 64
_SURE = 0.003
_OTHER_CLASS = 20.0
"""More than any lack of density costs: what is confirmed stays confirmed."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """Snaps scaled points of given rows.

    Parameters
    ----------
    reach, scale
        Constraints in units of the data, and the scaling.
    rows
        Shape ``(rows, columns)``, in units of the data.
    """

    reach: Reach
    scale: Scale
    rows: Array

    def of(self, part: npt.NDArray[np.intp] | slice) -> Lattice:
        """Return the lattice of some of the rows."""
        return Lattice(self.reach, self.scale, self.rows[part])

    def points(self, scaled: Tensor) -> Array:
        """Return the nearest points of the lattice in units of the data."""
        return self.reach.snap(self.rows, self.scale.from_unit(numbers(scaled)))

    def snap(self, scaled: Tensor) -> Tensor:
        """Return the nearest points of the lattice, scaled."""
        return tensor(self.scale.to_unit(self.points(scaled)), scaled.device)

    def violations(self, points: Array) -> Array:
        """Return how many relations each point violates, shape ``(rows,)``."""
        count: Array = np.zeros(len(points))
        for constraint in self.reach.space.constraints:
            count += ~self.reach.relation_holds(constraint, self.rows, points)
        return count


@dataclass(frozen=True)
class Cost:
    """Cost of points on the lattice: relations, class, density, distance, in this order.

    Parameters
    ----------
    landscape, scale
        What is wanted, and the scaling.
    mode
        `Settings.repair`: what good means.
    confirm
        Asks the real model.
    """

    landscape: Landscape
    scale: Scale
    mode: str
    confirm: Callable[[Array], npt.NDArray[np.bool_]]

    def __call__(
        self, lattice: Lattice, points: Array, device: torch.device
    ) -> tuple[Array, npt.NDArray[np.bool_]]:
        """Return costs and which points are good, shape ``(rows,)`` each."""
        unit = lattice.scale.to_unit(points)
        judged = self.landscape.judge(tensor(unit, device))
        lead, score = numbers(judged.lead), numbers(judged.score)
        threshold = self.landscape.threshold
        short = np.maximum(threshold.score + 1e-6 - score, 0.0) / threshold.spread
        broken = lattice.violations(points)
        confirmed = self.confirm(points)
        far = np.linalg.norm(unit - lattice.scale.to_unit(lattice.rows), axis=1)
        far = far / self.landscape.pace
        weight = 1.0 if self.mode == "plausibility" else 0.05
        # A shortfall beyond a few spreads is as bad as any other.
        short = np.where(np.isfinite(short), short / (1 + 0.1 * short), 10.0)
        cost = (
            1e3 * broken
            + 3 * np.maximum(lead + _SURE, 0.0)
            + _OTHER_CLASS * ~confirmed
            + weight * short
            + 0.05 * far
        )
        good = (broken == 0) & confirmed
        if self.mode == "plausibility":
            good &= short == 0
        return cost, good


def mend(
    landscape: Landscape,
    lattice: Lattice,
    points: Array,
    settings: Settings,
    *,
    device: torch.device,
    confirm: Callable[[Array], npt.NDArray[np.bool_]],
    sweeps: int = 20,
) -> Array:
    """Move points that are not good by single steps until they are, or no step helps.

    Parameters
    ----------
    lattice
        Of the rows.
    points
        On the lattice, in units of the data, shape ``(rows, columns)``.
    settings
        `Settings.repair` says what good means.
    confirm
        Asks the real model: it alone says what is valid.
    sweeps
        Steps per row at most.
    """
    if settings.repair == "none":
        return points
    measure = Cost(landscape, lattice.scale, settings.repair, confirm)
    points = points.copy()
    cost, good = measure(lattice, points, device)
    open_rows = np.flatnonzero(~good)
    cost = cost[open_rows]
    for _ in range(sweeps):
        if not len(open_rows):
            break
        here, own = points[open_rows], lattice.of(open_rows)
        tried = _candidates(landscape, own, here, settings, device)
        width = tried.shape[1]
        many = own.of(np.repeat(np.arange(len(open_rows)), width))
        flat = many.reach.snap(many.rows, tried.reshape(-1, tried.shape[2]))
        each, fine = measure(many, flat, device)
        costs, goods = each.reshape(-1, width), fine.reshape(-1, width)
        chosen = np.argmin(costs - 1e6 * goods, axis=1)
        at = np.arange(len(open_rows))
        better = (costs[at, chosen] < cost - 1e-9) | goods[at, chosen]
        moved = flat.reshape(len(open_rows), width, -1)[at, chosen]
        points[open_rows[better]] = moved[better]
        going = better & ~goods[at, chosen]
        cost, open_rows = costs[at, chosen][going], open_rows[going]
    return points


def simplify(
    landscape: Landscape,
    lattice: Lattice,
    points: Array,
    settings: Settings,
    *,
    device: torch.device,
    confirm: Callable[[Array], npt.NDArray[np.bool_]],
) -> Array:
    """Put columns back to the row's own value, smallest moves first, while points stay good."""
    points, rows = points.copy(), lattice.rows
    measure = Cost(landscape, lattice.scale, settings.repair, confirm)
    _, good = measure(lattice, points, device)
    size = np.abs(points - rows) / lattice.scale.span
    blocks = [list(block) for block in lattice.reach.blocks]
    for block in blocks:
        size[:, block] = size[:, block].max(axis=1, keepdims=True)
    order = np.argsort(np.where(size > 0, size, np.inf), axis=1)
    partner = {i: block for block in blocks for i in block}
    for rank in range(points.shape[1]):
        column = order[:, rank]
        open_rows = np.flatnonzero(good & (size[np.arange(len(points)), column] > 0))
        if not len(open_rows):
            break
        tried = points[open_rows].copy()
        for k, (row, i) in enumerate(zip(open_rows, column[open_rows], strict=True)):
            whole = partner.get(int(i), [int(i)])
            tried[k, whole] = rows[row, whole]
        _, still = measure(lattice.of(open_rows), tried, device)
        points[open_rows[still]] = tried[still]
    return points


def _candidates(
    landscape: Landscape, lattice: Lattice, here: Array, settings: Settings, device: torch.device
) -> Array:
    """Return points one step away that the slopes favour, shape ``(rows, moves, columns)``."""
    reach, scale = lattice.reach, lattice.scale
    unit = tensor(scale.to_unit(here), device)
    origin = tensor(scale.to_unit(lattice.rows), device)
    _, downhill = landscape.descend(origin, unit, settings)
    slope = numbers(downhill) / scale.span
    in_block = np.isin(np.arange(here.shape[1]), [i for b in reach.blocks for i in b])
    plain = np.flatnonzero(reach.movable & ~in_block & ~reach.nominal)
    made: list[Array] = []
    if len(plain):
        fine = scale.span * (_CONTINUOUS * landscape.pace)
        width = np.where(reach.steps > 0, reach.steps, fine)[plain]
        step = -np.sign(slope[:, plain]) * width
        lower, upper = (side[:, plain] for side in reach.limits(lattice.rows))
        near = 1e-6 * width
        inside = (here[:, plain] + step >= lower - near) & (here[:, plain] + step <= upper + near)
        gain = np.where(inside, np.abs(slope[:, plain]) * width, -1.0)
        short = np.argsort(-gain, axis=1)[:, :_SHORT_LIST]
        at = np.arange(len(here))
        for rank in range(short.shape[1]):
            for times in (1.0, 3.0):
                moved = here.copy()
                moved[at, plain[short[:, rank]]] += times * step[at, short[:, rank]]
                made.append(moved)
    for block in reach.blocks:
        columns = list(block)
        if reach.movable[columns].any():
            blocked = np.where(here[:, columns] == 1, np.inf, slope[:, columns])
            moved = here.copy()
            moved[:, columns] = np.eye(len(columns))[blocked.argmin(axis=1)]
            made.append(moved)
    for i in np.flatnonzero(reach.nominal & reach.movable):
        low, high = reach.lower[i], reach.upper[i]
        for code in np.arange(low, min(high, low + _CODES) + 1):
            moved = here.copy()
            moved[:, i] = code
            made.append(moved)
    # Relations are met by columns that the slopes do not speak of.
    if reach.space.constraints:
        for i in plain:
            for sign in (-1.0, 1.0):
                moved = here.copy()
                moved[:, i] += sign * (
                    reach.steps[i] or scale.span[i] * _CONTINUOUS * landscape.pace
                )
                made.append(moved)
    return np.stack(made, axis=1) if made else here[:, None]

"""Places: where each column of an instance may go, and what that costs.

A cell is entered at its value nearest to the instance that the rules admit and that
lies on the grid of the model's inputs: a point set to a float64 threshold would flip back
when the model rounds it to float32, so thresholds are never used as values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.boxes import Cells, LeafBoxes
from whyproof.encodings.trees.cells import ColumnCells
from whyproof.engine.region import Region
from whyproof.engine.space import Point

from .actions import FREE, Action, Actions
from .distance import Distance

__all__ = ["Places", "places_of"]

_MOST_STEPS = 2.0**52
_TRIED = 1000
"""Steps that are tried until one is a whole number, where only those are admissible."""


@dataclass(frozen=True, eq=False)
class Places:
    """The cells that an instance can reach.

    Parameters
    ----------
    instance, home
        The instance and its cells, shape ``(columns,)`` each.
    values
        Per column the value with which each cell is entered, shape ``(cells,)``.
    costs
        Per column the cost of being there, infinite where it cannot be; of ``l2`` the
        square, of ``l0`` the weight of the feature.
    """

    instance: Point
    home: Cells
    values: tuple[npt.NDArray[np.float64], ...]
    costs: tuple[npt.NDArray[np.float64], ...]

    def point(self, cells: Cells) -> Point:
        """Return the point that enters some cells."""
        return np.array(
            [values[k] for values, k in zip(self.values, cells.tolist(), strict=True)],
            dtype=np.float64,
        )

    def only(self, allowed: Sequence[npt.NDArray[np.bool_]]) -> Places:
        """Return the places with more cells closed, except those of the instance."""
        costs: list[npt.NDArray[np.float64]] = []
        for cost, keep, home in zip(self.costs, allowed, self.home.tolist(), strict=True):
            closed = np.where(keep, cost, np.inf)
            closed[home] = cost[home]
            costs.append(closed)
        return Places(self.instance, self.home, self.values, tuple(costs))


def places_of(
    boxes: LeafBoxes,
    instance: Point,
    distance: Distance,
    actions: Actions,
    region: Region | None = None,
) -> Places:
    """Find where an instance may go.

    Parameters
    ----------
    boxes
        The models in cells.
    instance
        The person as they are, shape ``(columns,)``.
    distance, actions
        What steps cost, and which are allowed; `Actions.complete` adds those of the space.
    region
        Box that is not left; its norm, if it has one, is ``linf``.
    """
    space, home = boxes.space, boxes.locate(instance)
    region = region or Region.everywhere()
    low, high = region.limits(space, instance)
    restricted = region.restricted(space)
    values: list[npt.NDArray[np.float64]] = []
    costs: list[npt.NDArray[np.float64]] = []
    for c, column in enumerate(boxes.columns):
        feature = int(space.owner[c])
        action = actions.of_feature(feature)
        value = float(instance[c])
        entered = np.full(len(column), np.nan)
        cost = np.full(len(column), np.inf)
        entered[home[c]], cost[home[c]] = value, 0.0
        # A missing value has no neighbours: what restricts it pins it.
        pinned = math.isnan(low[c]) or (math.isnan(value) and action != FREE)
        if action.direction != "stay" and not pinned:
            limits = _both(action.limits(value), (float(low[c]), float(high[c])))
            bound = bool(restricted[c])
            price = _pricer(distance, c, value)
            for k in range(len(column)):
                if k == home[c]:
                    continue
                picked = _entry(column, k, value, action, limits, missing_too=not bound)
                if picked is not None:
                    entered[k], cost[k] = picked, price(picked)
        values.append(entered)
        costs.append(cost)
    return Places(instance, home, tuple(values), tuple(costs))


def _pricer(distance: Distance, column: int, value: float) -> Callable[[float], float]:
    """Return the cost of a value of a column, in float64."""
    factor = float(distance.factors[column])
    nominal = distance.is_nominal(column)
    if distance.norm == "l0":
        weight = float(distance.weights[distance.space.owner[column]])
        return lambda _: weight
    power = 2 if distance.norm == "l2" else 1

    def price(picked: float) -> float:
        apart = nominal or math.isnan(picked) or math.isnan(value)
        return float((factor * (1.0 if apart else abs(picked - value))) ** power)

    return price


def _both(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return max(one[0], other[0]), min(one[1], other[1])


def _entry(
    column: ColumnCells,
    cell: int,
    value: float,
    action: Action,
    limits: tuple[float, float],
    *,
    missing_too: bool,
) -> float | None:
    """Return the value with which a cell is entered, `None` if it cannot be."""
    held = column.cells[cell]
    if held.is_missing:
        # The missing value is no step up or down, and no number of steps away.
        return math.nan if missing_too and action == FREE else None
    low, high = limits
    if action.step is None:
        return column.pick(cell, value, low, high)
    low, high = max(low, held.lower), min(high, held.upper)
    if held.codes or not low <= high:
        return None
    count = (
        math.ceil((low - value) / action.step)
        if low > value
        else math.floor((high - value) / action.step)
    )
    away = 1 if low > value else -1
    for k in range(count, count + away * _TRIED, away):
        picked = value + k * action.step
        if not low <= picked <= high or abs(k) > _MOST_STEPS:
            return None
        if not column.domain.is_discrete or picked == math.floor(picked):
            return picked
    return None

"""Complete search of a network's lattice: branch and bound over boxes of whole steps.

A row that may move in a few columns only, in whole steps, has finitely many points.  A box
of them in which a linear bound of the network (CROWN, Zhang et al. 2018) shows that
another class stays ahead holds no counterfactual; any other box is cut in two along the
column that the bound owes most to, and boxes of a few points are simply asked on the model
that runs.  Where nothing is left, none of the points has the target class.

Ours cuts *between* values that exist: gaps between whole numbers are never searched, so a
row that only a fraction could turn is decided as well, and a search in real numbers, which
has to decide them, is not needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from whyproof.engine.budget import Meter

from .backend import Array

if TYPE_CHECKING:
    from torch import Tensor

    from whyproof.encodings.networks.neighbourhood import Neighbourhood, Play

__all__ = ["MOST_COLUMNS", "Searched", "search_boxes"]

MOST_COLUMNS = 12
"""Columns that move at most: halving boxes of more is hopeless."""

_FEW = 64
_BATCH = 64
_SURE = 1e-4

Steps = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Searched:
    """How a search ended.

    Parameters
    ----------
    point
        A point that was accepted, in units of the data; `None` if there is none so far.
    complete
        Whether every point was decided.
    boxes
        Boxes bounded.
    """

    point: Array | None
    complete: bool
    boxes: int


@dataclass(frozen=True, eq=False)
class _Boxes:
    """Boxes of whole steps from the row, and what is known about each."""

    low: Steps
    high: Steps
    bound: Array
    axis: Steps

    def take(self, index: npt.NDArray[np.intp]) -> _Boxes:
        return _Boxes(self.low[index], self.high[index], self.bound[index], self.axis[index])

    def and_those(self, other: _Boxes) -> _Boxes:
        return _Boxes(
            np.concatenate([self.low, other.low]),
            np.concatenate([self.high, other.high]),
            np.concatenate([self.bound, other.bound]),
            np.concatenate([self.axis, other.axis]),
        )


def search_boxes(
    place: Neighbourhood,
    width: Array,
    accept: Callable[[Array], npt.NDArray[np.bool_]],
    meter: Meter,
) -> Searched:
    """Look for an accepted lattice point of a problem's box, or show that there is none.

    Parameters
    ----------
    place
        Of the row: its question names the class to reach.
    width
        Step of every column, shape ``(columns,)``, positive where columns may move; the
        lattice starts at the row.
    accept
        Tells of points in units of the data, shape ``(n, columns)``, which are wanted; it
        has to ask the model that runs.  What it refuses is never returned.
    meter
        Limits.

    Examples
    --------
    >>> import torch
    >>> from whyproof.encodings.networks.neighbourhood import Neighbourhood
    >>> from whyproof.engine.budget import Budget
    >>> from whyproof.engine.problem import ExplanationProblem
    >>> from whyproof.engine.question import ReachClass
    >>> from whyproof.engine.region import Region
    >>> from whyproof.engine.space import FeatureSpace
    >>> from whyproof.networks import load_network
    >>> layer = torch.nn.Linear(1, 2)
    >>> layer.weight.data = torch.tensor([[0.0], [1.0]])
    >>> layer.bias.data = torch.tensor([2.5, 0.0])
    >>> model = load_network(layer.eval(), input_shape=(1, 1))
    >>> box, row = Region.box(0.0, 9.0), np.zeros(1)
    >>> problem = ExplanationProblem(model, FeatureSpace.of(["x"]), row, box, ReachClass(1))
    >>> ask = lambda points: model.predict(points) == 1
    >>> search_boxes(Neighbourhood(problem), np.ones(1), ask, Budget().start()).point
    array([3.])
    """
    play = place.play(place.movable)
    columns = play.columns.cpu().numpy()
    start, step = place.instance, width[columns]
    low = np.ceil(play.lower.cpu().numpy() / step - 1e-6).astype(np.int64)[None]
    high = np.floor(play.upper.cpu().numpy() / step + 1e-6).astype(np.int64)[None]

    def points(steps: Steps) -> Array:
        found = np.repeat(start[None], len(steps), axis=0)
        found[:, columns] += steps * step
        return found

    def accepted(steps: Steps) -> Array | None:
        tried = points(steps)
        good = accept(tried)
        if not good.any():
            return None
        # The nearest of them, in steps.
        far = np.where(good, np.abs(steps).sum(axis=1), np.iinfo(np.int64).max)
        return np.asarray(tried[int(far.argmin())], dtype=np.float64)

    bounded = 0
    fresh = _Boxes(low, high, np.full(1, -np.inf), np.zeros(1, dtype=np.int64))
    open_boxes = fresh.take(np.empty(0, dtype=np.intp))
    while len(fresh.low) or len(open_boxes.low):
        if len(fresh.low):
            few = _points_in(fresh) <= _FEW
            if few.any():
                found = accepted(_listed(fresh.take(np.flatnonzero(few))))
                if found is not None:
                    return Searched(found, False, bounded)
            large = fresh.take(np.flatnonzero(~few))
            if len(large.low):
                bounded += len(large.low)
                large, corner = _bounded(place, play, large, step)
                left = np.flatnonzero(large.bound <= _SURE)
                found = accepted(corner[left]) if len(left) else None
                if found is not None:
                    return Searched(found, False, bounded)
                open_boxes = open_boxes.and_those(large.take(left))
        if meter.exhausted() is not None:
            return Searched(None, False, bounded)
        # Those where the target class comes nearest first.
        order = np.argsort(open_boxes.bound, kind="stable")
        fresh = _halves(open_boxes.take(order[:_BATCH]))
        open_boxes = open_boxes.take(order[_BATCH:])
    return Searched(None, True, bounded)


def _points_in(boxes: _Boxes) -> Array:
    count: Array = np.prod((boxes.high - boxes.low + 1).astype(np.float64), axis=1)
    return count


def _listed(boxes: _Boxes) -> Steps:
    """Return all points of small boxes."""
    parts = [
        np.stack(
            np.meshgrid(
                *(np.arange(a, b + 1) for a, b in zip(low, high, strict=True)), indexing="ij"
            ),
            axis=-1,
        ).reshape(-1, len(low))
        for low, high in zip(boxes.low, boxes.high, strict=True)
    ]
    return np.concatenate(parts).astype(np.int64)


def _halves(boxes: _Boxes) -> _Boxes:
    """Cut each box in two between two values."""
    at = np.arange(len(boxes.low))
    middle = (boxes.low[at, boxes.axis] + boxes.high[at, boxes.axis]) // 2
    below, above = boxes.high.copy(), boxes.low.copy()
    below[at, boxes.axis] = middle
    above[at, boxes.axis] = middle + 1
    return _Boxes(boxes.low, below, boxes.bound, boxes.axis).and_those(
        _Boxes(above, boxes.high, boxes.bound, boxes.axis)
    )


def _bounded(place: Neighbourhood, play: Play, boxes: _Boxes, step: Array) -> tuple[_Boxes, Steps]:
    """Bound how far another class stays ahead in each box; also its least sure corner."""
    import torch

    from whyproof.encodings.networks.bounds.backward import backward, enclosures
    from whyproof.encodings.networks.bounds.hidden import hidden_ranges
    from whyproof.encodings.networks.bounds.sets import Box
    from whyproof.encodings.networks.bounds.slopes import rigorous

    def tensor(values: Array) -> Tensor:
        return torch.as_tensor(values, dtype=place.dtype, device=place.device)

    # Values that float32 cannot hold are rounded by the model: the box grows by as much.
    center = np.abs(place.instance[play.columns.cpu().numpy()])
    size = center + np.maximum(np.abs(boxes.low), np.abs(boxes.high)) * step
    spare = np.where((step == np.rint(step)) & (center == np.rint(center)), 0.0, 2.0**-23 * size)
    inputs = Box(tensor(boxes.low * step - spare), tensor(boxes.high * step + spare))
    network, rows, offset = play.network, place.target.rows[0], place.target.offset[0]
    with torch.no_grad():
        ranges = hidden_ranges(network, inputs)
        form = backward(
            network,
            {len(network.steps) - 1: rows[None]},
            enclosures(network, ranges.bounds(network)),
            weights=ranges.weights,
        )
        # A rival that stays ahead everywhere settles the box, whichever it is.
        bound, rival = rigorous(form, offset, inputs).max(dim=1)
    at = torch.arange(len(bound), device=place.device)
    slope = form.coefficients.expand(len(bound), -1, -1)[at, rival].cpu().numpy()
    owed = np.abs(slope) * (boxes.high - boxes.low) * step
    # Where slopes say nothing the widest side is cut.
    owed = owed + 1e-9 * (boxes.high - boxes.low)
    owed[boxes.high == boxes.low] = -1.0
    corner = np.where(slope > 0, boxes.low, boxes.high)
    value = bound.cpu().numpy().astype(np.float64)
    axis = owed.argmax(axis=1).astype(np.int64)
    return _Boxes(boxes.low, boxes.high, value, axis), corner

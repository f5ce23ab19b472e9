"""A first point by trying: for models whose scores cannot be read off leaves.

Random moves of few and of many columns, the nearest hit drawn back along its line to where the
decision changes, then every column that is not needed taken back.  What comes out is no
optimum; but it is a ceiling, and a ceiling bounds how far values can go, which is what the
program of a network needs most.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from whyproof.engine.budget import Meter
from whyproof.engine.space import Point

from .knowledge import Knowledge
from .places import Places

__all__ = ["opening_point"]

_TRIES = 400
_HALVINGS = 24
_SHARES = (0.1, 0.3, 0.6, 1.0)
_REACHES = (0.05, 0.2, 1.0)


def opening_point(
    places: Places,
    knowledge: Knowledge,
    accepts: Callable[[Point], bool],
    cost: Callable[[Point], float],
    meter: Meter,
) -> Point | None:
    """Look for a point that changes the decision.

    Parameters
    ----------
    places, knowledge
        Where the person may go.
    accepts
        Whether a point changes the decision.
    cost
        Of a point.
    meter
        Budget of the run.

    Returns
    -------
    Point or None
        `None` if none was found, which says nothing.
    """
    draw = np.random.default_rng(0)
    best: Point | None = None
    for number in range(_TRIES):
        if meter.exhausted() is not None:
            break
        share = _SHARES[number % len(_SHARES)]
        reach = _REACHES[number // len(_SHARES) % len(_REACHES)]
        point = _tried(places, knowledge, draw, share, reach)
        if (best is None or cost(point) < cost(best)) and _fine(knowledge, accepts, point):
            best = _drawn_back(places, knowledge, accepts, point)
    return None if best is None else _shortened(places, knowledge, accepts, best)


def _fine(knowledge: Knowledge, accepts: Callable[[Point], bool], point: Point) -> bool:
    return accepts(point) and knowledge.holds(point)


def _tried(
    places: Places, knowledge: Knowledge, draw: np.random.Generator, share: float, reach: float
) -> Point:
    """Return a point with some columns moved."""
    point = places.instance.copy()
    for c, cost in enumerate(places.costs):
        if draw.random() >= share:
            continue
        if c in knowledge.valued:
            low, high = knowledge.valued[c]
            wanted = float(point[c]) + reach * (draw.uniform(low, high) - float(point[c]))
            point[c] = knowledge.on_grid(c, wanted)
        elif len(opened := np.flatnonzero(np.isfinite(cost))) > 1:
            point[c] = places.values[c][draw.choice(opened)]
    return point


def _drawn_back(
    places: Places, knowledge: Knowledge, accepts: Callable[[Point], bool], point: Point
) -> Point:
    """Go along the line to the person, as far as the decision stays changed."""
    home, columns = places.instance, sorted(knowledge.valued)
    low, high, best = 0.0, 1.0, point
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        tried = point.copy()
        for c in columns:
            wanted = float(home[c]) + middle * (float(point[c]) - float(home[c]))
            tried[c] = knowledge.on_grid(c, wanted)
        if _fine(knowledge, accepts, tried):
            high, best = middle, tried
        else:
            low = middle
    return best


def _shortened(
    places: Places, knowledge: Knowledge, accepts: Callable[[Point], bool], point: Point
) -> Point:
    """Take back what is not needed, the largest moves last."""
    moved = np.flatnonzero(point != places.instance)
    for c in sorted(moved.tolist(), key=lambda c: abs(float(point[c] - places.instance[c]))):
        tried = point.copy()
        tried[c] = places.instance[c]
        if _fine(knowledge, accepts, tried):
            point = tried
    return _drawn_back(places, knowledge, accepts, point)

"""The k nearest counterfactuals, and diverse ones.

Each one found is excluded by a row, and the search goes on.  *Nearest* ones differ in at
least one cell of a column that the earlier one moved or a column that it did not move;
*diverse* ones do not move all the features that an earlier one moves, so that each offers
another way.  Both orders are exact: every next one is proved nearest among those left.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from whyproof.encodings.trees.boxes import Cells
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.errors import DataError
from whyproof.engine.space import Point

from .answer import Nearest, NearestStatus
from .nearest import NearestSearch
from .posed import Extra

__all__ = ["k_nearest"]


def k_nearest(
    search: NearestSearch,
    instance: Point,
    k: int,
    *,
    diverse: bool = False,
    budget: Budget | None = None,
    meter: Meter | None = None,
) -> Iterator[Nearest]:
    """Yield up to k counterfactuals, nearest first; the last may say that there are no more.

    Parameters
    ----------
    search
        Model, question, rules and distance.
    instance
        The person.
    k
        How many, positive.
    diverse
        Whether no later one moves all the features that an earlier one moves.
    budget, meter
        Limits for all together, or those of a run that has begun.

    Raises
    ------
    DataError
        If k is not positive.
    """
    if k < 1:
        raise DataError(f"the number of counterfactuals must be positive, found {k}")
    meter = meter or (budget or Budget()).start()
    excluded: list[Extra] = []
    home: Cells | None = None
    for _ in range(k):
        found = search.nearest(instance, meter=meter, extras=excluded)
        yield found
        if found.status not in (NearestStatus.OPTIMAL, NearestStatus.BEST_SO_FAR):
            return
        if found.cells is None or found.point is None:
            return
        if home is None:
            home = search.terrain(search.put(instance)).boxes.locate(instance)
        if diverse:
            excluded += _another_way(search, home, found)
        else:
            excluded.append(_another_cell(found.cells))


def _another_cell(cells: Cells) -> Extra:
    """Exclude exactly the cells of a point."""
    terms: list[tuple[int, int, float]] = []
    for c, k in enumerate(cells.tolist()):
        terms += [(c, k, 1.0), (c, k + 1, -1.0)]
    return Extra(tuple(terms), -math.inf, len(cells) - 1.0)


def _another_way(search: NearestSearch, home: Cells, found: Nearest) -> list[Extra]:
    """Demand that one of the features that were moved stays where it is."""
    if search.valued:
        return [Extra((), -math.inf, math.inf, found.moved)]
    columns = [
        c
        for feature in sorted(found.moved)
        for c in search.space.features[feature].columns
        if found.cells is not None and found.cells[c] != home[c]
    ]
    if not columns:
        return []
    terms: list[tuple[int, int, float]] = []
    for c in columns:
        terms += [(c, int(home[c]), 1.0), (c, int(home[c]) + 1, -1.0)]
    return [Extra(tuple(terms), 1.0, math.inf)]

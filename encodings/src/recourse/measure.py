"""How much of the space some features alone can flip: counted exactly, or between bounds.

The space of all other columns is cut into boxes, largest first.  A box where two settings of
the chosen features are decided differently counts whole, one where all settings agree counts
nothing, and every other one is cut where a tree cuts it.  What is left when the budget ends
lies between the two: the bounds are proved at any time.  (XCount, arXiv 2605.13830, counts by
decision diagrams with a stated error; ours needs no confidence.)

A discrete column is measured by its number of values, a real one by its width.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whyproof.encodings.trees.boxes import Cells, LeafBoxes
from whyproof.encodings.trees.ensemble import DecisionRule, TreeEnsemble
from whyproof.engine.budget import Meter
from whyproof.engine.classifier import Classifier
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.space import FeatureSet, FeatureSpace

__all__ = ["flip_share"]

_MOST_SETTINGS = 64
_MOST_BOXES = 200_000


def flip_share(
    model: Classifier, space: FeatureSpace, features: FeatureSet, meter: Meter
) -> tuple[float, float]:
    """Return proved bounds on the share of the space where some features can flip decisions.

    Parameters
    ----------
    model
        Classifier whose `structure` is a `TreeEnsemble` with two classes.
    space
        Its inputs, without constraints; columns that trees test are bounded.
    features
        Features to change; they have few combinations of cells.
    meter
        Budget; the bounds are equal if it lasts and no sum is too close to call.

    Raises
    ------
    DataError, UnsupportedError
        For columns without bounds, too many combinations, and other kinds of models.
    """
    ensemble = model.structure
    if not isinstance(ensemble, TreeEnsemble) or len(ensemble.classes) != 2:
        raise UnsupportedError("shares are counted for tree ensembles with two classes")
    if space.constraints:
        raise UnsupportedError("shares are counted in spaces without constraints")
    boxes = LeafBoxes.of(ensemble, space)
    chosen = [c for f in sorted(features) for c in space.features[f].columns]
    settings = list(itertools.product(*(range(int(boxes.n_cells[c])) for c in chosen)))
    if len(settings) > _MOST_SETTINGS:
        raise UnsupportedError(
            f"the features have {len(settings)} combinations of cells; shares are counted for up "
            f"to {_MOST_SETTINGS}"
        )
    tested = sorted({c for tree in boxes.trees for c in tree.column if c >= 0} - set(chosen))
    widths = [_widths(boxes, space, c) for c in tested]
    return _Count(ensemble, boxes, chosen, settings, tested, widths).bounds(meter)


@dataclass(frozen=True, eq=False)
class _Setting:
    """Leaves that one setting of the chosen features leaves, with what they add."""

    lower: Cells
    upper: Cells
    starts: npt.NDArray[np.intp]
    gains: npt.NDArray[np.float64]


class _Count:
    def __init__(
        self,
        ensemble: TreeEnsemble,
        boxes: LeafBoxes,
        chosen: Sequence[int],
        settings: Sequence[tuple[int, ...]],
        tested: Sequence[int],
        widths: Sequence[npt.NDArray[np.float64]],
    ) -> None:
        two = ensemble.rule is DecisionRule.ARGMAX
        weights = np.array([-1.0, 1.0]) if two else np.array([1.0])
        gains = boxes.values @ weights
        self._base = float(weights @ ensemble.base) * ensemble.divisor
        # Sums this close to zero are decided by the model that runs: left open here.
        total = float(np.abs(gains).sum()) + abs(self._base)
        self._slack = ensemble.slack * ensemble.divisor + 1e-12 * total
        self._tested, self._widths = list(tested), list(widths)
        self._settings: list[_Setting] = []
        for setting in settings:
            at = np.array(setting)
            fits = (boxes.lower[:, chosen] <= at) & (at < boxes.upper[:, chosen])
            rows = np.flatnonzero(fits.all(axis=1))
            starts = np.searchsorted(boxes.tree[rows], np.unique(boxes.tree[rows]))
            self._settings.append(
                _Setting(
                    boxes.lower[rows][:, tested],
                    boxes.upper[rows][:, tested],
                    starts,
                    gains[rows],
                )
            )

    def bounds(self, meter: Meter) -> tuple[float, float]:
        """Cut boxes until all are decided or the budget ends."""
        low = np.zeros(len(self._tested), dtype=np.int32)
        high = np.array([len(w) for w in self._widths], dtype=np.int32)
        certain, number = 0.0, itertools.count()
        waiting: list[tuple[float, int, Cells, Cells]] = [(-1.0, next(number), low, high)]
        stuck = 0.0
        for _ in range(_MOST_BOXES):
            if not waiting or meter.exhausted() is not None:
                break
            size, _, low, high = heapq.heappop(waiting)
            decided, cut = self._look(low, high)
            if decided is not None:
                certain += -size * decided
            elif cut is None:
                stuck += -size
            else:
                column, at = cut
                for first, last in ((low[column], at), (at, high[column])):
                    one, other = low.copy(), high.copy()
                    one[column], other[column] = first, last
                    whole = float(self._widths[column][low[column] : high[column]].sum())
                    part = float(self._widths[column][first:last].sum())
                    share = size * part / whole if whole else 0.0
                    heapq.heappush(waiting, (share, next(number), one, other))
        rest = stuck - sum(size for size, *_ in waiting)
        return certain, min(1.0, certain + rest)

    def _look(self, low: Cells, high: Cells) -> tuple[float | None, tuple[int, int] | None]:
        """Decide a box: 1 if the decision can flip all over it, 0 if nowhere; else a cut."""
        verdicts: set[int | None] = set()
        votes: dict[tuple[int, int], float] = {}
        for setting in self._settings:
            inside = np.all((setting.lower < high) & (setting.upper > low), axis=1)
            least = np.where(inside, setting.gains, np.inf)
            most = np.where(inside, setting.gains, -np.inf)
            if len(setting.starts):
                smallest = float(np.minimum.reduceat(least, setting.starts).sum()) + self._base
                largest = float(np.maximum.reduceat(most, setting.starts).sum()) + self._base
            else:
                smallest = largest = self._base
            if smallest > self._slack:
                verdicts.add(1)
            elif largest < -self._slack:
                verdicts.add(0)
            else:
                verdicts.add(None)
                self._vote(setting, np.flatnonzero(inside), low, high, votes)
            if {0, 1} <= verdicts:
                return 1.0, None
        if None not in verdicts:
            return 0.0, None
        return None, max(votes, key=lambda cut: votes[cut]) if votes else None

    def _vote(
        self,
        setting: _Setting,
        rows: npt.NDArray[np.intp],
        low: Cells,
        high: Cells,
        votes: dict[tuple[int, int], float],
    ) -> None:
        """Weigh the cuts of the box by the gains of the leaves that they separate."""
        for edges in (setting.lower[rows], setting.upper[rows]):
            at, column = np.nonzero((edges > low) & (edges < high))
            for i, c in zip(at.tolist(), column.tolist(), strict=True):
                key = (c, int(edges[i, c]))
                votes[key] = votes.get(key, 0.0) + abs(float(setting.gains[rows[i]]))


def _widths(boxes: LeafBoxes, space: FeatureSpace, column: int) -> npt.NDArray[np.float64]:
    """Return the measure of each cell of a column."""
    domain = space.columns[column].domain
    cells = boxes.columns[column].cells
    if not all(math.isfinite(bound) for bound in domain.bounds):
        raise DataError(
            f"column {space.columns[column].name!r} has no finite bounds; shares of the space need "
            "them (--ranges data, or a space file)"
        )
    if domain.is_discrete:
        return np.array(
            [1.0 if c.is_missing else float(len(c.codes) or c.upper - c.lower + 1) for c in cells]
        )
    if domain.nullable:
        raise UnsupportedError(
            f"column {space.columns[column].name!r} is real and may be missing: the missing value "
            "has no share of a line"
        )
    return np.array([c.upper - c.lower for c in cells])

"""The last mile: from snapped points to points that count, or to what is known instead.

In this order, each for the rows that are still open: single steps on the lattice (`mend`),
a search of their own, first for a plausible point, then for the class alone, whole columns
from several starts (`whyproof.plausible.lines`), and last the exact oracle, which names a
point or proves that there is none.  Nothing that a row has is given up for less: a
confirmed point stays confirmed whatever density it lacks.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from whyproof.engine.budget import Budget

from .backend import Array, tensor
from .density import batches, scores_of
from .lattice import Cost, Lattice, mend, simplify
from .lines import corners, search_lines
from .projection import Projection
from .repair import Outcome, repair_row
from .rows import descend_rows
from .settings import Level, Settings, Weights

if TYPE_CHECKING:
    from torch import Tensor

    from .landscape import Landscape
    from .search import PlausibleSearch

__all__ = ["LastMile"]

_INSIDE = 0.45
_MODES: tuple[Literal["validity", "plausibility"], ...] = ("validity", "plausibility")
_CLASS_FIRST = Weights(distance=0.05, plausibility=0.1)


@dataclass(frozen=True, eq=False)
class LastMile:
    """Walks the points of given rows home.

    Parameters
    ----------
    search
        Model, density and constraints.
    landscape
        What the search aimed at.
    settings
        What is mended, and for how long exact searches may take.
    level
        Local points also give back every change that is not needed.
    rows
        Shape ``(rows, columns)``, in units of the data.
    """

    search: PlausibleSearch
    landscape: Landscape
    settings: Settings
    level: Level
    rows: Array

    def walk(self, points: Array) -> Array:
        """Return better points, by everything but exact search.

        Parameters
        ----------
        points
            On the lattice, in units of the data, shape ``(rows, columns)``.
        """
        points = points.copy()
        for part in batches(len(points), self.settings.batch):
            rows = np.arange(part.start, part.stop)
            mended = self._mended(points[part], rows, self.settings)
            if self.level == "local" and self.settings.repair != "none":
                points[part] = self._simplified(mended, rows, self.settings)
            else:
                # A shared shift is left only for something better.
                better = self._served(mended, rows) > self._served(points[part], rows)
                points[rows[better]] = mended[better]
        if self.settings.repair == "none":
            return points
        if self._wants_density:
            self._alone(points, dense=True)
        self._alone(points, dense=False)
        self._by_lines(points)
        return points

    def settle(self, points: Array, before: Array) -> tuple[list[Outcome], dict[int, str]]:
        """Ask the exact oracle about rows that are still open; points change in place.

        Parameters
        ----------
        points, before
            What is proposed so far, and where snapping ended; shape ``(rows, columns)``.

        Returns
        -------
        What is known about each row, and why some have no point.
        """
        good = self.good(points)
        changed = (before != points).any(axis=1)
        outcomes = [
            (Outcome.MENDED if moved and self.level != "local" else Outcome.FOUND)
            if fine
            else Outcome.NOT_FOUND
            for fine, moved in zip(good, changed, strict=True)
        ]
        reasons: dict[int, str] = {}
        if self.settings.repair != "none":
            self._exactly(points, outcomes, reasons)
        return outcomes, reasons

    def good(self, points: Array) -> npt.NDArray[np.bool_]:
        """Tell which points the model confirms and rows may become."""
        return self.confirm(points) & self.search.reach.admissible(self.rows, points)

    def confirm(self, points: Array) -> npt.NDArray[np.bool_]:
        """Ask the real model, batch by batch."""
        good = np.zeros(len(points), dtype=np.bool_)
        for part in batches(len(points)):
            good[part] = self.search.subject.says(points[part]) == self.search.target
        return good

    def scores(self, points: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
        """Return log densities in nats, and which points are plausible."""
        search = self.search
        if search.density is None or not len(points):
            return np.full(len(points), np.nan), np.zeros(len(points), dtype=np.bool_)
        scores = scores_of(search.density, search.scale.to_unit(points), search.target)
        factor = np.log2(np.e) / points.shape[1]
        return scores / factor, np.asarray(scores > search.threshold.score, dtype=np.bool_)

    def prepared(self, rows: Array) -> tuple[Tensor, Projection]:
        """Return rows scaled, and what they may become."""
        search = self.search
        origin = tensor(search.scale.to_unit(rows), search.device)
        return origin, Projection(search.reach, search.scale, rows, search.device)

    def lattice(self, rows: npt.NDArray[np.intp] | slice) -> Lattice:
        """Return the lattice of some rows."""
        return Lattice(self.search.reach, self.search.scale, self.rows[rows])

    @property
    def _wants_density(self) -> bool:
        return self.settings.repair == "plausibility" and self.search.density is not None

    def _mended(self, points: Array, rows: npt.NDArray[np.intp], how: Settings) -> Array:
        return mend(
            self.landscape,
            self.lattice(rows),
            points,
            how,
            device=self.search.device,
            confirm=self.confirm,
        )

    def _simplified(self, points: Array, rows: npt.NDArray[np.intp], how: Settings) -> Array:
        return simplify(
            self.landscape,
            self.lattice(rows),
            points,
            how,
            device=self.search.device,
            confirm=self.confirm,
        )

    def _served(self, points: Array, rows: npt.NDArray[np.intp]) -> Array:
        """Return how well points serve rows: 2 if valid, 1 more if plausible as well."""
        valid = self.confirm(points) & self.search.reach.admissible(self.rows[rows], points)
        served = 2.0 * valid
        if self.search.density is not None:
            served += 1.0 * (valid & self.scores(points)[1])
        return np.asarray(served, dtype=np.float64)

    def _open(self, points: Array, *, dense: bool) -> npt.NDArray[np.intp]:
        good = self.good(points)
        if dense:
            good &= self.scores(points)[1]
        return np.flatnonzero(~good)

    def _alone(self, points: Array, *, dense: bool) -> None:
        """Let rows that are not served yet look for a point of their own, well inside."""
        few = self._open(points, dense=dense)
        inside = self.search.landscape(replace(self.settings, aim=_INSIDE if dense else None))
        for part in batches(len(few), self.settings.batch):
            chosen = few[part]
            how = replace(Settings.local(), margin=self.settings.margin, seed=self.settings.seed)
            if not dense:
                # Nothing plausible may be in reach: the class comes first.
                how = replace(how, weights=_CLASS_FIRST, rate=0.05, repair="validity")
            origin, bounds = self.prepared(self.rows[chosen])
            found = self.lattice(chosen).points(descend_rows(inside, bounds, origin, how))
            self._take(points, chosen, self._mended(found, chosen, how), how)

    def _by_lines(self, points: Array) -> None:
        """Let rows that are still open try whole columns."""
        device = self.search.device
        for mode in _MODES[: 1 + self._wants_density]:
            measure = Cost(self.landscape, self.search.scale, mode, self.confirm)
            how = replace(self.settings, repair=mode)
            few = self._open(points, dense=mode == "plausibility")
            for part in batches(len(few), self.settings.batch):
                chosen = few[part]
                lattice = self.lattice(chosen)
                starts = [points[chosen]]
                if mode == "validity":
                    starts.append(corners(measure, lattice, device, seed=self.settings.seed))
                for start in starts:
                    self._take(points, chosen, search_lines(measure, lattice, start, device), how)

    def _take(self, points: Array, rows: npt.NDArray[np.intp], tried: Array, how: Settings) -> None:
        """Take what serves rows better than before, less what is not needed."""
        better = self._served(tried, rows) > self._served(points[rows], rows)
        chosen = rows[better]
        points[chosen] = self._simplified(tried[better], chosen, how)

    def _exactly(self, points: Array, outcomes: list[Outcome], reasons: dict[int, str]) -> None:
        end = time.monotonic() + self.settings.repair_seconds
        open_rows = np.flatnonzero([o is Outcome.NOT_FOUND for o in outcomes]).tolist()
        for done_so_far, i in enumerate(open_rows):
            left = end - time.monotonic()
            if left <= 0:
                reasons[i] = "the time for exact repair was spent"
                continue
            # What a row leaves of its share goes to those after it.
            seconds = max(left / (len(open_rows) - done_so_far), 0.05)
            done = repair_row(
                self.search.subject,
                self.search.reach,
                self.rows[i],
                points[i],
                self.search.target,
                budget=Budget(seconds=seconds),
            )
            outcomes[i] = done.outcome
            if done.reason:
                reasons[i] = done.reason
            if done.point is not None:
                points[i] = self._nearer(self.rows[i], done.point)

    def _nearer(self, row: Array, point: Array) -> Array:
        """Return the first point on the way from a row that the model confirms."""
        shares = np.linspace(0.02, 1.0, 50)[:, None]
        rows = np.repeat(row[None], len(shares), axis=0)
        way = self.search.reach.snap(rows, row + shares * (point - row))
        way[-1] = point
        good = self.confirm(way) & self.search.reach.admissible(rows, way)
        return np.asarray(way[int(np.argmax(good))] if good.any() else point, dtype=np.float64)

"""The front door: one model, one target class, any rows, at three levels.

search = PlausibleSearch.fit(model, table, target="good", actions=...)
search.local(rows)          one shift per row
search.groups(rows, 6)      six shifts, every row takes one
search.everyone(rows)       one shift for all
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from whyproof.encodings.recourse.actions import Actions
from whyproof.engine.errors import DataError, InputError
from whyproof.engine.space import FeatureSpace

from .backend import Array, device_named, numbers, require_torch, seeded
from .choices import choose
from .density import Density, batches, scores_of
from .flow_training import FlowTraining, train_flow
from .landscape import Landscape, Threshold
from .last_mile import LastMile
from .lead import Lead
from .projection import Projection
from .reach import Reach
from .result import Counterfactuals
from .rows import descend_rows
from .scale import Scale
from .settings import Level, Settings
from .shared import learn_shifts
from .subject import Subject, subject_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["PlausibleSearch"]

_MAGNITUDES = tuple(float(f) for f in np.round(np.linspace(0.2, 2.4, 12), 2))
_FINE = tuple(float(f) for f in np.round(np.linspace(0.1, 2.6, 26), 2))


@dataclass(frozen=True, eq=False)
class PlausibleSearch:
    """Searches plausible counterfactuals of one model for one target class.

    Parameters
    ----------
    subject
        The model.
    reach
        What rows may become.
    scale
        How columns are scaled.
    density
        How probable points are, over scaled rows; `None` searches without plausibility.
    threshold
        From which score on a point is plausible.
    target
        Class index to reach.
    device
        Where torch computes.
    scores
        Of the training rows, sorted: what other quantiles than the threshold's mean.
    pace
        Typical range of a scaled column, 1 after min-max scaling.
    notes
        Said in every result.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from whyproof.plausible.flow_training import FlowTraining
    >>> from whyproof.plausible.fitting import Fit
    >>> from whyproof.plausible.perceptron import PerceptronTraining, train_perceptron
    >>> rows, labels = make_moons(200, noise=0.05, random_state=0)
    >>> scale = Scale.of(rows, ["x", "y"])
    >>> how = PerceptronTraining(hidden=(16,), fit=Fit(batch=16, rate=1e-2, epochs=40))
    >>> model = train_perceptron(scale.to_unit(rows), labels, how)
    >>> quick = FlowTraining(layers=2, hidden=16, blocks=1, fit=Fit(epochs=20))
    >>> search = PlausibleSearch.fit(model, rows, target=1, training=quick)
    >>> bool(search.local(rows[:8]).valid.all())
    True
    """

    subject: Subject
    reach: Reach
    scale: Scale
    density: Density | None
    threshold: Threshold
    target: int
    device: torch.device
    scores: Array
    pace: float = 1.0
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        model: object,
        data: Array,
        *,
        target: Hashable | None = None,
        space: FeatureSpace | None = None,
        actions: Actions | None = None,
        box: Mapping[str, tuple[float, float]] | None = None,
        density: Density | str = "flow",
        training: FlowTraining | None = None,
        classes: Sequence[Hashable] | None = None,
        quantile: float = 0.25,
        scale: Scale | None = None,
        device: str = "cpu",
        seed: int = 0,
    ) -> PlausibleSearch:
        """Prepare a search: check the data, learn the density, set the threshold.

        Parameters
        ----------
        model
            See `whyproof.plausible.subject.subject_of`.
        data
            Rows to learn from, shape ``(rows, columns)``, in units of the data, codes of
            `space`.
        target
            Label of the class to reach; class 1 of two by default.
        space
            Columns with domains, groups and relations; real columns by default.
        actions
            What may be done about each feature.
        box
            Limits by column name in place of the data's range.
        density
            ``"flow"``, ``"mixture"``, ``"kernel"``, ``"zuko"`` (a flow of that package),
            ``"none"``, or a density over scaled rows.
        training
            Of flows.
        classes
            Labels of a torch module.
        quantile
            Of the training scores: above it a point is plausible.
        scale
            Of the columns; by default the smallest value is 0, the largest 1.
        device
            ``"cpu"``, ``"cuda"`` or ``"auto"``.
        seed
            Of all that is random.

        Raises
        ------
        DataError
            For missing values, constant columns, a single class, contradictory limits.
        """
        require_torch()
        data = np.asarray(data, dtype=np.float64)
        if data.ndim != 2:
            raise DataError(f"data are rows and columns, found shape {data.shape}")
        space = space or FeatureSpace.of([f"f{i}" for i in range(data.shape[1])])
        if space.n_columns != data.shape[1]:
            raise DataError(f"the space has {space.n_columns} columns, the data {data.shape[1]}")
        names = [column.name for column in space.columns]
        scale = scale or Scale.of(data, names)
        place = device_named(device)
        reach = Reach.of(space, data, actions, box=box)
        subject = subject_of(model, data, scale, device=place, classes=classes, seed=seed)
        chosen = subject.index_of(target, range(len(data)))
        said = subject.says(data)
        found = np.unique(said)
        if len(found) < 2:
            raise DataError(
                f"the model says {subject.classes[int(found[0])]!s} about all {len(data)} rows; "
                "data of one class cannot show what another class looks like"
            )
        if chosen not in found:
            raise DataError(
                f"the model says {subject.classes[chosen]!s} about none of the {len(data)} rows; "
                "nothing shows what this class looks like"
            )
        made = _density(density, scale.to_unit(data), said, subject, training, place, seed)
        threshold, scores = Threshold(-np.inf, 1.0), np.empty(0)
        notes: list[str] = []
        if made is not None:
            scores = scores_of(made, scale.to_unit(data), said.astype(np.float64))
            threshold = Threshold.of(scores, quantile)
        else:
            notes.append("plausibility was not asked for")
        if subject.surrogate is not None:
            notes.append(
                f"the search followed a differentiable surrogate that agrees with the model on "
                f"{subject.surrogate:.1%} of the data; every point was checked on the model itself"
            )
        scores = np.sort(scores[np.isfinite(scores)])
        pace = float(np.median(np.ptp(scale.to_unit(data), axis=0)))
        return cls(
            subject, reach, scale, made, threshold, chosen, place, scores, pace, tuple(notes)
        )

    def landscape(self, settings: Settings) -> Landscape:
        """Return leads and scores as settings want them."""
        lead = Lead(self.subject.differentiable, self.target, settings.form)
        density = None if self.density is None else self.density.fixed(self.target)
        threshold, floor = self.threshold, self.threshold.score
        if settings.aim is not None and len(self.scores):
            threshold = replace(threshold, score=float(np.quantile(self.scores, settings.aim)))
        return Landscape(
            lead, density, threshold, self.reach.space.n_columns, floor=floor, pace=self.pace
        )

    def local(
        self, rows: Array, *, settings: Settings | None = None, numbers: Sequence[int] | None = None
    ) -> Counterfactuals:
        """Find a counterfactual of each row.

        Parameters
        ----------
        rows
            Shape ``(rows, columns)``, in units of the data.
        settings
            `Settings.local` by default.
        numbers
            Numbers of the rows in the user's table; positions by default.
        """
        how = settings or Settings.local()
        return _Run(self, rows, numbers, how, "local").local()

    def groups(
        self,
        rows: Array,
        count: int | None = None,
        *,
        settings: Settings | None = None,
        numbers: Sequence[int] | None = None,
    ) -> Counterfactuals:
        """Find a few shifts such that every row has one that serves it.

        Parameters
        ----------
        count
            Number of groups; `None` leaves out what is hardly missed.

        Raises
        ------
        DataError
            For more groups than rows.
        """
        how = settings or Settings.group()
        return _Run(self, rows, numbers, how, "group").shared(count)

    def everyone(
        self, rows: Array, *, settings: Settings | None = None, numbers: Sequence[int] | None = None
    ) -> Counterfactuals:
        """Find one shift for all rows, each at its own magnitude unless settings say no."""
        how = settings or Settings.everyone()
        return _Run(self, rows, numbers, how, "global").shared(1)


class _Run:
    """One search over given rows."""

    def __init__(
        self,
        search: PlausibleSearch,
        rows: Array,
        row_numbers: Sequence[int] | None,
        settings: Settings,
        level: Level,
    ) -> None:
        rows = np.asarray(rows, dtype=np.float64)
        space = search.reach.space
        if rows.ndim != 2 or rows.shape[1] != space.n_columns:
            raise DataError(f"rows of shape {rows.shape} do not fit {space.n_columns} columns")
        if not len(rows):
            raise DataError("there are no rows to explain")
        given = np.arange(len(rows)) if row_numbers is None else np.asarray(row_numbers)
        for i, row in enumerate(rows):
            if not np.isfinite(row).all():
                column = space.columns[int(np.argmin(np.isfinite(row)))].name
                raise DataError(
                    f"column {column!r} of row {int(given[i])} is missing or infinite; fill or "
                    "drop rows with missing values first"
                )
        self.search, self.settings = search, settings
        self.level: Level = level
        said = search.subject.says(rows)
        there = said == search.target
        self.skipped = tuple(int(n) for n in given[there])
        self.numbers = np.asarray(given[~there], dtype=np.intp)
        self.rows = rows[~there]
        self.seconds: dict[str, float] = {}
        self._clock = time.process_time()
        self.landscape = search.landscape(settings)
        self.mile = LastMile(search, self.landscape, settings, level, self.rows)

    def local(self) -> Counterfactuals:
        """Search row by row."""
        relaxed: list[Tensor] = []
        with seeded(self.settings.seed):
            for part in batches(len(self.rows), self.settings.batch):
                origin, bounds = self.mile.prepared(self.rows[part])
                relaxed.append(descend_rows(self.landscape, bounds, origin, self.settings))
        self._lap("search")
        parts = list(zip(batches(len(self.rows), self.settings.batch), relaxed, strict=True))
        points = [self.mile.lattice(part).points(found) for part, found in parts]
        self._lap("snap")
        return self._finish(
            self._join([self.search.scale.from_unit(numbers(p)) for p in relaxed]),
            self._join(points),
        )

    def shared(self, count: int | None) -> Counterfactuals:
        """Search shared shifts."""
        if count is not None and not 1 <= count <= max(len(self.rows), 1):
            raise InputError(
                f"{count} groups of {len(self.rows)} rows to explain: "
                f"give 1 to {len(self.rows)} groups"
            )
        if not len(self.rows):
            return self._finish(self.rows.copy(), self.rows.copy())
        random = np.random.default_rng(self.settings.seed)
        few = np.arange(len(self.rows))
        if len(few) > self.settings.learn_rows:
            few = np.sort(random.choice(few, self.settings.learn_rows, replace=False))
        origin, bounds = self.mile.prepared(self.rows[few])
        with seeded(self.settings.seed):
            shifts = learn_shifts(self.landscape, bounds, origin, self.settings, groups=count)
        self._lap("search")
        relaxed, points, group, size = [], [], [], []
        for part in batches(len(self.rows), self.settings.batch):
            origin, bounds = self.mile.prepared(self.rows[part])
            free = self._choose(bounds, origin, shifts, None)
            relaxed.append(self.search.scale.from_unit(numbers(free[0])))
            lattice = self.mile.lattice(part)
            if self.search.reach.has_lattice:
                free = self._choose(bounds, origin, shifts, lattice.snap)
            points.append(lattice.points(free[0]))
            group.append(free[1])
            size.append(free[2])
        self._lap("choose")
        return self._finish(
            self._join(relaxed),
            self._join(points),
            group=np.concatenate(group),
            magnitude=np.concatenate(size),
            shifts=numbers(shifts) * self.search.scale.span,
        )

    def _choose(
        self,
        bounds: Projection,
        origin: Tensor,
        shifts: Tensor,
        snap: Callable[[Tensor], Tensor] | None,
    ) -> tuple[Tensor, npt.NDArray[np.intp], Array]:
        """Return points, groups and magnitudes, first coarsely, then finely for the best group."""
        if not self.settings.magnitudes:
            found = choose(self.landscape, bounds, origin, shifts, (1.0,), snap=snap)
        elif len(shifts) == 1:
            found = choose(self.landscape, bounds, origin, shifts, _FINE, snap=snap)
        else:
            found = choose(self.landscape, bounds, origin, shifts, _MAGNITUDES, snap=snap)
        group = np.asarray(found.group.cpu().numpy(), dtype=np.intp)
        return found.points, group, numbers(found.magnitude)

    def _finish(
        self,
        relaxed: Array,
        points: Array,
        *,
        group: npt.NDArray[np.intp] | None = None,
        magnitude: Array | None = None,
        shifts: Array | None = None,
    ) -> Counterfactuals:
        """Walk the last mile, check, and say what is known about each row."""
        search, mile = self.search, self.mile
        snapped, points = points, mile.walk(points)
        self._lap("mend")
        outcomes, reasons = mile.settle(points, snapped)
        admissible = search.reach.admissible(self.rows, points)
        valid = mile.confirm(points) & admissible
        density, plausible = mile.scores(points)
        self._lap("repair")
        return Counterfactuals(
            self.level,
            search.reach.space,
            search.subject.classes,
            search.target,
            self.numbers,
            self.rows,
            relaxed,
            points,
            tuple(outcomes),
            mile.confirm(relaxed),
            valid,
            mile.scores(relaxed)[1],
            plausible,
            admissible,
            density,
            group,
            magnitude,
            shifts,
            self.skipped,
            reasons,
            search.notes,
            self.seconds,
        )

    def _join(self, parts: list[Array]) -> Array:
        return np.concatenate(parts) if parts else self.rows[:0].copy()

    def _lap(self, what: str) -> None:
        now = time.process_time()
        self.seconds[f"{what}_cpu_s"] = now - self._clock
        self._clock = now


def _density(
    kind: Density | str,
    unit: Array,
    said: npt.NDArray[np.int64],
    subject: Subject,
    training: FlowTraining | None,
    device: torch.device,
    seed: int,
) -> Density | None:
    if not isinstance(kind, str):
        if kind.n_columns != unit.shape[1]:
            raise DataError(f"the density has {kind.n_columns} columns, the data {unit.shape[1]}")
        return kind
    count = len(subject.classes)
    if kind == "none":
        return None
    if kind == "flow":
        return train_flow(unit, said, training, classes=count, seed=seed).flow.to(device)
    if kind == "mixture":
        from .mixture import GaussianMixture

        return GaussianMixture.fit(unit, said, classes=count, device=device, seed=seed)
    if kind == "kernel":
        from .kernel import KernelDensity

        return KernelDensity.fit(unit, said, classes=count, device=device)
    if kind == "zuko":
        from .zuko_flow import ZukoFlow

        return ZukoFlow.trained(unit, said, training, classes=count, device=device, seed=seed)
    raise InputError(f"no density {kind!r}; known are flow, mixture, kernel, zuko, none")

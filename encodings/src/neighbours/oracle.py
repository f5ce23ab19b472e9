"""The neighbour oracle: try training rows, bound the votes, then a mixed-integer program.

1. *Attack*: the instance with its free columns set to those of a training row; run on the
   model itself, all at once.
2. *Bound*: rows that are nearer than others at every point that may be reached settle who can
   vote; often nobody else can win.
3. *Program*: see `program`.  A gap above zero is a counterexample, an infeasible program a
   proof up to the solver's tolerance.  What lies on a tie of distances is run on the model;
   over few values all of them are, and otherwise the answer is unknown.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from whyproof.engine.answers import Answer, Counterexample, Entailed, Unknown, UnknownReason
from whyproof.engine.budget import Meter
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.explanation import Kind
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import AnyOther, ReachClass
from whyproof.engine.space import FeatureSet, Points

from .columns import FreeColumn, few_values, free_column
from .model import NeighbourModel
from .program import Nearest, NeighbourProgram, nearest_rows, solve

__all__ = ["NeighbourOracle"]

_MOST_POINTS = 4096
"""Points on ties that are run on the model, one and all."""


class NeighbourOracle:
    """Decides free sets of one problem about nearest neighbours.

    Parameters
    ----------
    problem
        Its classifier's `structure` is a `NeighbourModel`.
    shortcuts
        Whether training rows are tried and votes bounded first; without, the program over all
        rows decides alone, as a second opinion.

    Attributes
    ----------
    focus
        Which kind of explanation the evidence is for.
    relevant
        Features in which training rows differ; freeing others changes nothing.

    Raises
    ------
    UnsupportedError
        If the region is not a box, or the question is about scores.
    DataError
        If a column that may move has no bounds, or may be missing.
    """

    def __init__(self, problem: ExplanationProblem, *, shortcuts: bool = True) -> None:
        model = problem.classifier.structure
        if not isinstance(model, NeighbourModel):
            raise UnsupportedError("the neighbour oracle needs a model of nearest neighbours")
        if not problem.region.is_box:
            raise UnsupportedError(
                "nearest neighbours are explained in boxes and linf balls, not "
                f"{problem.region.norm} balls"
            )
        self.problem, self.model, self.shortcuts = problem, model, shortcuts
        self.focus: Kind | None = None
        varied = {
            d.source for j, d in enumerate(model.derived) if float(np.ptp(model.training[:, j]))
        }
        owner = problem.space.owner
        self.relevant: FeatureSet = problem.universe & frozenset(int(owner[c]) for c in varied)
        self._varied = sorted(varied)
        self._low, self._high = problem.limits
        self._check_bounds()
        self._leads = _leads(problem, model)
        own = problem.instance[None]
        # What each column adds to the distance of each row while it is fixed.
        self._fixed = {
            c: sum(
                (
                    model.terms(d.apply(own[:, c]), j)[0]
                    for j, d in enumerate(model.derived)
                    if d.source == c
                ),
                np.zeros(len(model.training)),
            )
            for c in self._varied
        }
        self._free: dict[int, FreeColumn] = {}

    @property
    def name(self) -> str:
        """Short name for statistics."""
        return "neighbours"

    def decide(self, free_sets: Sequence[FeatureSet], meter: Meter) -> list[Answer]:
        """Decide each free set."""
        return [self._decide(free & self.relevant, meter) for free in free_sets]

    def program_of(self, free: FeatureSet) -> tuple[NeighbourProgram, list[FreeColumn]]:
        """Return the program over all training rows while some features are free, to write it."""
        owner = self.problem.space.owner
        columns = [c for c in self._varied if int(owner[c]) in free]
        start = self._start(columns)
        frees = [self._column(c) for c in columns]
        rows = nearest_rows(start, frees, self.model.votes)
        votes, labels = self.model.votes, self.model.labels
        return NeighbourProgram(start, frees, rows, votes, labels, self._leads), frees

    def _start(self, columns: Sequence[int]) -> npt.NDArray[np.float64]:
        """Return what the columns that are not free add to the distance of each row."""
        fixed = (self._fixed[c] for c in self._varied if c not in columns)
        return np.asarray(sum(fixed, np.zeros(len(self.model.training))))

    def _check_bounds(self) -> None:
        space = self.problem.space
        for c in self._varied:
            if int(space.owner[c]) not in self.problem.universe:
                continue
            name = space.columns[c].name
            if space.columns[c].domain.nullable:
                raise DataError(f"column {name!r} may be missing, and neighbours need a value")
            if not (math.isfinite(self._low[c]) and math.isfinite(self._high[c])):
                raise DataError(
                    f"column {name!r} is unbounded; nearest neighbours are explained between "
                    "bounds: use ranges='data' (--ranges data), a space with bounds, or epsilon"
                )

    def _decide(self, free: FeatureSet, meter: Meter) -> Answer:
        reason = meter.exhausted()
        if reason is not None:
            return Unknown(reason)
        owner = self.problem.space.owner
        columns = [c for c in self._varied if int(owner[c]) in free]
        everything = Entailed(self.relevant - free)
        if not columns:
            return everything
        found = self._attack(columns) if self.shortcuts else None
        if found is not None:
            return found
        start = self._start(columns)
        frees = [self._column(c) for c in columns]
        rows = nearest_rows(start, frees, self.model.votes)
        leads = self._leads
        if self.shortcuts:
            leads = [needed for needed in leads if self._possible(needed, rows)]
        if not leads:
            return everything
        sought = solve(
            start, frees, rows, self.model.votes, self.model.labels, leads, meter.remaining
        )
        if sought.values is None:
            return everything if sought.finished else Unknown(self._why_stopped(meter))
        point = self.problem.instance.copy()
        for column, value in sought.values.items():
            point[column] = value
        answer = self._confirmed(point[None])
        if answer is not None:
            return answer
        if not sought.finished:
            return Unknown(self._why_stopped(meter))
        return self._all_of(columns, everything)

    def _why_stopped(self, meter: Meter) -> UnknownReason:
        return meter.exhausted() or UnknownReason.TIME

    def _column(self, c: int) -> FreeColumn:
        if c not in self._free:
            domain = self.problem.space.columns[c].domain
            self._free[c] = free_column(
                self.model, c, domain, float(self._low[c]), float(self._high[c])
            )
        return self._free[c]

    def _possible(self, needed: Sequence[tuple[int, int, int]], rows: Nearest) -> bool:
        """Tell whether the rows that may vote leave leads possible."""
        labels, model = self.model.labels, self.model
        open_votes = model.votes - len(rows.surely)
        for ahead, rival, least in needed:
            sure = labels[rows.surely]
            most = int((sure == ahead).sum()) + min(
                open_votes, int((labels[rows.maybe] == ahead).sum())
            )
            others = int((labels[rows.maybe] != rival).sum())
            fewest = int((sure == rival).sum()) + max(0, open_votes - others)
            if most - fewest < least:
                return False
        return True

    def _attack(self, columns: list[int]) -> Counterexample | None:
        """Try the values that training rows have."""
        space, instance = self.problem.space, self.problem.instance
        rows = self.model.training[self.model.labels != int(self.problem.prediction)]
        points = np.repeat(instance[None], len(rows), axis=0)
        for c in columns:
            own = [(j, d) for j, d in enumerate(self.model.derived) if d.source == c]
            values = self._column(c).values
            if len(values):
                apart = sum(
                    (np.abs(d.apply(values)[None] - rows[:, [j]]) for j, d in own),
                    np.zeros((len(rows), len(values))),
                )
                points[:, c] = values[np.asarray(apart).argmin(axis=1)]
                continue
            j, d = own[0]
            value = np.clip((rows[:, j] - d.offset) / d.slope, self._low[c], self._high[c])
            points[:, c] = np.round(value) if space.columns[c].domain.is_discrete else value
        return self._confirmed(points)

    def _confirmed(self, points: Points) -> Counterexample | None:
        """Return the point that changes the decision with the fewest moves, if one does."""
        if not len(points):
            return None
        changed = np.flatnonzero(self.problem.changed(points))
        if not len(changed):
            return None
        moved = (points[changed] != self.problem.instance).sum(axis=1)
        point = points[int(changed[int(moved.argmin())])].copy()
        return Counterexample(
            point, self.problem.space.moved(self.problem.instance, point), math.nan
        )

    def _all_of(self, columns: list[int], everything: Entailed) -> Answer:
        """Run all points that there are, where ties decide and values are few."""
        space = self.problem.space
        options: list[npt.NDArray[np.float64]] = []
        for c in columns:
            values = few_values(space.columns[c].domain, float(self._low[c]), float(self._high[c]))
            options.append(np.zeros(0) if values is None else values)
        count = math.prod(len(values) for values in options)
        if not 0 < count <= _MOST_POINTS:
            return Unknown(UnknownReason.PRECISION, "two training rows are equally far away")
        points = np.repeat(self.problem.instance[None], count, axis=0)
        points[:, columns] = list(itertools.product(*options))
        return self._confirmed(points) or everything


def _leads(problem: ExplanationProblem, model: NeighbourModel) -> list[list[tuple[int, int, int]]]:
    """Return the leads in votes that change the decision, as alternatives."""
    kept, classes = int(problem.prediction), range(len(model.classes))
    match problem.question:
        case AnyOther():
            return [[(t, kept, 0 if t < kept else 1)] for t in classes if t != kept]
        case ReachClass(target):
            return [[(target, r, 0 if target < r else 1) for r in classes if r != target]]
        case other:
            raise UnsupportedError(
                "nearest neighbours decide by votes: ask for any other class or for one class, "
                f"not {type(other).__name__}"
            )

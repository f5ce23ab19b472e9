"""The nearest counterfactual, proved: search, replay, and what is known when time runs out.

Greedy points give incumbents, programs over cells (one per combination of rivals) give
the optimum and its bound.  Whatever a program returns is run through the models that run,
as it is and rounded to float32, before it counts.

The solver works with tolerances.  So score rows are first relaxed by the models' slack and
the tolerance: the bound then holds for every point.  A point returned from this narrow band
that does not change the decision is excluded, and the rows are also met beyond doubt for an
incumbent; what cannot be closed remains as a stated gap.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction

import numpy as np

from whyproof.encodings.trees.boxes import Cells, LeafBoxes
from whyproof.encodings.trees.ensemble import DecisionRule, TreeEnsemble
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.classifier import Classifier
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.question import AnyOther, Question, ReachClass
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSet, FeatureSpace, Point

from .actions import Actions
from .distance import Distance
from .goal import Alternative, ScoreRow, alternatives, combined, floor_row, side_by_side
from .greedy import greedy_point
from .places import Places, places_of
from .plausible import Floor, SeenTogether, cell_table
from .program import CellProgram, CellTable, Extra

__all__ = ["Nearest", "NearestSearch", "NearestStatus", "Rule"]

_MOST_DOUBTFUL = 24
"""Points in the narrow band that are replayed and excluded, one by one."""

_CLOSE = 1e-6
"""Bound and cost this near to each other, in shares of the cost, are the same."""


class NearestStatus(StrEnum):
    """What is known about the nearest counterfactual."""

    OPTIMAL = "optimal"
    """The point is a nearest one."""
    BEST_SO_FAR = "best so far"
    """The point is a counterfactual; nearer ones may exist, beyond the bound."""
    NONE = "none"
    """There is no counterfactual under the rules."""
    UNKNOWN = "unknown"
    """None was found in time, and that there is none was not shown."""
    ALREADY = "already"
    """The instance has the outcome that was asked for: nothing has to change."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One of the rules that a counterfactual has to obey.

    Parameters
    ----------
    kind
        ``action``, ``region``, ``floor`` or ``table``.
    index
        Feature of an action, position of a floor or table; 0 for the region.
    text
        The rule in words.
    """

    kind: str
    index: int
    text: str


@dataclass(frozen=True, eq=False)
class Nearest:
    """A nearest counterfactual and how far that is proved.

    Parameters
    ----------
    status
        What is known.
    instance, point
        The person as they are and as they could be; `None` if no point is known.
    distance
        Of the point; infinite if none is known.
    bound
        No counterfactual is nearer than this, up to the solver's tolerance.
    moved
        Features in which the point differs.
    outcomes
        What each model says there.
    cells
        The point in cells.
    nodes, seconds, cpu_seconds
        What it took.
    """

    status: NearestStatus
    instance: Point
    point: Point | None
    distance: float
    bound: float
    moved: FeatureSet = frozenset()
    outcomes: tuple[float, ...] = ()
    cells: Cells | None = field(default=None, repr=False)
    nodes: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def gap(self) -> float:
        """How much nearer a counterfactual may at most be."""
        if self.status is NearestStatus.OPTIMAL:
            return 0.0
        return max(0.0, self.distance - self.bound) if self.point is not None else math.inf


class NearestSearch:
    """Looks for nearest counterfactuals of one or several tree ensembles.

    Parameters
    ----------
    models
        Classifiers whose `structure` is a `TreeEnsemble`; a point has to satisfy all of
        them.
    space
        Their inputs.
    distance
        What is minimised; ``l1`` over unscaled steps if not given.
    question
        What counts as a change, for each model.
    actions
        What may be done about each feature.
    region
        A box that is not left.
    floors, together
        Plausibility: scores that must be high enough, and combinations that must have
        been seen.

    Raises
    ------
    UnsupportedError
        For models that are no tree ensembles, and constraints that have no linear form.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from whyproof.models import load_model
    >>> x, y = load_iris(return_X_y=True)
    >>> tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(x, y)
    >>> search = NearestSearch([load_model(tree)], FeatureSpace.of("abcd"))
    >>> found = search.nearest(x[0])
    >>> str(found.status), sorted(found.moved), round(found.distance, 3)
    ('optimal', [3], 0.6)
    """

    def __init__(
        self,
        models: Sequence[Classifier],
        space: FeatureSpace,
        *,
        distance: Distance | None = None,
        question: Question | None = None,
        actions: Actions | None = None,
        region: Region | None = None,
        floors: Sequence[Floor] = (),
        together: Sequence[SeenTogether] = (),
    ) -> None:
        if not models:
            raise DataError("there is no model to change the decision of")
        self.models = tuple(models)
        self.space = space
        self.distance = distance or Distance.of(space)
        self.question = question or AnyOther()
        self.actions = (actions or Actions({})).complete(space)
        self.actions.check(space)
        self.region = region or Region.everywhere()
        if self.region.norm not in (None, "linf"):
            raise UnsupportedError("the search knows boxes and linf balls as regions only")
        if space.constraints:
            raise UnsupportedError(
                f"the constraint {space.constraints[0].name!r} has no linear form here"
            )
        self.floors, self.together = tuple(floors), tuple(together)
        self._ensembles = [_ensemble_of(model, space) for model in self.models]
        joint = side_by_side([*self._ensembles, *(floor.ensemble for floor in self.floors)])
        mutable = tuple(replace(f, immutable=False) for f in space.features)
        self._free_space = replace(space, features=mutable)
        self.boxes = LeafBoxes.of(joint, self._free_space)
        self._firsts = np.cumsum([0, *(e.n_outputs for e in self._ensembles)]).tolist()
        self._floor_rows = [
            floor_row(self.boxes, floor.ensemble, int(self._firsts[-1]) + j, floor.least)
            for j, floor in enumerate(self.floors)
        ]
        self._tables = [cell_table(self.boxes, seen) for seen in self.together]
        self._programs: dict[tuple[int, ...], CellProgram] = {}
        self._goals: dict[tuple[float, ...], list[Alternative]] = {}

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules, in the order in which conflicts name them."""
        found = [Rule("action", i, s) for i, s in self.actions.describe(self.space).items()]
        if bool(self.region.restricted(self.space).any()):
            found.append(Rule("region", 0, "the point stays within the region"))
        found += [Rule("floor", j, floor.text) for j, floor in enumerate(self.floors)]
        found += [Rule("table", j, seen.text(self.space)) for j, seen in enumerate(self.together)]
        return tuple(found)

    def nearest(
        self,
        instance: Point,
        *,
        budget: Budget | None = None,
        meter: Meter | None = None,
        rules: Sequence[Rule] | None = None,
        extras: Sequence[Extra] = (),
        feasible_only: bool = False,
    ) -> Nearest:
        """Find a nearest counterfactual of an instance.

        Parameters
        ----------
        instance
            The person as they are, shape ``(columns,)``.
        budget, meter
            Limits, or those of a run that has begun.
        rules
            Those of `rules` to obey; all if not given.
        extras
            More rows over cells.
        feasible_only
            Whether any counterfactual will do.

        Raises
        ------
        DataError
            If the instance is not in the space.
        """
        instance = np.array(instance, dtype=np.float64)
        self.space.check(instance)
        meter = meter or (budget or Budget()).start()
        began, began_cpu = time.monotonic(), time.process_time()
        predictions = [float(m.predict(instance[None])[0]) for m in self.models]
        if self._already(predictions):
            cells = self.boxes.locate(instance)
            return Nearest(
                NearestStatus.ALREADY,
                instance,
                instance,
                0.0,
                0.0,
                frozenset(),
                tuple(predictions),
                cells,
            )
        for model, prediction in zip(self.models, predictions, strict=True):
            if not isinstance(self.question, ReachClass):
                self.question.check(model, prediction)
        run = _Run(self, instance, tuple(predictions), meter, rules, tuple(extras))
        found = run.result(feasible_only=feasible_only)
        return replace(
            found,
            seconds=time.monotonic() - began,
            cpu_seconds=time.process_time() - began_cpu,
        )

    def places(self, instance: Point, rules: Sequence[Rule] | None = None) -> Places:
        """Return where an instance may go under some rules."""
        active = self.rules if rules is None else rules
        bound = {rule.index for rule in active if rule.kind == "action"}
        actions = self.actions.without(set(self.actions.by_feature) - bound)
        has_region = any(rule.kind == "region" for rule in active)
        region = self.region if has_region else Region.everywhere()
        return places_of(self.boxes, instance, self.distance, actions, region)

    def goal(self, predictions: Sequence[float]) -> list[Alternative]:
        """Return the alternatives that change the decision, given the models' outcomes."""
        key = tuple(predictions)
        if key not in self._goals:
            goals = []
            for number, (ensemble, kept) in enumerate(
                zip(self._ensembles, predictions, strict=True)
            ):
                question = self.question
                if isinstance(question, ReachClass) and kept == question.target:
                    # It has the outcome and must keep it: ask from the other side.
                    kept = float(question.target == 0)
                first = int(self._firsts[number])
                goals.append(alternatives(self.boxes, ensemble, first, question, kept))
            self._goals[key] = combined(goals)
        return self._goals[key]

    def extra_rows(self, rules: Sequence[Rule] | None) -> list[ScoreRow]:
        """Return the score rows of the floors among some rules."""
        if rules is None:
            return list(self._floor_rows)
        return [self._floor_rows[rule.index] for rule in rules if rule.kind == "floor"]

    def program(self, rules: Sequence[Rule] | None) -> CellProgram:
        """Return the program with the tables among some rules."""
        chosen = tuple(
            range(len(self._tables))
            if rules is None
            else sorted(rule.index for rule in rules if rule.kind == "table")
        )
        if chosen not in self._programs:
            tables: list[CellTable] = [self._tables[j] for j in chosen]
            self._programs[chosen] = CellProgram(self.boxes, tables)
        return self._programs[chosen]

    def outcomes(self, point: Point, predictions: Sequence[float]) -> tuple[float, ...] | None:
        """Run a point through all models; `None` if one does not change its decision.

        The point is run as it is and, where models round to float32, rounded.
        """
        rounded = np.asarray(point, dtype=np.float32).astype(np.float64)
        said: list[float] = []
        for model, ensemble, kept in zip(self.models, self._ensembles, predictions, strict=True):
            points = np.stack([point, rounded]) if ensemble.input_type == "float32" else point[None]
            outcomes, changed = self.question.evaluate(model, points, kept)
            if not bool(changed.all()):
                return None
            said.append(float(outcomes[0]))
        return tuple(said)

    def _already(self, predictions: Sequence[float]) -> bool:
        question = self.question
        if not isinstance(question, ReachClass):
            return False
        for model in self.models:
            question.check(model, -1.0)
        return all(prediction == question.target for prediction in predictions)


class _Run:
    """One search for one instance."""

    def __init__(
        self,
        search: NearestSearch,
        instance: Point,
        predictions: tuple[float, ...],
        meter: Meter,
        rules: Sequence[Rule] | None,
        extras: tuple[Extra, ...],
    ) -> None:
        self.search, self.instance, self.predictions = search, instance, predictions
        self.meter, self.extras = meter, extras
        self.places = search.places(instance, rules)
        self.program = search.program(rules)
        self.floors = search.extra_rows(rules)
        self.tables = self.program.tables
        self.best: tuple[Fraction, Cells, Point, tuple[float, ...]] | None = None
        self.nodes = 0
        self.feasible_only = False

    def search_alternatives(self) -> list[Alternative]:
        """Return what may change the decision, with the floors that hold anyway."""
        return [(*rows, *self.floors) for rows in self.search.goal(self.predictions)]

    def search_all(self) -> float:
        """Solve all alternatives; return the least cost that they leave open."""
        posed: list[tuple[float, int, Alternative, Cells | None]] = []
        for number, rows in enumerate(self.search_alternatives()):
            start = greedy_point(self.search.boxes, self.places, rows)
            cost = math.inf
            if start is not None and self._admits(start):
                self._offer(start)
                cost = self._cost(start)
            posed.append((cost, number, rows, start if math.isfinite(cost) else None))
        bound = math.inf
        for _, _, rows, start in sorted(posed, key=lambda entry: entry[:2]):
            if self.feasible_only and self.best is not None:
                return 0.0
            bound = min(bound, self._solve(rows, start))
        return bound

    def result(self, *, feasible_only: bool) -> Nearest:
        """Search, and say what is known."""
        self.feasible_only = feasible_only
        if feasible_only:
            zero = tuple(np.where(np.isfinite(c), 0.0, np.inf) for c in self.places.costs)
            self.places = replace(self.places, costs=zero)
        distance = self.search.distance
        bound = self.search_all()
        nodes = self.nodes
        if self.best is None:
            status = NearestStatus.NONE if math.isinf(bound) else NearestStatus.UNKNOWN
            return Nearest(
                status, self.instance, None, math.inf, distance.rooted(bound), nodes=nodes
            )
        cost, cells, point, outcomes = self.best
        reached = float(cost)
        proved = bound >= reached * (1 - _CLOSE) - 1e-12
        return Nearest(
            NearestStatus.OPTIMAL if proved else NearestStatus.BEST_SO_FAR,
            self.instance,
            point,
            distance.rooted(reached),
            distance.rooted(min(bound, reached)),
            self.search.space.moved(self.instance, point),
            outcomes,
            cells,
            nodes,
        )

    def _solve(self, rows: Alternative, start: Cells | None) -> float:
        """Solve one alternative; return the least cost of a point that stays open."""
        norm = self.search.distance.norm
        extras = list(self.extras)
        sure_too = True
        bound = 0.0
        for _ in range(_MOST_DOUBTFUL):
            if self.meter.exhausted() is not None:
                return bound
            solved = self.program.solve(
                self.places,
                norm,
                [(row, row.sums(sure=False), math.inf) for row in rows],
                extras=extras,
                ceiling=self._ceiling(),
                start=start,
                seconds=self.meter.remaining,
            )
            self.nodes += solved.nodes
            bound = max(bound, solved.bound)
            if solved.cells is None or self._offer(solved.cells) or not solved.finished:
                return bound
            if sure_too:
                sure_too = False
                self._sure(rows, extras)
            extras.append(self._elsewhere(solved.cells))
            start = None
        return bound

    def _sure(self, rows: Alternative, extras: Sequence[Extra]) -> None:
        """Look for an incumbent that meets the rows beyond doubt."""
        solved = self.program.solve(
            self.places,
            self.search.distance.norm,
            [(row, row.sums(sure=True), math.inf) for row in rows],
            extras=extras,
            ceiling=self._ceiling(),
            seconds=self.meter.remaining,
        )
        self.nodes += solved.nodes
        if solved.cells is not None:
            self._offer(solved.cells)

    def _elsewhere(self, cells: Cells) -> Extra:
        """Exclude the points that lie in the same leaves: some leaf's box is left."""
        boxes = self.search.boxes
        reached = ((boxes.lower <= cells) & (cells < boxes.upper)).all(axis=1)
        low = boxes.lower[reached].max(axis=0, initial=0)
        high = boxes.upper[reached].min(axis=0, initial=int(boxes.n_cells.max()))
        terms: list[tuple[int, int, float]] = []
        inside = 0
        for c, n_cells in enumerate(boxes.n_cells.tolist()):
            if low[c] > 0:
                terms.append((c, int(low[c]), 1.0))
                inside += 1
            if high[c] < n_cells:
                terms.append((c, int(high[c]), -1.0))
        return Extra(tuple(terms), -math.inf, inside - 1.0)

    def _offer(self, cells: Cells) -> bool:
        """Take a point as incumbent if it is one; tell whether it is a counterfactual."""
        point = self.places.point(cells)
        outcomes = self.search.outcomes(point, self.predictions)
        if outcomes is None or not self._admits(cells):
            return False
        cost = self.search.distance.exact(self.instance, point)
        if self.best is None or cost < self.best[0]:
            self.best = (cost, cells, point, outcomes)
        return True

    def _admits(self, cells: Cells) -> bool:
        """Tell whether a point obeys the rules that are not about its cells alone."""
        boxes = self.search.boxes
        for row in self.floors:
            if row.exact_lead(boxes, cells) < 0:
                return False
        for table in self.tables:
            if not bool(((table.lower <= cells) & (cells < table.upper)).all(axis=1).any()):
                return False
        for extra in self.extras:
            total = sum(f for c, k, f in extra.terms if cells[c] >= k)
            if not extra.lower - 1e-9 <= total <= extra.upper + 1e-9:
                return False
        return True

    def _cost(self, cells: Cells) -> float:
        return float(self.search.distance.exact(self.instance, self.places.point(cells)))

    def _ceiling(self) -> float:
        if self.best is None:
            return math.inf
        return self._cost(self.best[1])


def _ensemble_of(model: Classifier, space: FeatureSpace) -> TreeEnsemble:
    structure = model.structure
    if not isinstance(structure, TreeEnsemble):
        raise UnsupportedError("this search needs models that are tree ensembles")
    if model.n_columns != space.n_columns:
        raise DataError(
            f"the model has {model.n_columns} inputs, the space {space.n_columns} columns"
        )
    if structure.rule is DecisionRule.VALUE and structure.link != "identity":
        # Boundaries pass the link's inverse in float64; the slack of objectives covers it.
        return structure
    return structure

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

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from whyproof.encodings.constraints.constraint import Constraint
from whyproof.encodings.constraints.rows import cuts
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.classifier import Classifier
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.question import AnyOther, Question, ReachClass
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSpace, Point

from .actions import Actions
from .answer import Nearest, NearestStatus, Rule
from .causes import Causes
from .distance import Distance
from .knowledge import as_constraints, knowledge_of, put_to
from .limits import reached_limits
from .places import places_of
from .plausible import Floor, SeenTogether
from .posed import Extra
from .run import Run
from .shapes import shape_of
from .solvers import Solver, processor_seconds, solver_named
from .terrain import Terrain

__all__ = ["NearestSearch"]


class NearestSearch:
    """Looks for nearest counterfactuals of one or several tree ensembles.

    Parameters
    ----------
    models
        Tree ensembles, linear models, rules, ReLU networks.
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

    at_least
        Number of models whose decision has to change; all of them if not given.
    solver
        ``highs``; ``cpsat``, which takes over where HiGHS takes long; or ``gurobi``.
    causes
        Effects in a causal world: what follows from other moves costs nothing.  Rules of the
        world that states have to satisfy are constraints of the space.

    Raises
    ------
    UnsupportedError
        For models that have no such program, and constraints that have no linear form.
    MissingExtraError
        If the solver is not installed.

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
        at_least: int | None = None,
        solver: str = "highs",
        causes: Causes | None = None,
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
        self.at_least = len(self.models) if at_least is None else at_least
        if not 1 <= self.at_least <= len(self.models):
            raise DataError(
                f"{self.at_least} of {len(self.models)} models cannot be convinced; name a number "
                "from 1 to the number of models"
            )
        self.constraints = as_constraints(space)
        self.floors, self.together = tuple(floors), tuple(together)
        self._shapes = [shape_of(model, space) for model in self.models]
        self.solver: Solver = solver_named(solver)
        self.causes = causes
        mutable = tuple(replace(f, immutable=False) for f in space.features)
        self.free_space = replace(space, features=mutable, constraints=())
        self._terrains: dict[object, Terrain] = {}

    @property
    def valued(self) -> bool:
        """Whether values matter, not only cells: then there is no second nearest point."""
        return any(shape.body is not None and shape.body.valued for shape in self._shapes)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules, in the order in which conflicts name them."""
        found = [Rule("action", i, s) for i, s in self.actions.describe(self.space).items()]
        if bool(self.region.restricted(self.space).any()):
            found.append(Rule("region", 0, "the point stays within the region"))
        found += [Rule("floor", j, floor.text) for j, floor in enumerate(self.floors)]
        found += [Rule("table", j, seen.text(self.space)) for j, seen in enumerate(self.together)]
        direct = {} if self.causes is None else self.causes.direct
        texts = {} if self.causes is None else self.causes.texts
        found += [Rule("direct", c, texts.get(c, self.space.columns[c].name)) for c in direct]
        found += [Rule("constraint", j, c.name) for j, c in enumerate(self.constraints)]
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
        began, began_cpu = time.monotonic(), processor_seconds()
        predictions = tuple(float(m.predict(instance[None])[0]) for m in self.models)
        if self._already(predictions):
            return Nearest(
                NearestStatus.ALREADY, instance, instance, 0.0, 0.0, outcomes=predictions
            )
        run = self.run(instance, predictions, meter, rules, extras)
        found = run.result(feasible_only=feasible_only)
        return replace(
            found,
            seconds=time.monotonic() - began,
            cpu_seconds=processor_seconds() - began_cpu,
        )

    def run(
        self,
        instance: Point,
        predictions: tuple[float, ...],
        meter: Meter,
        rules: Sequence[Rule] | None = None,
        extras: Sequence[Extra] = (),
    ) -> Run:
        """Prepare the search for one person; parameters as for `nearest`."""
        active = self.rules if rules is None else tuple(rules)
        put = put_to(
            [self.constraints[r.index] for r in active if r.kind == "constraint"], instance
        )
        terrain = self.terrain(put)
        bound = {rule.index for rule in active if rule.kind == "action"}
        actions = self.actions.without(set(self.actions.by_feature) - bound)
        has_region = any(rule.kind == "region" for rule in active)
        region = self.region if has_region else Region.everywhere()
        places = places_of(terrain.boxes, instance, self.distance, actions, region)
        floors = terrain.floors(active)
        rows_of = terrain.goal(self.question, predictions, self.at_least)
        goal = [(*rows, *floors) for rows in rows_of]
        needed = frozenset(c for rows in goal for row in rows for c in row.valued)
        knowledge = None
        if put or needed:
            limits = reached_limits(region.limits(self.free_space, instance), instance, goal, put)
            knowledge = knowledge_of(
                terrain.boxes, self.free_space, put, places, actions, self.distance, limits, needed
            )
            places = knowledge.pin(places)
        program = terrain.program(active)
        return Run(
            self,
            predictions,
            meter,
            program,
            goal,
            places,
            knowledge,
            tuple(extras),
            self.solver,
            None
            if self.causes is None
            else self.causes.only(rule.index for rule in active if rule.kind == "direct"),
        )

    def put(self, instance: Point, rules: Sequence[Rule] | None = None) -> tuple[Constraint, ...]:
        """Return what the constraints among some rules demand of an instance's changes."""
        active = self.rules if rules is None else rules
        kept = [self.constraints[rule.index] for rule in active if rule.kind == "constraint"]
        return put_to(kept, instance)

    def terrain(self, constraints: Sequence[Constraint] = ()) -> Terrain:
        """Return the models in cells, cut for some constraints, and for all causes."""
        if self.causes is not None:
            constraints = (*constraints, *self.causes.cuts())
        wanted = sorted(cuts(constraints).items())
        key = (str(wanted), frozenset(c for one in constraints for c in one.columns))
        if key not in self._terrains:
            self._terrains[key] = Terrain(
                self._shapes, self.free_space, constraints, self.floors, self.together
            )
        return self._terrains[key]

    def outcomes(self, point: Point, predictions: Sequence[float]) -> tuple[float, ...] | None:
        """Run a point through all models; `None` if it does not change enough decisions.

        The point is run as it is and, where models round to float32, rounded.
        """
        rounded = np.asarray(point, dtype=np.float32).astype(np.float64)
        said: list[float] = []
        convinced = 0
        for model, shape, kept in zip(self.models, self._shapes, predictions, strict=True):
            single = shape.ensemble.input_type == "float32"
            points = np.stack([point, rounded]) if single else point[None]
            outcomes, changed = self.question.evaluate(model, points, kept)
            convinced += bool(changed.all())
            said.append(float(outcomes[0]))
        return tuple(said) if convinced >= self.at_least else None

    def violated(self, instance: Point, point: Point) -> list[int]:
        """Return the positions in `rules` of those that a point violates."""
        return [i for i, rule in enumerate(self.rules) if not self._obeys(rule, instance, point)]

    def obeys(self, instance: Point, point: Point) -> bool:
        """Tell whether a point obeys all rules and lies in the space."""
        return not self.violated(instance, point) and bool(
            self.free_space.admissible(point[None]).all()
        )

    def _obeys(self, rule: Rule, instance: Point, point: Point) -> bool:
        match rule.kind:
            case "action":
                action = self.actions.of_feature(rule.index)
                columns = self.space.features[rule.index].columns
                return all(action.allows(float(instance[c]), float(point[c])) for c in columns)
            case "region":
                return self.region.contains(self.free_space, instance, point)
            case "floor":
                floor = self.floors[rule.index]
                return bool(floor.ensemble.sums(point[None])[0, 0] >= floor.least)
            case "direct":
                causes = self.causes and self.causes.only([rule.index])
                return not causes or causes.cost(instance, point, self.distance) is not None
            case "table":
                boxes = self.terrain(self.put(instance)).boxes
                return self.together[rule.index].holds(boxes, point)
            case _:
                constraint = self.constraints[rule.index].at(instance)
                return bool(constraint.holds(point[None])[0])

    def _already(self, predictions: Sequence[float]) -> bool:
        """Refuse questions that make no sense; tell whether nothing has to change."""
        question = self.question
        if not isinstance(question, ReachClass):
            for model, prediction in zip(self.models, predictions, strict=True):
                question.check(model, prediction)
            return False
        for model in self.models:
            question.check(model, -1.0)
        return sum(prediction == question.target for prediction in predictions) >= self.at_least

"""Two people who differ only in chosen features, and get different decisions.

The model is put beside itself: the columns of the chosen features occur twice, all others
once, and trees that do not test the chosen columns are shared by both copies.  What is asked
of the two copies together is one goal over cells (fairness and monotonicity as two-instance
properties: Galhotra, Brun, Meliou, Fairness Testing, FSE 2017; sensitivity of tree ensembles:
ENSENSE, ICLR 2026, by pseudo-Boolean constraints).  The same program as for counterfactuals
decides it, anywhere in the space or near a person, and the two people are run through the
model before anyone sees them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from whyproof.encodings.constraints.constraint import Constraint
from whyproof.encodings.constraints.formula import AtMost, Every, Formula, In, Linear, Some
from whyproof.encodings.trees.boxes import LeafBoxes
from whyproof.encodings.trees.ensemble import DecisionRule, Tree, TreeEnsemble
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.classifier import Classifier
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.question import ReachClass
from whyproof.engine.region import Region
from whyproof.engine.space import Column, Feature, FeatureSet, FeatureSpace, Point

from .actions import Actions
from .answer import NearestStatus
from .distance import Distance
from .goal import Alternative, alternatives
from .knowledge import as_constraints, cut_for, knowledge_of, put_to
from .places import places_of
from .posed import Extra
from .program import CellProgram
from .run import Run

__all__ = ["Pair", "PairAnswer", "PairSearch"]


@dataclass(frozen=True, eq=False)
class Pair:
    """Two admissible people who differ in the chosen features alone.

    Parameters
    ----------
    one, other
        Shape ``(columns,)`` each.
    outcomes
        What the model says about each.
    """

    one: Point
    other: Point
    outcomes: tuple[float, float]


@dataclass(frozen=True, eq=False)
class PairAnswer:
    """A pair, or how far it is shown that there is none.

    Parameters
    ----------
    pair
        `None` if none was found.
    proved
        Without a pair: whether it is proved that there is none.
    nodes
        Branch-and-bound nodes.
    """

    pair: Pair | None
    proved: bool
    nodes: int = 0


class PairSearch:
    """Looks for pairs of people with different decisions.

    Parameters
    ----------
    model
        Classifier whose `structure` is a `TreeEnsemble` and that has classes.
    space
        Its inputs.  That something is immutable does not matter here: nobody moves.
    features
        Features in which the two may differ.

    Raises
    ------
    UnsupportedError
        For models that are no tree ensembles, and regressors.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from whyproof.models import load_model
    >>> x, y = load_iris(return_X_y=True)
    >>> model = load_model(DecisionTreeClassifier(max_depth=2, random_state=0).fit(x, y))
    >>> PairSearch(model, FeatureSpace.of("abcd"), frozenset({0})).anywhere().proved
    True
    """

    def __init__(self, model: Classifier, space: FeatureSpace, features: FeatureSet) -> None:
        ensemble = model.structure
        if not isinstance(ensemble, TreeEnsemble):
            raise UnsupportedError("pairs are looked for in tree ensembles; this model is none")
        if ensemble.rule is DecisionRule.VALUE:
            raise UnsupportedError("pairs need a model with classes; this one is a regressor")
        if not features:
            raise DataError("name the features in which two people may differ")
        self.model, self.ensemble = model, ensemble
        mutable = tuple(replace(f, immutable=False) for f in space.features)
        self.plain = replace(space, features=mutable)
        self.features = features
        self.columns = tuple(c for f in sorted(features) for c in space.features[f].columns)
        self.space = _doubled(self.plain, features, self.columns)
        self.distance = Distance.of(self.space)
        known = as_constraints(space)
        if any(constraint.is_transition for constraint in known):
            raise UnsupportedError("pairs do not know constraints about changes: nobody changes")
        image = self._image()
        self.constraints = (*known, *(_moved(c, image) for c in known if c.columns & set(image)))
        joint = _beside_itself(ensemble, self.columns)
        boxes = LeafBoxes.of(joint, replace(self.space, constraints=()))
        if self.constraints:
            boxes = LeafBoxes.of(joint, boxes.space, cut_for(boxes.columns, self.constraints))
        self.boxes = boxes
        self._program = CellProgram(boxes)

    def outcomes(self, point: Point, predictions: Sequence[float]) -> tuple[float, ...] | None:
        """Run both people through the model; `None` unless the outcomes differ."""
        found = self.model.predict(np.stack(self.split(point)))
        one, other = float(found[0]), float(found[1])
        if predictions and (one, other) != tuple(predictions):
            return None
        return (one, other) if one != other else None

    def split(self, point: Point) -> tuple[Point, Point]:
        """Return the two people of a point of the doubled space."""
        n = self.plain.n_columns
        other = point[:n].copy()
        other[list(self.columns)] = point[n:]
        return point[:n].copy(), other

    def anywhere(
        self,
        *,
        anchor: Point | None = None,
        rising: bool = False,
        outcomes: tuple[int, int] | None = None,
        budget: Budget | None = None,
        meter: Meter | None = None,
    ) -> PairAnswer:
        """Look for a pair anywhere in the space.

        Parameters
        ----------
        anchor
            Any admissible person, to start from.
        rising
            Whether the other one has at least the first one's values in the chosen columns
            (for monotonicity).
        outcomes
            Classes that the two have to get, in this order; any two if not given.
        budget, meter
            Limits, or those of a run that has begun.
        """
        start = self._anchor() if anchor is None else anchor
        return self._search(start, None, rising, outcomes, meter or (budget or Budget()).start())

    def near(
        self,
        person: Point,
        region: Region,
        *,
        budget: Budget | None = None,
        meter: Meter | None = None,
    ) -> PairAnswer:
        """Look for a pair one of whom lies in a region around a person.

        Parameters
        ----------
        person
            Shape ``(columns,)``.
        region
            A box or a ball of ``linf``; chosen features may take any value.
        budget, meter
            Limits, or those of a run that has begun.
        """
        return self._search(person, region, False, None, meter or (budget or Budget()).start())

    def _search(
        self,
        anchor: Point,
        region: Region | None,
        rising: bool,
        outcomes: tuple[int, int] | None,
        meter: Meter,
    ) -> PairAnswer:
        instance = np.concatenate([anchor, anchor[list(self.columns)]])
        around = Region.everywhere() if region is None else self._widened(region)
        put = put_to(self.constraints, instance)
        places = places_of(self.boxes, instance, self.distance, Actions({}), around)
        places = replace(
            places, costs=tuple(np.where(np.isfinite(c), 0.0, np.inf) for c in places.costs)
        )
        knowledge = None
        if put:
            limits = around.limits(self.space, instance)
            knowledge = knowledge_of(
                self.boxes, self.space, put, places, Actions({}), self.distance, limits
            )
            places = knowledge.pin(places)
        extras = self._rising() if rising else ()
        nodes, proved = 0, True
        for pair, goal in self._goals(outcomes, rising):
            run = Run(self, pair, meter, self._program, [goal], places, knowledge, extras)
            found = run.result(feasible_only=True)
            nodes += found.nodes
            if found.point is not None:
                one, other = self.split(found.point)
                said = (found.outcomes[0], found.outcomes[1])
                return PairAnswer(Pair(one, other, said), True, nodes)
            proved = proved and found.status is NearestStatus.NONE
        return PairAnswer(None, proved, nodes)

    def _goals(
        self, outcomes: tuple[int, int] | None, ordered: bool
    ) -> list[tuple[tuple[float, ...], Alternative]]:
        """Return the rows of each pair of classes."""
        n = len(self.ensemble.classes)
        pairs = [outcomes] if outcomes is not None else list(itertools.permutations(range(n), 2))
        if outcomes is None and not ordered:
            # The two people can be exchanged.
            pairs = [(a, b) for a, b in pairs if a < b]
        made: list[tuple[tuple[float, ...], Alternative]] = []
        k = self.ensemble.n_outputs
        for one, other in pairs:
            for rows in self._reach(0, one):
                made += [((float(one), float(other)), (*rows, *r)) for r in self._reach(k, other)]
        return made

    def _reach(self, first: int, target: int) -> list[Alternative]:
        kept = float(target == 0)
        return alternatives(self.boxes, self.ensemble, first, ReachClass(target), kept)

    def _rising(self) -> tuple[Extra, ...]:
        """Let the copy be at or beyond each cell at which the original is."""
        n = self.plain.n_columns
        rows: list[Extra] = []
        for j, c in enumerate(self.columns):
            if not self.boxes.columns[c].is_ascending:
                raise UnsupportedError(
                    f"column {self.plain.columns[c].name!r} has no order: it is categorical or "
                    "may be missing"
                )
            rows += [
                Extra(((n + j, k, 1.0), (c, k, -1.0)), 0.0, math.inf)
                for k in range(1, int(self.boxes.n_cells[c]))
            ]
        return tuple(rows)

    def _anchor(self) -> Point:
        """Return an admissible value of each column."""
        values = [column.cells[0].lower for column in self.boxes.columns[: self.plain.n_columns]]
        found = [
            value if not math.isinf(value) else column.cells[0].upper
            for value, column in zip(values, self.boxes.columns, strict=False)
        ]
        return np.array([0.0 if math.isinf(value) else value for value in found])

    def _widened(self, region: Region) -> Region:
        """Return a region in which chosen columns are not bounded."""
        n, m = self.plain.n_columns, len(self.columns)
        lower, upper = np.full(n + m, -np.inf), np.full(n + m, np.inf)
        if region.lower is not None:
            lower[:n] = region.lower
        if region.upper is not None:
            upper[:n] = region.upper
        lower[list(self.columns)], upper[list(self.columns)] = -np.inf, np.inf
        if region.epsilon is None:
            return Region.box(lower, upper)
        if region.norm != "linf":
            raise UnsupportedError("pairs are looked for in boxes and balls of linf only")
        radius = np.full(n + m, np.asarray(region.epsilon).max(), dtype=np.float64)
        radius[:n] = region.epsilon
        wide = _span(self.space)
        radius[list(self.columns)] = wide[list(self.columns)]
        radius[n:] = wide[n:]
        return Region(norm="linf", epsilon=radius, lower=lower, upper=upper)

    def _image(self) -> dict[int, int]:
        n = self.plain.n_columns
        return {c: n + j for j, c in enumerate(self.columns)}


def _span(space: FeatureSpace) -> npt.NDArray[np.float64]:
    low, high = space.bounds
    width = high - low
    return np.where(np.isfinite(width), width, 1e12)


def _doubled(space: FeatureSpace, features: FeatureSet, columns: Sequence[int]) -> FeatureSpace:
    """Return a space with a second copy of some features."""
    n = space.n_columns
    copies = tuple(
        Column(f"{space.columns[c].name} of the other", space.columns[c].domain) for c in columns
    )
    where = {c: n + j for j, c in enumerate(columns)}
    more = tuple(
        Feature(
            f"{space.names[f]} of the other", tuple(where[c] for c in space.features[f].columns)
        )
        for f in sorted(features)
    )
    return FeatureSpace((*space.columns, *copies), (*space.features, *more))


def _beside_itself(ensemble: TreeEnsemble, columns: Sequence[int]) -> TreeEnsemble:
    """Put a model beside itself; trees that test none of the columns are shared."""
    n, k = ensemble.n_columns, ensemble.n_outputs
    image = np.arange(n)
    image[list(columns)] = n + np.arange(len(columns))
    trees: list[Tree] = []
    for tree in ensemble.trees:
        both = np.concatenate([tree.values, tree.values], axis=1)
        if not bool(np.isin(tree.column, columns).any()):
            trees.append(_with(tree, tree.column, both))
            continue
        zero = np.zeros_like(tree.values)
        trees.append(_with(tree, tree.column, np.concatenate([tree.values, zero], axis=1)))
        moved = np.where(tree.column >= 0, image[np.maximum(tree.column, 0)], -1)
        trees.append(_with(tree, moved, np.concatenate([zero, tree.values], axis=1)))
    return TreeEnsemble(
        n + len(columns),
        tuple(trees),
        np.zeros(2 * k),
        DecisionRule.ARGMAX,
        tuple(range(2 * k)),
        input_type=ensemble.input_type,
    )


def _with(tree: Tree, column: npt.NDArray[np.integer], values: npt.NDArray[np.float64]) -> Tree:
    return Tree(
        np.asarray(column, dtype=np.int32),
        tree.boundary,
        tree.left,
        tree.right,
        tree.missing_left,
        values,
        tree.categories,
        tree.zero_missing,
    )


def _moved(constraint: Constraint, image: dict[int, int]) -> Constraint:
    """Return a constraint about the other person."""
    name = f"{constraint.name} (the other)"
    return Constraint(name, _renamed(constraint.formula, image), constraint.position)


def _renamed(formula: Formula, image: dict[int, int]) -> Formula:
    match formula:
        case In(column, values):
            return In(image.get(column, column), values)
        case Linear(terms, bound, strict, before):
            moved = tuple((image.get(c, c), factor) for c, factor in terms)
            return Linear(moved, bound, strict, before)
        case Every(parts):
            return Every(tuple(_renamed(part, image) for part in parts))
        case Some(parts):
            return Some(tuple(_renamed(part, image) for part in parts))
        case AtMost(parts, count):
            return AtMost(tuple(_renamed(part, image) for part in parts), count)
        case _:
            return formula

"""Exact repair of single rows: a point that the real model confirms, or a proof of none.

What the search leaves open goes to the exact oracle of the model: first with the features
that moved so far, then with all that may move.  "None" is said only by a proof: over the
whole box of the row, as real numbers, which then holds for the lattice as well; or, where
a network is asked and few columns move, all in whole steps, over each point of the lattice
(`whyproof.plausible.boxes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from whyproof.engine.answers import Counterexample, Entailed
from whyproof.engine.budget import Budget, Meter
from whyproof.engine.domain import Real
from whyproof.engine.errors import UnsupportedError, WhyproofError
from whyproof.engine.problem import ExplanationProblem
from whyproof.engine.question import ReachClass
from whyproof.engine.region import Region
from whyproof.engine.space import FeatureSpace

from .backend import Array
from .boxes import MOST_COLUMNS, search_boxes
from .reach import Reach
from .subject import Subject

__all__ = ["Outcome", "Repaired", "repair_row"]


class Outcome(StrEnum):
    """What is known about a row."""

    FOUND = "found"
    """The search ended at a point that the real model confirms."""
    MENDED = "mended"
    """The shared shift or rounding left it; steps of its own led to a point that is confirmed."""
    EXACT = "exact"
    """An exact oracle named a point that is confirmed."""
    IMPOSSIBLE = "impossible"
    """Proved: no point that the row may become has the target class."""
    NOT_FOUND = "not found"
    """None was found; that there is none was not shown."""


@dataclass(frozen=True, eq=False)
class Repaired:
    """A row's answer; `point` is `None` unless one was found."""

    outcome: Outcome
    point: Array | None
    reason: str = ""


def repair_row(
    subject: Subject,
    reach: Reach,
    row: Array,
    tried: Array,
    target: int,
    *,
    budget: Budget,
) -> Repaired:
    """Look exactly for a point of a class that a row may become.

    Parameters
    ----------
    subject, reach
        Model and constraints.
    row, tried
        The row, and where the search left it; shape ``(columns,)`` each.
    target
        Class index.
    budget
        Limits of the oracle.
    """
    explainer = _explainer(subject, reach, row, target)
    if isinstance(explainer, str):
        return Repaired(Outcome.NOT_FOUND, None, explainer)
    # The features that moved so far get a third of the time: no proof comes from them alone.
    meter = budget.start()
    quick = Budget(seconds=None if budget.seconds is None else budget.seconds / 3).start()
    try:
        problem = explainer.problem(row)
        if _is_network(explainer.model) and _few_steps(reach, row):
            return _over_lattice(problem, subject, reach, row, target, meter)
        oracle = explainer.oracle(problem)
        space: FeatureSpace = explainer.space
        moved = space.moved(row, tried) & space.mutable
        everything = space.mutable
        asked = [moved, everything] if moved and moved != everything else [everything]
        for free in asked:
            [answer] = oracle.decide([free], meter if free == everything else quick)
            if isinstance(answer, Counterexample):
                point = _on_lattice(subject, reach, row, answer.point, target)
                if point is not None:
                    return Repaired(Outcome.EXACT, point)
            elif isinstance(answer, Entailed) and free == everything:
                return Repaired(Outcome.IMPOSSIBLE, None, "proved for the whole box")
    except UnsupportedError as error:
        return Repaired(Outcome.NOT_FOUND, None, f"no exact search: {error}")
    except WhyproofError as error:
        return Repaired(Outcome.NOT_FOUND, None, f"the exact search failed: {error}")
    why = "out of time" if meter.exhausted() else "no point on the lattice was found"
    return Repaired(Outcome.NOT_FOUND, None, why)


def _is_network(model: Any) -> bool:  # noqa: ANN401
    return type(model.structure).__name__ == "NetworkGraph"


def _few_steps(reach: Reach, row: Array) -> bool:
    """Tell whether a row moves in few columns only, all in whole steps and order."""
    lower, upper = (side[0] for side in reach.limits(row[None]))
    moving = upper > lower
    in_blocks = [i for block in reach.blocks for i in block]
    return bool(
        1 <= moving.sum() <= MOST_COLUMNS
        and (reach.steps[moving] > 0).all()
        and not moving[in_blocks].any()
    )


def _over_lattice(
    problem: ExplanationProblem,
    subject: Subject,
    reach: Reach,
    row: Array,
    target: int,
    meter: Meter,
) -> Repaired:
    """Decide every point that a row may become."""
    from whyproof.encodings.networks.neighbourhood import Neighbourhood

    def accept(points: Array) -> npt.NDArray[np.bool_]:
        rows = np.repeat(row[None], len(points), axis=0)
        return np.asarray(
            (subject.says(points) == target) & reach.admissible(rows, points), dtype=np.bool_
        )

    found = search_boxes(Neighbourhood(problem), reach.steps, accept, meter)
    if found.point is not None:
        return Repaired(Outcome.EXACT, found.point)
    if found.complete:
        return Repaired(Outcome.IMPOSSIBLE, None, "proved for every value that exists")
    return Repaired(Outcome.NOT_FOUND, None, "out of time")


def _explainer(subject: Subject, reach: Reach, row: Array, target: int) -> Any:  # noqa: ANN401
    """Return an explainer of the row's box, or why there is none."""
    from whyproof.explainer import Explainer
    from whyproof.networks import load_network

    model = subject.exact
    if model is None:
        return "there is no exact oracle for this model"
    if not hasattr(model, "structure"):
        try:
            model = load_network(
                model, input_shape=(1, reach.space.n_columns), classes=subject.classes
            )
        except (WhyproofError, ImportError) as error:
            return f"there is no exact oracle for this model: {error}"
    lower, upper = (side[0] for side in reach.limits(row[None]))
    space = reach.space
    if _is_network(model):
        # Networks are decided over real numbers: a superset of the lattice.
        space = FeatureSpace.of(
            [column.name for column in space.columns],
            {
                column.name: Real(lower=float(low), upper=float(high))
                for column, low, high in zip(space.columns, lower, upper, strict=True)
            },
        )
    return Explainer(model, space, region=Region.box(lower, upper), question=ReachClass(target))


def _on_lattice(
    subject: Subject, reach: Reach, row: Array, point: Array, target: int
) -> Array | None:
    """Return an admissible point near a counterexample that the model confirms."""
    here = reach.snap(row[None], point[None].copy())
    tried = [here]
    # Every column rounded the other way, one at a time.
    for i in np.flatnonzero((reach.steps > 0) & reach.movable):
        for sign in (-1.0, 1.0):
            moved = here.copy()
            moved[0, i] += sign * reach.steps[i]
            tried.append(reach.snap(row[None], moved))
    points = np.concatenate(tried)
    rows = np.repeat(row[None], len(points), axis=0)
    good = (subject.says(points) == target) & reach.admissible(rows, points)
    if not good.any():
        return None
    far = np.abs(points - row).sum(axis=1)
    return np.asarray(points[int(np.argmin(np.where(good, far, np.inf)))], dtype=np.float64)

"""Group recourse: few actions that help many people, with a proved optimality gap.

Candidates are what nearest counterfactuals of single people set which features to: *exact
points*, so each helps at least one person, and every candidate is tried on every person by the
model that runs.  Which few of them help most is a set cover, solved as an integer program to
a proved optimum over the candidates (coverage first, then cost).  Beyond them the gap is
honest: nobody can help more people than have any counterfactual at all.

GLANCE (Kavouras et al., AAAI 2026) clusters actions and gives no bound; ours has one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import highspy
import numpy as np
import numpy.typing as npt

from whyproof.encodings.recourse.answer import Nearest
from whyproof.encodings.recourse.nearest import NearestSearch
from whyproof.engine.answers import UnknownReason
from whyproof.engine.budget import Budget
from whyproof.engine.errors import DataError
from whyproof.engine.space import FeatureSpace, Point, Points

__all__ = ["GroupAction", "GroupRecourse", "group_recourse", "split_rows"]


@dataclass(frozen=True, eq=False)
class GroupAction:
    """Values to set, the same for everybody.

    Parameters
    ----------
    values
        Code by column.
    helped
        Rows whom it helps, of those asked about.
    cost
        Mean distance that the helped ones go.
    """

    values: Mapping[int, float]
    helped: tuple[int, ...]
    cost: float


@dataclass(frozen=True, eq=False)
class GroupRecourse:
    """A few actions and whom they help.

    Parameters
    ----------
    actions
        The chosen ones, most helpful first.
    helped
        Rows that at least one action helps.
    with_recourse, without_recourse, open
        Rows that have a counterfactual of their own, have none (proved), and were not
        decided in time.
    best_of_candidates
        Largest number of rows that so few of the candidates can help, proved.
    at_most
        No choice of any actions helps more rows than this.
    candidates
        How many actions there were to choose from.
    wanted
        Number of rows to help.
    """

    actions: tuple[GroupAction, ...]
    helped: tuple[int, ...]
    with_recourse: tuple[int, ...]
    without_recourse: tuple[int, ...]
    open: tuple[int, ...]
    best_of_candidates: int
    at_most: int
    candidates: int
    wanted: int
    nearest: Mapping[int, Nearest] = field(default_factory=dict[int, Nearest], repr=False)

    @property
    def gap(self) -> int:
        """How many more rows other actions could help at most."""
        return max(0, self.at_most - len(self.helped))


def group_recourse(
    search: NearestSearch,
    rows: Mapping[int, Point],
    most: int,
    *,
    share: float = 1.0,
    limit: int = 200,
    budget: Budget | None = None,
) -> GroupRecourse:
    """Find at most so many actions that help as many rows as possible.

    Parameters
    ----------
    search
        Model, question, rules and distance.
    rows
        People by row number; those who have the outcome already need no help and count as
        nothing.
    most
        Largest number of actions, positive.
    share
        Of the rows that need help, the share to help, above 0 and up to 1: fewer actions are
        taken if they suffice for it.
    limit
        Most rows whose nearest counterfactuals become candidates.
    budget
        Limits.

    Raises
    ------
    DataError
        For numbers out of range, or no rows.
    """
    if most < 1:
        raise DataError(f"the number of actions must be positive, found {most}")
    if not 0 < share <= 1:
        raise DataError(f"the share to help must be above 0 and at most 1, found {share!r}")
    if not rows:
        raise DataError("there are no rows to help")
    meter = (budget or Budget()).start()
    found: dict[int, Nearest] = {}
    for number, row in rows.items():
        if meter.exhausted() is None and len(found) < limit:
            found[number] = search.nearest(row, meter=meter)
    needy = [n for n in rows if n not in found or str(found[n].status) != "already"]
    having = tuple(n for n in needy if n in found and found[n].point is not None)
    lacking = tuple(n for n in needy if n in found and str(found[n].status) == "none")
    undecided = tuple(n for n in needy if n not in having and n not in lacking)
    candidates = _candidates(search, [found[n] for n in having])
    helps = np.zeros((len(candidates), len(needy)), dtype=np.bool_)
    costs = np.zeros((len(candidates), len(needy)))
    points = np.stack([rows[n] for n in needy]) if needy else np.zeros((0, search.space.n_columns))
    for i, values in enumerate(candidates):
        helps[i], costs[i] = _tried(search, points, values)
    wanted = math.ceil(share * len(needy) - 1e-9)
    chosen, best = _cover(helps, costs, most, wanted, meter.exhausted())
    actions = [
        GroupAction(
            candidates[i],
            tuple(needy[j] for j in np.flatnonzero(helps[i]).tolist()),
            float(costs[i][helps[i]].mean()) if helps[i].any() else 0.0,
        )
        for i in chosen
    ]
    helped = np.flatnonzero(helps[chosen].any(axis=0)).tolist() if chosen else []
    return GroupRecourse(
        tuple(sorted(actions, key=lambda action: -len(action.helped))),
        tuple(needy[j] for j in helped),
        having,
        lacking,
        undecided,
        best,
        len(having) + len(undecided),
        len(candidates),
        wanted,
        found,
    )


def split_rows(
    space: FeatureSpace, rows: Mapping[int, Point], features: Sequence[str]
) -> dict[str, dict[int, Point]]:
    """Split people by the values of some features, in order of first appearance.

    Parameters
    ----------
    space
        The inputs.
    rows
        People by row number.
    features
        Names; without any, all are one group with an empty name.
    """
    columns = [c for name in features for c in space.features[space.index(name)].columns]
    groups: dict[str, dict[int, Point]] = {}
    for number, row in rows.items():
        values = space.decode(row)
        names = [space.columns[c].name for c in columns]
        key = ", ".join(f"{name} {values[name]}" for name in names)
        groups.setdefault(key, {})[number] = row
    return groups


def _candidates(search: NearestSearch, found: Sequence[Nearest]) -> list[dict[int, float]]:
    """Return what nearest points set, once each."""
    seen: dict[tuple[tuple[int, float], ...], dict[int, float]] = {}
    for nearest in found:
        if nearest.point is None:
            continue
        columns = [c for f in sorted(nearest.moved) for c in search.space.features[f].columns]
        values = {c: float(nearest.point[c]) for c in columns}
        seen.setdefault(tuple(values.items()), values)
    return list(seen.values())


def _tried(
    search: NearestSearch, points: Points, values: Mapping[int, float]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Tell whom an action helps, with what it costs each."""
    moved = points.copy()
    for column, value in values.items():
        moved[:, column] = value
    helped = np.ones(len(points), dtype=np.bool_)
    for model in search.models:
        predictions = np.asarray(model.predict(points), dtype=np.float64)
        for kept in np.unique(predictions).tolist():
            these = predictions == kept
            _, changed = search.question.evaluate(model, moved[these], kept)
            helped[these] &= changed
    costs = np.zeros(len(points))
    for i in np.flatnonzero(helped).tolist():
        if search.obeys(points[i], moved[i]):
            costs[i] = search.distance.between(points[i], moved[i])
        else:
            helped[i] = False
    return helped, costs


def _cover(
    helps: npt.NDArray[np.bool_],
    costs: npt.NDArray[np.float64],
    most: int,
    wanted: int,
    stopped: UnknownReason | None,
) -> tuple[list[int], int]:
    """Choose actions: as many rows as wanted, with few actions, at little cost.

    Returns the chosen ones and the largest number of rows that `most` of them can help.
    """
    n_actions, n_rows = helps.shape
    if not n_actions or not n_rows:
        return [], 0
    _, best = _solve(helps, np.zeros(n_actions), most, None)
    target = min(best, wanted)
    mean = np.array([c[h].mean() if h.any() else 0.0 for c, h in zip(costs, helps, strict=True)])
    # One action less outweighs any saving of distance.
    weights = 1.0 + mean / (1.0 + float(mean.sum()))
    chosen, _ = _solve(helps, weights, most, target)
    return chosen, best


def _solve(
    helps: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float64],
    most: int,
    target: int | None,
) -> tuple[list[int], int]:
    """Maximise the number of rows helped, or reach a number at the least weight."""
    n_actions, n_rows = helps.shape
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    highs.setOptionValue("mip_rel_gap", 0.0)
    total = n_actions + n_rows
    highs.addVars(total, np.zeros(total), np.ones(total))
    highs.changeColsIntegrality(
        n_actions, np.arange(n_actions, dtype=np.int32), [highspy.HighsVarType.kInteger] * n_actions
    )
    for j in range(n_rows):
        helping = np.flatnonzero(helps[:, j])
        index = np.array([n_actions + j, *helping.tolist()], dtype=np.int32)
        factors = np.array([1.0, *([-1.0] * len(helping))])
        highs.addRow(-highspy.kHighsInf, 0.0, len(index), index, factors)
    every = np.arange(n_actions, dtype=np.int32)
    highs.addRow(0.0, float(most), n_actions, every, np.ones(n_actions))
    rows = np.arange(n_actions, total, dtype=np.int32)
    if target is None:
        highs.changeColsCost(n_rows, rows, -np.ones(n_rows))
    else:
        highs.changeColsCost(n_actions, every, weights)
        highs.addRow(target - 1e-6, float(n_rows), n_rows, rows, np.ones(n_rows))
    highs.run()
    values = np.array(highs.getSolution().col_value)
    chosen = [i for i in range(n_actions) if values[i] > 0.5]
    return chosen, int(helps[chosen].any(axis=0).sum()) if chosen else 0

"""Where the points of one explanation problem lie, in the numbers of the network that runs.

The network computes in float32.  So the instance is the point after rounding, the box is
rounded inwards to float32 numbers, and every point handed out is one that the network
sees bit for bit: fixed columns keep the instance's own value, moved ones hold float32
numbers inside the region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whyproof.engine.answers import Counterexample
from whyproof.engine.errors import DataError, UnsupportedError
from whyproof.engine.problem import ExplanationProblem

from .bounds.local import Localiser
from .bounds.sets import Ball, Box, Budget, InputSet
from .bounds.targets import Target, target_of
from .graph import Array, NetworkGraph
from .network import Network

__all__ = ["Neighbourhood", "Play"]


@dataclass(frozen=True, eq=False)
class Play:
    """The columns that are free in some set of a batch, and the network over them.

    Parameters
    ----------
    network
        As a function of the deviations of these columns.
    columns
        Positions in the model's input, shape ``(k,)``.
    features
        Feature indices in play, ascending, shape ``(f,)``.
    owner
        Position in `features` of each column, shape ``(k,)``.
    lower, upper
        Largest deviations, shape ``(k,)``.
    """

    network: Network
    columns: Tensor
    features: Tensor
    owner: Tensor
    lower: Tensor
    upper: Tensor


class Neighbourhood:
    """An explanation problem about a network, prepared for attack and proof.

    Parameters
    ----------
    problem
        Its classifier's structure is a `NetworkGraph`.
    dtype, device
        Of the computations.

    Raises
    ------
    UnsupportedError
        If the classifier is no network, or a column is not a real number.
    DataError
        If a column that may move has no limits, or the instance is not a number.
    """

    def __init__(
        self,
        problem: ExplanationProblem,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        graph = problem.classifier.structure
        if not isinstance(graph, NetworkGraph):
            raise UnsupportedError("the network oracle needs a network; this classifier is none")
        self.problem = problem
        self.dtype = dtype
        self.device = torch.device(device)
        self.instance = problem.instance
        center, lower, upper = _float32_box(problem)
        self.low32, self.high32 = lower, upper
        self.center = self._tensor(center)
        self.lower = self._tensor(np.minimum(lower - center, 0.0))
        self.upper = self._tensor(np.maximum(upper - center, 0.0))
        self.network = Network.of(graph, dtype, device)
        self.localiser = Localiser(self.network, self.center)
        smallest = getattr(problem.classifier, "decision", "largest") == "smallest"
        cases = target_of(problem.question, problem.prediction, graph.n_outputs, smallest=smallest)
        self.target = Target(cases, dtype, device)
        self.owner = torch.tensor(problem.space.owner, device=self.device)
        self.n_features = problem.space.n_features

    def _tensor(self, values: Array) -> Tensor:
        return torch.tensor(values, dtype=self.dtype, device=self.device)

    @cached_property
    def movable(self) -> Tensor:
        """Features with a column that can move, shape ``(features,)``, boolean."""
        moving = self.upper > self.lower
        found = torch.zeros(self.n_features, dtype=torch.bool, device=self.device)
        found[self.owner[moving]] = True
        return found

    def mask(self, free_sets: Sequence[frozenset[int]]) -> Tensor:
        """Return free sets as rows of zeros and ones, ``(batch, features)``, boolean."""
        rows = torch.zeros((len(free_sets), self.n_features), dtype=torch.bool)
        for i, free in enumerate(free_sets):
            rows[i, list(free)] = True
        return rows.to(self.device) & self.movable

    def play(self, features: Tensor) -> Play:
        """Return the network over the columns of some features.

        Parameters
        ----------
        features
            Shape ``(features,)``, boolean.
        """
        moving = features[self.owner] & (self.upper > self.lower)
        columns = moving.nonzero().ravel()
        present = (features & self.movable).nonzero().ravel()
        place = torch.zeros(self.n_features, dtype=torch.long, device=self.device)
        place[present] = torch.arange(len(present), device=self.device)
        return Play(
            self.localiser.restricted(columns),
            columns,
            present,
            place[self.owner[columns]],
            self.lower[columns],
            self.upper[columns],
        )

    def box(self, play: Play, free: Tensor) -> InputSet:
        """Return the deviations allowed to free sets within the columns in play.

        Parameters
        ----------
        play
            Holds at least these features.
        free
            Shape ``(batch, features)``, boolean.
        """
        moves = free[:, self.owner[play.columns]].to(self.dtype)
        lower, upper = moves * play.lower, moves * play.upper
        region = self.problem.region
        if region.is_box:
            return Box(lower, upper)
        radius = float(np.asarray(region.epsilon))
        if region.norm == "l0":
            budget = torch.full((len(free),), int(radius), device=self.device)
            own = torch.arange(len(play.columns), device=self.device)
            return Budget(lower, upper, own, torch.zeros_like(moves), moves, budget)
        if region.norm == "l1":
            return Ball(lower, upper, "l1", radius)
        return Ball(lower, upper, "l2", radius)

    # Points -----------------------------------------------------------------------

    def points(self, play: Play, deviations: Tensor) -> npt.NDArray[np.float64]:
        """Return deviations as points that the model sees bit for bit, ``(batch, columns)``."""
        columns = play.columns.cpu().numpy()
        moved = deviations.detach().cpu().numpy()
        wanted = self.center.cpu().numpy()[columns] + moved
        values = np.clip(
            wanted.astype(np.float32).astype(np.float64),
            self.low32[columns],
            self.high32[columns],
        )
        center = self.center.cpu().numpy()[columns]
        stays = (values == center) | (moved == 0)
        points = np.repeat(self.instance[None], len(moved), axis=0)
        points[:, columns] = np.where(stays, self.instance[columns], values)
        return points

    def replay(self, points: npt.NDArray[np.float64]) -> list[Counterexample | None]:
        """Run points on the model itself; keep those that change the decision.

        A point that leaves a ball by a rounding, or breaks a constraint of the space, is
        dropped: an attack may try, only evidence counts.
        """
        problem = self.problem
        changed = problem.changed(points)
        good = changed.copy()
        for i in (int(j) for j in np.flatnonzero(changed)):
            inside = problem.region.contains(problem.space, problem.instance, points[i])
            if not inside or not all(
                bool(c.holds(points[i : i + 1])[0]) for c in problem.space.constraints
            ):
                good[i] = False
        outcomes = np.zeros(len(points))
        if good.any():
            outcomes[good] = problem.classifier.predict(points[good])
        found: list[Counterexample | None] = []
        for i, point in enumerate(points):
            if not good[i]:
                found.append(None)
                continue
            moved = problem.space.moved(problem.instance, point)
            found.append(Counterexample(point, moved, float(outcomes[i])))
        return found

    def deviation(self, play: Play, point: npt.NDArray[np.float64]) -> Tensor:
        """Return a point's deviation in the columns in play, shape ``(k,)``."""
        moved = self._tensor(point.astype(np.float32).astype(np.float64)) - self.center
        return moved[play.columns]


def _float32_box(problem: ExplanationProblem) -> tuple[Array, Array, Array]:
    """Return the instance and its box as float32 numbers, held in float64."""
    space, instance = problem.space, problem.instance
    if not bool(np.isfinite(instance).all()):
        i = int(np.argmin(np.isfinite(instance)))
        raise DataError(f"column {space.columns[i].name!r} of the instance is not a finite number")
    for column in space.columns:
        if column.domain.is_discrete:
            raise UnsupportedError(
                f"column {column.name!r} is discrete; networks are explained over real columns"
            )
    lower, upper = problem.region.limits(space, instance)
    for i, column in enumerate(space.columns):
        if not (np.isfinite(lower[i]) and np.isfinite(upper[i])):
            raise DataError(
                f"column {column.name!r} may move without limit; give the region an epsilon or "
                "the column a domain with bounds"
            )
    center = instance.astype(np.float32).astype(np.float64)
    low, high = _float32_above(lower), -_float32_above(-upper)
    # A column that cannot move by one float32 step stays where it is.
    pinned = (low > high) | (lower == upper)
    low, high = np.where(pinned, center, low), np.where(pinned, center, high)
    return center, low, high


def _float32_above(values: Array) -> Array:
    """Return the least float32 numbers that are not below the values, as float64."""
    near = values.astype(np.float32)
    up = np.nextafter(near, np.float32(np.inf), dtype=np.float32)
    return np.where(near < values, up, near).astype(np.float64)

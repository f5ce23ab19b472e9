"""What a bound has to show: one statement about a set, or many that share their work.

A lower bound that is linear in the deviation, ``constant + sum_j t_j`` with one term
``t_j <= 0`` per feature, bounds many sets at once:

* `Single`: the set itself;
* `Deletions`: the set without feature i, for every i: ``bound - t_i``;
* `Extensions`: the free features and one more, for every candidate i: ``base + t_i``;
* a `Budget` set under `Single`: at most m of the candidates.

So one branch-and-bound tree proves all deletions of a contrastive explanation together,
or finds for every fixed pixel of an abductive one whether it is needed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from .sets import Box, Budget, InputSet

__all__ = ["Deletions", "Extensions", "Goal", "Single"]


class Goal(ABC):
    """Statements to prove over parts of one set.

    Attributes
    ----------
    inputs
        A set that contains every part; hidden bounds are taken over it.
    count
        Number of statements.
    stop_at_first
        Whether the first counterexample ends the search.
    """

    inputs: InputSet
    count: int
    stop_at_first: bool = True

    @abstractmethod
    def values(self, constant: Tensor, coefficients: Tensor) -> Tensor:
        """Return a lower bound per statement.

        Parameters
        ----------
        constant
            Shape ``(batch,)``.
        coefficients
            Shape ``(batch, columns)``.

        Returns
        -------
        Tensor
            Shape ``(batch, count)``.
        """

    @abstractmethod
    def point(self, coefficients: Tensor, statement: Tensor) -> Tensor:
        """Return the deviation in a statement's set that makes the bound smallest.

        Parameters
        ----------
        coefficients
            Shape ``(batch, columns)``.
        statement
            Which one, shape ``(batch,)``.
        """

    @abstractmethod
    def box(self, statement: int) -> tuple[Tensor, Tensor] | None:
        """Return the limits of a statement's set if it is a box, shape ``(columns,)`` each."""


class Single(Goal):
    """One statement about one set."""

    count = 1

    def __init__(self, inputs: InputSet) -> None:
        self.inputs = inputs

    def values(self, constant: Tensor, coefficients: Tensor) -> Tensor:
        """Bound over the whole set."""
        return constant[:, None] + self.inputs.minimum(coefficients[:, None])

    def point(self, coefficients: Tensor, statement: Tensor) -> Tensor:
        """Return the best corner; under a budget only the worst features move."""
        corner = self.inputs.corner(coefficients)
        if not isinstance(self.inputs, Budget):
            return corner
        budget = self.inputs
        terms = budget.by_feature(budget.terms(coefficients[:, None]))[:, 0]
        most = min(int(budget.budget.max()), terms.shape[1])
        chosen = (terms * budget.candidates).topk(most, dim=1, largest=False).indices
        moves = budget.free.expand(len(terms), -1).clone()
        moves.scatter_(1, chosen, 1.0)
        moves = torch.minimum(moves, budget.free + budget.candidates)
        return corner * moves[:, budget.owner]

    def box(self, statement: int) -> tuple[Tensor, Tensor] | None:
        """Return the limits of a box."""
        if not isinstance(self.inputs, Box):
            return None
        return self.inputs.lower[0], self.inputs.upper[0]


class Deletions(Goal):
    """The box without feature i, for each of its features.

    Parameters
    ----------
    inputs
        The whole box; it may well contain a counterexample.
    owner
        Feature of each column, shape ``(columns,)``.
    count
        Number of features.
    """

    def __init__(self, inputs: Box, owner: Tensor, count: int) -> None:
        self.inputs = inputs
        self.count = count
        self._owner = owner

    def values(self, constant: Tensor, coefficients: Tensor) -> Tensor:
        """Return ``bound - t_i``."""
        terms = self.inputs.terms(coefficients[:, None])[:, 0]
        total = constant + terms.sum(-1)
        return total[:, None] - _by_feature(terms, self._owner, self.count)

    def point(self, coefficients: Tensor, statement: Tensor) -> Tensor:
        """Return the best corner with feature i back at home."""
        corner = self.inputs.corner(coefficients)
        return corner * (self._owner[None] != statement[:, None])

    def box(self, statement: int) -> tuple[Tensor, Tensor] | None:
        """Pin the columns of the feature."""
        kept = (self._owner != statement).to(self.inputs.lower.dtype)
        return self.inputs.lower[0] * kept, self.inputs.upper[0] * kept


class Extensions(Goal):
    """The free features and one more, for each candidate.

    Parameters
    ----------
    inputs
        A budget of one among the candidates.
    """

    stop_at_first = False

    def __init__(self, inputs: Budget) -> None:
        self.inputs = inputs
        self._budget = inputs
        self.count = inputs.free.shape[1]
        #: Statements about features that are not candidates hold vacuously.
        self.wanted = inputs.candidates[0] > 0

    def values(self, constant: Tensor, coefficients: Tensor) -> Tensor:
        """Return ``base + t_i``."""
        terms = self._budget.by_feature(self.inputs.terms(coefficients[:, None]))[:, 0]
        base = constant + terms @ self._budget.free[0]
        return base[:, None] + terms * self._budget.candidates[0]

    def point(self, coefficients: Tensor, statement: Tensor) -> Tensor:
        """Return the best corner of the free features and the one candidate."""
        corner = self.inputs.corner(coefficients)
        moves = self._budget.free.expand(len(corner), -1).clone()
        moves.scatter_(1, statement[:, None], 1.0)
        return corner * moves[:, self._budget.owner]

    def box(self, statement: int) -> tuple[Tensor, Tensor] | None:
        """Return the limits of the free features and the candidate."""
        moves = self._budget.free[0].clone()
        moves[statement] = 1.0
        kept = moves[self._budget.owner]
        return self.inputs.lower[0] * kept, self.inputs.upper[0] * kept


def _by_feature(terms: Tensor, owner: Tensor, count: int) -> Tensor:
    if terms.shape[-1] == count:
        return terms
    return terms.new_zeros((*terms.shape[:-1], count)).index_add(-1, owner, terms)

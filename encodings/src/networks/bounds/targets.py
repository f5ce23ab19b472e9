"""What counts as a change, as linear conditions on the scores.

A target is a list of cases; a point changes the decision if *some* case holds, and a case
holds if *all* of its rows are at most zero there.  To refute a case over a set, it is
enough to bound one convex combination of its rows above zero; which one is a parameter
that is optimised along with the slopes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from whyproof.engine.errors import UnsupportedError
from whyproof.engine.question import AnyOther, KeepMargin, LeaveInterval, Question, ReachClass

from ..graph import Array

__all__ = ["Case", "Target", "target_of"]


@dataclass(frozen=True, eq=False)
class Case:
    """``rows @ scores + offset <= 0``, all rows at once.

    Parameters
    ----------
    rows
        Shape ``(rows, scores)``.
    offset
        Shape ``(rows,)``.
    """

    rows: Array
    offset: Array


class Target:
    """Cases as one padded tensor.

    Parameters
    ----------
    cases
        At least one.
    dtype, device
        Of the tensors.
    """

    def __init__(
        self, cases: Sequence[Case], dtype: torch.dtype, device: torch.device | str = "cpu"
    ) -> None:
        self.cases = tuple(cases)
        widest = max(len(case.offset) for case in cases)
        outputs = cases[0].rows.shape[1]
        rows = np.zeros((len(cases), widest, outputs))
        offset = np.zeros((len(cases), widest))
        valid = np.zeros((len(cases), widest))
        for i, case in enumerate(cases):
            k = len(case.offset)
            rows[i, :k], offset[i, :k], valid[i, :k] = case.rows, case.offset, 1.0
        self.rows = torch.tensor(rows, dtype=dtype, device=device)
        self.offset = torch.tensor(offset, dtype=dtype, device=device)
        self.valid = torch.tensor(valid, dtype=dtype, device=device)
        #: Equal weights to start with, shape ``(cases, rows)``.
        self.start = self.valid / self.valid.sum(1, keepdim=True)

    @property
    def is_simple(self) -> bool:
        """Whether every case has one row."""
        return self.rows.shape[1] == 1

    def margins(self, scores: Tensor) -> Tensor:
        """Return how far each case is from holding, ``(batch, cases)``; it holds if <= 0."""
        values = torch.einsum("bo,cro->bcr", scores, self.rows) + self.offset
        return values.masked_fill(self.valid == 0, -float("inf")).max(-1).values

    def margin(self, scores: Tensor) -> Tensor:
        """Return how far the decision is from changing, shape ``(batch,)``."""
        return self.margins(scores).min(-1).values


def target_of(question: Question, prediction: float, n: int, *, smallest: bool) -> list[Case]:
    """Translate a question about `n` scores.

    Parameters
    ----------
    question
        Of the engine.
    prediction
        Class index of the instance.
    n
        Number of scores.
    smallest
        Whether the smallest score wins.

    Examples
    --------
    >>> [case.rows.tolist() for case in target_of(AnyOther(), 0.0, 2, smallest=False)]
    [[[1.0, -1.0]]]
    """
    sign = -1.0 if smallest else 1.0
    unit = np.eye(n) * sign
    kept = int(prediction)
    zero = np.zeros(1)
    match question:
        case AnyOther():
            return [Case(unit[[kept]] - unit[[k]], zero) for k in range(n) if k != kept]
        case KeepMargin(floor=floor):
            shift = np.array([-floor])
            return [Case(unit[[kept]] - unit[[k]], shift) for k in range(n) if k != kept]
        case ReachClass(target=target):
            others = [k for k in range(n) if k != target]
            return [Case(unit[others] - unit[[target]], np.zeros(len(others)))]
        case LeaveInterval(lower=lower, upper=upper):
            one = np.ones((1, 1))
            return [Case(one, np.array([-lower])), Case(-one, np.array([upper]))]
        case _:
            raise UnsupportedError(f"networks cannot be asked {type(question).__name__} questions")

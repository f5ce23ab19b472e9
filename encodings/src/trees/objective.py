"""Objectives: a question about an ensemble as linear differences of its scores.

The decision changes at a point exactly when one of the objectives is beyond zero there:
``g(x) > 0``, or ``g(x) >= 0`` where a tie changes it too.  Reaching one class among
several needs all rivals to be beaten together; then `g` is the smallest lead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from whyproof.engine.errors import UnsupportedError
from whyproof.engine.question import (
    AnyOther,
    KeepMargin,
    LeaveInterval,
    MoveBeyond,
    Question,
    ReachClass,
)

from .ensemble import DecisionRule

__all__ = ["DecidesBySums", "Objective", "objectives"]

# Link functions run in float32: relative rounding of a value is an absolute error of
# its logarithm or logit.
_LINK_SLACK = 1e-5


class DecidesBySums(Protocol):
    """A model whose outcome follows from scores by a rule: trees, and additive models."""

    @property
    def n_outputs(self) -> int:
        """Number of scores."""
        ...

    @property
    def rule(self) -> DecisionRule:
        """How scores become an outcome."""
        ...

    @property
    def link(self) -> str:
        """For `VALUE`: function applied to the sum."""
        ...


@dataclass(frozen=True, slots=True)
class Objective:
    """One way to change the decision.

    Parameters
    ----------
    weights
        Factor of each output's score, shape ``(outputs,)``.
    constant
        Added to the weighted scores.
    at_zero
        Whether ``g(x) = 0`` already changes the decision; `None` if that depends on
        the point (then it is decided by replay).
    against
        If not empty: ``g`` is the score of the one output with weight 1 minus the
        largest score among these outputs, and `weights` names only the former.
    slack
        Rounding error of the constant and of the link function, in score units.
    """

    weights: tuple[float, ...]
    constant: float = 0.0
    at_zero: bool | None = False
    against: tuple[int, ...] = ()
    slack: float = 0.0


def objectives(
    ensemble: DecidesBySums, question: Question, prediction: float
) -> tuple[Objective, ...]:
    """Translate a question.

    Parameters
    ----------
    ensemble
        The model.
    question
        What counts as a change.
    prediction
        Outcome of the instance.

    Raises
    ------
    UnsupportedError
        For a question of a kind that ensembles do not know.

    Examples
    --------
    >>> from whyproof.encodings.trees.ensemble import TreeEnsemble
    >>> constant = TreeEnsemble(1, (), np.array([0.5]), DecisionRule.POSITIVE, ("no", "yes"))
    >>> objectives(constant, AnyOther(), 1)
    (Objective(weights=(-1.0,), constant=0.0, at_zero=True, against=(), slack=0.0),)
    """
    kept = int(prediction) if ensemble.rule is not DecisionRule.VALUE else 0
    if isinstance(question, MoveBeyond):
        question = question.interval(prediction)
    match ensemble.rule, question:
        case ((DecisionRule.POSITIVE | DecisionRule.NONNEGATIVE), (AnyOther() | ReachClass())):
            return (_flip(ensemble.rule, kept),)
        case ((DecisionRule.POSITIVE | DecisionRule.NONNEGATIVE), KeepMargin(floor)):
            return (Objective((-1.0,) if kept else (1.0,), floor),)
        case DecisionRule.ARGMAX, AnyOther():
            return tuple(
                _lead(ensemble.n_outputs, rival, kept, at_zero=rival < kept)
                for rival in range(ensemble.n_outputs)
                if rival != kept
            )
        case DecisionRule.ARGMAX, KeepMargin(floor):
            return tuple(
                _lead(ensemble.n_outputs, rival, kept, constant=floor)
                for rival in range(ensemble.n_outputs)
                if rival != kept
            )
        case DecisionRule.ARGMAX, ReachClass(target):
            rivals = tuple(k for k in range(ensemble.n_outputs) if k != target)
            if len(rivals) == 1:
                return (_lead(2, target, rivals[0], at_zero=target < rivals[0]),)
            weights = tuple(float(k == target) for k in range(ensemble.n_outputs))
            at_zero = True if target == 0 else None
            return (Objective(weights, 0.0, at_zero, rivals),)
        case DecisionRule.VALUE, LeaveInterval(lower, upper):
            ends = ((1.0, upper), (-1.0, lower))
            sums = ((sign, _unlink(ensemble.link, end)) for sign, end in ends)
            return tuple(
                Objective((sign,), -sign * end) for sign, end in sums if math.isfinite(end)
            )
        case _:
            raise UnsupportedError(
                f"a tree ensemble with rule {ensemble.rule} cannot answer "
                f"{type(question).__name__}; ask with another question"
            )


def _flip(rule: DecisionRule, kept: int) -> Objective:
    """Cross zero: class 1 is lost at zero under POSITIVE, class 0 under NONNEGATIVE."""
    if kept:
        return Objective((-1.0,), at_zero=rule is DecisionRule.POSITIVE)
    return Objective((1.0,), at_zero=rule is DecisionRule.NONNEGATIVE)


def _lead(
    n_outputs: int, rival: int, kept: int, *, constant: float = 0.0, at_zero: bool = False
) -> Objective:
    weights = np.zeros(n_outputs)
    weights[rival], weights[kept] = 1.0, -1.0
    return Objective(tuple(weights.tolist()), constant, at_zero)


def _unlink(link: str, value: float) -> float:
    """Return the sum at which a linked value is reached; infinite if it never is."""
    if link == "identity":
        return value
    if link == "exp":
        return math.log(value) if value > 0 else -math.inf
    if value <= 0:
        return -math.inf
    return math.inf if value >= 1 else math.log(value / (1 - value))

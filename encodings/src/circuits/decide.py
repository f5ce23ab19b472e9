"""From rules that fire to one decision: an ordered list, or a vote of all that fire.

=========  ========================================================================
``first``  an ordered list: the first rule that fires decides
``vote``   a set: every rule that fires adds its weight to its class; the largest total
           decides, ties go to the class that is listed first
=========  ========================================================================

In both, the default decides where no rule fires.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from whyproof.engine.errors import ModelError

from .builder import CircuitBuilder

__all__ = ["Overlap", "first_that_fires", "vote_of_all"]

Overlap = Literal["first", "vote"]
"""What decides where several rules fire."""


def first_that_fires(
    builder: CircuitBuilder, fires: Sequence[int], heads: Sequence[int], default: int, n: int
) -> list[int]:
    """Return for each class the literal of "it is decided".

    Parameters
    ----------
    builder
        Where the literals live.
    fires
        Literal of each rule, in order.
    heads
        Class index of each rule.
    default
        Class index where none fires.
    n
        Number of classes.

    Examples
    --------
    >>> import numpy as np
    >>> builder = CircuitBuilder(1)
    >>> small, tiny = builder.below(0, 10.0), builder.below(0, 1.0)
    >>> wins = first_that_fires(builder, [tiny, small], [0, 1], 0, 2)
    >>> circuit = builder.build(wins, ("even", "odd"))
    >>> circuit.predict(np.array([[0.0], [5.0], [20.0]])).tolist()
    [0, 1, 0]
    """
    decided: list[list[int]] = [[] for _ in range(n)]
    still_open: list[int] = []
    for k, (fire, head) in enumerate(zip(fires, heads, strict=True)):
        decided[head].append(builder.all_of([*still_open, fire], f"rule {k} decides"))
        still_open = [builder.all_of([*still_open, -fire], f"no rule up to {k} fires")]
    decided[default].append(builder.all_of(still_open))
    return [builder.any_of(literals, f"class {k} is decided") for k, literals in enumerate(decided)]


def vote_of_all(
    builder: CircuitBuilder,
    fires: Sequence[int],
    heads: Sequence[int],
    weights: Sequence[int],
    default: int,
    n: int,
) -> list[int]:
    """Return for each class the literal of "it is decided"; parameters as `first_that_fires`.

    `weights` are positive integers, one for each rule.

    Raises
    ------
    ModelError
        If a weight is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> builder = CircuitBuilder(1)
    >>> small, tiny = builder.below(0, 10.0), builder.below(0, 1.0)
    >>> wins = vote_of_all(builder, [tiny, small], [0, 1], [1, 1], 1, 2)
    >>> circuit = builder.build(wins, ("even", "odd"))
    >>> circuit.predict(np.array([[0.0], [5.0], [20.0]])).tolist()
    [0, 1, 1]
    """
    if any(weight <= 0 for weight in weights):
        raise ModelError("every rule of a set needs a positive weight")
    none = builder.all_of([-fire for fire in fires], "no rule fires")
    wins: list[int] = []
    for k in range(n):
        leads = [-none]
        for rival in range(n):
            if rival == k:
                continue
            signs = [(1 if h == k else -1 if h == rival else 0) for h in heads]
            weighed = [(f, s * w) for f, s, w in zip(fires, signs, weights, strict=True) if s]
            ahead = builder.at_least(
                [fire for fire, _ in weighed],
                0 if k < rival else 1,
                [weight for _, weight in weighed],
                f"class {k} has the votes against class {rival}",
            )
            leads.append(ahead)
        most = builder.all_of(leads, f"class {k} has most votes")
        wins.append(builder.any_of([most, none]) if k == default else most)
    return wins
